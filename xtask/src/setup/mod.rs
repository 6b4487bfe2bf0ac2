//! The set-up: what the other commands need, each step skipped when it is there already.
//!
//! | step | where it goes |
//! |---|---|
//! | [`npm`]: miniflare, wrangler, esbuild, wasm-opt | `node_modules` |
//! | [`node`]: Node.js 22, when the machine's is older | the tools' folder |
//! | [`wasm_target`]: std for `wasm32-unknown-unknown` | rustup's toolchain; else, by [`debian`], the tools' folder |
//! | [`cargo_tools`]: worker-build, and wasm-bindgen as in `Cargo.lock` | the tools' folder |
//! | [`openssl`]: what worker-build links | the machine's; else Debian's packages, without root in the tools' folder |
//!
//! The tests on workerd need besides:
//!
//! | step | where it goes |
//! |---|---|
//! | [`prometheus`]: Prometheus and promtool | the tools' folder, unless they are on `PATH` |
//! | [`python`]: schemathesis, openapi-spec-validator | the tools' folder; Python itself, when it is missing, as Debian's package |
//!
//! Measuring coverage needs something else, and nothing of that:
//!
//! | step | where it goes |
//! |---|---|
//! | [`cargo_tools`]: cargo-llvm-cov | the tools' folder |
//! | [`llvm`]: llvm-cov and llvm-profdata of the compiler's LLVM | rustup's toolchain; else Debian's packages |
//!
//! Testing the dashboard needs a browser, which the suite that uses it installs:
//!
//! | step | where it goes |
//! |---|---|
//! | [`chromium`]: the machine's, else Debian's | Debian's packages |

pub mod apt;
mod cargo_tools;
pub mod chromium;
mod debian;
mod llvm;
mod node;
mod npm;
mod openssl;
mod paths;
mod prometheus;
mod python;
pub mod rustup;
mod wasm_target;

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context, Result};

pub use self::cargo_tools::WORKER_BUILD_VERSION;
pub use self::llvm::Llvm;
pub use self::wasm_target::{TARGET, WasmToolchain};
use crate::process;
use crate::workspace::Workspace;

const LOCK_POLL: Duration = Duration::from_millis(100);

/// Where the tools are, once they are.
pub struct Tools {
    /// Node.js 22 or newer.
    pub node: PathBuf,
    /// What compiles for wasm.
    pub wasm: WasmToolchain,
    pub worker_build: PathBuf,
    /// The version of wasm-bindgen, the crate's and the tool's.
    pub wasm_bindgen_version: String,
    wasm_bindgen: PathBuf,
    wasm_opt: PathBuf,
    esbuild: PathBuf,
    /// For rustc, when it compiles for wasm.
    remapping: String,
}

impl Tools {
    /// A program from npm, on a Node.js that is new enough.
    ///
    /// # Errors
    ///
    /// When `PATH` cannot be put together.
    pub fn npm_command(&self, workspace: &Workspace, name: &str) -> Result<Command> {
        let mut command = Command::new(npm::program(workspace, name));
        command.env("PATH", prepend_path(self.node.parent().map(PathBuf::from))?);
        Ok(command)
    }

    /// A command that compiles for wasm or calls what does: cargo, worker-build, wrangler.
    ///
    /// # Errors
    ///
    /// When `PATH` cannot be put together.
    pub fn wasm_command(&self, program: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
        let mut command = Command::new(program);
        self.wasm.apply(&mut command);
        // wasm-opt and esbuild are scripts for `node`.
        let folders = [self.wasm.path(), self.node.parent().map(PathBuf::from)];
        command
            .env("PATH", prepend_path(folders.into_iter().flatten())?)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", &self.remapping)
            .env("WASM_BINDGEN_BIN", &self.wasm_bindgen)
            .env("WASM_OPT_BIN", &self.wasm_opt)
            .env("ESBUILD_BIN", &self.esbuild);
        Ok(command)
    }
}

/// What measures coverage.
pub struct CoverageTools {
    pub cargo_llvm_cov: PathBuf,
    pub llvm: Llvm,
}

/// Makes sure that all tools are there but those for coverage.
///
/// # Errors
///
/// When one is missing and cannot be installed; the message says what to run.
pub fn run(workspace: &Workspace) -> Result<Tools> {
    let started = Instant::now();
    let _lock = lock(workspace)?;

    let node = node::ensure(workspace)?;
    npm::ensure(workspace)?;
    let wasm = wasm_target::ensure(workspace)?;
    let cargo_tools::Installed { worker_build, wasm_bindgen, wasm_bindgen_version } = cargo_tools::ensure(workspace)?;
    let tools = Tools {
        node,
        wasm,
        worker_build,
        wasm_bindgen_version,
        wasm_bindgen,
        wasm_opt: npm::program(workspace, "wasm-opt"),
        esbuild: npm::program(workspace, "esbuild"),
        remapping: paths::remapping(),
    };
    progress(&format!("ready ({:.1} s)", started.elapsed().as_secs_f32()));
    Ok(tools)
}

/// What not every machine has and only some tests need: had, or the reason why not, for which they are skipped. In CI it is an
/// error like any other, so that nothing is left out there unnoticed.
///
/// # Errors
///
/// In CI, those of `had`; and when a signal ended it.
pub fn optional<T>(had: Result<T>) -> Result<Result<T, String>> {
    match had {
        Ok(had) => Ok(Ok(had)),
        Err(error) if in_ci() || process::interrupted() => Err(error),
        Err(error) => Ok(Err(format!("{error:#}"))),
    }
}

/// Whether this is a run of CI, by the variable that all of them set.
pub fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}

/// Makes sure that what tries the admin API by its description is there.
///
/// # Errors
///
/// The same.
pub fn for_openapi(workspace: &Workspace) -> Result<()> {
    let _lock = lock(workspace)?;
    python::ensure(workspace)
}

/// Makes sure that the tools for coverage are there.
///
/// # Errors
///
/// The same.
pub fn for_coverage(workspace: &Workspace) -> Result<CoverageTools> {
    let _lock = lock(workspace)?;
    Ok(CoverageTools { llvm: llvm::ensure(workspace)?, cargo_llvm_cov: cargo_tools::cargo_llvm_cov(workspace)? })
}

/// Makes sure that Prometheus is there for the tests.
///
/// # Errors
///
/// The same.
pub fn for_metrics(workspace: &Workspace) -> Result<()> {
    let _lock = lock(workspace)?;
    prometheus::ensure(workspace)
}

/// One at a time: another run in this checkout waits, and then finds everything there. A signal ends the waiting.
fn lock(workspace: &Workspace) -> Result<File> {
    fs::create_dir_all(workspace.tools()).with_context(|| format!("cannot create {}", workspace.tools().display()))?;
    let lock = File::create(workspace.tools().join("lock")).context("cannot create the set-up's lock")?;
    let mut told = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the set-up"),
        }
        process::check_interrupted()?;
        if !told {
            progress("another run is at it; waiting");
            told = true;
        }
        thread::sleep(LOCK_POLL);
    }
}

fn progress(text: &str) {
    eprintln!("setup: {text}");
}

fn prepend_path(folders: impl IntoIterator<Item = PathBuf>) -> Result<OsString> {
    let old = env::var_os("PATH").unwrap_or_default();
    env::join_paths(folders.into_iter().chain(env::split_paths(&old))).context("cannot put PATH together")
}
