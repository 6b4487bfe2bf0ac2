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

/// Tell the tests what is missing, and why; those that need it are skipped.
const NO_PROMETHEUS: &str = "WARM_POOL_NO_PROMETHEUS";
const NO_PYTHON: &str = "WARM_POOL_NO_PYTHON";
const NO_CHROMIUM: &str = "WARM_POOL_NO_CHROMIUM";

/// The last line when no test could run.
pub const NOTHING_RAN: &str = "0 passed, 1 failed";

/// What came of a suite.
enum Outcome {
    Ran {
        counts: Counts,
        /// Why some of its tests were skipped.
        missing: Vec<String>,
    },
    /// It did not run, for this reason; counts as neither passed nor failed.
    Skipped(String),
}

impl From<Counts> for Outcome {
    fn from(counts: Counts) -> Self {
        Self::Ran { counts, missing: Vec::new() }
    }
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
            Counts { failed: 1, ..Counts::default() }.into()
        });
        match outcome {
            Outcome::Ran { counts, missing } => {
                summary.push(format!("{:8} {counts}  ({:.0} s)", suite.name(), started.elapsed().as_secs_f32()));
                summary
                    .extend(missing.into_iter().map(|reason| format!("{:8} SKIPPED in part: {reason}", suite.name())));
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
            Ok(counts.into())
        }
        Suite::Sim => rust::simulator(workspace).map(Outcome::from),
        Suite::Workerd => {
            let no_prometheus = setup::optional(setup::for_metrics(workspace))?.err();
            let no_python = setup::optional(setup::for_openapi(workspace))?.err();
            let lacks = [(NO_PROMETHEUS, &no_prometheus), (NO_PYTHON, &no_python)];
            let variables: Vec<_> =
                lacks.iter().filter_map(|(name, why)| Some((*name, why.as_deref()?.as_ref()))).collect();
            let mut counts = checks::deploy(workspace, tools)?;
            counts += scripts::run(workspace, tools, suite.name(), &variables)?;
            Ok(Outcome::Ran { counts, missing: no_prometheus.into_iter().chain(no_python).collect() })
        }
        Suite::Js => scripts::run(workspace, tools, suite.name(), &[]).map(Outcome::from),
        Suite::Browser => match setup::optional(chromium::ensure(workspace))? {
            Ok(browser) => {
                let variables = [(chromium::VARIABLE, browser.as_os_str())];
                scripts::run(workspace, tools, suite.name(), &variables).map(Outcome::from)
            }
            Err(reason) => Ok(Outcome::Skipped(reason)),
        },
        Suite::Docker => {
            if let Err(error) = engine::answering() {
                if !(arguments.start_docker || setup::in_ci()) {
                    return Ok(Outcome::Skipped(format!(
                        "no Docker engine answers ({error:#}); start one, or as root add --start-docker"
                    )));
                }
                *engine = Some(Engine::start(workspace)?);
            }
            images::build_programs(workspace)?;
            images::build_sandbox(workspace)?;
            let no_sandbox = setup::optional(images::lay_out_sandbox(workspace))?.err();
            let browser = setup::optional(chromium::ensure(workspace))?;
            let host = engine.as_ref().map(Engine::host);
            let mut variables: Vec<(&str, &OsStr)> = match &browser {
                Ok(browser) => vec![(chromium::VARIABLE, browser.as_os_str())],
                Err(reason) => vec![(NO_CHROMIUM, reason.as_ref())],
            };
            variables.extend(host.iter().map(|host| ("DOCKER_HOST", OsStr::new(host))));
            let counts = scripts::run(workspace, tools, suite.name(), &variables)?;
            Ok(Outcome::Ran { counts, missing: no_sandbox.into_iter().chain(browser.err()).collect() })
        }
    }
}
