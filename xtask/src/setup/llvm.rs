//! The programs of LLVM that read coverage. What the compiler writes is only read by an LLVM of the same major version.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{apt, rustup};
use crate::process;
use crate::workspace::Workspace;

/// rustup's component with the programs.
const COMPONENT: &str = "llvm-tools";

/// Where the programs are.
pub struct Llvm {
    pub cov: PathBuf,
    pub profdata: PathBuf,
}

impl Llvm {
    fn in_folder(folder: &Path) -> Option<Self> {
        let found = Self { cov: folder.join("llvm-cov"), profdata: folder.join("llvm-profdata") };
        let runs = |program: &Path| process::output(Command::new(program).arg("--version")).is_ok();
        (runs(&found.cov) && runs(&found.profdata)).then_some(found)
    }
}

/// Makes sure that the programs are there: rustup's, else Debian's.
///
/// # Errors
///
/// When neither rustup nor Debian's packages help; the message says what to run.
pub fn ensure(workspace: &Workspace) -> Result<Llvm> {
    let Compiler { sysroot, host, llvm } = compiler(workspace)?;
    let rustups = sysroot.join("lib/rustlib").join(host).join("bin");
    let debians = PathBuf::from(format!("/usr/lib/llvm-{llvm}/bin"));
    if let Some(found) = Llvm::in_folder(&rustups).or_else(|| Llvm::in_folder(&debians)) {
        return Ok(found);
    }
    if rustup::add(workspace, "component", &[COMPONENT])?
        && let Some(found) = Llvm::in_folder(&rustups)
    {
        return Ok(found);
    }
    apt::install(workspace, "the compiler's LLVM has no llvm-cov here", &[&format!("llvm-{llvm}")])?;
    let Some(found) = Llvm::in_folder(&debians) else {
        bail!("{} has no llvm-cov and llvm-profdata that run: reinstall llvm-{llvm}", debians.display());
    };
    Ok(found)
}

/// The compiler that is used for this machine.
struct Compiler {
    sysroot: PathBuf,
    host: String,
    /// The major version of its LLVM.
    llvm: u32,
}

fn compiler(workspace: &Workspace) -> Result<Compiler> {
    let ask = |arguments: &[&str]| {
        process::output(Command::new("rustc").args(arguments).current_dir(workspace.root()))
            .context("the Rust compiler is missing or broken (https://rustup.rs)")
    };
    let version = ask(&["-vV"])?;
    let field = |name: &str| {
        let value = version.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.with_context(|| format!("`rustc -vV` names no {name}"))
    };
    let llvm = field("LLVM version")?;
    Ok(Compiler {
        sysroot: ask(&["--print", "sysroot"])?.into(),
        host: field("host")?.to_owned(),
        llvm: llvm
            .split('.')
            .next()
            .and_then(|major| major.parse().ok())
            .with_context(|| format!("`rustc -vV` names an LLVM that has no version number: {llvm}"))?,
    })
}
