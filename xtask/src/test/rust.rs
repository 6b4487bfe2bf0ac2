//! Tests that cargo runs on this machine.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::counts::Counts;
use crate::process::{self, Ended};
use crate::sim;
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Everything but the simulator; the examples in the docs too.
///
/// # Errors
///
/// When cargo is missing.
pub fn unit(workspace: &Workspace) -> Result<Counts> {
    let mut tests = Command::new("cargo");
    tests.args(["test", "--workspace", "--no-fail-fast", "--lib"]).current_dir(workspace.root());
    for name in workspace.tests(None)?.iter().filter(|name| *name != sim::TARGET) {
        tests.args(["--test", name]);
    }
    let mut counts = run(tests, Counts::of_cargo_line)?;
    let mut examples = Command::new("cargo");
    examples.args(["test", "--workspace", "--doc"]).current_dir(workspace.root());
    counts += run(examples, Counts::of_cargo_line)?;
    Ok(counts)
}

/// The simulator's trials, then its deliberate bugs, each of which counts as one test.
///
/// # Errors
///
/// When cargo is missing.
pub fn simulator(workspace: &Workspace) -> Result<Counts> {
    let mut counts = run(sim::trials(workspace), Counts::of_cargo_line)?;
    counts += run(sim::mutants(workspace), Counts::of_mutants_line)?;
    Ok(counts)
}

/// Runs a command whose lines have numbers.
fn run(mut command: Command, read: fn(&str) -> Option<Counts>) -> Result<Counts> {
    let mut counts = Counts::default();
    let ended = process::watched(&mut command, LIMIT, |line| {
        if let Some(found) = read(line) {
            counts += found;
        }
    })?;
    let succeeded = match ended {
        Ended::Exited(status) => status.success(),
        Ended::TimedOut => {
            println!("`{}` took longer than {} s", process::shown(&command), LIMIT.as_secs());
            false
        }
    };
    // Something failed that is not a test: it does not compile, or a test ended the whole program.
    if !succeeded && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok(counts)
}
