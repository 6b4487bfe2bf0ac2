//! Reads single values from a document, or nothing.

use serde_json::Value;

/// A whole number of 0 or more.
pub fn number(document: &Value, key: &str) -> Option<u64> {
    let value = document.get(key)?;
    value.as_u64().or_else(|| value.as_f64().filter(|number| *number >= 0.0).map(|number| number as u64))
}

/// Any number of 0 or more.
pub fn decimal(document: &Value, key: &str) -> Option<f64> {
    document.get(key)?.as_f64().filter(|number| *number >= 0.0)
}

/// A text.
pub fn text<'d>(document: &'d Value, key: &str) -> Option<&'d str> {
    document.get(key)?.as_str()
}

/// A list; empty when there is none.
pub fn list<'d>(document: &'d Value, key: &str) -> &'d [Value] {
    document.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The counts under a key, by name; none when it has none.
pub fn counts<'d>(document: &'d Value, key: &str) -> Option<Vec<(&'d str, u64)>> {
    let counts = document.get(key)?.as_object()?;
    Some(counts.iter().filter_map(|(name, count)| Some((name.as_str(), count.as_u64()?))).collect())
}
