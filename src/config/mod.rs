//! The configuration: what a person wrote in `config/pools.toml` (or JSON), checked as a whole before any of it is used.
//!
//! What always holds: a [`Config`] is valid, and a document is taken whole or refused whole, with every mistake listed
//! by its path ([`ConfigErrors`]). Reading is a pure function of the document: no clock, no environment, no JavaScript.
//!
//! A document passes three tiers:
//!
//! 1. *raw* (`raw`, read by `read`): every key optional, in `snake_case` or `camelCase`, each value within its own limits.
//! 2. *merged* (`merged`): `[defaults]` filled in. A pool's value wins over the defaults'; tables (`start`, `env`,
//!    `labels`, `ready`, `setup`) are merged key by key, everything else is replaced.
//! 3. *resolved* ([`resolved`], made by `resolve`): built-in values filled in ([`limits::built_in`]), rules between
//!    values checked, every value a type that cannot hold anything else. The rest of the crate sees this tier only.
//!
//! A resolved configuration renders as a document again (`document`), so what the admin API shows can be sent back.
//!
//! The build script includes this module by path, to check the file before it is embedded: it must not refer to
//! anything outside this folder.

mod bindings;
mod cover;
mod difference;
mod document;
mod duration;
mod errors;
mod instance;
pub mod limits;
mod merged;
mod raw;
mod read;
mod reader;
mod resolve;
pub mod resolved;
#[cfg(test)]
mod schema;
mod values;

use serde_json::Value;

pub use bindings::{WranglerBindings, container_bindings, kv_bindings, missing_bindings, over_capacity};
pub use difference::Difference;
pub use errors::{ConfigError, ConfigErrors, ErrorCode, MAX_ERRORS};
pub use resolved::{Config, Pool};
#[cfg(test)]
pub(crate) use schema::{POOL_NAME, schema_of_document};

use reader::{Reader, UnknownKeys};

/// Reads a configuration from JSON text of at most [`limits::MAX_CONFIG_BYTES`] bytes.
///
/// # Errors
///
/// Every mistake of the document, or one that says where it is not JSON.
pub fn parse_json(text: &str) -> Result<Config, ConfigErrors> {
    check_length(text)?;
    let document: Value = serde_json::from_str(text)
        .map_err(|error| ConfigErrors::whole(ErrorCode::Syntax, format!("this is not JSON: {error}")))?;
    parse_value(&document)
}

/// Reads a configuration from a JSON value. TOML has the same shape: parse it into a [`Value`] first.
///
/// # Errors
///
/// Every mistake of the document.
pub fn parse_value(document: &Value) -> Result<Config, ConfigErrors> {
    read_document(document, UnknownKeys::Refuse)
}

/// Refuses a text that is too long to be a configuration, before it is parsed.
///
/// # Errors
///
/// `too_large` when it has more than [`limits::MAX_CONFIG_BYTES`] bytes.
pub fn check_length(text: &str) -> Result<(), ConfigErrors> {
    if text.len() <= limits::MAX_CONFIG_BYTES {
        return Ok(());
    }
    let message =
        format!("the configuration has {} bytes; at most {} are allowed", text.len(), limits::MAX_CONFIG_BYTES);
    Err(ConfigErrors::whole(ErrorCode::TooLarge, message))
}

fn read_document(document: &Value, unknown_keys: UnknownKeys) -> Result<Config, ConfigErrors> {
    let mut reader = Reader::new(unknown_keys);
    let config = read::config(&mut reader, document).and_then(|raw| resolve::config(&mut reader, raw));
    reader.errors.finish(config)
}
