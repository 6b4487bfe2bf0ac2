//! Our types as JSON text: the one format of all that is stored and of all that is said to JavaScript.
//!
//! Each format is one more copy of the code of every type in the Worker's wasm, and so is each way into one. So there is one of each:
//! what is written becomes text, and what is read goes by way of a [`Value`].

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Error, Value};

/// A value from its text.
///
/// # Errors
///
/// When it is no JSON, or not that of a `T`.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_value(value(text)?)
}

fn value(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text)
}

/// The text of a value.
///
/// # Errors
///
/// When a key is no text, which none of ours is.
pub fn write<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value)
}

/// The word that is a unit variant's name.
pub fn word<T: Serialize>(value: &T) -> String {
    write(value).unwrap_or_default().trim_matches('"').to_owned()
}

/// The unit variant of which `word` is the name.
///
/// # Errors
///
/// When it is the name of none.
pub fn read_word<T: DeserializeOwned>(word: String) -> Result<T, Error> {
    serde_json::from_value(Value::String(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::shard::DrainCause;

    #[test]
    fn a_unit_variant_is_a_word() {
        assert_eq!(word(&DrainCause::Shutdown), "shutdown");
        assert_eq!(read_word::<DrainCause>("shutdown".to_owned()).unwrap(), DrainCause::Shutdown);
        assert!(read_word::<DrainCause>("another".to_owned()).is_err());
    }
}
