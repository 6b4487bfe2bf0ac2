//! worker-build and wasm-bindgen, built by cargo.
//!
//! worker-build would download wasm-bindgen and wasm-opt by itself, from GitHub; with programs of our own it needs
//! nothing but the crates' registry.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result};

use super::progress;
use crate::process;
use crate::workspace::Workspace;

/// Goes with the version of the `worker` crate.
pub const WORKER_BUILD_VERSION: &str = "0.8.7";

pub struct Installed {
    pub worker_build: PathBuf,
    pub wasm_bindgen: PathBuf,
    pub wasm_bindgen_version: String,
}

/// Installs what is missing or has another version.
///
/// # Errors
///
/// When `Cargo.lock` cannot be read, or cargo cannot build a tool.
pub fn ensure(workspace: &Workspace) -> Result<Installed> {
    let wasm_bindgen_version = locked_version(workspace, "wasm-bindgen")?;
    let wasm_bindgen = install(workspace, "wasm-bindgen-cli", "wasm-bindgen", &wasm_bindgen_version)?;
    let worker_build = install(workspace, "worker-build", "worker-build", WORKER_BUILD_VERSION)?;
    // Only the programs are needed; what they were built from is large.
    let leftovers = workspace.tools().join("build");
    if leftovers.exists() {
        fs::remove_dir_all(&leftovers).with_context(|| format!("cannot remove {}", leftovers.display()))?;
    }
    Ok(Installed { worker_build, wasm_bindgen, wasm_bindgen_version })
}

fn install(workspace: &Workspace, package: &str, program: &str, version: &str) -> Result<PathBuf> {
    let path = workspace.tools().join("bin").join(program);
    // The version is the last word of what both print.
    let is_there = || {
        let printed = process::output(Command::new(&path).arg("--version")).ok()?;
        (printed.split_whitespace().last() == Some(version)).then_some(())
    };
    if is_there().is_some() {
        return Ok(path);
    }
    progress(&format!("{package} {version}: cargo builds it, which takes a few minutes the first time"));
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["install", "--force", package, "--version", version, "--root"])
        .arg(workspace.tools())
        .env("CARGO_TARGET_DIR", workspace.tools().join("build"))
        .current_dir(workspace.root());
    process::logged(workspace, package, &mut cargo).with_context(|| format!("cannot build {package} {version}"))?;
    is_there().with_context(|| format!("{} does not run; remove it and run `cargo xtask setup`", path.display()))?;
    Ok(path)
}

fn locked_version(workspace: &Workspace, name: &str) -> Result<String> {
    let text = fs::read_to_string(workspace.root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let lock: toml::Table = text.parse().context("Cargo.lock is not valid TOML")?;
    lock.get("package")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
        .find(|package| package.get("name").and_then(toml::Value::as_str) == Some(name))
        .and_then(|package| package.get("version")?.as_str())
        .map(str::to_owned)
        .with_context(|| format!("Cargo.lock has no {name}; run `cargo generate-lockfile`"))
}
