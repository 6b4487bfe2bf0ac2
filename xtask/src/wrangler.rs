//! `cargo xtask wrangler`: the locked wrangler, with what the build that it starts needs.
//!
//! `npx wrangler` runs on the machine's Node.js, which may be too old, and fetches some version where none is installed.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::setup::Tools;
use crate::workspace::Workspace;

#[derive(Args)]
pub struct Arguments {
    /// What wrangler is to do, such as `deploy`; it builds the Worker itself, as wrangler.jsonc says
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// Becomes wrangler, which may ask at the terminal.
///
/// # Errors
///
/// When wrangler cannot be run.
pub fn run(workspace: &Workspace, tools: &Tools, arguments: &Arguments) -> Result<ExitCode> {
    let mut wrangler = tools.npm_command(workspace, "wrangler")?;
    let error = wrangler.args(&arguments.arguments).exec();
    Err(error).context("cannot run wrangler; remove node_modules and run `cargo xtask setup`")
}
