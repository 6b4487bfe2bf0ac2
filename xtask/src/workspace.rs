//! Where things are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

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
}
