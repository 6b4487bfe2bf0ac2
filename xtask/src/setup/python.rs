//! Programs in Python that tests call: what tries the admin API by its description, and what checks that description.
//!
//! They go into a virtual environment in the tools' folder. It names its own folder, so one that was copied is made anew.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result, bail};

use super::{apt, progress};
use crate::process;
use crate::workspace::Workspace;

/// Every package with its version, those that others need too.
const LOCK: &str = "xtask/python/requirements.txt";
/// The oldest that the packages run on.
const OLDEST: (u32, u32) = (3, 10);

/// Installs the packages unless the environment was made here from this very list, by this Python.
///
/// # Errors
///
/// When there is no Python that is new enough and none can be installed, or pip cannot install the packages.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let lock = fs::read_to_string(workspace.root().join(LOCK)).with_context(|| format!("cannot read {LOCK}"))?;
    let folder = workspace.tools().join("python");
    let version = python(workspace)?;
    let wanted = format!("{}\n{version}\n{lock}", folder.display());
    let stamp = folder.join("installed-from");
    match fs::read_to_string(&stamp) {
        Ok(installed) if installed == wanted => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", stamp.display())),
    }
    progress("Python packages (schemathesis, openapi-spec-validator)");
    let mut create = Command::new("python3");
    create.args(["-m", "venv", "--clear"]).arg(&folder);
    process::logged(workspace, "python-venv", &mut create).context("cannot make a virtual environment")?;
    install(workspace, &folder)?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

fn install(workspace: &Workspace, folder: &Path) -> Result<()> {
    let mut pip = Command::new(folder.join("bin/pip"));
    // The list is complete, so that nobody else decides what is installed.
    pip.args(["install", "--no-deps", "--no-input", "--disable-pip-version-check", "--requirement"])
        .arg(workspace.root().join(LOCK));
    process::logged(workspace, "pip", &mut pip).context("cannot install the Python packages")
}

/// The machine's Python and its version, with what makes virtual environments, which Debian has in a package of its own.
fn python(workspace: &Workspace) -> Result<String> {
    let ask = "import sys, venv, ensurepip; print(sys.executable, *sys.version_info[:3])";
    let mut found = process::output(Command::new("python3").args(["-c", ask]));
    if found.is_err() {
        apt::install(workspace, "the tests need Python with virtual environments", &["python3", "python3-venv"])?;
        found = process::output(Command::new("python3").args(["-c", ask]));
    }
    let found = found.context("Python is missing or broken: install version 3.10 or newer, with `venv`")?;
    let mut numbers = found.split(' ').skip(1).map_while(|number| number.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST => Ok(found),
        _ => bail!("`python3` is {found}: install version {}.{} or newer", OLDEST.0, OLDEST.1),
    }
}
