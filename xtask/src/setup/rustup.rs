//! What rustup can add to the toolchain, where it can fetch anything: where it cannot, it waits for ever by itself.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use super::progress;
use crate::process;
use crate::workspace::Workspace;

/// How long rustup may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a failure is remembered, so that not every run waits for it.
const FAILURE_LASTS: Duration = Duration::from_secs(24 * 60 * 60);

/// Adds a target or components; `kind` is rustup's word for them. Says whether it did. What failed is not tried again for
/// a day.
///
/// # Errors
///
/// When the failure cannot be written down, or a signal ended rustup.
pub fn add(workspace: &Workspace, kind: &str, names: &[&str]) -> Result<bool> {
    if process::output(Command::new("rustup").arg("--version")).is_err() {
        return Ok(false);
    }
    let memo = workspace.tools().join(format!("rustup-failed-{kind}-{}", names.join("-")));
    let failed_lately = fs::metadata(&memo)
        .and_then(|memo| memo.modified())
        .is_ok_and(|at| SystemTime::now().duration_since(at).unwrap_or_default() < FAILURE_LASTS);
    if failed_lately {
        return Ok(false);
    }
    let mut rustup = Command::new("rustup");
    rustup.args([kind, "add"]).args(names).current_dir(workspace.root());
    let line = process::shown(&rustup);
    progress(&line);
    if process::within(PATIENCE, &mut rustup)?.is_some_and(|status| status.success()) {
        return Ok(true);
    }
    progress(&format!("rustup cannot do that here within {} s; try `{line}` yourself", PATIENCE.as_secs()));
    fs::create_dir_all(workspace.tools()).with_context(|| format!("cannot create {}", workspace.tools().display()))?;
    fs::write(&memo, format!("`{line}` failed; it is tried again a day later\n"))
        .with_context(|| format!("cannot write {}", memo.display()))?;
    Ok(false)
}
