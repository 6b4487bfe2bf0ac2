//! OpenSSL's headers and libraries, which worker-build links on Linux: the machine's; else Debian's, installed by root and
//! unpacked into the tools' folder by anybody else.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result};

use super::apt;
use crate::process;
use crate::workspace::Workspace;

const PACKAGE: &str = "libssl-dev";

/// Makes sure that cargo can link it, and says which variables cargo needs for that.
///
/// # Errors
///
/// When there is none and it cannot be had; the message says what to run.
pub fn ensure(workspace: &Workspace) -> Result<Vec<(&'static str, OsString)>> {
    let found = env::var_os("OPENSSL_DIR").is_some()
        || process::output(Command::new("pkg-config").args(["--exists", "openssl"])).is_ok();
    if !cfg!(target_os = "linux") || found {
        return Ok(Vec::new());
    }
    if !rustix::process::geteuid().is_root() {
        match unpacked(workspace) {
            Ok(variables) => return Ok(variables),
            Err(error) if process::interrupted() => return Err(error),
            // Whoever has root can do it.
            Err(_) => {}
        }
    }
    apt::install(workspace, "worker-build needs OpenSSL's headers", &[PACKAGE, "pkg-config"])?;
    Ok(Vec::new())
}

fn unpacked(workspace: &Workspace) -> Result<Vec<(&'static str, OsString)>> {
    let root = workspace.tools().join("openssl");
    let lib = root.join("usr/lib");
    let multiarch = |folder: &Path| -> Result<PathBuf> {
        let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut folders = entries.flatten().map(|entry| entry.path());
        let is_multiarch = |path: &PathBuf| path.to_str().is_some_and(|path| path.contains("-linux-gnu"));
        folders.find(is_multiarch).with_context(|| format!("nothing for this machine in {}", folder.display()))
    };
    let include = root.join("usr/include");
    if !include.join("openssl/opensslconf.h").exists() {
        let lists = apt::Lists::fresh(workspace)?;
        let depends = lists.depends(&["--important", PACKAGE])?;
        let library = depends.split_whitespace().last().context("libssl-dev has no library")?;
        lists.unpack(workspace, &[PACKAGE, library], &root)?;
        // Debian has what depends on the machine in a folder of its own; cargo's crate is told of one.
        let own = multiarch(&include)?.join("openssl");
        for entry in fs::read_dir(&own).with_context(|| format!("cannot read {}", own.display()))?.flatten() {
            fs::rename(entry.path(), include.join("openssl").join(entry.file_name()))?;
        }
    }
    let lib = multiarch(&lib)?;
    let mut rpath = OsString::from("-Clink-arg=-Wl,-rpath,");
    rpath.push(&lib);
    Ok(vec![
        ("OPENSSL_INCLUDE_DIR", include.into()),
        ("OPENSSL_LIB_DIR", lib.into()),
        ("CARGO_ENCODED_RUSTFLAGS", rpath),
    ])
}
