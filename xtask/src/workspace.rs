//! Where things are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The package at the top of the repository.
pub const CRATE: &str = "cf-warm-pools";

/// The checkout that this program belongs to.
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
    tools: PathBuf,
}

impl Workspace {
    /// # Errors
    ///
    /// When the folder of this crate has no parent.
    pub fn find() -> Result<Self> {
        // Cargo says where this crate is now; a checkout that was moved need not have been built again.
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .filter(|folder| folder.ends_with("xtask"))
            .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        let root = manifest_dir.parent().context("xtask is not inside the repository")?.to_path_buf();
        let absolute = |variable: &str| std::env::var_os(variable).map(|path| root.join(path));
        let target = absolute("CARGO_TARGET_DIR").unwrap_or_else(|| root.join("target"));
        let tools = absolute("WARM_POOL_TOOLS").unwrap_or_else(|| root.join("target/tools"));
        Ok(Self { root, target, tools })
    }

    /// The top of the repository.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo builds: `target`, or `CARGO_TARGET_DIR`.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where the set-up installs: `target/tools`, or `WARM_POOL_TOOLS`, which lets several checkouts share it.
    pub fn tools(&self) -> &Path {
        &self.tools
    }

    /// The names of the test targets of all packages, or of one.
    ///
    /// # Errors
    ///
    /// When cargo cannot read the workspace.
    pub fn tests(&self, of: Option<&str>) -> Result<Vec<String>> {
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--format-version=1", "--no-deps"]).current_dir(&self.root);
        let metadata: Value =
            serde_json::from_str(&process::output(&mut cargo)?).context("cargo metadata is not JSON")?;
        let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let name = |value: &Value| value.get("name").and_then(Value::as_str).map(str::to_owned);
        let mut names = Vec::new();
        for package in list(&metadata, "packages") {
            if of.is_some_and(|of| name(&package).as_deref() != Some(of)) {
                continue;
            }
            for target in list(&package, "targets") {
                if list(&target, "kind").iter().any(|kind| kind == "test") {
                    names.extend(name(&target));
                }
            }
        }
        Ok(names)
    }
}
