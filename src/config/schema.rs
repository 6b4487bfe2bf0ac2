//! The JSON schema of the document, for editors: generated from [`raw`](super::raw), checked in as
//! `config/pools.schema.json`. Built for tests only; `UPDATE_SCHEMA=1 cargo test --lib schema` writes the file.
//!
//! The schema says what a single value may be. Rules between values are the reader's alone.

use std::ops::RangeInclusive;

use schemars::transform::{RecursiveTransform, Transform};
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::duration;
use super::raw::RawConfig;
use super::reader::camel_case;
use super::resolved::{InstanceType, Millis};

pub(crate) const POOL_NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$";
pub(super) const BINDING: &str = "^[A-Za-z_$][A-Za-z0-9_$]{0,63}$";
pub(super) const HOST: &str = r"^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$";
pub(super) const ROUTE_PATH: &str = r"^/([^*?#\s]*|[^*?#\s]*/\*|\*)$";
pub(super) const TOKEN: &str = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$";
const DURATION: &str = "^[0-9]+(ms|s|m|h)$";

/// The whole schema.
fn generate() -> Value {
    // Draft 7 is what editors' TOML and JSON plug-ins all understand.
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<RawConfig>();
    RecursiveTransform(tidy).transform(&mut schema);
    let link = json!({"description": "Where an editor finds this schema. Ignored.", "type": "string"});
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("$schema".to_owned(), link);
    }
    schema.insert("title".to_owned(), "Configuration of cf-warm-pools".into());
    schema.to_value()
}

/// The schema of the document as a part of another.
pub(crate) fn schema_of_document(schemas: &mut SchemaGenerator) -> Schema {
    schemas.subschema_for::<RawConfig>()
}

/// Removes what only Rust wants to know, and the line breaks of doc comments.
fn tidy(schema: &mut Schema) {
    schema.remove("format");
    if let Some(Value::String(text)) = schema.get("description") {
        let text = text.replace('\n', " ");
        schema.insert("description".to_owned(), text.into());
    }
}

/// What a single value may be.
pub(super) fn allow() -> Allow {
    Allow::default()
}

#[derive(Default)]
pub(super) struct Allow {
    keywords: Map<String, Value>,
    remark: String,
}

impl Allow {
    fn with(mut self, keyword: &str, value: impl Into<Value>) -> Self {
        self.keywords.insert(keyword.to_owned(), value.into());
        self
    }

    fn remark(mut self, text: &str) -> Self {
        self.remark.push_str(text);
        self
    }

    pub(super) fn whole(self, range: RangeInclusive<u64>) -> Self {
        self.with("minimum", *range.start()).with("maximum", *range.end())
    }

    pub(super) fn between(self, from: f64, to: f64) -> Self {
        self.with("minimum", from).with("maximum", to)
    }

    pub(super) fn pattern(self, pattern: &str) -> Self {
        self.with("pattern", pattern)
    }

    pub(super) fn one_of(self, words: &[&str]) -> Self {
        self.with("enum", words.to_vec())
    }

    pub(super) fn example(self, example: impl Into<Value>) -> Self {
        self.with("examples", vec![example.into()])
    }

    pub(super) fn default_value(self, value: impl Into<Value>) -> Self {
        self.with("default", value)
    }
}

/// A duration with a built-in default.
pub(super) fn duration(range: RangeInclusive<u64>, built_in: Millis) -> Allow {
    let (from, to) = (duration::render(Millis(*range.start())), duration::render(Millis(*range.end())));
    let default = duration::render(built_in);
    allow()
        .whole(range)
        .with("type", json!(["string", "integer"]))
        .pattern(DURATION)
        .default_value(default.as_str())
        .with("examples", json!([default, built_in.0]))
        .remark(&format!(" From {from} to {to}, as \"500ms\", \"10s\", \"5m\", \"1h\" or a number of milliseconds."))
}

impl Transform for Allow {
    fn transform(&mut self, schema: &mut Schema) {
        let text = schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !text.is_empty() {
            schema.insert("description".to_owned(), format!("{text}{}", self.remark).into());
        }
        for (keyword, value) in &self.keywords {
            schema.insert(keyword.clone(), value.clone());
        }
    }
}

/// A table with these keys and no others; each key also in `camelCase`, but not in both spellings at once.
///
/// `required` has words, for the attributes of `schemars` take no lists.
pub(super) fn table(required: &'static str) -> impl Transform {
    let required: Vec<&str> = required.split_whitespace().collect();
    move |schema: &mut Schema| {
        schema.insert("additionalProperties".to_owned(), false.into());
        schema.remove("required");
        if !required.is_empty() {
            schema.insert("required".to_owned(), required.clone().into());
        }
        let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
        let twice: Vec<(String, String, Value)> = properties
            .iter()
            .map(|(key, value)| (key.clone(), camel_case(key), value.clone()))
            .filter(|(key, camel, _)| key != camel)
            .collect();
        let mut pairs = Vec::new();
        for (key, camel, value) in twice {
            properties.insert(camel.clone(), value);
            pairs.push((key, camel));
        }
        for (key, camel) in pairs {
            not_both(&key, &camel).transform(schema);
        }
    }
}

/// A size: a table with all of these keys, in either spelling.
pub(super) fn size(keys: &'static str) -> impl Transform {
    let mut table = table("");
    move |schema: &mut Schema| {
        table.transform(schema);
        for key in keys.split_whitespace() {
            let spelt: Vec<Value> = [key.to_owned(), camel_case(key)].map(|key| json!({"required": [key]})).into();
            push_rule(schema, json!({"anyOf": spelt}));
        }
    }
}

/// The name of an instance type, or a size.
pub(super) fn instance_type() -> impl Transform {
    |schema: &mut Schema| {
        schema.remove("$ref");
        schema.remove("allOf");
        let names: Vec<&str> = InstanceType::NAMED.into_iter().map(InstanceType::name).collect();
        schema.insert("anyOf".to_owned(), json!([{"enum": names}, {"$ref": "#/definitions/Size"}]));
        schema.insert("default".to_owned(), InstanceType::default().name().into());
    }
}

/// At most one of two keys.
pub(super) fn not_both(one: &str, other: &str) -> impl Transform + use<> {
    let rule = json!({"not": {"required": [one, other]}});
    move |schema: &mut Schema| push_rule(schema, rule.clone())
}

/// Exactly one of these keys.
pub(super) fn exactly_one(keys: &str) -> impl Transform + use<> {
    let rule = json!({"oneOf": keys.split_whitespace().map(|key| json!({"required": [key]})).collect::<Vec<_>>()});
    move |schema: &mut Schema| push_rule(schema, rule.clone())
}

fn push_rule(schema: &mut Schema, rule: Value) {
    if let Value::Array(rules) = schema.ensure_object().entry("allOf").or_insert_with(|| json!([])) {
        rules.push(rule);
    }
}

/// How many entries a list has.
pub(super) fn items(count: RangeInclusive<usize>) -> impl Transform {
    move |schema: &mut Schema| {
        schema.insert("minItems".to_owned(), (*count.start()).into());
        schema.insert("maxItems".to_owned(), (*count.end()).into());
    }
}

/// The most entries a list has.
pub(super) fn at_most(max: usize) -> impl Transform {
    move |schema: &mut Schema| {
        schema.insert("maxItems".to_owned(), max.into());
    }
}

/// What each entry of a list may be.
pub(super) fn each(mut allow: Allow) -> impl Transform {
    move |schema: &mut Schema| {
        if let Some(Ok(items)) = schema.get_mut("items").map(<&mut Schema>::try_from) {
            allow.transform(items);
        }
    }
}

/// A table whose keys are names.
pub(super) fn named(max: usize, pattern: &'static str) -> impl Transform {
    move |schema: &mut Schema| {
        schema.insert("maxProperties".to_owned(), max.into());
        schema.insert("propertyNames".to_owned(), json!({"pattern": pattern}));
    }
}

#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::super::read::START_KEYS;
    use super::super::{ErrorCode, parse_value};
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/pools.schema.json");

    /// Where the tables of the document are: the name of a table's definition and a document that is a table there.
    const TABLES: [(&str, &str); 9] = [
        ("", ""),
        ("Pool", "/pools/a"),
        ("Size", "/pools/b/instance_type"),
        ("Prices", "/prices"),
        ("Start", "/pools/a/start"),
        ("Ready", "/pools/a/start/ready"),
        ("Setup", "/pools/a/start/setup"),
        ("Route", "/routes/0"),
        ("Id", "/routes/0/id"),
    ];

    fn document() -> Value {
        json!({
            "pools": {
                "a": {"container": "A", "start": {"ready": {}, "setup": {"path": "/setup"}}},
                "b": {"container": "A", "instance_type": {"vcpu": 1.0, "memory_mib": 512, "disk_mb": 500}},
            },
            "prices": {},
            "routes": [{"pool": "a", "path": "/a/*", "id": {"header": "x-id"}}],
        })
    }

    fn properties(schema: &Value, table: &str) -> Map<String, Value> {
        let pointer =
            if table.is_empty() { "/properties".to_owned() } else { format!("/definitions/{table}/properties") };
        schema.pointer(&pointer).and_then(Value::as_object).unwrap().clone()
    }

    fn with(pointer: &str, key: &str, value: Value) -> Value {
        let mut document = document();
        let table = document.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        // A key is not given in both spellings.
        table.retain(|other, _| camel_case(other) != camel_case(key));
        table.insert(key.to_owned(), value);
        document
    }

    #[test]
    fn the_checked_in_schema_is_what_the_types_generate() {
        let generated = generate();
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(FILE, serde_json::to_string_pretty(&generated).unwrap() + "\n").unwrap();
        }
        let checked_in: Value = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
        assert!(
            checked_in == generated,
            "config/pools.schema.json is out of date: run `UPDATE_SCHEMA=1 cargo test --lib schema`"
        );
    }

    #[test]
    fn schema_and_reader_know_the_same_keys() {
        let schema = generate();
        for (table, pointer) in TABLES {
            let errors = parse_value(&with(pointer, "no such key at all", json!(1))).unwrap_err();
            let error = errors.iter().find(|error| error.code == ErrorCode::UnknownKey).unwrap();
            let (_, known) = error.message.split_once("Known keys: ").unwrap();
            let mut read: Vec<String> = known.split(", ").flat_map(|key| [key.to_owned(), camel_case(key)]).collect();
            read.sort();
            read.dedup();
            let described: Vec<String> = properties(&schema, table).keys().cloned().collect();
            assert_eq!(read, described, "table {table:?}");
        }
    }

    #[test]
    fn every_key_is_described() {
        let schema = generate();
        for (table, _) in TABLES {
            for (key, property) in properties(&schema, table) {
                assert!(property["description"].as_str().is_some_and(|text| text.len() > 10), "{table}.{key}");
            }
        }
    }

    #[test]
    fn schema_and_reader_have_the_same_limits() {
        let schema = generate();
        let mut checked = 0;
        for (table, pointer) in TABLES {
            for (key, property) in properties(&schema, table) {
                let (Some(min), Some(max)) = (property["minimum"].as_u64(), property["maximum"].as_u64()) else {
                    continue;
                };
                checked += 1;
                let out_of_range = |value: Value| {
                    let result = parse_value(&with(pointer, &key, value));
                    result.is_err_and(|errors| errors.iter().any(|error| error.code == ErrorCode::OutOfRange))
                };
                for (number, refused) in
                    [(min as i64 - 1, true), (min as i64, false), (max as i64, false), (max as i64 + 1, true)]
                {
                    assert_eq!(out_of_range(json!(number)), refused, "{table}.{key} = {number}");
                    if property["type"] == json!(["string", "integer"]) && number >= 0 {
                        assert_eq!(out_of_range(json!(format!("{number}ms"))), refused, "{table}.{key} = {number}ms");
                    }
                }
            }
        }
        assert!(checked > 20, "only {checked} keys with limits");
    }

    #[test]
    fn schema_and_reader_have_the_same_defaults() {
        let schema = generate();
        let resolved = parse_value(&document()).unwrap().to_document();
        let mut checked = 0;
        for (table, pointer) in TABLES {
            for (key, property) in properties(&schema, table) {
                let Some(default) = property.get("default") else { continue };
                if key.bytes().any(|b| b.is_ascii_uppercase()) {
                    continue;
                }
                checked += 1;
                assert_eq!(resolved.pointer(pointer).and_then(|table| table.get(&key)), Some(default), "{table}.{key}");
            }
        }
        assert!(checked > 12, "only {checked} keys with defaults");
    }

    #[test]
    fn the_keys_of_start_are_known_one_table_higher() {
        let described = properties(&generate(), "Start");
        let mut known: Vec<String> = START_KEYS.iter().flat_map(|key| [key.to_string(), camel_case(key)]).collect();
        known.sort();
        known.dedup();
        assert_eq!(known, described.keys().cloned().collect::<Vec<_>>());
    }
}
