//! Formatting, lints and documentation: each check counts as one test.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::counts::Counts;
use crate::process::{self, Ended};
use crate::setup::{TARGET, Tools, WasmToolchain, rustup};
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_secs(15 * 60);

/// The cargo workspaces besides the root's.
const OTHERS: [&str; 3] = ["example", "xtask/egress", "tests/docker/sandbox"];

/// What rustup may leave out of a toolchain, and a check needs.
#[derive(Clone, Copy)]
enum Component {
    Rustfmt,
    Clippy,
}

impl Component {
    const ALL: [Self; 2] = [Self::Rustfmt, Self::Clippy];

    const fn name(self) -> &'static str {
        match self {
            Self::Rustfmt => "rustfmt",
            Self::Clippy => "clippy",
        }
    }

    fn runs(self, workspace: &Workspace) -> bool {
        let subcommand = match self {
            Self::Rustfmt => "fmt",
            Self::Clippy => "clippy",
        };
        process::output(&mut cargo(workspace.root().to_path_buf(), &[subcommand, "--version"])).is_ok()
    }
}

/// The components that are there; asks rustup for those that are not.
fn components(workspace: &Workspace) -> Result<[bool; 2]> {
    let there = Component::ALL.map(|component| component.runs(workspace));
    let missing: Vec<&str> =
        Component::ALL.iter().zip(there).filter(|(_, there)| !there).map(|(c, _)| c.name()).collect();
    if missing.is_empty() || !rustup::add(workspace, "component", &missing)? {
        return Ok(there);
    }
    Ok(Component::ALL.map(|component| component.runs(workspace)))
}

/// Runs all checks, also when one fails. Without rustfmt or clippy, and with no way to add them, the checks that need
/// them are skipped.
///
/// # Errors
///
/// When cargo is missing, or the run was interrupted.
pub fn run(workspace: &Workspace, tools: &Tools) -> Result<Counts> {
    let mut counts = Counts::default();
    let [rustfmt, clippy] = components(workspace)?;
    let mut check = |name: &str, needs: Option<Component>, command: Command| -> Result<()> {
        let missing = needs.filter(|component| match component {
            Component::Rustfmt => !rustfmt,
            Component::Clippy => !clippy,
        });
        if let Some(component) = missing {
            let component = component.name();
            println!("check {name} ... SKIPPED: {component} is missing; run `rustup component add {component}`");
            counts += Counts { skipped: 1, ..Counts::default() };
            return Ok(());
        }
        let passed = passes(name, command)?;
        counts += Counts { passed: passed.into(), failed: (!passed).into(), skipped: 0 };
        Ok(())
    };

    let root = workspace.root();
    check("format", Some(Component::Rustfmt), cargo(root.to_path_buf(), &["fmt", "--all", "--check"]))?;
    check(
        "lints",
        Some(Component::Clippy),
        cargo(root.to_path_buf(), &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    )?;
    match tools.wasm {
        WasmToolchain::Own => {
            let arguments = ["clippy", "--quiet", "--lib", "--target", TARGET, "--", "-D", "warnings"];
            check("lints for wasm", Some(Component::Clippy), cargo(root.to_path_buf(), &arguments))?;
        }
        // Debian's toolchain has no clippy; the compiler's own warnings have to do.
        WasmToolchain::Debian(_) => {
            let mut command = tools.wasm_command("cargo")?;
            command.args(["rustc", "--quiet", "--lib", "--target", TARGET, "--", "-D", "warnings"]).current_dir(root);
            check("warnings for wasm", None, command)?;
        }
    }
    let mut docs =
        cargo(root.to_path_buf(), &["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    check("docs", None, docs)?;
    for folder in OTHERS {
        let directory = root.join(folder);
        check(
            &format!("format of {folder}"),
            Some(Component::Rustfmt),
            cargo(directory.clone(), &["fmt", "--all", "--check"]),
        )?;
        let mut lints = cargo(directory, &["clippy", "--quiet", "--workspace", "--all-targets", "--target-dir"]);
        lints.arg(workspace.target().join("images").join(folder.replace('/', "-"))).args(["--", "-D", "warnings"]);
        check(&format!("lints of {folder}"), Some(Component::Clippy), lints)?;
    }
    Ok(counts)
}

/// Bundles the Worker as a deploy does, and checks `wrangler.jsonc`, without an account. The images are left out: wrangler
/// needs Docker's buildx for them, and the Docker tests build and run them.
///
/// # Errors
///
/// When wrangler is missing.
pub fn deploy(workspace: &Workspace, tools: &Tools) -> Result<Counts> {
    let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mut wrangler = tools.npm_command(workspace, "wrangler")?;
    wrangler
        .args(["deploy", "--dry-run", "--containers-rollout=none", "--outdir"])
        .arg(scratch.path())
        .env("WRANGLER_SEND_METRICS", "false")
        .current_dir(workspace.root());
    let passed = passes("deploy, as a dry run", wrangler)?;
    Ok(Counts { passed: passed.into(), failed: (!passed).into(), skipped: 0 })
}

fn cargo(directory: PathBuf, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(directory);
    command
}

fn passes(name: &str, mut command: Command) -> Result<bool> {
    let ended = process::watched(&mut command, LIMIT, |_| {}).with_context(|| format!("the check of {name}"))?;
    let passed = match ended {
        Ended::Exited(status) => status.success(),
        Ended::TimedOut => false,
    };
    println!("check {name} ... {}", if passed { "ok" } else { "FAILED" });
    if !passed {
        println!("  run it by hand: {}", process::shown(&command));
    }
    Ok(passed)
}
