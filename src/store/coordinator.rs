//! The coordinator's rows: the registry, two per shard (what it has acknowledged, and what it was given), and one per change of the
//! configuration.

use serde::Deserialize;
use worker::{SqlStorageValue, State};

use super::events;
use super::records;
use super::sql::{Database, StoreError, unreadable, whole};
use crate::core::coordinator::{LedgerRow, Registry, Write};
use crate::core::id::ShardId;
use crate::core::journal::Archive;
use crate::core::plan::PlanVersion;
use crate::core::sorted::Map;

const MIGRATIONS: [&[&str]; 4] = [
    &["CREATE TABLE acknowledged (
        shard   TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        stamp   INTEGER NOT NULL
    ) WITHOUT ROWID"],
    &["CREATE TABLE ledger (
        shard       TEXT PRIMARY KEY,
        generation  INTEGER NOT NULL,
        given       INTEGER NOT NULL,
        returned    INTEGER NOT NULL,
        warm_target INTEGER NOT NULL,
        untold      INTEGER NOT NULL
    ) WITHOUT ROWID"],
    &[records::TABLE],
    &[events::TABLE],
];

const REGISTRY: &str = "registry";

#[derive(Deserialize)]
struct AcknowledgedColumns {
    shard: String,
    version: f64,
    stamp: f64,
}

#[derive(Debug, Deserialize)]
struct LedgerColumns {
    shard: String,
    generation: f64,
    given: f64,
    returned: f64,
    warm_target: f64,
    untold: f64,
}

impl LedgerColumns {
    fn of(shard: &ShardId, row: &LedgerRow) -> Self {
        let LedgerRow { generation, given, returned, warm_target, untold } = *row;
        // Counts of containers and of versions stay below 2^53, so that they are exact.
        let (generation, given, returned) = (generation as f64, given as f64, returned as f64);
        let (warm_target, untold) = (f64::from(warm_target), f64::from(u8::from(untold)));
        Self { shard: shard.to_string(), generation, given, returned, warm_target, untold }
    }

    fn into_values(self) -> Vec<SqlStorageValue> {
        let Self { shard, generation, given, returned, warm_target, untold } = self;
        let numbers = [generation, given, returned, warm_target, untold];
        std::iter::once(shard.into()).chain(numbers.map(Into::into)).collect()
    }

    fn into_row(self) -> Result<(ShardId, LedgerRow), StoreError> {
        let Self { shard, generation, given, returned, warm_target, untold } = self;
        let count = |value: f64| whole("ledger", value);
        let untold = count(untold)? != 0;
        let warm_target = u32::try_from(count(warm_target)?).map_err(|error| unreadable("ledger", &error))?;
        let (generation, given, returned) = (count(generation)?, count(given)?, count(returned)?);
        Ok((shard_id("ledger", &shard)?, LedgerRow { generation, given, returned, warm_target, untold }))
    }
}

/// All that is durable of a coordinator.
pub struct CoordinatorRows {
    /// What is in force, and was.
    pub registry: Registry,
    /// What each shard has acknowledged.
    pub acknowledged: Map<ShardId, PlanVersion>,
    /// What each was given.
    pub ledger: Map<ShardId, LedgerRow>,
    /// What has happened.
    pub archive: Archive,
}

/// The rows of the object's database, which is created when it is not there.
pub fn load_coordinator(state: &State) -> Result<(Database, CoordinatorRows), StoreError> {
    let database = Database::open(state, &MIGRATIONS)?;
    let registry = database.meta(REGISTRY)?.unwrap_or_default();
    let acknowledged = database
        .query::<AcknowledgedColumns>("acknowledged", "SELECT shard, version, stamp FROM acknowledged")?
        .map(|row| {
            let row = row?;
            let shard = shard_id("acknowledged", &row.shard)?;
            let number = |value| whole("acknowledged", value);
            Ok((shard, PlanVersion { version: number(row.version)?, stamp: number(row.stamp)? }))
        })
        .collect::<Result<_, StoreError>>()?;
    let ledger = database
        .query::<LedgerColumns>("ledger", "SELECT shard, generation, given, returned, warm_target, untold FROM ledger")?
        .map(|row| row?.into_row())
        .collect::<Result<_, StoreError>>()?;
    let archive = Archive::load(events::load(&database)?);
    Ok((database, CoordinatorRows { registry, acknowledged, ledger, archive }))
}

/// Writes what a step wants written, all or nothing.
pub fn save_coordinator(database: &Database, writes: &[Write]) -> Result<(), StoreError> {
    database.in_transaction(|| {
        writes.iter().try_for_each(|write| match write {
            Write::PutRegistry(registry) => database.put_meta(REGISTRY, registry),
            Write::Events(change) => events::save(database, change),
            Write::PutAcknowledged(shard, version) => database.exec(
                "INSERT OR REPLACE INTO acknowledged (shard, version, stamp) VALUES (?, ?, ?)",
                vec![shard.to_string().into(), (version.version as f64).into(), (version.stamp as f64).into()],
            ),
            Write::PutLedger(shard, row) => database.exec(
                "INSERT OR REPLACE INTO ledger (shard, generation, given, returned, warm_target, untold) VALUES (?, ?, ?, ?, ?, ?)",
                LedgerColumns::of(shard, row).into_values(),
            ),
            Write::PutRecord(record) => records::put(database, record),
        })
    })
}

fn shard_id(table: &'static str, name: &str) -> Result<ShardId, StoreError> {
    name.parse().map_err(|_| unreadable(table, &format!("{name:?} names no shard")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard() -> ShardId {
        "python/255".parse().unwrap()
    }

    #[test]
    fn a_row_of_the_ledger_survives_its_columns() {
        let largest = 9_007_199_254_740_991;
        let row =
            LedgerRow { generation: largest, given: largest, returned: largest, warm_target: u32::MAX, untold: true };
        for row in [LedgerRow::default(), row] {
            assert_eq!(LedgerColumns::of(&shard(), &row).into_row().unwrap(), (shard(), row));
        }
    }

    #[test]
    fn what_no_code_wrote_is_an_error_that_names_the_table() {
        let breaks: [fn(&mut LedgerColumns); 4] = [
            |columns| columns.shard = "python".to_owned(),
            |columns| columns.given = -1.0,
            |columns| columns.returned = 0.5,
            |columns| columns.warm_target = 1e10,
        ];
        for breaks in breaks {
            let mut columns = LedgerColumns::of(&shard(), &LedgerRow::default());
            breaks(&mut columns);
            let error = columns.into_row().unwrap_err().to_string();
            assert!(error.contains("ledger"), "{error}");
        }
    }
}
