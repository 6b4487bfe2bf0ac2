//! The packages of `package-lock.json`.

use std::path::PathBuf;
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result};

use super::progress;
use crate::process;
use crate::workspace::Workspace;

/// Names the lock file that `node_modules` was made from; goes away with it.
const STAMP: &str = "node_modules/.installed-from";

/// Installs the packages unless `node_modules` was made from this very lock file.
///
/// # Errors
///
/// When npm is missing or cannot install.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let lock =
        fs::read_to_string(workspace.root().join("package-lock.json")).context("cannot read package-lock.json")?;
    let stamp = workspace.root().join(STAMP);
    match fs::read_to_string(&stamp) {
        Ok(installed) if installed == lock => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", stamp.display())),
    }
    progress("npm packages (miniflare, wrangler, esbuild, wasm-opt)");
    // Without scripts: none of these packages needs one on Linux or macOS, and newer versions of npm refuse them.
    let mut install = npm()?;
    install
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(workspace.root());
    process::logged(workspace, "npm", &mut install).context("cannot install the npm packages")?;
    fs::write(&stamp, lock).with_context(|| format!("cannot write {}", stamp.display()))
}

/// npm, which some systems have in a package of its own.
///
/// # Errors
///
/// When it is missing.
pub(super) fn npm() -> Result<Command> {
    process::output(Command::new("npm").arg("--version")).context(
        "npm is missing or broken: it comes with Node.js (https://nodejs.org), or with `apt-get install npm`",
    )?;
    Ok(Command::new("npm"))
}

/// A program that a package brought.
pub fn program(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.root().join("node_modules/.bin").join(name)
}
