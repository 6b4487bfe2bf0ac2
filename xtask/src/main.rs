//! `cargo xtask`: set-up, build, local server and tests, in one place and with nothing to install by hand.
//!
//! Every command begins with what it needs of the set-up, which does nothing when all is there; `sim` needs nothing but
//! cargo. What is installed goes under `target/tools` and `node_modules`, so that `cargo clean` and removing
//! `node_modules` undo it; only Debian packages (see `setup::apt`) and what rustup adds to its toolchain go elsewhere. An
//! error is one line that says what to do.

mod bench;
mod bindings;
// How the build finds and checks the pools, here for comparing them with wrangler.jsonc.
#[allow(dead_code, unfulfilled_lint_expectations)]
#[path = "../../build.rs"]
mod build_script;
mod coverage;
mod dev;
mod engine;
mod heartbeat;
mod images;
mod npm;
mod process;
mod setup;
mod sim;
mod test;
mod worker;
mod workspace;
mod wrangler;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what building, serving and testing need (they do it too)
    Setup,
    /// Build the Worker into build/, the npm package into npm/dist/, and the programs of the images
    Build,
    /// Build, and serve the Worker of wrangler.jsonc on local workerd
    Dev(dev::Arguments),
    /// Run the tests; the last line is `N passed, N failed`
    Test(test::Arguments),
    /// Run the simulator, which tries to break every promise; its last line has the numbers
    Sim(sim::Arguments),
    /// Measure against cf-container-warm-pool and the limits of the platform, and print the ratios
    Bench(bench::Arguments),
    /// Measure which lines of src/core the tests on this machine reach; fails under 95 %
    Coverage(coverage::Arguments),
    /// Run the wrangler of package-lock.json, on a Node.js that is new enough for it
    Wrangler(wrangler::Arguments),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    run(&command).unwrap_or_else(|error| {
        // The whole chain on one line: what failed, then why.
        eprintln!("error: {error:#}");
        if matches!(command, Command::Test(_)) {
            // Whoever reads the last line learns of it too.
            println!("{}", test::NOTHING_RAN);
        }
        ExitCode::FAILURE
    })
}

fn run(command: &Command) -> Result<ExitCode> {
    process::forward_signals()?;
    let workspace = Workspace::find()?;
    let set_up = || setup::run(&workspace);
    match command {
        Command::Setup => {
            set_up()?;
            for had in [setup::for_openapi(&workspace), setup::for_metrics(&workspace)] {
                if let Err(reason) = setup::optional(had)? {
                    eprintln!("setup: without this, some tests are skipped: {reason}");
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Build => {
            let tools = set_up()?;
            images::build_programs(&workspace)?;
            worker::build(&workspace, &tools)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Dev(arguments) => dev::run(&workspace, &set_up()?, arguments),
        Command::Test(arguments) => test::run(&workspace, &set_up()?, arguments),
        Command::Sim(arguments) => sim::run(&workspace, arguments),
        Command::Bench(arguments) => bench::run(&workspace, &set_up()?, arguments),
        Command::Coverage(arguments) => coverage::run(&workspace, arguments),
        Command::Wrangler(arguments) => wrangler::run(&workspace, &set_up()?, arguments),
    }
}
