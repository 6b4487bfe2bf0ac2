//! The configuration as its users meet it: the promise "all-or-nothing config", and the files of this repository.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod docs;
mod errors;
mod files;
mod merging;
mod round_trip;

use cf_warm_pools::config::{Config, ConfigErrors, ErrorCode, parse_value};
use serde_json::Value;

/// A document in TOML, as a JSON value.
fn toml(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

/// A document in TOML, which must be valid.
fn valid(text: &str) -> Config {
    parse_value(&toml(text)).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A document in TOML, which must not be valid.
fn invalid(text: &str) -> ConfigErrors {
    parse_value(&toml(text)).unwrap_err()
}

/// Where the errors are, and of what kind.
fn places(errors: &ConfigErrors) -> Vec<(&str, ErrorCode)> {
    errors.iter().map(|error| (error.path.as_str(), error.code)).collect()
}
