//! The description of the admin API, `docs/openapi.json` (OpenAPI 3.1), generated from the code, checked in, and served as
//! `GET /_warm/openapi.json`. Built for tests only; `UPDATE_SCHEMA=1 cargo test --lib openapi` writes the file.
//!
//! What always holds, for a test here fails otherwise: every [`Call`](crate::core::gateway::admin::Call) is one operation, every
//! operation is read as its call, and [`call`](crate::core::gateway::admin::call) reads nothing else as one; every error code of
//! the sources is in the list of codes, and every operation's codes are; every operation has its `curl` in
//! `docs/admin-api.md`.

mod codes;
mod operation;
mod operations;
mod shapes;
mod tests;

use schemars::transform::{RecursiveTransform, Transform};
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use self::operation::Operation;
use crate::core::gateway::admin::Call;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");

const DESCRIPTION: &str = "Shows and steers the pools of cf-warm-pools. All but the health check need the Worker's secret \
    `ADMIN_TOKEN` as a bearer token, and are closed while the Worker has none. Every error is \
    `{\"error\": {\"code\", \"message\"}}`: codes are closed lists and keep their meaning, messages are for people. Where there is \
    `GET` there is `HEAD`; another method gets a 405 with `Allow`. Answers may get further keys.";

/// The whole document.
fn generate() -> Value {
    let mut schemas = generator();
    let operations = operations::all(&mut schemas);
    let (paths, responses) = paths(&operations);
    let mut definitions = schemas.take_definitions(true);
    definitions.insert("Error".to_owned(), codes::schema());
    for schema in definitions.values_mut().filter_map(|definition| <&mut Schema>::try_from(definition).ok()) {
        RecursiveTransform(tidy).transform(schema);
        // Only the configuration's tables take no other keys.
        if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
            in_snake_case(schema);
        } else {
            RecursiveTransform(|schema: &mut Schema| drop(schema.remove("default"))).transform(schema);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Admin API of cf-warm-pools",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT", "identifier": "MIT" },
            "description": DESCRIPTION,
        },
        "servers": [{ "url": "/", "description": "The Worker" }],
        "security": [{ "adminToken": [] }],
        "tags": operations::TAGS.map(|(name, description)| json!({ "name": name, "description": description })),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "adminToken": { "type": "http", "scheme": "bearer", "description": "The Worker's secret `ADMIN_TOKEN`." }
            },
            "responses": responses,
            "schemas": definitions,
        },
    })
}

/// Makes schemas of what is answered rather than of what is read: a key that is always told is required.
fn generator() -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    settings.into_generator()
}

/// The operations by path and method, and the answers that several of them have.
fn paths(operations: &[(Call, Operation)]) -> (Map<String, Value>, Map<String, Value>) {
    let (mut paths, mut responses) = (Map::new(), Map::new());
    for (_, operation) in operations {
        let methods = paths.entry(operation.path).or_insert_with(|| json!({}));
        let described = operation.render(&mut responses);
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(operation.method.to_ascii_lowercase(), described);
        }
    }
    (paths, responses)
}

/// Takes out the other spelling of each key, and the rules that no key stands in both.
fn in_snake_case(table: &mut Schema) {
    let is_camel = |key: &str| key.contains(char::is_uppercase);
    if let Some(Value::Object(properties)) = table.get_mut("properties") {
        properties.retain(|key, _| !is_camel(key));
    }
    let mut is_empty = false;
    if let Some(Value::Array(rules)) = table.get_mut("allOf") {
        let of_camel = |key: &Value| key.as_str().is_some_and(is_camel);
        rules.retain(|rule| !rule["not"]["required"].as_array().is_some_and(|keys| keys.iter().any(of_camel)));
        is_empty = rules.is_empty();
    }
    if is_empty {
        table.remove("allOf");
    }
}

/// Removes what only Rust wants to know: the width of numbers, line breaks and links of doc comments.
fn tidy(schema: &mut Schema) {
    if schema.get("format").and_then(Value::as_str).is_some_and(|format| !["uuid"].contains(&format)) {
        schema.remove("format");
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/definitions/"))
    {
        // Written by hand, for the schema of the file.
        let path = format!("#/components/schemas/{name}");
        schema.insert("$ref".to_owned(), path.into());
    }
    if let Some(Value::String(text)) = schema.get("description") {
        let text = text.replace('\n', " ").replace("[`", "`").replace("`]", "`").replace("None ", "Null ");
        schema.insert("description".to_owned(), text.into());
    }
}

/// One line for each operation, answer and schema: as small as it can be and still be read in a diff.
fn to_text(document: &Value) -> String {
    let mut text = String::new();
    write(document, &[], &mut text);
    text + "\n"
}

fn write(value: &Value, at: &[&str], text: &mut String) {
    let Value::Object(fields) = value else { return text.push_str(&value.to_string()) };
    let is_open = matches!(at, [] | ["paths" | "components"] | ["paths", _] | ["components", _]);
    if !is_open {
        return text.push_str(&value.to_string());
    }
    text.push('{');
    for (n, (key, value)) in fields.iter().enumerate() {
        text.push_str(if n == 0 { "\n" } else { ",\n" });
        text.push_str(&Value::from(key.as_str()).to_string());
        text.push(':');
        let mut inner = at.to_vec();
        inner.push(key);
        write(value, &inner, text);
    }
    text.push_str("\n}");
}
