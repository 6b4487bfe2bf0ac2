//! `cargo xtask coverage`: the lines of `src/core` that the tests on this machine reach.
//!
//! Counted are the lines of the core that do something, in whatever test reached them; neither the core's own test modules
//! nor its deliberate bugs, which are only compiled here.

mod lines;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use self::lines::Lines;
use crate::setup::{self, CoverageTools};
use crate::workspace::{CRATE, Workspace};
use crate::{process, sim};

/// The folder that is measured.
const MEASURED: &str = "src/core";
/// The file that declares the deliberate bugs.
const MUTANTS: &str = "src/core/mutants.rs";
/// The part of the lines, in percent, that must be reached.
const LEAST: usize = 95;

#[derive(Args)]
pub struct Arguments {
    /// Measure what one kind of test reaches
    #[arg(long, value_enum)]
    only: Option<Kind>,
    /// Write the sources too, with how often each line ran: DIR/html/index.html
    #[arg(long, value_name = "DIR")]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The tests of the crate
    Unit,
    /// The simulator's tests
    Sim,
}

/// Runs the tests, and prints a table of the files, the lines that no test reaches, and the sum.
///
/// # Errors
///
/// When a tool is missing and cannot be installed, or a test fails, which is said at the end. Too few lines are no error: they are the exit code.
pub fn run(workspace: &Workspace, arguments: &Arguments) -> Result<ExitCode> {
    // Everything runs at the top of the repository, whatever the folder of who asks.
    let html = arguments.html.as_ref().map(std::path::absolute).transpose().context("--html names no folder")?;
    let tools = setup::for_coverage(workspace)?;
    let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
    let lcov = scratch.path().join("lcov");
    let mut tests = llvm_cov(workspace, &tools);
    // The simulator's profile for all of them, so that the crate is compiled once.
    tests.args(["test", "--no-fail-fast", "--profile", sim::PROFILE, "--lcov", "--output-path"]).arg(&lcov);
    tests.args(targets(workspace, arguments.only)?);
    let passed = process::foreground(&mut tests)?.success();
    if !passed {
        // It reports nothing when a test fails. What the tests reached is of interest all the same.
        let mut report = llvm_cov(workspace, &tools);
        report.args(["report", "--profile", sim::PROFILE, "--lcov", "--output-path"]).arg(&lcov);
        process::logged(workspace, "coverage", &mut report).context("nothing could be measured; see above")?;
    }
    if let Some(folder) = &html {
        let mut report = llvm_cov(workspace, &tools);
        report.args(["report", "--profile", sim::PROFILE, "--html", "--output-dir"]).arg(folder);
        process::logged(workspace, "coverage-html", &mut report)?;
    }

    let report = fs::read_to_string(&lcov).context("cannot read the report of cargo-llvm-cov")?;
    let enough = print(&measured(workspace, &report)?);
    if !passed {
        bail!("a test fails; see above");
    }
    Ok(if enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What picks the tests. All of the crate's, for those that do not reach the core take no time.
fn targets(workspace: &Workspace, only: Option<Kind>) -> Result<Vec<String>> {
    let wanted = |name: &str| match only {
        None => true,
        Some(Kind::Unit) => name != sim::TARGET,
        Some(Kind::Sim) => name == sim::TARGET,
    };
    let names = workspace.tests(Some(CRATE))?.into_iter().filter(|name| wanted(name));
    let mut arguments: Vec<String> = names.flat_map(|name| ["--test".to_owned(), name]).collect();
    if only != Some(Kind::Sim) {
        arguments.push("--lib".to_owned());
    }
    if arguments.is_empty() {
        bail!("there is no test target `{}`", sim::TARGET);
    }
    Ok(arguments)
}

fn llvm_cov(workspace: &Workspace, tools: &CoverageTools) -> Command {
    let mut command = Command::new(&tools.cargo_llvm_cov);
    command
        .arg("llvm-cov")
        .env("LLVM_COV", &tools.llvm.cov)
        .env("LLVM_PROFDATA", &tools.llvm.profdata)
        .current_dir(workspace.root());
    command
}

/// The measured files, by their names.
fn measured(workspace: &Workspace, report: &str) -> Result<Vec<(String, Lines)>> {
    let root = workspace.root().canonicalize().context("cannot find the repository")?;
    let mut files = Vec::new();
    for (path, mut lines) in lines::of_lcov(report) {
        let Some(name) = path.strip_prefix(&root).ok().and_then(|path| path.to_str()) else { continue };
        if !path.starts_with(root.join(MEASURED)) || name == MUTANTS {
            continue;
        }
        let source = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
        lines.remove(&lines::not_counted(&source));
        files.push((name.to_owned(), lines));
    }
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(files)
}

/// Says whether enough lines are reached.
fn print(files: &[(String, Lines)]) -> bool {
    let width = files.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    println!("\n{:width$}  lines  reached      %", "");
    for (name, lines) in files {
        let (all, reached) = (lines.count(), lines.reached());
        println!("{name:width$}  {all:5}  {reached:7}  {:>5}", percent(reached, all));
    }
    println!("\nnot reached:");
    for (name, lines) in files {
        for range in lines.not_reached() {
            let (first, last) = range.into_inner();
            println!("  {name}:{first}{}", if first == last { String::new() } else { format!("-{last}") });
        }
    }
    let all: usize = files.iter().map(|(_, lines)| lines.count()).sum();
    let reached: usize = files.iter().map(|(_, lines)| lines.reached()).sum();
    println!("\nlines={all} reached={reached} percent={} least={LEAST}", percent(reached, all));
    // No lines at all is no success.
    all > 0 && reached * 100 >= all * LEAST
}

/// With one digit, rounded down: what is not quite everything must not read as if it were.
fn percent(part: usize, whole: usize) -> String {
    let tenths = (part * 1000).checked_div(whole).unwrap_or(1000);
    format!("{}.{}", tenths / 10, tenths % 10)
}
