//! The wasm target: rustup's where it can be had, else Debian's toolchain.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};
use std::{fs, io};

use anyhow::{Context, Result};

use super::{debian, progress};
use crate::process;
use crate::workspace::Workspace;

/// The target that Workers are built for.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// How long rustup may take when its server answers, and when it does not: it waits for ever by itself.
const RUSTUP_PATIENCE: Duration = Duration::from_secs(300);
const RUSTUP_IMPATIENCE: Duration = Duration::from_secs(20);
/// How long a failure of rustup is remembered.
const FAILURE_LASTS: Duration = Duration::from_secs(24 * 60 * 60);

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
    if rustup_adds_it(workspace)? && own_toolchain_has_it(workspace)? {
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

/// Asks rustup, unless it failed not long ago.
fn rustup_adds_it(workspace: &Workspace) -> Result<bool> {
    if process::output(Command::new("rustup").arg("--version")).is_err() {
        return Ok(false);
    }
    let memo = workspace.tools().join("rustup-failed");
    let failed_lately = fs::metadata(&memo)
        .and_then(|memo| memo.modified())
        .is_ok_and(|at| SystemTime::now().duration_since(at).unwrap_or_default() < FAILURE_LASTS);
    if failed_lately {
        return Ok(false);
    }
    progress(&format!("rustup target add {TARGET}"));
    let patience = if server_answers() { RUSTUP_PATIENCE } else { RUSTUP_IMPATIENCE };
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]).current_dir(workspace.root());
    let status = process::within(patience, &mut rustup)?;
    if status.is_some_and(|status| status.success()) {
        return Ok(true);
    }
    progress("rustup cannot fetch it here; Debian's Rust packages can replace it");
    fs::create_dir_all(workspace.tools()).with_context(|| format!("cannot create {}", workspace.tools().display()))?;
    fs::write(&memo, "rustup could not add the wasm target; it is asked again a day later\n")
        .with_context(|| format!("cannot write {}", memo.display()))?;
    Ok(false)
}

fn server_answers() -> bool {
    let script = "fetch('https://static.rust-lang.org/rustup/release-stable.toml', \
                  {method: 'HEAD', signal: AbortSignal.timeout(5000)}).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))";
    let mut node = Command::new("node");
    node.args(["-e", script]);
    process::within(RUSTUP_IMPATIENCE, &mut node).is_ok_and(|status| status.is_some_and(|status| status.success()))
}
