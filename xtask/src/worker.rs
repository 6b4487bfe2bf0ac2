//! The Worker: worker-build's output in `build/`, which the shim imports.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use twox_hash::XxHash3_128;

use crate::npm;
use crate::process;
use crate::setup::{TARGET, Tools, WORKER_BUILD_VERSION};
use crate::workspace::Workspace;

/// What worker-build leaves behind.
const SCRIPT: &str = "build/index.js";
const WASM: &str = "build/index_bg.wasm";

/// Builds the Worker, and the npm package of it.
///
/// # Errors
///
/// When the crate does not compile, or a tool fails. The compiler's own output goes to standard error.
pub fn build(workspace: &Workspace, tools: &Tools) -> Result<()> {
    compile(workspace, tools)?;
    npm::build(workspace, tools)
}

/// Compiles the crate, and runs wasm-bindgen and wasm-opt over it when that gives anything new.
fn compile(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let root = workspace.root();
    eprintln!("build: the Worker, for {TARGET}; the first time its own crate takes a minute or more");
    // Exactly as worker-build will call it, so that it finds everything compiled.
    let mut cargo = tools.wasm_command("cargo")?;
    cargo.args(["build", "--lib", "--release", "--target", TARGET]).current_dir(root);
    let status = process::foreground(&mut cargo)?;
    if !status.success() {
        bail!("the Worker does not compile; see above");
    }

    let compiled = compiled_wasm(workspace, tools)?;
    let stamp = workspace.target().join("worker-build.stamp");
    let input = format!("{} {WORKER_BUILD_VERSION} {} stripped -Oz", hash(&compiled)?, tools.wasm_bindgen_version);
    if fs::read_to_string(&stamp).is_ok_and(|made| output(root).is_ok_and(|output| made == format!("{input} {output}")))
    {
        return Ok(());
    }
    eprintln!("build: wasm-bindgen and wasm-opt");
    let mut worker_build = tools.wasm_command(&tools.worker_build)?;
    worker_build.arg("--release").current_dir(root);
    process::logged(workspace, "worker-build", &mut worker_build)?;
    strip(workspace, tools)?;
    let output = output(root).context("worker-build left no output")?;
    fs::write(&stamp, format!("{input} {output}")).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Takes the names of functions out of what is deployed: a fifth of it; without them, optimising once more finds a hundredth
/// more. worker-build needs them, so that they cannot be left out before; cargo's output keeps them, for who looks for a function in a
/// stack trace.
fn strip(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let mut wasm_opt = tools.npm_command(workspace, "wasm-opt")?;
    wasm_opt.args(["-Oz", "--strip-debug", "--strip-producers", WASM, "-o", WASM]).current_dir(workspace.root());
    process::logged(workspace, "wasm-opt", &mut wasm_opt).context("cannot strip the Worker")
}

/// What cargo made of the crate. The target's folder can be set in more ways than the environment, so cargo is asked.
fn compiled_wasm(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    let mut cargo = tools.wasm_command("cargo")?;
    cargo.args(["metadata", "--format-version=1", "--no-deps", "--offline"]).current_dir(workspace.root());
    let metadata: serde_json::Value =
        serde_json::from_str(&process::output(&mut cargo)?).context("cargo metadata is not JSON")?;
    let target = metadata
        .get("target_directory")
        .and_then(serde_json::Value::as_str)
        .map_or_else(|| workspace.target().to_path_buf(), PathBuf::from);
    Ok(target.join(TARGET).join("release/cf_warm_pools.wasm"))
}

/// Identifies the output. Someone may have run worker-build by hand since.
fn output(root: &Path) -> Result<String> {
    Ok(format!("{} {}", hash(&root.join(SCRIPT))?, hash(&root.join(WASM))?))
}

fn hash(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(format!("{:032x}", XxHash3_128::oneshot(&bytes)))
}
