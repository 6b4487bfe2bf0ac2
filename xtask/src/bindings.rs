//! Compares the two files that an operator edits: every binding that a pool names must be one of `wrangler.jsonc`.

use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::config::{self, WranglerBindings};
use crate::workspace::Workspace;

/// # Errors
///
/// When a file cannot be read, the configuration is not valid, or it names a binding that is not declared. All errors
/// are listed.
pub fn check(workspace: &Workspace) -> Result<()> {
    let (name, document) = pools(workspace)?;
    let config =
        config::parse_value(&document).map_err(|errors| anyhow::anyhow!("{name} is not valid:{}", list(&errors)))?;
    let missing = config::missing_bindings(&config, &WranglerBindings::from_wrangler(&wrangler(workspace)?));
    if !missing.is_empty() {
        bail!("{name} and wrangler.jsonc do not agree:{}", list(&missing));
    }
    Ok(())
}

fn pools(workspace: &Workspace) -> Result<(&'static str, Value)> {
    let json = "config/pools.json";
    match fs::read_to_string(workspace.root().join(json)) {
        Ok(text) => Ok((json, serde_json::from_str(&text).with_context(|| format!("{json} is not valid JSON"))?)),
        Err(_) => {
            let toml = "config/pools.toml";
            let text =
                fs::read_to_string(workspace.root().join(toml)).with_context(|| format!("cannot read {toml}"))?;
            Ok((toml, toml::from_str(&text).with_context(|| format!("{toml} is not valid TOML"))?))
        }
    }
}

fn wrangler(workspace: &Workspace) -> Result<Value> {
    let name = "wrangler.jsonc";
    let text = fs::read_to_string(workspace.root().join(name)).with_context(|| format!("cannot read {name}"))?;
    jsonc_parser::parse_to_serde_value(&text, &jsonc_parser::ParseOptions::default())
        .with_context(|| format!("{name} is not valid JSON with comments"))
}

fn list<'a, E: std::fmt::Display + 'a>(errors: impl IntoIterator<Item = &'a E>) -> String {
    errors.into_iter().map(|error| format!("\n  {error}")).collect()
}
