//! `cargo xtask sim`: campaigns of the simulator, which is the test target `sim`.
//!
//! Needs nothing but cargo. What the simulator prints is passed on as it comes and nothing is printed after it, so that
//! its last line is the last line of standard output; its success is the command's.

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::process;
use crate::workspace::Workspace;

/// The test target of the simulator.
pub const TARGET: &str = "sim";
/// The cargo profile that it is compiled by.
pub const PROFILE: &str = "sim";
/// The feature of the crate that compiles the deliberate bugs.
const MUTANTS: &str = "mutants";

/// What the simulator itself takes. They are here too so that a mistake is told before minutes of compiling; the defaults
/// are the simulator's.
#[derive(Args)]
pub struct Arguments {
    /// How many seeds [default: 1000; for each deliberate bug 600]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// The first seed [default: 0]
    #[arg(long, value_name = "SEED")]
    first: Option<u64>,
    /// Only seeds in which shard counts change under load
    #[arg(long, conflicts_with_all = ["first", "seed"])]
    resharding: bool,
    /// This seed alone
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// Print what happened in the one seed, also when it breaks no promise
    #[arg(long, requires = "seed", conflicts_with_all = ["mutants", "mutant", "peer"])]
    trace: bool,
    /// Test the oracle: each deliberate bug has to break a promise
    #[arg(long, conflicts_with = "peer")]
    mutants: bool,
    /// Only this deliberate bug, with its shortest failing schedule; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "peer")]
    mutant: Vec<String>,
    /// Compare with the algorithm of cf-container-warm-pool
    #[arg(long)]
    peer: bool,
    /// Measure what shards cost, and print the tables
    #[arg(long, conflicts_with_all = ["mutants", "mutant", "peer", "trace", "seed", "seeds", "first", "resharding"])]
    scenarios: bool,
    /// Only this measurement; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with_all = ["mutants", "mutant", "peer", "trace", "seed", "seeds", "first", "resharding"])]
    scenario: Vec<String>,
    /// How many threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    threads: Option<u64>,
}

/// Runs a campaign until it ends, or a signal comes.
///
/// # Errors
///
/// When cargo is missing, or a signal ended it. A broken promise is no error: it is the exit code.
pub fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    let Arguments { seeds, first, resharding, seed, trace, mutants, mutant, peer, scenarios, scenario, threads } =
        arguments;
    let with = if *mutants || !mutant.is_empty() { Bugs::Planted } else { Bugs::None };
    let mut campaign = campaign(workspace, with);
    for (name, value) in [("--seeds", seeds), ("--first", first), ("--seed", seed), ("--threads", threads)] {
        campaign.args(value.iter().flat_map(|value| [name.to_owned(), value.to_string()]));
    }
    let switches = [
        ("--resharding", resharding),
        ("--trace", trace),
        ("--mutants", mutants),
        ("--peer", peer),
        ("--scenarios", scenarios),
    ];
    for (name, given) in switches {
        campaign.args(given.then_some(name));
    }
    campaign.args(mutant.iter().flat_map(|name| ["--mutant", name]));
    campaign.args(scenario.iter().flat_map(|name| ["--scenario", name]));
    let status = process::foreground(&mut campaign)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The simulator's tests, with the deliberate bugs compiled in, none of which is switched on: so [`mutants`] has nothing more to
/// compile.
pub fn trials(workspace: &Workspace) -> Command {
    cargo_test(workspace, Bugs::Planted)
}

/// The oracle's test: every deliberate bug has to break a promise.
pub fn mutants(workspace: &Workspace) -> Command {
    let mut campaign = campaign(workspace, Bugs::Planted);
    campaign.arg("--mutants");
    campaign
}

/// Whether the deliberate bugs are compiled in.
#[derive(Clone, Copy)]
enum Bugs {
    None,
    Planted,
}

fn campaign(workspace: &Workspace, with: Bugs) -> Command {
    let mut cargo = cargo_test(workspace, with);
    cargo.args(["--", "campaign"]);
    cargo
}

fn cargo_test(workspace: &Workspace, with: Bugs) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--profile", PROFILE, "--test", TARGET]).current_dir(workspace.root());
    match with {
        Bugs::None => {}
        Bugs::Planted => {
            cargo.args(["--features", MUTANTS]);
        }
    }
    cargo
}
