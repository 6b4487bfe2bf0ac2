//! Compares what an operator edits: every binding that a pool names must be one of `wrangler.jsonc`, and a container class
//! should be allowed as many containers as its pools are.

use std::{env, fs};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::build_script::config::{self, Config, WranglerBindings};
use crate::build_script::{FILE_VARIABLE, check as check_file, source_file};
use crate::workspace::Workspace;

/// What replaces the file's pools when the Worker runs.
const VARIABLE: &str = "POOLS_CONFIG";

/// Checks the file that the build embeds. Capacity that is missing is a warning.
///
/// # Errors
///
/// When a file cannot be read, the configuration is not valid, or it names a binding that is not declared. All errors
/// are listed.
pub fn check(workspace: &Workspace) -> Result<()> {
    let file = source_file(workspace.root(), env::var_os(FILE_VARIABLE)).map_err(anyhow::Error::msg)?;
    let name = file.strip_prefix(workspace.root()).unwrap_or(&file).display().to_string();
    let config = check_file(&file).map_err(|errors| invalid(&name, &errors))?;
    compare(&name, &config, workspace)
}

/// Checks the pools of the environment, where there are any, in the same way.
///
/// # Errors
///
/// The same.
pub fn check_variable(workspace: &Workspace) -> Result<()> {
    let Some(text) = env::var_os(VARIABLE).filter(|text| !text.to_string_lossy().trim().is_empty()) else {
        return Ok(());
    };
    let text = text.to_str().with_context(|| format!("{VARIABLE} is not valid UTF-8"))?;
    let config = config::parse_json(text).map_err(|errors| invalid(VARIABLE, &errors))?;
    compare(VARIABLE, &config, workspace)
}

fn compare(name: &str, config: &Config, workspace: &Workspace) -> Result<()> {
    let declared = WranglerBindings::from_wrangler(&wrangler(workspace)?);
    let missing = config::missing_bindings(config, &declared);
    if !missing.is_empty() {
        bail!("{name} and wrangler.jsonc do not agree:{}", list(&missing));
    }
    for over in config::over_capacity(config, &declared) {
        eprintln!("warning: {name}: {over}");
    }
    Ok(())
}

fn wrangler(workspace: &Workspace) -> Result<Value> {
    let name = "wrangler.jsonc";
    let text = fs::read_to_string(workspace.root().join(name)).with_context(|| format!("cannot read {name}"))?;
    jsonc_parser::parse_to_serde_value(&text, &jsonc_parser::ParseOptions::default())
        .with_context(|| format!("{name} is not valid JSON with comments"))
}

fn invalid<'a, E: std::fmt::Display + 'a>(name: &str, errors: impl IntoIterator<Item = &'a E>) -> anyhow::Error {
    anyhow::anyhow!("{name} is not valid:{}", list(errors))
}

fn list<'a, E: std::fmt::Display + 'a>(errors: impl IntoIterator<Item = &'a E>) -> String {
    errors.into_iter().map(|error| format!("\n  {error}")).collect()
}
