//! The database of one Durable Object: migrations, transactions, errors.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use worker::{SqlStorage, SqlStorageValue, State};

use crate::json;

#[wasm_bindgen]
extern "C" {
    /// What the `worker` crate does not bind of `DurableObjectStorage`.
    type SyncStorage;

    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(this: &SyncStorage, body: &mut dyn FnMut() -> Result<(), JsValue>) -> Result<JsValue, JsValue>;
}

/// The SQLite database of one Durable Object.
pub struct Database {
    sql: SqlStorage,
    storage: SyncStorage,
}

/// Why rows could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused.
    #[error("the object's database refused {statement:?}")]
    Sql {
        /// The statement.
        statement: &'static str,
        /// What it said.
        #[source]
        source: worker::Error,
    },
    /// A row is not what this version of the code writes: newer code wrote it, or someone else.
    #[error("a row of {table} cannot be read: {reason}; deploy the version that wrote it, or a newer one")]
    Row {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The schema is of newer code.
    #[error("the object's tables are of version {found}, this code knows {known}; deploy a newer version")]
    Newer {
        /// The version found.
        found: u32,
        /// The newest one known.
        known: u32,
    },
}

#[derive(Deserialize)]
struct ValueRow {
    value: String,
}

impl Database {
    /// The database of the object, brought to the newest of `migrations`: one statement list per version, from 1.
    pub fn open(state: &State, migrations: &[&'static [&'static str]]) -> Result<Self, StoreError> {
        let storage = state.storage();
        let sync: &JsValue = storage.as_raw().as_ref();
        let database = Self { sql: storage.sql(), storage: sync.clone().unchecked_into() };
        database.migrate(migrations)?;
        Ok(database)
    }

    fn migrate(&self, migrations: &[&'static [&'static str]]) -> Result<(), StoreError> {
        self.exec("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID", vec![])?;
        let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
        let found: u32 = self.meta("schema")?.unwrap_or(0);
        if found > known {
            return Err(StoreError::Newer { found, known });
        }
        for (version, statements) in (1u32..).zip(migrations).skip(found as usize) {
            self.in_transaction(|| {
                for statement in *statements {
                    self.exec(statement, vec![])?;
                }
                self.put_meta("schema", &version)
            })?;
        }
        Ok(())
    }

    /// All rows of a query, read one by one: there may be a hundred thousand, and the memory of wasm does not shrink.
    pub(super) fn query<T: DeserializeOwned>(
        &self,
        table: &'static str,
        statement: &'static str,
    ) -> Result<impl Iterator<Item = Result<T, StoreError>> + use<T>, StoreError> {
        self.rows(table, statement, Vec::new())
    }

    pub(super) fn rows<T: DeserializeOwned>(
        &self,
        table: &'static str,
        statement: &'static str,
        values: Vec<SqlStorageValue>,
    ) -> Result<impl Iterator<Item = Result<T, StoreError>> + use<T>, StoreError> {
        let cursor = self.sql.exec(statement, values).map_err(|source| StoreError::Sql { statement, source })?;
        Ok(cursor.map(move |row| from_json(table, &row_text(table, row)?)))
    }

    pub(super) fn exec(&self, statement: &'static str, values: Vec<SqlStorageValue>) -> Result<(), StoreError> {
        self.sql.exec(statement, values).map_err(|source| StoreError::Sql { statement, source })?;
        Ok(())
    }

    /// A value of the `meta` table, kept as JSON.
    pub(super) fn meta<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, StoreError> {
        const SELECT: &str = "SELECT value FROM meta WHERE key = ?";
        let mut rows = self.rows::<ValueRow>("meta", SELECT, vec![key.to_owned().into()])?;
        rows.next().map(|row| from_json("meta", &row?.value)).transpose()
    }

    pub(super) fn put_meta<T: serde::Serialize>(&self, key: &'static str, value: &T) -> Result<(), StoreError> {
        let value = to_json("meta", value)?;
        self.exec(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            vec![key.to_owned().into(), value.into()],
        )
    }

    /// Runs `body` so that all it writes is written, or nothing.
    pub(super) fn in_transaction(&self, body: impl FnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut body = Some(body);
        let mut outcome = Ok(());
        let thrown = self.storage.transaction_sync(&mut || {
            let Some(body) = body.take() else { return Ok(()) };
            outcome = body();
            // Throwing rolls back.
            if outcome.is_ok() { Ok(()) } else { Err(JsValue::from_str("rolled back")) }
        });
        outcome?;
        thrown.map(drop).map_err(|error| StoreError::Sql { statement: "COMMIT", source: error.into() })
    }
}

/// A row that this version of the code did not write.
pub(super) fn unreadable(table: &'static str, reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::Row { table, reason: reason.to_string() }
}

/// A number of a row, which is a count, a time or a version: whole, not negative, and small enough to be exact.
pub(super) fn whole(table: &'static str, value: f64) -> Result<u64, StoreError> {
    let whole = value as u64;
    if whole as f64 == value && whole <= MAX_EXACT {
        return Ok(whole);
    }
    Err(unreadable(table, &format!("{value} is no whole number from 0 to {MAX_EXACT}")))
}

/// The largest number up to which SQLite's integers survive JavaScript's numbers.
const MAX_EXACT: u64 = (1 << 53) - 1;

/// A row as JSON.
fn row_text(table: &'static str, row: worker::Result<JsValue>) -> Result<String, StoreError> {
    let row = row.map_err(|error| unreadable(table, &error))?;
    let text = js_sys::JSON::stringify(&row).map_err(|_| unreadable(table, &"it has a value that is no JSON"))?;
    Ok(text.into())
}

pub(super) fn from_json<T: DeserializeOwned>(table: &'static str, text: &str) -> Result<T, StoreError> {
    json::read(text).map_err(|error| unreadable(table, &error))
}

pub(super) fn to_json<T: serde::Serialize>(table: &'static str, value: &T) -> Result<String, StoreError> {
    json::write(value).map_err(|error| unreadable(table, &error))
}
