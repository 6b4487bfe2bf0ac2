//! Checks the configuration and embeds it: a crate that builds has a valid one.
//!
//! Reads `config/pools.toml` or `config/pools.json` (not both), or the file that `POOLS_CONFIG_FILE` names, absolute or
//! relative to this crate. Writes it as JSON to `OUT_DIR/pools.json`, and sets `POOLS_CONFIG_NAME` (the file) and
//! `POOLS_BUILT_AT_MS` (ms since 1970; `SOURCE_DATE_EPOCH`, in seconds, overrides it) for `src/embedded.rs`. The stamp
//! changes only when the configuration or the rules for it do, for only then does this run again.

// The build uses less of the module than the crate does.
#[allow(dead_code, unused_imports)]
#[path = "src/config/mod.rs"]
mod config;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use serde_json::Value;

const TOML: &str = "config/pools.toml";
const JSON: &str = "config/pools.json";

fn main() {
    // The folder, not the files: one that does not exist would make every build run this again.
    println!("cargo::rerun-if-changed=config");
    println!("cargo::rerun-if-changed=src/config");
    println!("cargo::rerun-if-env-changed=POOLS_CONFIG_FILE");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    for error in embed().err().into_iter().flatten() {
        // One line each; any such line makes cargo stop the build, without a dump of what this script printed.
        for line in error.lines().filter(|line| !line.trim().is_empty()) {
            println!("cargo::error={line}");
        }
    }
}

fn embed() -> Result<(), Vec<String>> {
    let file = source_file().map_err(|error| vec![error])?;
    let name = file.display();
    let text = fs::read_to_string(&file).map_err(|error| vec![format!("{name}: cannot be read: {error}")])?;
    let all = |errors: config::ConfigErrors| {
        let omitted = (errors.omitted() > 0).then(|| format!("{name}: and {} more", errors.omitted()));
        errors.iter().map(|error| format!("{name}: {error}")).chain(omitted).collect::<Vec<_>>()
    };
    config::check_length(&text).map_err(all)?;
    let document = parse(&file, &text).map_err(|error| vec![format!("{name}: {error}")])?;
    let config = config::parse_value(&document).map_err(all)?;

    let out_dir = env::var_os("OUT_DIR").ok_or_else(|| vec!["cargo did not set OUT_DIR".to_owned()])?;
    let target = Path::new(&out_dir).join("pools.json");
    fs::write(&target, config.to_document().to_string())
        .map_err(|error| vec![format!("{}: cannot be written: {error}", target.display())])?;
    println!("cargo::rustc-env=POOLS_CONFIG_NAME={}", file.file_name().unwrap_or_default().display());
    println!("cargo::rustc-env=POOLS_BUILT_AT_MS={}", built_at_ms().map_err(|error| vec![error])?);
    Ok(())
}

fn source_file() -> Result<PathBuf, String> {
    if let Some(named) = env::var_os("POOLS_CONFIG_FILE").filter(|named| !named.is_empty()) {
        let file = PathBuf::from(named);
        println!("cargo::rerun-if-changed={}", file.display());
        return Ok(file);
    }
    match (Path::new(TOML).exists(), Path::new(JSON).exists()) {
        (true, false) => Ok(TOML.into()),
        (false, true) => Ok(JSON.into()),
        (true, true) => {
            Err(format!("both {TOML} and {JSON} are there: remove one, or name the one to use in POOLS_CONFIG_FILE"))
        }
        (false, false) => {
            Err(format!("there is no {TOML} and no {JSON}: write one, or name a file in POOLS_CONFIG_FILE"))
        }
    }
}

fn parse(file: &Path, text: &str) -> Result<Value, String> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => toml::from_str(text).map_err(|error| format!("this is not TOML:\n{error}")),
        Some("json") => serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}")),
        _ => Err("must end in .toml or .json".to_owned()),
    }
}

fn built_at_ms() -> Result<u128, String> {
    if let Ok(seconds) = env::var("SOURCE_DATE_EPOCH") {
        let seconds: u64 =
            seconds.parse().map_err(|error| format!("SOURCE_DATE_EPOCH is not a number of seconds: {error}"))?;
        return Ok(u128::from(seconds) * 1000);
    }
    let now =
        SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| format!("the clock is before 1970: {error}"))?;
    Ok(now.as_millis())
}
