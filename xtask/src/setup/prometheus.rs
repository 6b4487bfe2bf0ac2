//! Prometheus and promtool, which the tests of the metrics run: those on `PATH`, else Debian's.
//!
//! Debian's package would start a service when installed, so it is unpacked into the tools' folder: both programs are whole in
//! themselves. That needs no root.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use super::apt;
use crate::process;
use crate::workspace::Workspace;

const PACKAGE: &str = "prometheus";
const PROGRAMS: [&str; 2] = ["prometheus", "promtool"];

/// Unpacks both programs where they are missing.
///
/// # Errors
///
/// When they are missing, and Debian's package cannot be fetched or unpacked; the message says what to do.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let root = workspace.tools().join(PACKAGE);
    let unpacked = root.join("usr/bin");
    let on_path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&on_path).chain([unpacked.clone()]).any(|folder| run(&folder)) {
        return Ok(());
    }
    if !apt::there() {
        bail!("some tests of the metrics need Prometheus: put `prometheus` and `promtool` on PATH");
    }
    // What an interrupted run left.
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    apt::unpack(workspace, &[PACKAGE], &root).context("cannot fetch Debian's prometheus")?;
    if !run(&unpacked) {
        bail!("{} has no prometheus and promtool that run; remove it and run this again", root.display());
    }
    Ok(())
}

/// Whether both are in the folder and run.
fn run(folder: &Path) -> bool {
    PROGRAMS.iter().all(|program| {
        let program = folder.join(program);
        program.is_file() && process::output(Command::new(program).arg("--version")).is_ok()
    })
}
