//! A shard's rows: one per container, which names the id it is assigned to, so that an assignment writes one row.

use serde::Deserialize;
use worker::State;

use super::columns::{ChannelColumns, ContainerColumns, spec_id, spec_text};
use super::sql::{Database, StoreError, from_json, to_json};
use crate::core::shard::{Rows, Write};
use crate::core::sorted::Map;

/// Tables without row ids, so that a write is one row: the primary key is no second index.
const MIGRATIONS: [&[&str]; 2] = [
    &[
        "CREATE TABLE specs (id TEXT PRIMARY KEY, spec TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE containers (
            container TEXT PRIMARY KEY,
            state     TEXT NOT NULL,
            spec      TEXT NOT NULL,
            created   INTEGER NOT NULL,
            kind      TEXT,
            since     INTEGER,
            session   TEXT,
            epoch     INTEGER,
            cause     TEXT,
            deadline  INTEGER
        ) WITHOUT ROWID",
    ],
    &[
        "CREATE TABLE channels (
            sibling           INTEGER PRIMARY KEY,
            sent              INTEGER NOT NULL,
            received          INTEGER NOT NULL,
            paid_generation   INTEGER NOT NULL,
            paid              INTEGER NOT NULL,
            repaid_generation INTEGER NOT NULL,
            repaid            INTEGER NOT NULL
        ) WITHOUT ROWID",
        // Of a container that is handed over; the other columns are of the state in which it arrives.
        "ALTER TABLE containers ADD COLUMN moving_to INTEGER",
        "ALTER TABLE containers ADD COLUMN moving_seq INTEGER",
        "ALTER TABLE containers ADD COLUMN moving_credit INTEGER",
    ],
];

const PLAN: &str = "plan";
const GATE: &str = "gate";
const EPOCH_CEILING: &str = "epoch_ceiling";
const CREDITS: &str = "credits";
const TARGET: &str = "target";
const COUNTERS: &str = "counters";

/// The rows of the object's database, which is created when it is not there.
pub fn load_shard(state: &State) -> Result<(Database, Rows), StoreError> {
    let database = Database::open(state, &MIGRATIONS)?;
    let specs = database
        .query::<SpecColumns>("specs", "SELECT id, spec FROM specs")?
        .map(|row| row.and_then(|row| Ok((spec_id(&row.id)?, from_json("specs", &row.spec)?))))
        .collect::<Result<Map<_, _>, StoreError>>()?;
    let containers = database
        .query::<ContainerColumns>(
            "containers",
            "SELECT container, state, spec, created, kind, since, session, epoch, cause, deadline,
                    moving_to, moving_seq, moving_credit
             FROM containers",
        )?
        .map(|row| row?.into_row().map(|row| (row.container, row)))
        .collect::<Result<Map<_, _>, StoreError>>()?;
    let channels = database
        .query::<ChannelColumns>(
            "channels",
            "SELECT sibling, sent, received, paid_generation, paid, repaid_generation, repaid FROM channels",
        )?
        .map(|row| row?.into_channel())
        .collect::<Result<Map<_, _>, StoreError>>()?;
    let rows = Rows {
        plan: database.meta(PLAN)?,
        gate: database.meta(GATE)?.unwrap_or_default(),
        epoch_ceiling: database.meta(EPOCH_CEILING)?.unwrap_or_default(),
        specs,
        containers,
        channels,
        credits: database.meta(CREDITS)?,
        target: database.meta(TARGET)?,
        counters: database.meta(COUNTERS)?.unwrap_or_default(),
    };
    Ok((database, rows))
}

/// Writes what a step wants written, all or nothing.
pub fn save_shard(database: &Database, writes: &[Write]) -> Result<(), StoreError> {
    match writes {
        [] => Ok(()),
        // One statement is a transaction of its own.
        [write] => save(database, write),
        writes => database.in_transaction(|| writes.iter().try_for_each(|write| save(database, write))),
    }
}

fn save(database: &Database, write: &Write) -> Result<(), StoreError> {
    match write {
        Write::PutContainer(row) => database.exec(
            "INSERT OR REPLACE INTO containers
                (container, state, spec, created, kind, since, session, epoch, cause, deadline,
                 moving_to, moving_seq, moving_credit)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ContainerColumns::of(row).into_values(),
        ),
        Write::DeleteContainer(container) => {
            database.exec("DELETE FROM containers WHERE container = ?", vec![container.to_string().into()])
        }
        Write::PutSpec(id, spec) => database.exec(
            "INSERT OR REPLACE INTO specs (id, spec) VALUES (?, ?)",
            vec![spec_text(*id).into(), to_json("specs", spec)?.into()],
        ),
        Write::DeleteSpec(id) => database.exec("DELETE FROM specs WHERE id = ?", vec![spec_text(*id).into()]),
        Write::PutPlan(plan) => database.put_meta(PLAN, plan),
        Write::PutEpochCeiling(ceiling) => database.put_meta(EPOCH_CEILING, ceiling),
        Write::PutGate(gate) => database.put_meta(GATE, gate),
        Write::PutChannel(sibling, channel) => database.exec(
            "INSERT OR REPLACE INTO channels
                (sibling, sent, received, paid_generation, paid, repaid_generation, repaid)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            ChannelColumns::of(*sibling, *channel).into_values(),
        ),
        Write::PutCredits(credits) => database.put_meta(CREDITS, credits),
        Write::PutTarget(target) => database.put_meta(TARGET, target),
        Write::PutCounters(counters) => database.put_meta(COUNTERS, counters),
    }
}

#[derive(Deserialize)]
struct SpecColumns {
    id: String,
    spec: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::plan::PlanVersion;
    use crate::core::shard::{Credits, Target};

    #[test]
    fn what_is_kept_as_json_survives_it() {
        // Keys that are numbers are text in JSON.
        let credits = Credits { generation: 7, base: 3, given: 9, returned: 4, moved: [(7, -2), (8, 1)].into() };
        let text = to_json("meta", &credits).unwrap();
        assert_eq!(from_json::<Credits>("meta", &text).unwrap(), credits);
        let target = Target { plan: PlanVersion { version: 5, stamp: 1_790_000_000_123 }, warm_target: 9 };
        let text = to_json("meta", &target).unwrap();
        assert_eq!(from_json::<Target>("meta", &text).unwrap(), target);
    }
}
