//! A Chromium for the tests of the dashboard: the one that is named or found, else Debian's.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::apt;
use crate::process;
use crate::workspace::Workspace;

/// Names the browser to use.
pub const VARIABLE: &str = "CHROMIUM";
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// The fonts are for the screenshots: without any, text is boxes.
const PACKAGES: [&str; 2] = ["chromium", "fonts-dejavu-core"];

/// The browser's program.
///
/// # Errors
///
/// When there is none and it cannot be installed; the message says what to run.
pub fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        process::output(Command::new(&named).arg("--version"))
            .with_context(|| format!("{VARIABLE} names {}, which does not run", named.display()))?;
        return Ok(named);
    }
    if let Some(found) = found() {
        return Ok(found);
    }
    apt::install(
        workspace,
        &format!("the dashboard's tests need Chromium (or another of its kind, named in {VARIABLE})"),
        &PACKAGES,
    )?;
    let Some(found) = found() else {
        bail!("chromium is installed and does not run: reinstall it, or name another in {VARIABLE}");
    };
    Ok(found)
}

/// With its folder, which who starts it by name alone would have to find again.
fn found() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let programs = std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    programs.filter(|program| program.exists()).find(|program| {
        let version = process::output(Command::new(program).arg("--version"));
        version.is_ok()
    })
}
