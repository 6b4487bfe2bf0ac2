//! `docs/configuration.md` says what is true.

use serde_json::Value;

use crate::invalid;

const DOCS: &str = include_str!("../../docs/configuration.md");
const SCHEMA: &str = include_str!("../../config/pools.schema.json");

/// The text between the first `open` after `after` and the next line of three backticks.
fn block<'a>(after: &str, open: &str) -> &'a str {
    let rest = &DOCS[DOCS.find(after).unwrap()..];
    let start = rest.find(open).unwrap() + open.len();
    let end = rest[start..].find("```").unwrap();
    rest[start..start + end].trim_end()
}

#[test]
fn the_example_is_valid_and_the_mistakes_are_real() {
    crate::valid(block("# Configuration", "```toml\n"));
    let errors = invalid(block("## Mistakes", "```toml\n")).to_string();
    assert_eq!(block("is answered by", "```text\n"), errors);
}

#[test]
fn every_key_has_a_row_with_its_default_and_range() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut checked = 0;
    for (table, prefix) in [
        ("Pool", ""),
        ("Start", ""),
        ("Ready", "ready."),
        ("Setup", "setup."),
        ("Size", "instance_type."),
        ("Prices", "prices."),
        ("Route", ""),
        ("Id", ""),
    ] {
        for (key, property) in schema["definitions"][table]["properties"].as_object().unwrap() {
            if key.contains(char::is_uppercase) || ["ready", "setup"].contains(&key.as_str()) {
                continue;
            }
            let row = DOCS
                .lines()
                .find(|line| line.starts_with(&format!("| `{prefix}{key}` |")))
                .unwrap_or_else(|| panic!("no row for {prefix}{key}"));
            let default = match &property["default"] {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert!(row.contains(&format!("`{default}`")), "the default of {prefix}{key} is {default}: {row}");
            checked += 1;
            // "From 500ms to 1h, as ..." of a duration, "minimum" and "maximum" of a number.
            let description = property["description"].as_str().unwrap();
            let range = match description.split_once(" From ").and_then(|(_, rest)| rest.split_once(", as")) {
                Some((range, _)) => Some(range.to_owned()),
                None => property["maximum"].as_u64().map(|max| format!("{} to {max}", property["minimum"])),
            };
            if let Some(range) = range {
                assert!(row.contains(&format!("| {range} |")), "the range of {prefix}{key} is {range}: {row}");
            }
        }
    }
    assert!(checked > 14, "only {checked} defaults");
}

#[test]
fn every_code_is_explained() {
    let errors = include_str!("../../src/config/errors.rs");
    let body = &errors[errors.find("pub enum ErrorCode {").unwrap()..];
    let variants =
        body[..body.find("\n}").unwrap()].lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(','));
    let mut count = 0;
    for variant in variants {
        let code: String = variant
            .char_indices()
            .flat_map(|(at, c)| {
                [if at > 0 && c.is_uppercase() { "_" } else { "" }.to_owned(), c.to_lowercase().to_string()]
            })
            .collect();
        assert!(DOCS.contains(&format!("| `{code}` |")), "{code}");
        count += 1;
    }
    assert_eq!(count, 14);
}
