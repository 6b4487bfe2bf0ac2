//! Debian packages: installed by root, else asked for.

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
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            // No service is to start: what is needed of it is started, and ended, by hand.
            .env("RUNLEVEL", "1");
        command
    };
    process::logged(workspace, "apt-update", &mut apt_get(&["update"]))?;
    let mut install = apt_get(&["install", "-y", "--no-install-recommends"]);
    install.args(packages);
    process::logged(workspace, "apt-install", &mut install)
        .with_context(|| format!("{purpose}: try `{by_hand}` yourself"))
}
