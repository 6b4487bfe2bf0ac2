//! A shard's rows: one per container, which names the id it is assigned to, so that an assignment writes one row.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use worker::{SqlStorageValue, State};

use super::sql::{Database, StoreError, from_json, to_json};
use crate::config::resolved::Millis;
use crate::core::id::{ContainerId, Epoch, SessionId};
use crate::core::shard::{ContainerKind, ContainerRow, DrainCause, DrainPhase, Rows, SpecId, State as Life, Write};

/// A table without row ids, so that a write is one row: the primary key is no second index.
const MIGRATIONS: [&[&str]; 1] = [&[
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
]];

const PLAN: &str = "plan";
const GATE: &str = "gate";
const EPOCH_CEILING: &str = "epoch_ceiling";

/// The rows of the object's database, which is created when it is not there.
pub fn load_shard(state: &State) -> Result<(Database, Rows), StoreError> {
    let database = Database::open(state, &MIGRATIONS)?;
    let specs = database
        .query::<SpecColumns>("specs", "SELECT id, spec FROM specs")?
        .into_iter()
        .map(|row| Ok((spec_id(&row.id)?, from_json("specs", &row.spec)?)))
        .collect::<Result<BTreeMap<_, _>, StoreError>>()?;
    let containers = database
        .query::<ContainerColumns>(
            "containers",
            "SELECT container, state, spec, created, kind, since, session, epoch, cause, deadline FROM containers",
        )?
        .into_iter()
        .map(|row| row.into_row().map(|row| (row.container, row)))
        .collect::<Result<BTreeMap<_, _>, StoreError>>()?;
    let rows = Rows {
        plan: database.meta(PLAN)?,
        gate: database.meta(GATE)?.unwrap_or_default(),
        epoch_ceiling: database.meta(EPOCH_CEILING)?.unwrap_or_default(),
        specs,
        containers,
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
                (container, state, spec, created, kind, since, session, epoch, cause, deadline)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
    }
}

#[derive(Deserialize)]
struct SpecColumns {
    id: String,
    spec: String,
}

/// A row of `containers`, column by column.
#[derive(Debug, Default, Deserialize)]
struct ContainerColumns {
    container: String,
    state: String,
    spec: String,
    created: f64,
    kind: Option<String>,
    since: Option<f64>,
    session: Option<String>,
    epoch: Option<f64>,
    cause: Option<String>,
    deadline: Option<f64>,
}

impl ContainerColumns {
    fn of(row: &ContainerRow) -> Self {
        let mut columns = Self {
            container: row.container.to_string(),
            spec: spec_text(row.spec),
            created: number(row.created.0),
            kind: row.kind.map(|kind| word(&kind)),
            ..Self::default()
        };
        match &row.state {
            Life::Starting => columns.state = "starting".to_owned(),
            Life::Warm { since } => {
                columns.state = "warm".to_owned();
                columns.since = Some(number(since.0));
            }
            Life::Assigned { id, epoch, since } => {
                columns.state = "assigned".to_owned();
                columns.session = Some(id.as_str().to_owned());
                columns.epoch = Some(number(epoch.0));
                columns.since = Some(number(since.0));
            }
            Life::Draining { blocks, cause, phase } => {
                columns.session = blocks.as_ref().map(|id| id.as_str().to_owned());
                columns.cause = Some(word(cause));
                match phase {
                    DrainPhase::Stopping { deadline } => {
                        columns.state = "stopping".to_owned();
                        columns.deadline = Some(number(deadline.0));
                    }
                    DrainPhase::Destroying => columns.state = "destroying".to_owned(),
                }
            }
        }
        columns
    }

    fn into_values(self) -> Vec<SqlStorageValue> {
        let Self { container, state, spec, created, kind, since, session, epoch, cause, deadline } = self;
        let text = |value: Option<String>| value.map_or(SqlStorageValue::Null, Into::into);
        let number = |value: Option<f64>| value.map_or(SqlStorageValue::Null, Into::into);
        vec![
            container.into(),
            state.into(),
            spec.into(),
            created.into(),
            text(kind),
            number(since),
            text(session),
            number(epoch),
            text(cause),
            number(deadline),
        ]
    }

    fn into_row(self) -> Result<ContainerRow, StoreError> {
        let container = self.container.parse::<ContainerId>().map_err(|error| unreadable(&error))?;
        let session = self.session.map(SessionId::try_from).transpose().map_err(|error| unreadable(&error))?;
        let since = || self.since.map(|since| Millis(since as u64)).ok_or_else(|| unreadable(&"no `since`"));
        let state = match self.state.as_str() {
            "starting" => Life::Starting,
            "warm" => Life::Warm { since: since()? },
            "assigned" => Life::Assigned {
                id: session.ok_or_else(|| unreadable(&"no `session`"))?,
                epoch: Epoch(self.epoch.ok_or_else(|| unreadable(&"no `epoch`"))? as u64),
                since: since()?,
            },
            "stopping" => Life::Draining {
                blocks: session,
                cause: cause(self.cause)?,
                phase: DrainPhase::Stopping {
                    deadline: Millis(self.deadline.ok_or_else(|| unreadable(&"no `deadline`"))? as u64),
                },
            },
            "destroying" => {
                Life::Draining { blocks: session, cause: cause(self.cause)?, phase: DrainPhase::Destroying }
            }
            other => return Err(unreadable(&format!("unknown state {other:?}"))),
        };
        let kind: Option<ContainerKind> = self.kind.map(parse_word).transpose()?;
        Ok(ContainerRow { container, spec: spec_id(&self.spec)?, created: Millis(self.created as u64), kind, state })
    }
}

fn cause(text: Option<String>) -> Result<DrainCause, StoreError> {
    parse_word(text.ok_or_else(|| unreadable(&"no `cause`"))?)
}

fn unreadable(reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::Row { table: "containers", reason: reason.to_string() }
}

/// The word that serde has for a unit variant.
fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn parse_word<T: DeserializeOwned>(text: String) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(text)).map_err(|error| unreadable(&error))
}

/// Times and epochs are below 2^53, so that they are exact.
fn number(value: u64) -> f64 {
    value as f64
}

fn spec_text(id: SpecId) -> String {
    format!("{:016x}", id.0)
}

fn spec_id(text: &str) -> Result<SpecId, StoreError> {
    u64::from_str_radix(text, 16)
        .map(SpecId)
        .map_err(|error| StoreError::Row { table: "specs", reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_survives_its_row() {
        let id = SessionId::try_from("älice; DROP TABLE containers".to_owned()).unwrap();
        let draining = |blocks, cause, phase| Life::Draining { blocks, cause, phase };
        let states = [
            Life::Starting,
            Life::Warm { since: Millis(1_790_000_000_123) },
            Life::Assigned { id: id.clone(), epoch: Epoch(9_007_199_254_740_991), since: Millis(7) },
            draining(Some(id), DrainCause::Released, DrainPhase::Stopping { deadline: Millis(9) }),
            draining(None, DrainCause::StartFailed, DrainPhase::Destroying),
        ];
        for state in states {
            for kind in [None, Some(ContainerKind::Agent), Some(ContainerKind::Class)] {
                let row = ContainerRow {
                    container: ContainerId::from_random(42),
                    spec: SpecId(u64::MAX),
                    created: Millis(1_790_000_000_000),
                    kind,
                    state: state.clone(),
                };
                assert_eq!(ContainerColumns::of(&row).into_row().unwrap(), row);
            }
        }
    }

    #[test]
    fn a_row_of_newer_code_is_an_error_not_a_guess() {
        let columns = ContainerColumns {
            container: ContainerId::from_random(1).to_string(),
            spec: "0".to_owned(),
            state: "hibernating".to_owned(),
            ..ContainerColumns::default()
        };
        let error = columns.into_row().unwrap_err().to_string();
        assert!(error.contains("hibernating"), "{error}");
    }
}
