//! Reads JSON tables key by key and never stops at the first mistake.
//!
//! A key has one name, in `snake_case`, and is found under it or under its `camelCase`; a table knows which keys were
//! asked for, so what is left over at the end is unknown. serde alone stops at the first error, hence this.

use serde_json::{Map, Value};

use super::errors::{Collected, ErrorCode};

/// Whether keys that are not known are mistakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnknownKeys {
    /// For what a person wrote.
    Refuse,
    /// For what another version of this code wrote: during a deploy it may know more.
    Ignore,
}

/// What a document says of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Given<T> {
    /// Nothing.
    #[default]
    Absent,
    /// Something wrong, which is on record already: rules that need the value are skipped.
    Invalid,
    /// A value within its own limits.
    Value(T),
}

impl<T> Given<T> {
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Invalid => None,
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// Why one value is refused.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn wrong_type(wanted: &str, value: &Value) -> Self {
        Self::new(ErrorCode::WrongType, format!("must be {wanted}; it is {}", describe(value)))
    }
}

/// Where mistakes go while a document is read.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) errors: Collected,
    unknown_keys: UnknownKeys,
}

impl Reader {
    pub(super) fn new(unknown_keys: UnknownKeys) -> Self {
        Self { errors: Collected::default(), unknown_keys }
    }

    pub(super) fn fault(&mut self, path: &str, fault: Fault) {
        self.errors.push(path, fault.code, fault.message);
    }

    /// Puts the fault on record and keeps the value.
    pub(super) fn record<T>(&mut self, path: &str, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.fault(path, fault)).ok()
    }

    /// Opens a table, or says that it is none.
    pub(super) fn table<'v>(&mut self, path: &str, value: &'v Value) -> Option<Table<'v>> {
        match value {
            Value::Object(entries) => Some(Table { path: path.to_owned(), entries, known: Vec::new() }),
            other => {
                self.fault(path, Fault::wrong_type("a table", other));
                None
            }
        }
    }
}

/// A table that is being read.
#[derive(Debug)]
pub(super) struct Table<'v> {
    path: String,
    entries: &'v Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'v> Table<'v> {
    /// The table's own path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// One value that is not a table. `read` is called through a pointer: a copy of this for each key would make the
    /// wasm a good deal larger.
    pub(super) fn leaf<T>(
        &mut self,
        reader: &mut Reader,
        key: &'static str,
        read: &dyn Fn(&Value) -> Result<T, Fault>,
    ) -> Given<T> {
        self.nested(reader, key, &|reader, path, value| reader.record(path, read(value)))
    }

    /// One value whose reading records its own mistakes.
    pub(super) fn nested<T>(
        &mut self,
        reader: &mut Reader,
        key: &'static str,
        read: &dyn Fn(&mut Reader, &str, &'v Value) -> Option<T>,
    ) -> Given<T> {
        match self.find(reader, key) {
            Given::Absent => Given::Absent,
            Given::Invalid => Given::Invalid,
            Given::Value((path, value)) => read(reader, &path, value).map_or(Given::Invalid, Given::Value),
        }
    }

    fn find(&mut self, reader: &mut Reader, key: &'static str) -> Given<(String, &'v Value)> {
        self.known.push(key);
        let camel = camel_case(key);
        let spelt = |key: &str| self.entries.get(key).map(|value| (join(&self.path, key), value));
        match (spelt(key), if camel == key { None } else { spelt(&camel) }) {
            (None, None) => Given::Absent,
            (Some(found), None) | (None, Some(found)) => Given::Value(found),
            (Some(_), Some((path, _))) => {
                let message = format!("is given twice, as `{key}` and as `{camel}`; keep one of them");
                reader.errors.push(&path, ErrorCode::DuplicateKey, message);
                Given::Invalid
            }
        }
    }

    /// Records every key that nobody asked for. `elsewhere` are keys of other tables that are easily put here.
    pub(super) fn finish(self, reader: &mut Reader, elsewhere: &[(&str, &[&str])]) {
        if reader.unknown_keys == UnknownKeys::Ignore {
            return;
        }
        for key in self.entries.keys() {
            if self.known.iter().any(|known| known == key || camel_case(known) == *key) {
                continue;
            }
            let home =
                elsewhere.iter().find(|(_, keys)| keys.iter().any(|other| other == key || camel_case(other) == *key));
            let mut message = String::from("is not a known key");
            if let Some((table, _)) = home {
                message.push_str(&format!("; it belongs into the table `{table}`"));
            } else if let Some(near) = nearest(key, self.known.iter().copied()) {
                let near = if key.bytes().any(|b| b.is_ascii_uppercase()) { camel_case(near) } else { near.to_owned() };
                message.push_str(&format!("; did you mean `{near}`?"));
            } else {
                message.push(';');
            }
            message.push_str(&format!(" Known keys: {}", self.known.join(", ")));
            reader.errors.push(&join(&self.path, key), ErrorCode::UnknownKey, message);
        }
    }
}

/// The path of `key` in the table at `path`. A key that could be mistaken for more of a path is quoted.
pub(super) fn join(path: &str, key: &str) -> String {
    let plain =
        !key.is_empty() && key.len() <= 64 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let key = if plain { key.to_owned() } else { format!("{:?}", shorten(key)) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// The path of the entry at `index` of the list at `path`.
pub(super) fn join_index(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// `warm_target` as `warmTarget`.
pub(super) fn camel_case(key: &str) -> String {
    let mut camel = String::with_capacity(key.len());
    for (at, word) in key.split('_').enumerate() {
        let mut chars = word.chars();
        match chars.next() {
            Some(first) if at > 0 => camel.push(first.to_ascii_uppercase()),
            Some(first) => camel.push(first),
            None => continue,
        }
        camel.push_str(chars.as_str());
    }
    camel
}

/// The candidate that `text` is most likely a slip of, if any comes near.
pub(super) fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // The distance takes time proportional to both lengths, and no known name is longer than this.
    if text.len() > 64 {
        return None;
    }
    let plain =
        |text: &str| text.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).collect::<String>().to_ascii_lowercase();
    let text = plain(text);
    candidates
        .map(|candidate| (strsim::osa_distance(&text, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().min(text.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A value in an error message: its type and, where short, itself.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null (leave the key out instead)".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("{:?}", shorten(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
    }
}

/// At most 64 characters of a text, so that a message has a limit.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_a_camel_case() {
        for (snake, camel) in
            [("warm_target", "warmTarget"), ("shards", "shards"), ("max_concurrent_starts", "maxConcurrentStarts")]
        {
            assert_eq!(camel_case(snake), camel);
        }
    }

    #[test]
    fn the_nearest_key_is_found_through_typos_and_spelling() {
        let keys = ["warm_target", "refresh_interval", "shards", "max_instances", "sleep_after"];
        for (typo, meant) in [
            ("warm_targt", "warm_target"),
            ("warm-target", "warm_target"),
            ("WarmTarget", "warm_target"),
            ("shard", "shards"),
            ("max_instance", "max_instances"),
            ("sleepafter", "sleep_after"),
        ] {
            assert_eq!(nearest(typo, keys.into_iter()), Some(meant), "{typo}");
        }
        for other in ["colour", "", "x", &"warm_target".repeat(100)] {
            assert_eq!(nearest(other, keys.into_iter()), None, "{other}");
        }
    }

    #[test]
    fn a_path_shows_where_a_strange_key_begins_and_ends() {
        assert_eq!(join("", "pools"), "pools");
        assert_eq!(join("pools", "a.b"), "pools.\"a.b\"");
        assert_eq!(join("pools", ""), "pools.\"\"");
        assert_eq!(join_index("routes", 2), "routes[2]");
    }
}
