//! Tests that Node runs: `tests/<suite>/*.test.mjs`.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context, Result};

use super::counts::Counts;
use crate::process::{self, Ended};
use crate::setup::Tools;
use crate::workspace::Workspace;

/// For a suite. The longest takes some ten minutes on two cores with nothing else to do, twice that on a busy machine.
const LIMIT: Duration = Duration::from_secs(40 * 60);
/// For one test, and for one file with all its tests, which Node counts as a test: in milliseconds.
const TEST_LIMIT_MS: u32 = 600_000;

/// The files of a suite, in order of their names.
///
/// # Errors
///
/// When the folder is there and cannot be read.
pub fn find(workspace: &Workspace, suite: &str) -> Result<Vec<PathBuf>> {
    let folder = workspace.root().join("tests").join(suite);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
    };
    let is_test = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(".test.mjs"))
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_test).collect();
    files.sort();
    Ok(files)
}

/// Runs a suite, one file at a time: each has servers of its own, and the machine may be small. `variables` are set for the tests.
///
/// # Errors
///
/// When Node is missing, or the report cannot be read.
pub fn run(workspace: &Workspace, tools: &Tools, suite: &str, variables: &[(&str, &OsStr)]) -> Result<Counts> {
    let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
    let report = scratch.path().join("report.tap");
    let mut node = Command::new(&tools.node);
    node.args(["--test", "--test-concurrency=1", "--test-force-exit"])
        .arg(format!("--test-timeout={TEST_LIMIT_MS}"))
        .args(["--test-reporter=spec", "--test-reporter-destination=stdout", "--test-reporter=tap"])
        .arg(format!("--test-reporter-destination={}", report.display()))
        .args(find(workspace, suite)?)
        .envs(variables.iter().copied())
        .current_dir(workspace.root());
    let ended = process::watched(&mut node, LIMIT, |_| {})?;
    let mut counts = fs::read_to_string(&report).ok().and_then(|report| Counts::of_tap(&report)).unwrap_or_default();
    let succeeded = match ended {
        Ended::Exited(status) => status.success(),
        Ended::TimedOut => {
            println!("the {suite} tests took longer than {} s", LIMIT.as_secs());
            false
        }
    };
    // The runner itself failed, or found nothing to run.
    if (!succeeded || counts.passed == 0) && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok(counts)
}
