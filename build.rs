//! Checks the configuration and embeds it: a crate that builds has a valid one.
//!
//! Reads `config/pools.toml` or `config/pools.json` (not both), or the file that `POOLS_CONFIG_FILE` names, absolute or
//! relative to this crate. Writes it as JSON to `OUT_DIR/pools.json`, and sets `POOLS_CONFIG_NAME` (the file) and
//! `POOLS_BUILT_AT_MS` (ms since 1970; `SOURCE_DATE_EPOCH`, in seconds, overrides it) for `src/embedded.rs`. The stamp
//! changes only when the configuration or the rules for it do, for only then does this run again.

// The build uses less of the module than the crate does.
#[allow(dead_code, unused_imports)]
#[path = "src/config/mod.rs"]
pub mod config;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use serde_json::Value;

use config::{Config, ConfigErrors};

const TOML: &str = "config/pools.toml";
const JSON: &str = "config/pools.json";
/// Names the file to read.
pub const FILE_VARIABLE: &str = "POOLS_CONFIG_FILE";
const DATE_VARIABLE: &str = "SOURCE_DATE_EPOCH";

fn main() {
    // The folder, not the files: one that does not exist would make every build run this again.
    println!("cargo::rerun-if-changed=config");
    println!("cargo::rerun-if-changed=src/config");
    println!("cargo::rerun-if-env-changed={FILE_VARIABLE}");
    println!("cargo::rerun-if-env-changed={DATE_VARIABLE}");
    for error in embed().err().into_iter().flatten() {
        // One line each; any such line makes cargo stop the build, without a dump of what this script printed.
        for line in error.lines().filter(|line| !line.trim().is_empty()) {
            println!("cargo::error={line}");
        }
    }
}

/// Reads, checks and writes. The errors are for people, each with the name of the file.
fn embed() -> Result<(), Vec<String>> {
    let named = env::var_os(FILE_VARIABLE);
    // As a dependency of another Worker this crate's own pools are nobody's: that Worker names a file, or sets a variable.
    if named.is_none() && env::var_os("CARGO_FEATURE_WORKER_ENTRY").is_none() {
        return write(&Config::default(), "");
    }
    // Cargo runs this in the crate's folder.
    let file = source_file(Path::new(""), named).map_err(|error| vec![error])?;
    println!("cargo::rerun-if-changed={}", file.display());
    write(&check(&file)?, &file.file_name().unwrap_or_default().to_string_lossy())
}

/// Writes what `src/embedded.rs` includes.
fn write(config: &Config, file_name: &str) -> Result<(), Vec<String>> {
    let document = config.to_document();
    let out_dir = env::var_os("OUT_DIR").ok_or_else(|| vec!["cargo did not set OUT_DIR".to_owned()])?;
    let target = Path::new(&out_dir).join("pools.json");
    fs::write(&target, document.to_string())
        .map_err(|error| vec![format!("{}: cannot be written: {error}", target.display())])?;
    let built_at = built_at_ms(env::var(DATE_VARIABLE).ok().as_deref()).map_err(|error| vec![error])?;
    println!("cargo::rustc-env=POOLS_CONFIG_NAME={file_name}");
    println!("cargo::rustc-env=POOLS_BUILT_AT_MS={built_at}");
    Ok(())
}

/// The file to read: the one that is named, else the one in `config/`.
pub fn source_file(root: &Path, named: Option<OsString>) -> Result<PathBuf, String> {
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        return Ok(root.join(named));
    }
    let (toml, json) = (root.join(TOML), root.join(JSON));
    match (toml.exists(), json.exists()) {
        (true, false) => Ok(toml),
        (false, true) => Ok(json),
        (true, true) => {
            Err(format!("both {TOML} and {JSON} are there: remove one, or name the one to use in {FILE_VARIABLE}"))
        }
        (false, false) => {
            Err(format!("there is no {TOML} and no {JSON}: write one, or name a file in {FILE_VARIABLE}"))
        }
    }
}

/// The configuration in a file, or everything that is wrong with it.
pub fn check(file: &Path) -> Result<Config, Vec<String>> {
    let name = file.display();
    let one = |error: String| vec![format!("{name}: {error}")];
    let all = |errors: ConfigErrors| -> Vec<String> {
        let omitted = (errors.omitted() > 0).then(|| format!("{name}: and {} more errors", errors.omitted()));
        errors.iter().map(|error| format!("{name}: {error}")).chain(omitted).collect()
    };
    let text = fs::read_to_string(file).map_err(|error| one(format!("cannot be read: {error}")))?;
    config::check_length(&text).map_err(all)?;
    let document: Value = match file.extension().and_then(OsStr::to_str) {
        Some("toml") => toml::from_str(&text).map_err(|error| one(format!("this is not TOML:\n{error}")))?,
        Some("json") => serde_json::from_str(&text).map_err(|error| one(format!("this is not JSON: {error}")))?,
        _ => return Err(one("the name must end in .toml or .json".to_owned())),
    };
    config::parse_value(&document).map_err(all)
}

/// Now, or the date that makes builds reproducible, in seconds.
pub fn built_at_ms(source_date_epoch: Option<&str>) -> Result<u128, String> {
    if let Some(seconds) = source_date_epoch {
        let seconds: u64 =
            seconds.parse().map_err(|error| format!("{DATE_VARIABLE} is not a number of seconds: {error}"))?;
        return Ok(u128::from(seconds) * 1000);
    }
    #[expect(clippy::disallowed_methods, reason = "the build script runs on the host")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| format!("the clock is wrong: {error}"))?;
    Ok(now.as_millis())
}
