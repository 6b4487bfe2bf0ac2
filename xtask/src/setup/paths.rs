//! Keeps this machine's paths out of the wasm: the messages of panics name source files, in the home folder of whoever builds.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::process;

/// Flags for rustc by which such paths begin otherwise. What cannot be found out is left as it is.
pub fn remapping() -> String {
    let sources = cargo_home().map(|home| home.join("registry/src"));
    let registries = sources.and_then(|sources| fs::read_dir(sources).ok()).into_iter().flatten().flatten();
    let crates = registries.map(|registry| (registry.path(), "/crates"));
    // Where rustup has put the source of the standard library, the compiler names that in place of `/rustc/…`.
    let sysroot = process::output(Command::new("rustc").args(["--print", "sysroot"])).ok();
    let std = sysroot.map(|sysroot| (Path::new(sysroot.trim()).join("lib/rustlib/src/rust"), "/rust"));
    let flag = |(from, to): (PathBuf, &str)| {
        let from = from.to_str().filter(|from| !from.contains(char::is_whitespace))?;
        Some(format!("--remap-path-prefix={from}={to}"))
    };
    crates.chain(std).filter_map(flag).collect::<Vec<_>>().join(" ")
}

fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")))
}
