//! What is inside the images: static Linux binaries, put where the Dockerfiles copy them from, and for the image of the
//! sandbox tests a shell and a Python.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::setup::apt;
use crate::workspace::Workspace;

/// Cloudflare runs images for amd64 alone.
const GNU: &str = "x86_64-unknown-linux-gnu";
const MUSL: &str = "x86_64-unknown-linux-musl";

/// A cargo workspace and the programs that images take from it.
struct Source {
    /// Folder of its `Cargo.toml`.
    folder: &'static str,
    /// The program, and the folder of the image that gets it in `bin/`.
    programs: &'static [(&'static str, &'static str)],
}

const SOURCES: [Source; 2] = [
    Source { folder: "example", programs: &[("api", "example/api"), ("counter", "example/counter")] },
    Source { folder: "xtask/egress", programs: &[("egress", "xtask/egress")] },
];
const SANDBOX: &str = "tests/docker/sandbox";

/// Compiles all of them. A program that did not change keeps its file, and so its image.
///
/// # Errors
///
/// When one does not compile. The compiler's own output goes to standard error.
pub fn build_programs(workspace: &Workspace) -> Result<()> {
    eprintln!("build: the programs of the images");
    build_sources(workspace, &SOURCES)
}

/// The same for the image of the sandbox tests, which runs commands: it needs [`lay_out_sandbox`] too.
///
/// # Errors
///
/// The same.
pub fn build_sandbox(workspace: &Workspace) -> Result<()> {
    eprintln!("build: the sandbox's image");
    build_sources(workspace, &[Source { folder: SANDBOX, programs: &[("sandbox", SANDBOX)] }])
}

/// Puts Debian's `sh` and `python3` beside the server. On a system without Debian's packages these are left out, and the tests
/// of sandboxes are skipped.
///
/// # Errors
///
/// When a package cannot be had.
pub fn lay_out_sandbox(workspace: &Workspace) -> Result<()> {
    let root = workspace.root().join(SANDBOX).join("root");
    if linux_target() != GNU || !apt::there() || root.exists() {
        return Ok(());
    }
    // Whole or not at all: that the folder is there says that it is complete.
    let folder = workspace.root().join(SANDBOX);
    let scratch = tempfile::Builder::new().prefix("root-").tempdir_in(&folder).context("cannot create a folder")?;
    lay_out_root(workspace, scratch.path()).context("the tests of sandboxes need Debian's Python")?;
    fs::rename(scratch.keep(), &root).with_context(|| format!("cannot create {}", root.display()))
}

/// A root folder with `sh` and `python3`, and the libraries that they need.
fn lay_out_root(workspace: &Workspace, root: &Path) -> Result<()> {
    let lists = apt::Lists::fresh(workspace)?;
    let newest = lists.depends(&["--important", "python3-minimal"])?;
    let minimal = |word: &&str| word.starts_with("python3.") && word.ends_with("-minimal");
    let python = newest.split_whitespace().find(minimal).context("Debian has no package of Python")?;
    let closure = lists.depends(&["--recurse", "--important", python])?;
    // What a line names at its beginning is a package, or a virtual one in angle brackets.
    let package = |line: &&str| line.starts_with(|first: char| first.is_ascii_alphanumeric());
    let packages: Vec<&str> = closure.lines().filter(package).chain(["dash"]).collect();
    lists.unpack(workspace, &packages, root)?;
    fs::remove_dir_all(root.join("usr/share")).context("cannot remove the documentation")?;
    // Which of these are folders and which links depends on the release; a package has only the folders.
    for name in ["bin", "lib", "lib64"] {
        if !root.join(name).exists() {
            symlink(Path::new("usr").join(name), root.join(name)).with_context(|| format!("cannot link {name}"))?;
        }
    }
    let program = python.trim_end_matches("-minimal");
    symlink(program, root.join("usr/bin/python3")).context("cannot link python3")
}

fn build_sources(workspace: &Workspace, sources: &[Source]) -> Result<()> {
    for source in sources {
        let target_dir = workspace.target().join("images").join(source.folder.replace('/', "-"));
        let target = linux_target();
        let mut cargo = Command::new("cargo");
        cargo
            .args(["build", "--release", "--locked", "--target", target, "--target-dir"])
            .arg(&target_dir)
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .current_dir(workspace.root().join(source.folder));
        if target == MUSL {
            cargo.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");
        }
        if !process::foreground(&mut cargo)?.success() {
            let hint =
                if target == MUSL { format!(" (have you run `rustup target add {MUSL}`?)") } else { String::new() };
            bail!("the programs in {} do not compile; see above{hint}", source.folder);
        }
        for (program, image) in source.programs {
            let compiled = target_dir.join(target).join("release").join(program);
            copy_if_changed(&compiled, &workspace.root().join(image).join("bin").join(program))?;
        }
    }
    Ok(())
}

/// glibc's static library comes with every Linux compiler; musl is for machines that are not Linux on amd64.
fn linux_target() -> &'static str {
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) { GNU } else { MUSL }
}

fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let new = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::copy(from, to).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(())
}
