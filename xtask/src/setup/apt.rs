//! Debian packages: installed by root, else asked for; and unpacked without installing them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::progress;
use crate::process;
use crate::workspace::Workspace;

/// Installs packages; `purpose` says in a message what they are for.
///
/// # Errors
///
/// When there is no apt-get, or this is not root: the message has the command to run. When apt-get fails.
pub fn install(workspace: &Workspace, purpose: &str, packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    let by_hand = format!("apt-get update && apt-get install -y --no-install-recommends {list}");
    if process::output(Command::new("apt-get").arg("--version")).is_err() {
        bail!("{purpose}: install what Debian calls {list}, then run this again");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("{purpose}: run `sudo sh -c '{by_hand}'`, then this again");
    }
    progress(&format!("Debian packages {list}"));
    process::logged(workspace, "apt-update", &mut apt_get(&["update"]))?;
    let mut install = apt_get(&["install", "-y", "--no-install-recommends"]);
    install.args(packages);
    process::logged(workspace, "apt-install", &mut install)
        .with_context(|| format!("{purpose}: try `{by_hand}` yourself"))
}

/// Learns which packages there are now, as far as this user may: only root can.
///
/// # Errors
///
/// When apt-get fails.
pub fn update(workspace: &Workspace) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    process::logged(workspace, "apt-update", &mut apt_get(&["update"]))
}

/// Unpacks packages into a folder, which then looks like the root of a Debian without the rest. Nothing is installed.
///
/// # Errors
///
/// When a package cannot be downloaded or unpacked.
pub fn unpack(workspace: &Workspace, packages: &[&str], root: &Path) -> Result<()> {
    progress(&format!("Debian packages {}, unpacked", packages.join(" ")));
    let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mut download = apt_get(&["download"]);
    download.args(packages).current_dir(scratch.path());
    process::logged(workspace, "apt-download", &mut download)?;
    for entry in fs::read_dir(scratch.path()).context("cannot read the temporary folder")? {
        let mut dpkg = Command::new("dpkg-deb");
        dpkg.arg("--extract").arg(entry?.path()).arg(root);
        process::logged(workspace, "dpkg-deb", &mut dpkg)?;
    }
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // No service is to start: what is needed of it is started, and ended, by hand.
        .env("RUNLEVEL", "1");
    command
}
