//! Debian packages: installed by root, else asked for; and unpacked without installing them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::progress;
use crate::process;
use crate::workspace::Workspace;

/// Whether this is a system with Debian's packages.
pub fn there() -> bool {
    process::output(Command::new("apt-get").arg("--version")).is_ok()
}

/// Installs packages; `purpose` says in a message what they are for.
///
/// # Errors
///
/// When there is no apt-get, or this is not root: the message has the command to run. When apt-get fails.
pub fn install(workspace: &Workspace, purpose: &str, packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    let by_hand = format!("apt-get update && apt-get install -y --no-install-recommends {list}");
    if !there() {
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

/// Unpacks packages into a folder, which then looks like the root of a Debian without the rest. Nothing is installed, so that
/// this needs no root. Where the machine's lists of packages do not do, new ones are fetched, as in [`Lists::fresh`].
///
/// # Errors
///
/// When a package cannot be downloaded or unpacked.
pub fn unpack(workspace: &Workspace, packages: &[&str], root: &Path) -> Result<()> {
    match Lists(Vec::new()).unpack(workspace, packages, root) {
        Ok(()) => Ok(()),
        Err(error) if process::interrupted() => Err(error),
        // It may be that the lists are old, or that there are none yet.
        Err(_) => Lists::fresh(workspace)?.unpack(workspace, packages, root),
    }
}

/// Which packages there are: arguments for apt that say where its lists are, none for the machine's own.
pub struct Lists(Vec<String>);

impl Lists {
    /// Lists of today in the tools' folder, where no root is needed to write them.
    ///
    /// # Errors
    ///
    /// When apt cannot fetch them.
    pub fn fresh(workspace: &Workspace) -> Result<Self> {
        progress("list of Debian's packages");
        let folder = workspace.tools().join("apt");
        for partial in ["lists/partial", "cache/archives/partial"] {
            let partial = folder.join(partial);
            fs::create_dir_all(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
        }
        let option = |name: &str, below: &str| ["-o".to_owned(), format!("{name}={}", folder.join(below).display())];
        // apt's own user may not come into this folder.
        let user = ["-o".to_owned(), "APT::Sandbox::User=root".to_owned()];
        let lists = Self([user, option("Dir::State::Lists", "lists"), option("Dir::Cache", "cache")].concat());
        process::logged(workspace, "apt-update", apt_get(&["update"]).args(&lists.0))?;
        Ok(lists)
    }

    /// What a package needs, as `apt-cache depends` prints it.
    ///
    /// # Errors
    ///
    /// When the lists do not have it.
    pub fn depends(&self, arguments: &[&str]) -> Result<String> {
        process::output(Command::new("apt-cache").arg("depends").args(&self.0).args(arguments))
    }

    /// # Errors
    ///
    /// When a package cannot be downloaded or unpacked.
    pub fn unpack(&self, workspace: &Workspace, packages: &[&str], root: &Path) -> Result<()> {
        progress(&format!("Debian packages {}, unpacked", packages.join(" ")));
        let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
        let mut download = apt_get(&["download"]);
        download.args(&self.0).args(packages).current_dir(scratch.path());
        process::logged(workspace, "apt-download", &mut download)?;
        for entry in fs::read_dir(scratch.path()).context("cannot read the temporary folder")? {
            let mut dpkg = Command::new("dpkg-deb");
            dpkg.arg("--extract").arg(entry?.path()).arg(root);
            process::logged(workspace, "dpkg-deb", &mut dpkg)?;
        }
        Ok(())
    }
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
