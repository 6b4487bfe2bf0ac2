//! The coordinator's rows: the registry, and a row per shard with what it has acknowledged.

use std::collections::BTreeMap;

use serde::Deserialize;
use worker::State;

use super::sql::{Database, StoreError};
use crate::core::coordinator::{Registry, Write};
use crate::core::id::ShardId;
use crate::core::plan::PlanVersion;

const MIGRATIONS: [&[&str]; 1] = [&["CREATE TABLE acknowledged (
        shard   TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        stamp   INTEGER NOT NULL
    ) WITHOUT ROWID"]];

const REGISTRY: &str = "registry";

#[derive(Deserialize)]
struct AcknowledgedColumns {
    shard: String,
    version: f64,
    stamp: f64,
}

/// The rows of the object's database, which is created when it is not there.
pub fn load_coordinator(state: &State) -> Result<(Database, Registry, BTreeMap<ShardId, PlanVersion>), StoreError> {
    let database = Database::open(state, &MIGRATIONS)?;
    let registry = database.meta(REGISTRY)?.unwrap_or_default();
    let acknowledged = database
        .query::<AcknowledgedColumns>("acknowledged", "SELECT shard, version, stamp FROM acknowledged")?
        .into_iter()
        .map(|row| {
            let shard = row.shard.parse().map_err(|_| StoreError::Row {
                table: "acknowledged",
                reason: format!("{:?} names no shard", row.shard),
            })?;
            Ok((shard, PlanVersion { version: row.version as u64, stamp: row.stamp as u64 }))
        })
        .collect::<Result<_, StoreError>>()?;
    Ok((database, registry, acknowledged))
}

/// Writes what a step wants written, all or nothing.
pub fn save_coordinator(database: &Database, writes: &[Write]) -> Result<(), StoreError> {
    database.in_transaction(|| {
        writes.iter().try_for_each(|write| match write {
            Write::PutRegistry(registry) => database.put_meta(REGISTRY, registry),
            Write::PutAcknowledged(shard, version) => database.exec(
                "INSERT OR REPLACE INTO acknowledged (shard, version, stamp) VALUES (?, ?, ?)",
                vec![shard.to_string().into(), (version.version as f64).into(), (version.stamp as f64).into()],
            ),
        })
    })
}
