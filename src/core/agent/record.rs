//! What an agent stores: one record, rewritten whole on the few occasions in a container's life when it changes.

use serde::{Deserialize, Serialize};

use super::fence::LeaseKey;
use crate::config::resolved::{Millis, Start};
use crate::core::failure::StartFailure;
use crate::core::id::{ContainerId, ShardId};

/// What the owner asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// The container's own name.
    pub container: ContainerId,
    /// The shard that has it on its books: it grants leases and hears of the end. Changes when the container changes hands: by
    /// a start request of the next owner, or by the word of the one before.
    pub owner: ShardId,
    /// What to start, and when it is ready.
    pub start: Start,
    /// How long it may be idle before it stops itself.
    pub sleep_after: Millis,
    /// The longest lease, whatever the owner grants.
    pub lease_ttl: Millis,
    /// How long after SIGTERM it is destroyed.
    pub drain_timeout: Millis,
}

/// The stored state of an object that was ever asked anything but its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What was asked for; none when it was told to stop before it was told to start.
    pub orders: Option<Orders>,
    /// Where it is in its life.
    pub life: Life,
    /// When it got there, in ms since 1970.
    pub since: Millis,
    /// The id it serves, from the first lease on and for ever.
    pub binding: Option<LeaseKey>,
    /// No traffic or renewal is known after this, in ms since 1970; behind by up to a quarter of `sleep_after`.
    pub active_at: Millis,
    /// The exit code, where the process ended by itself with one.
    pub exit_code: Option<i32>,
    /// Why it never became ready.
    pub failure: Option<StartFailure>,
}

/// Where a container is in its life. Times are in ms since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// The start was ordered; it must be ready in time.
    Starting {
        /// When waiting ends.
        ready_by: Millis,
    },
    /// It serves.
    Ready,
    /// It got SIGTERM, or has ended; it is not yet confirmed gone.
    Stopping {
        /// When patience ends and it is destroyed.
        destroy_at: Millis,
    },
    /// It is gone.
    Stopped(End),
}

/// The end, and who knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When it was confirmed, in ms since 1970.
    pub at: Millis,
    /// Whether the owner still has to be told.
    pub report: Report,
}

/// Whether the owner knows of the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// It has not acknowledged it yet.
    Owed,
    /// It has, or there is no owner.
    Settled,
}
