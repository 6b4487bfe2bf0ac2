//! The coordinator's records of changes: rows that only people read, so they stay text.
//!
//! The configurations of the latest [`KEPT_CONFIGS`] are kept, and of the latest [`KEPT_RECORDS`] the rest.

use serde_json::Value;
use worker::SqlStorageValue;

use super::sql::{Database, StoreError, from_json, to_json};
use crate::core::coordinator::{KEPT_CONFIGS, KEPT_RECORDS, Record};
use crate::json;

/// A table of the records, by the version that each change made.
pub(super) const TABLE: &str = "CREATE TABLE records (
    version  INTEGER PRIMARY KEY,
    former   INTEGER,
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    action   TEXT NOT NULL,
    source   TEXT NOT NULL,
    restores INTEGER,
    config   TEXT
)";

pub(super) fn put(database: &Database, record: &Record) -> Result<(), StoreError> {
    let Record { version, from, at, by, action, source, restores, config } = record;
    // Versions and times stay below 2^53, so that they are exact.
    let whole = |number: u64| SqlStorageValue::from(number as f64);
    let some = |number: &Option<u64>| number.map_or(SqlStorageValue::Null, whole);
    database.exec(
        "INSERT OR REPLACE INTO records (version, former, at, actor, action, source, restores, config)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        vec![
            whole(*version),
            some(from),
            whole(at.0),
            by.clone().into(),
            json::word(action).into(),
            json::word(source).into(),
            some(restores),
            to_json("records", config)?.into(),
        ],
    )?;
    database.exec(
        "UPDATE records SET config = NULL WHERE config IS NOT NULL
         AND version <= (SELECT version FROM records ORDER BY version DESC LIMIT 1 OFFSET ?)",
        vec![whole(KEPT_CONFIGS)],
    )?;
    database.exec(
        "DELETE FROM records WHERE version <= (SELECT version FROM records ORDER BY version DESC LIMIT 1 OFFSET ?)",
        vec![whole(KEPT_RECORDS)],
    )
}

/// The records whose configurations are kept, newest first, without those.
pub fn history(database: &Database) -> Result<Vec<Value>, StoreError> {
    let rows = database.rows::<Value>(
        "records",
        "SELECT version, at, actor AS \"by\", action, source, restores FROM records WHERE config IS NOT NULL
         ORDER BY version DESC",
        Vec::new(),
    )?;
    rows.map(|row| row.map(told)).collect()
}

/// The record of a version, with its configuration; none when that is not kept.
pub fn kept(database: &Database, version: f64) -> Result<Option<Value>, StoreError> {
    let mut rows = database.rows::<Value>(
        "records",
        "SELECT version, at, actor AS \"by\", action, source, restores, config FROM records
         WHERE version = ? AND config IS NOT NULL",
        vec![version.into()],
    )?;
    let Some(mut row) = rows.next().transpose()? else { return Ok(None) };
    if let Some(config) = row.get_mut("config") {
        *config = from_json("records", config.as_str().unwrap_or_default())?;
    }
    Ok(Some(told(row)))
}

/// The latest records, newest first, at most so many.
pub fn audit(database: &Database, limit: f64) -> Result<Vec<Value>, StoreError> {
    let rows = database.rows::<Value>(
        "records",
        "SELECT at, actor AS \"by\", action, version, former AS \"from\" FROM records ORDER BY version DESC LIMIT ?",
        vec![limit.into()],
    )?;
    rows.collect()
}

/// Without the version that was rolled back to, where that is none.
fn told(mut row: Value) -> Value {
    if let Some(fields) = row.as_object_mut()
        && fields.get("restores").is_some_and(Value::is_null)
    {
        fields.remove("restores");
    }
    row
}
