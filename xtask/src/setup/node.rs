//! Node.js: the machine's when it is new enough, else one from npm.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{npm, progress};
use crate::process;
use crate::workspace::Workspace;

/// The oldest major version that miniflare and wrangler run on.
const OLDEST: u32 = 22;
/// What is installed from npm when the machine's is older.
const VERSION: &str = "22.23.3";

/// The path of a Node.js that is new enough.
///
/// # Errors
///
/// When there is none and npm has none for this machine.
pub fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    let machines = process::output(Command::new("node").args(["-p", "process.versions.node + ' ' + process.execPath"]))
        .context("Node.js is missing or broken: install version 22 or newer with npm (https://nodejs.org)")?;
    let (version, path) = machines.split_once(' ').with_context(|| format!("`node` printed {machines:?}"))?;
    if major(version).is_some_and(|major| major >= OLDEST) {
        return Ok(PathBuf::from(path));
    }

    let cpu = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => bail!(
            "Node.js {version} is too old and npm has no newer one for {other}: install version {OLDEST} or newer"
        ),
    };
    if std::env::consts::OS != "linux" {
        bail!("Node.js {version} is too old: install version {OLDEST} or newer (https://nodejs.org)");
    }
    let package = format!("node-linux-{cpu}");
    let folder = workspace.tools().join("node");
    let node = folder.join("node_modules").join(&package).join("bin/node");
    if process::output(Command::new(&node).arg("--version")).is_ok_and(|found| found == format!("v{VERSION}")) {
        return Ok(node);
    }
    progress(&format!("Node.js {VERSION} from npm, because this machine has {version}"));
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut install = npm::npm()?;
    install
        .args(["install", "--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"])
        .arg(&folder)
        .arg(format!("{package}@{VERSION}"));
    process::logged(workspace, "node", &mut install)
        .with_context(|| format!("cannot install Node.js; install version {OLDEST} or newer yourself"))?;
    process::output(Command::new(&node).arg("--version")).with_context(|| {
        format!("the Node.js in {} does not run; install version {OLDEST} or newer", folder.display())
    })?;
    Ok(node)
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}
