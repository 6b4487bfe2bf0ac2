//! worker-build, wasm-bindgen and cargo-llvm-cov, built by cargo.
//!
//! worker-build would download wasm-bindgen and wasm-opt by itself, from GitHub; with programs of our own it needs
//! nothing but the crates' registry.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use super::{openssl, progress};
use crate::process;
use crate::workspace::Workspace;

/// Goes with the version of the `worker` crate.
pub const WORKER_BUILD_VERSION: &str = "0.8.7";
const CARGO_LLVM_COV_VERSION: &str = "0.9.1";

pub struct Installed {
    pub worker_build: PathBuf,
    pub wasm_bindgen: PathBuf,
    pub wasm_bindgen_version: String,
}

struct Tool<'a> {
    package: &'a str,
    program: &'a str,
    version: &'a str,
    /// What makes it print its version, as the last word.
    prints_version: &'a [&'a str],
    /// Further arguments of `cargo install`.
    arguments: &'a [&'a str],
    links_openssl: bool,
}

/// Installs what is missing or has another version.
///
/// # Errors
///
/// When `Cargo.lock` cannot be read, or cargo cannot build a tool.
pub fn ensure(workspace: &Workspace) -> Result<Installed> {
    let wasm_bindgen_version = locked_version(workspace, "wasm-bindgen")?;
    // The first, because it may ask for a package: not after minutes of building the other.
    let worker_build = Tool {
        package: "worker-build",
        program: "worker-build",
        version: WORKER_BUILD_VERSION,
        prints_version: &["--version"],
        arguments: &[],
        // For downloads that it does not do here.
        links_openssl: true,
    }
    .ensure(workspace)?;
    let wasm_bindgen = Tool {
        package: "wasm-bindgen-cli",
        program: "wasm-bindgen",
        version: &wasm_bindgen_version,
        prints_version: &["--version"],
        // They are for running tests in browsers.
        arguments: &["--no-default-features"],
        links_openssl: false,
    }
    .ensure(workspace)?;
    remove_leftovers(workspace)?;
    Ok(Installed { worker_build, wasm_bindgen, wasm_bindgen_version })
}

/// Installs cargo-llvm-cov, which measures coverage, when it is missing or has another version.
///
/// # Errors
///
/// When cargo cannot build it.
pub fn cargo_llvm_cov(workspace: &Workspace) -> Result<PathBuf> {
    let path = Tool {
        package: "cargo-llvm-cov",
        program: "cargo-llvm-cov",
        version: CARGO_LLVM_COV_VERSION,
        prints_version: &["llvm-cov", "--version"],
        arguments: &[],
        links_openssl: false,
    }
    .ensure(workspace)?;
    remove_leftovers(workspace)?;
    Ok(path)
}

/// Only the programs are needed; what they were built from is large.
fn remove_leftovers(workspace: &Workspace) -> Result<()> {
    let leftovers = workspace.tools().join("build");
    if leftovers.exists() {
        fs::remove_dir_all(&leftovers).with_context(|| format!("cannot remove {}", leftovers.display()))?;
    }
    Ok(())
}

impl Tool<'_> {
    fn ensure(&self, workspace: &Workspace) -> Result<PathBuf> {
        let Self { package, program, version, .. } = self;
        let path = workspace.tools().join("bin").join(program);
        if self.runs(&path) {
            return Ok(path);
        }
        let variables = if self.links_openssl { openssl::ensure(workspace)? } else { Vec::new() };
        progress(&format!("{package} {version}: cargo builds it, which takes a few minutes the first time"));
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["install", "--force", package, "--version", version, "--bin", program, "--root"])
            .arg(workspace.tools())
            .args(self.arguments)
            // They run for a second and would be compiled for minutes.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env("CARGO_TARGET_DIR", workspace.tools().join("build"))
            .envs(variables)
            .current_dir(workspace.root());
        process::logged(workspace, package, &mut cargo).with_context(|| format!("cannot build {package} {version}"))?;
        if !self.runs(&path) {
            bail!("{} does not run; remove it and run `cargo xtask setup`", path.display());
        }
        Ok(path)
    }

    fn runs(&self, path: &Path) -> bool {
        process::output(Command::new(path).args(self.prints_version))
            .is_ok_and(|printed| printed.split_whitespace().last() == Some(self.version))
    }
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
