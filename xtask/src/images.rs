//! The programs inside the images: static Linux binaries, put where the Dockerfiles copy them from.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
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

/// Compiles all of them. A program that did not change keeps its file, and so its image.
///
/// # Errors
///
/// When one does not compile. The compiler's own output goes to standard error.
pub fn build_programs(workspace: &Workspace) -> Result<()> {
    eprintln!("build: the programs of the images");
    for source in &SOURCES {
        let target_dir = workspace.target().join("images").join(source.folder.replace('/', "-"));
        let target = linux_target();
        let mut cargo = Command::new("cargo");
        cargo
            .args(["build", "--quiet", "--release", "--locked", "--target", target, "--target-dir"])
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
