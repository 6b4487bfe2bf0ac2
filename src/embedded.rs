//! The configuration that was bundled with this build, checked by the build script before it was embedded.

use crate::config::resolved::Millis;
use crate::config::{Config, ConfigErrors, parse_json};

/// The bundled configuration as JSON, defaults filled in.
pub const JSON: &str = include_str!(concat!(env!("OUT_DIR"), "/pools.json"));

/// The file it comes from, for example `pools.toml`.
pub const FILE_NAME: &str = env!("POOLS_CONFIG_NAME");

/// When the configuration was embedded, in ms since 1970: orders the configurations of two builds. 0 if unknown.
pub const BUILT_AT: Millis = Millis(match u64::from_str_radix(env!("POOLS_BUILT_AT_MS"), 10) {
    Ok(ms) => ms,
    Err(_) => 0,
});

/// Reads the bundled configuration. Callers keep the result: each call parses anew.
///
/// # Errors
///
/// None in practice, for the build would have failed; they are passed on all the same.
pub fn config() -> Result<Config, ConfigErrors> {
    parse_json(JSON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_configuration_is_valid_and_dated() {
        let config = config().unwrap();
        assert!(!config.pools.is_empty());
        assert_ne!(BUILT_AT, Millis(0));
        assert!(FILE_NAME.ends_with(".toml") || FILE_NAME.ends_with(".json"));
    }
}
