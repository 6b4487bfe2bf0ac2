//! A shard's rows, column by column. A row that cannot be read is an error, never a guess.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use worker::SqlStorageValue;

use super::sql::{StoreError, unreadable, whole};
use crate::config::resolved::Millis;
use crate::core::id::{ContainerId, Epoch, SessionId, ShardIndex};
use crate::core::shard::{Channel, ContainerKind, ContainerRow, DrainCause, DrainPhase, Paid, SpecId, State as Life};
use crate::json::{read_word, word};

const CHANNELS: &str = "channels";
const CONTAINERS: &str = "containers";

/// A row of `channels`, column by column.
#[derive(Debug, Deserialize)]
pub(super) struct ChannelColumns {
    sibling: f64,
    sent: f64,
    received: f64,
    paid_generation: f64,
    paid: f64,
    repaid_generation: f64,
    repaid: f64,
}

impl ChannelColumns {
    pub fn of(sibling: ShardIndex, channel: Channel) -> Self {
        let Channel { sent, received, paid, repaid } = channel;
        Self {
            sibling: f64::from(sibling.0),
            sent: number(sent),
            received: number(received),
            paid_generation: number(paid.generation),
            paid: number(paid.total),
            repaid_generation: number(repaid.generation),
            repaid: number(repaid.total),
        }
    }

    pub fn into_values(self) -> Vec<SqlStorageValue> {
        let Self { sibling, sent, received, paid_generation, paid, repaid_generation, repaid } = self;
        let all = [sibling, sent, received, paid_generation, paid, repaid_generation, repaid];
        all.map(SqlStorageValue::from).into()
    }

    pub fn into_channel(self) -> Result<(ShardIndex, Channel), StoreError> {
        let count = |value: f64| whole(CHANNELS, value);
        let paid = |generation, total| Ok(Paid { generation: count(generation)?, total: count(total)? });
        let channel = Channel {
            sent: count(self.sent)?,
            received: count(self.received)?,
            paid: paid(self.paid_generation, self.paid)?,
            repaid: paid(self.repaid_generation, self.repaid)?,
        };
        Ok((shard_index(CHANNELS, self.sibling)?, channel))
    }
}

/// A row of `containers`, column by column.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ContainerColumns {
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
    moving_to: Option<f64>,
    moving_seq: Option<f64>,
    moving_credit: Option<f64>,
}

impl ContainerColumns {
    pub fn of(row: &ContainerRow) -> Self {
        let mut columns = Self {
            container: row.container.to_string(),
            spec: spec_text(row.spec),
            created: number(row.created.0),
            kind: row.kind.map(|kind| word(&kind)),
            ..Self::default()
        };
        columns.put_state(&row.state);
        columns
    }

    fn put_state(&mut self, state: &Life) {
        match state {
            Life::Starting => self.state = "starting".to_owned(),
            Life::Warm { since } => {
                self.state = "warm".to_owned();
                self.since = Some(number(since.0));
            }
            Life::Assigned { id, epoch, since } => {
                self.state = "assigned".to_owned();
                self.session = Some(id.as_str().to_owned());
                self.epoch = Some(number(epoch.0));
                self.since = Some(number(since.0));
            }
            Life::Draining { blocks, cause, phase } => {
                self.session = blocks.as_ref().map(|id| id.as_str().to_owned());
                self.cause = Some(word(cause));
                match phase {
                    DrainPhase::Stopping { deadline } => {
                        self.state = "stopping".to_owned();
                        self.deadline = Some(number(deadline.0));
                    }
                    DrainPhase::Destroying => self.state = "destroying".to_owned(),
                }
            }
            Life::Moving { to, seq, credit, was } => {
                self.put_state(was);
                self.moving_to = Some(f64::from(to.0));
                self.moving_seq = Some(number(*seq));
                self.moving_credit = credit.map(number);
            }
        }
    }

    pub fn into_values(self) -> Vec<SqlStorageValue> {
        let Self {
            container,
            state,
            spec,
            created,
            kind,
            since,
            session,
            epoch,
            cause,
            deadline,
            moving_to,
            moving_seq,
            moving_credit,
        } = self;
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
            number(moving_to),
            number(moving_seq),
            number(moving_credit),
        ]
    }

    pub fn into_row(self) -> Result<ContainerRow, StoreError> {
        let container = self.container.parse::<ContainerId>().map_err(|error| broken(&error))?;
        let session = self.session.map(SessionId::try_from).transpose().map_err(|error| broken(&error))?;
        let since = || needed("since", self.since).map(Millis);
        let state = match self.state.as_str() {
            "starting" => Life::Starting,
            "warm" => Life::Warm { since: since()? },
            "assigned" => Life::Assigned {
                id: session.ok_or_else(|| broken(&"no `session`"))?,
                epoch: Epoch(needed("epoch", self.epoch)?),
                since: since()?,
            },
            "stopping" => Life::Draining {
                blocks: session,
                cause: cause(self.cause)?,
                phase: DrainPhase::Stopping { deadline: Millis(needed("deadline", self.deadline)?) },
            },
            "destroying" => {
                Life::Draining { blocks: session, cause: cause(self.cause)?, phase: DrainPhase::Destroying }
            }
            other => return Err(broken(&format!("unknown state {other:?}"))),
        };
        let state = match (self.moving_to, self.moving_seq) {
            (None, None) => state,
            (Some(to), Some(seq)) => Life::Moving {
                to: shard_index(CONTAINERS, to)?,
                seq: whole(CONTAINERS, seq)?,
                credit: self.moving_credit.map(|generation| whole(CONTAINERS, generation)).transpose()?,
                was: Box::new(state),
            },
            (Some(_), None) | (None, Some(_)) => {
                return Err(broken(&"`moving_to` without `moving_seq`, or the reverse"));
            }
        };
        let kind: Option<ContainerKind> = self.kind.map(parse_word).transpose()?;
        let created = Millis(whole(CONTAINERS, self.created)?);
        Ok(ContainerRow { container, spec: spec_id(&self.spec)?, created, kind, state })
    }
}

/// A number that the row's state needs.
fn needed(column: &str, value: Option<f64>) -> Result<u64, StoreError> {
    whole(CONTAINERS, value.ok_or_else(|| broken(&format!("no `{column}`")))?)
}

fn shard_index(table: &'static str, value: f64) -> Result<ShardIndex, StoreError> {
    let index = u32::try_from(whole(table, value)?).map_err(|_| unreadable(table, &format!("{value} is no shard")))?;
    Ok(ShardIndex(index))
}

fn cause(text: Option<String>) -> Result<DrainCause, StoreError> {
    parse_word(text.ok_or_else(|| broken(&"no `cause`"))?)
}

fn broken(reason: &dyn std::fmt::Display) -> StoreError {
    unreadable(CONTAINERS, reason)
}

fn parse_word<T: DeserializeOwned>(text: String) -> Result<T, StoreError> {
    read_word(text).map_err(|error| broken(&error))
}

/// Times and epochs are below 2^53, so that they are exact.
fn number(value: u64) -> f64 {
    value as f64
}

pub(super) fn spec_text(id: SpecId) -> String {
    format!("{:016x}", id.0)
}

pub(super) fn spec_id(text: &str) -> Result<SpecId, StoreError> {
    u64::from_str_radix(text, 16).map(SpecId).map_err(|error| unreadable("specs", &error))
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
        let moving = |credit| {
            let (to, seq) = (ShardIndex(255), 9_007_199_254_740_991);
            states.clone().map(|was| Life::Moving { to, seq, credit, was: Box::new(was) })
        };
        for state in states.iter().cloned().chain(moving(None)).chain(moving(Some(3))) {
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
    fn a_container_that_moves_names_its_receiver_and_its_number() {
        let row = ContainerRow {
            container: ContainerId::from_random(1),
            spec: SpecId(1),
            created: Millis(1),
            kind: None,
            state: Life::Moving { to: ShardIndex(1), seq: 1, credit: None, was: Box::new(Life::Starting) },
        };
        let all: [fn(&mut ContainerColumns); 5] = [
            |columns| columns.moving_to = None,
            |columns| columns.moving_seq = None,
            |columns| columns.moving_to = Some(-1.0),
            |columns| columns.moving_seq = Some(1.5),
            |columns| columns.moving_credit = Some(-1.0),
        ];
        for breaks in all {
            let mut columns = ContainerColumns::of(&row);
            breaks(&mut columns);
            columns.into_row().unwrap_err();
        }
    }

    #[test]
    fn a_channel_survives_its_columns() {
        let paid = |generation, total| Paid { generation, total };
        let largest = 9_007_199_254_740_991;
        let channels = [
            Channel::default(),
            Channel { sent: 1, received: 2, paid: paid(3, 4), repaid: paid(5, 6) },
            Channel { sent: largest, received: largest, paid: paid(largest, largest), repaid: paid(largest, largest) },
        ];
        for channel in channels {
            let columns = ChannelColumns::of(ShardIndex(255), channel);
            assert_eq!(columns.into_channel().unwrap(), (ShardIndex(255), channel));
        }
    }

    #[test]
    fn a_number_that_no_code_wrote_is_an_error_that_names_the_table() {
        let row = ContainerRow {
            container: ContainerId::from_random(1),
            spec: SpecId(1),
            created: Millis(1),
            kind: None,
            state: Life::Warm { since: Millis(1) },
        };
        for number in [-1.0, 0.5, f64::NAN, f64::INFINITY, 9_007_199_254_740_992.0] {
            let numbers: [fn(&mut ContainerColumns) -> &mut f64; 2] =
                [|columns| &mut columns.created, |columns| columns.since.as_mut().unwrap()];
            for column in numbers {
                let mut columns = ContainerColumns::of(&row);
                *column(&mut columns) = number;
                let error = columns.into_row().unwrap_err().to_string();
                assert!(error.contains("containers"), "{error}");
            }
            let numbers: [fn(&mut ChannelColumns) -> &mut f64; 4] = [
                |columns| &mut columns.sibling,
                |columns| &mut columns.sent,
                |columns| &mut columns.received,
                |columns| &mut columns.paid,
            ];
            for column in numbers {
                let mut columns = ChannelColumns::of(ShardIndex(1), Channel::default());
                *column(&mut columns) = number;
                let error = columns.into_channel().unwrap_err().to_string();
                assert!(error.contains("channels"), "{error}");
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
