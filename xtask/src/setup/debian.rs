//! The wasm target without rustup's server: Debian's Rust compiler and its source of the standard library.
//!
//! Debian has no standard library compiled for wasm, so it is compiled here, once, into a sysroot of our own in the
//! tools' folder: a copy of links to Debian's, plus the target. `rustc` there is a script that finds that sysroot beside
//! itself, so that the folder can be moved.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result, bail};

use super::wasm_target::{TARGET, has_std};
use super::{apt, progress};
use crate::process;
use crate::workspace::Workspace;

const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "gcc"];
const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
/// A linker for wasm of the same LLVM as the compiler, when rustup's toolchain has none.
const LINKER_PACKAGE: &str = "lld-22";
const LINKER: &str = "/usr/lib/llvm-22/bin/wasm-ld";

/// Debian's toolchain with the wasm target.
pub struct Toolchain {
    bin: PathBuf,
    linker: PathBuf,
}

impl Toolchain {
    /// The folder with `cargo` and `rustc`.
    pub(super) fn bin(&self) -> &Path {
        &self.bin
    }

    pub(super) fn apply(&self, command: &mut Command) {
        command
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &self.linker)
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("LD_LIBRARY_PATH");
    }
}

struct Layout {
    bin: PathBuf,
    sysroot: PathBuf,
    /// Says which compiler the standard library was compiled by.
    stamp: PathBuf,
}

impl Layout {
    fn of(workspace: &Workspace) -> Self {
        let top = workspace.tools().join("debian-rust");
        Self { bin: top.join("bin"), sysroot: top.join("sysroot"), stamp: top.join("rustc-version") }
    }

    fn target_lib(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(TARGET).join("lib")
    }
}

/// The toolchain when it is complete and of the compiler that is installed now.
///
/// # Errors
///
/// When the tools' folder cannot be read or written.
pub fn installed(workspace: &Workspace) -> Result<Option<Toolchain>> {
    let layout = Layout::of(workspace);
    let Ok(built_by) = fs::read_to_string(&layout.stamp) else { return Ok(None) };
    if compiler().ok().as_deref() != Some(built_by.as_str()) || !has_std(&layout.target_lib())? {
        return Ok(None);
    }
    let Some(linker) = linker(workspace) else { return Ok(None) };
    write_script(&layout)?;
    Ok(Some(Toolchain { bin: layout.bin, linker }))
}

/// Installs Debian's packages where that is allowed, and compiles the standard library.
///
/// # Errors
///
/// When the packages are missing and cannot be installed; the message has the command to run.
pub fn install(workspace: &Workspace) -> Result<Toolchain> {
    install_packages(workspace)?;
    let layout = Layout::of(workspace);
    let version = compiler()?;
    progress(&format!("standard library for {TARGET}, compiled by Debian's Rust (a minute or two)"));
    let _ = fs::remove_file(&layout.stamp);
    lay_out_sysroot(&layout)?;
    compile_std(workspace, &layout)?;
    fs::write(&layout.stamp, &version).with_context(|| format!("cannot write {}", layout.stamp.display()))?;
    let linker =
        linker(workspace).with_context(|| format!("no linker for wasm: install the package {LINKER_PACKAGE}"))?;
    Ok(Toolchain { bin: layout.bin, linker })
}

fn compiler() -> Result<String> {
    process::output(Command::new(RUSTC).arg("--version"))
}

fn source() -> Result<PathBuf> {
    let sysroot = process::output(Command::new(RUSTC).args(["--print", "sysroot"]))?;
    Ok(Path::new(&sysroot).join("lib/rustlib/src/rust/library"))
}

fn install_packages(workspace: &Workspace) -> Result<()> {
    let mut missing = Vec::new();
    if compiler().is_err() || !Path::new(CARGO).exists() || !source().is_ok_and(|source| source.join("std").exists()) {
        missing.extend(PACKAGES);
    }
    if linker(workspace).is_none() {
        missing.push(LINKER_PACKAGE);
    }
    if missing.is_empty() {
        return Ok(());
    }
    if !apt::there() {
        bail!("the target {TARGET} is missing: run `rustup target add {TARGET}` (https://rustup.rs), then this again");
    }
    apt::install(workspace, &format!("the target {TARGET} is missing and rustup cannot fetch it"), &missing)
}

/// Links to everything in Debian's sysroot, so that a target can be added without touching it.
fn lay_out_sysroot(layout: &Layout) -> Result<()> {
    let system = PathBuf::from(process::output(Command::new(RUSTC).args(["--print", "sysroot"]))?).join("lib/rustlib");
    let own = layout.sysroot.join("lib/rustlib");
    for folder in [&own, &layout.bin] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    for entry in fs::read_dir(&system).with_context(|| format!("cannot read {}", system.display()))? {
        let entry = entry?;
        if entry.file_name() != TARGET {
            link(&entry.path(), &own.join(entry.file_name()))?;
        }
    }
    link(Path::new(CARGO), &layout.bin.join("cargo"))?;
    write_script(layout)
}

fn write_script(layout: &Layout) -> Result<()> {
    let script = format!("#!/bin/sh\nexec {RUSTC} --sysroot \"$(dirname \"$0\")/../sysroot\" \"$@\"\n");
    let rustc = layout.bin.join("rustc");
    if fs::read_to_string(&rustc).is_ok_and(|old| old == script) {
        return Ok(());
    }
    fs::write(&rustc, script).with_context(|| format!("cannot write {}", rustc.display()))?;
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn link(to: &Path, at: &Path) -> Result<()> {
    match symlink(to, at) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot create {}", at.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Compiles std as a dependency of an empty crate, and puts the result into the sysroot.
fn compile_std(workspace: &Workspace, layout: &Layout) -> Result<()> {
    let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
    let source = scratch.path().join("src");
    fs::create_dir(&source)?;
    fs::write(source.join("lib.rs"), "")?;
    fs::write(
        scratch.path().join("Cargo.toml"),
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n",
    )?;
    let mut cargo = Command::new(CARGO);
    cargo
        .args(["build", "--release", "-Zbuild-std=std,panic_abort", "--target", TARGET, "--manifest-path"])
        .arg(scratch.path().join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", scratch.path().join("target"))
        // A stable compiler refuses -Z and the library's own features otherwise.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", RUSTC)
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTFLAGS")
        .current_dir(scratch.path());
    process::logged(workspace, "wasm-std", &mut cargo)?;

    let lib = layout.target_lib();
    fs::create_dir_all(&lib).with_context(|| format!("cannot create {}", lib.display()))?;
    let compiled = scratch.path().join("target").join(TARGET).join("release/deps");
    for entry in fs::read_dir(&compiled).with_context(|| format!("cannot read {}", compiled.display()))? {
        let path = entry?.path();
        let wanted = path.extension().is_some_and(|kind| kind == "rlib" || kind == "rmeta");
        let empty = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("libempty-"));
        if let (true, false, Some(name)) = (wanted, empty, path.file_name()) {
            fs::copy(&path, lib.join(name)).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// rustup's own linker where it has one, else Debian's.
fn linker(workspace: &Workspace) -> Option<PathBuf> {
    let sysroot =
        process::output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(workspace.root())).ok()?;
    let rustups = fs::read_dir(Path::new(&sysroot).join("lib/rustlib"))
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("bin/rust-lld"));
    rustups.chain([PathBuf::from(LINKER)]).find(|path| path.exists())
}
