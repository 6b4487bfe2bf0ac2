//! The wasm target: rustup's where it can be had, else Debian's toolchain.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result};

use super::{debian, rustup};
use crate::process;
use crate::workspace::Workspace;

/// The target that Workers are built for.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// What compiles for wasm.
pub enum WasmToolchain {
    /// The toolchain that runs this.
    Own,
    /// Debian's compiler, with the standard library in the tools' folder.
    Debian(debian::Toolchain),
}

impl WasmToolchain {
    /// The folder whose `cargo` and `rustc` must come first in `PATH`.
    pub(super) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Own => None,
            Self::Debian(toolchain) => Some(toolchain.bin().to_path_buf()),
        }
    }

    pub(super) fn apply(&self, command: &mut Command) {
        // `cargo xtask` runs under cargo, whose choices must not reach another cargo.
        for variable in ["CARGO", "RUSTC", "RUSTDOC", "CARGO_MANIFEST_DIR"] {
            command.env_remove(variable);
        }
        match self {
            Self::Own => {}
            Self::Debian(toolchain) => toolchain.apply(command),
        }
    }
}

/// Makes sure that something compiles for wasm.
///
/// # Errors
///
/// When neither rustup nor Debian's packages help; the message says what to run.
pub fn ensure(workspace: &Workspace) -> Result<WasmToolchain> {
    if own_toolchain_has_it(workspace)? {
        return Ok(WasmToolchain::Own);
    }
    if let Some(toolchain) = debian::installed(workspace)? {
        return Ok(WasmToolchain::Debian(toolchain));
    }
    if rustup::add(workspace, "target", &[TARGET])? && own_toolchain_has_it(workspace)? {
        return Ok(WasmToolchain::Own);
    }
    debian::install(workspace).map(WasmToolchain::Debian)
}

fn own_toolchain_has_it(workspace: &Workspace) -> Result<bool> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", TARGET]).current_dir(workspace.root());
    let folder = process::output(&mut rustc).context("the Rust compiler is missing or broken (https://rustup.rs)")?;
    has_std(Path::new(&folder))
}

/// Whether a folder has a compiled standard library.
pub(super) fn has_std(folder: &Path) -> Result<bool> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
    };
    let is_std = |name: &str| name.starts_with("libstd-") && name.ends_with(".rlib");
    Ok(entries.flatten().any(|entry| entry.file_name().to_str().is_some_and(is_std)))
}
