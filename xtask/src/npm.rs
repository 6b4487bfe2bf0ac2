//! The npm package: `npm/`, with what is built in `npm/dist`.
//!
//! One script, made of the shim and of what worker-build left; the wasm beside it, which the tool that bundles a Worker takes along;
//! and the types, which are written by hand.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::process;
use crate::setup::Tools;
use crate::workspace::Workspace;

/// What the package has besides the script, and from where.
const FILES: [(&str, &str); 3] = [
    ("build/index_bg.wasm", "npm/dist/index_bg.wasm"),
    ("src/shim/index.d.ts", "npm/dist/index.d.ts"),
    ("LICENSE", "npm/LICENSE"),
];
/// The folder of the types that `index.d.ts` puts together.
const TYPES: (&str, &str) = ("src/shim/types", "npm/dist/types");
const SCRIPT: &str = "src/shim/npm.mjs";
/// What stands for the global `Function` in it.
const FUNCTION: &str = "src/shim/function.mjs";
const OUTPUT: &str = "npm/dist/index.js";

/// Makes the package of what [`worker::build`](crate::worker::build) has built.
///
/// # Errors
///
/// When the script cannot be bundled, or a file cannot be copied.
pub fn build(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let root = workspace.root();
    let mut esbuild = tools.npm_command(workspace, "esbuild")?;
    let mut outfile = OsString::from("--outfile=");
    outfile.push(root.join(OUTPUT));
    esbuild
        .arg(SCRIPT)
        .args(["--bundle", "--format=esm", "--target=es2022", "--charset=utf8", "--log-level=warning"])
        .arg(format!("--inject:{FUNCTION}"))
        // What the shim calls and the wasm does not have would otherwise be found out at run time.
        .arg("--log-override:import-is-undefined=error")
        .args(["--external:cloudflare:*", "--external:*.wasm"])
        .arg(outfile)
        .current_dir(root);
    process::logged(workspace, "esbuild", &mut esbuild).context("cannot bundle the npm package")?;
    for (from, to) in FILES {
        copy(&root.join(from), &root.join(to))?;
    }
    copy_folder(&root.join(TYPES.0), &root.join(TYPES.1))
}

/// Has the one folder hold what the other does, and nothing of before.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry.with_context(|| format!("cannot read {}", from.display()))?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
