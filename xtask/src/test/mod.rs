//! `cargo xtask test`: every kind of test, and one line of numbers at the end.

mod checks;
mod counts;
mod rust;
mod scripts;

use std::ffi::OsStr;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Args, ValueEnum};

use self::counts::Counts;
use crate::engine::{self, Engine};
use crate::setup::{self, Tools, chromium};
use crate::workspace::Workspace;
use crate::{bindings, images, process, sim, worker};

#[derive(Args)]
pub struct Arguments {
    /// Run one kind of test
    #[arg(long, value_enum)]
    only: Option<Suite>,
    /// As root, install and start a Docker engine for the tests when none answers (also with CI=true)
    #[arg(long)]
    start_docker: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// Formatting, lints, docs; tests of the crate on this machine, and its examples in the docs
    Unit,
    /// The simulator: its tests, then its deliberate bugs
    Sim,
    /// The built Worker on workerd, containers emulated
    Workerd,
    /// The built Worker on workerd with real containers
    Docker,
    /// The npm package
    Js,
    /// The dashboard
    Browser,
}

impl Suite {
    const ALL: [Self; 6] = [Self::Unit, Self::Sim, Self::Workerd, Self::Docker, Self::Js, Self::Browser];

    const fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Sim => "sim",
            Self::Workerd => "workerd",
            Self::Docker => "docker",
            Self::Js => "js",
            Self::Browser => "browser",
        }
    }

    const fn needs_worker(self) -> bool {
        match self {
            Self::Unit | Self::Sim => false,
            Self::Workerd | Self::Docker | Self::Js | Self::Browser => true,
        }
    }
}

/// The last line when no test could run.
pub const NOTHING_RAN: &str = "0 passed, 1 failed";

/// What came of a suite.
enum Outcome {
    Ran(Counts),
    /// It did not run, for this reason; counts as neither passed nor failed.
    Skipped(String),
}

/// Runs the suites one after the other; all of them, also when one fails.
///
/// # Errors
///
/// When a program that runs tests is missing, or the run was interrupted. A test that fails is no error.
pub fn run(workspace: &Workspace, tools: &Tools, arguments: &Arguments) -> Result<ExitCode> {
    let mut engine = None;
    let mut total = Counts::default();
    let mut summary = Vec::new();
    // Building the Worker is work, and a failure of it fails every suite that needs it, once.
    let mut built: Option<Result<(), String>> = None;
    for suite in Suite::ALL.into_iter().filter(|suite| arguments.only.is_none_or(|only| only == *suite)) {
        let started = Instant::now();
        if process::interrupted() {
            total.failed = total.failed.max(1);
            summary.push(format!("{:8} NOT RUN: interrupted", suite.name()));
            continue;
        }
        if let Some(reason) = nothing_to_run(workspace, suite)? {
            summary.push(format!("{:8} none: {reason}", suite.name()));
            continue;
        }
        println!("\n=== {}", suite.name());
        if suite.needs_worker() {
            let built =
                built.get_or_insert_with(|| worker::build(workspace, tools).map_err(|error| format!("{error:#}")));
            if let Err(error) = built {
                total += Counts { failed: 1, ..Counts::default() };
                summary.push(format!("{:8} 0 passed, 1 failed: {error}", suite.name()));
                continue;
            }
        }
        let outcome = run_suite(workspace, tools, suite, arguments, &mut engine).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Outcome::Ran(Counts { failed: 1, ..Counts::default() })
        });
        match outcome {
            Outcome::Ran(counts) => {
                summary.push(format!("{:8} {counts}  ({:.0} s)", suite.name(), started.elapsed().as_secs_f32()));
                total += counts;
            }
            Outcome::Skipped(reason) => summary.push(format!("{:8} SKIPPED: {reason}", suite.name())),
        }
    }
    drop(engine);
    println!("\n{}\n", summary.join("\n"));
    // Nothing run is not a success.
    let success = total.failed == 0 && total.passed > 0;
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(if success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn nothing_to_run(workspace: &Workspace, suite: Suite) -> Result<Option<String>> {
    Ok(match suite {
        Suite::Unit => None,
        Suite::Sim => (!workspace.tests(None)?.iter().any(|name| name == sim::TARGET))
            .then(|| "there is no test target `sim`".to_owned()),
        Suite::Workerd | Suite::Docker | Suite::Js | Suite::Browser => scripts::find(workspace, suite.name())?
            .is_empty()
            .then(|| format!("there is no tests/{}/*.test.mjs", suite.name())),
    })
}

fn run_suite(
    workspace: &Workspace,
    tools: &Tools,
    suite: Suite,
    arguments: &Arguments,
    engine: &mut Option<Engine>,
) -> Result<Outcome> {
    match suite {
        Suite::Unit => {
            bindings::check(workspace)?;
            let mut counts = checks::run(workspace, tools)?;
            counts += rust::unit(workspace)?;
            Ok(Outcome::Ran(counts))
        }
        Suite::Sim => rust::simulator(workspace).map(Outcome::Ran),
        Suite::Workerd => {
            setup::for_metrics(workspace)?;
            setup::for_openapi(workspace)?;
            let mut counts = checks::deploy(workspace, tools)?;
            counts += scripts::run(workspace, tools, suite.name(), &[])?;
            Ok(Outcome::Ran(counts))
        }
        Suite::Js => scripts::run(workspace, tools, suite.name(), &[]).map(Outcome::Ran),
        Suite::Browser => {
            let browser = chromium::ensure(workspace)?;
            scripts::run(workspace, tools, suite.name(), &[(chromium::VARIABLE, browser.as_os_str())]).map(Outcome::Ran)
        }
        Suite::Docker => {
            if let Err(error) = engine::answering() {
                let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1");
                if !(arguments.start_docker || in_ci) {
                    return Ok(Outcome::Skipped(format!(
                        "no Docker engine answers ({error:#}); start one, or as root add --start-docker"
                    )));
                }
                *engine = Some(Engine::start(workspace)?);
            }
            images::build_programs(workspace)?;
            images::build_sandbox(workspace)?;
            let browser = chromium::ensure(workspace)?;
            let host = engine.as_ref().map(Engine::host);
            let mut variables = vec![(chromium::VARIABLE, browser.as_os_str())];
            variables.extend(host.iter().map(|host| ("DOCKER_HOST", OsStr::new(host))));
            scripts::run(workspace, tools, suite.name(), &variables).map(Outcome::Ran)
        }
    }
}
