//! Tests that cargo runs on this machine.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::counts::Counts;
use crate::process::{self, Ended};
use crate::workspace::Workspace;

/// The test target of the simulator, which is a suite of its own.
pub const SIM: &str = "sim";

const LIMIT: Duration = Duration::from_secs(20 * 60);

/// The test targets of the workspace, by name.
///
/// # Errors
///
/// When cargo cannot read the workspace.
pub fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--format-version=1", "--no-deps"]).current_dir(workspace.root());
    let metadata: Value = serde_json::from_str(&process::output(&mut cargo)?).context("cargo metadata is not JSON")?;
    let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut names = Vec::new();
    for package in list(&metadata, "packages") {
        for target in list(&package, "targets") {
            if list(&target, "kind").iter().any(|kind| kind == "test") {
                names.extend(target.get("name").and_then(Value::as_str).map(str::to_owned));
            }
        }
    }
    Ok(names)
}

/// Everything but the simulator; the examples in the docs too.
///
/// # Errors
///
/// When cargo is missing.
pub fn unit(workspace: &Workspace) -> Result<Counts> {
    let mut tests = Command::new("cargo");
    tests.args(["test", "--workspace", "--no-fail-fast", "--lib"]).current_dir(workspace.root());
    for name in targets(workspace)?.iter().filter(|name| *name != SIM) {
        tests.args(["--test", name]);
    }
    let mut counts = run(tests)?;
    let mut examples = Command::new("cargo");
    examples.args(["test", "--workspace", "--doc"]).current_dir(workspace.root());
    counts += run(examples)?;
    Ok(counts)
}

/// The simulator's tests.
///
/// # Errors
///
/// When cargo is missing.
pub fn sim(workspace: &Workspace) -> Result<Counts> {
    let mut tests = Command::new("cargo");
    tests.args(["test", "--no-fail-fast", "--test", SIM]).current_dir(workspace.root());
    run(tests)
}

fn run(mut command: Command) -> Result<Counts> {
    let mut counts = Counts::default();
    let ended = process::watched(&mut command, LIMIT, |line| {
        if let Some(found) = Counts::of_cargo_line(line) {
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
