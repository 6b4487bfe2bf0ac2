//! A container as the shard sees it: the row that is written, and what is known of it only while in memory.
//!
//! `Starting -> Warm -> Assigned -> Draining -> gone`; `Starting -> Draining` on a failed start, `Warm -> Draining` on
//! shrink, recycle and shutdown. There is no way back: one that was assigned, or is draining, is never warm again. From each it can
//! go to a sibling: `Moving -> off these books`, and goes on there in the same state, but that a warm one is asked to start
//! first, which tells it its new owner.

use serde::{Deserialize, Serialize};

use super::message::{ContainerKind, DrainCause, SpecId};
use crate::config::resolved::Millis;
use crate::core::failure::StartFailure;
use crate::core::id::{ContainerId, Epoch, SessionId, ShardIndex};

/// All that is durable of a container. Written before the call that acts on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerRow {
    /// The container.
    pub container: ContainerId,
    /// What it was started as.
    pub spec: SpecId,
    /// When its row was first written.
    pub created: Millis,
    /// What answers for it; known once it has started.
    pub kind: Option<ContainerKind>,
    /// Where it is in its life.
    pub state: State,
}

/// Where a container is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Its start was asked for.
    Starting,
    /// Ready for an id.
    Warm {
        /// Since when.
        since: Millis,
    },
    /// Serving an id.
    Assigned {
        /// Whom.
        id: SessionId,
        /// At which epoch.
        epoch: Epoch,
        /// Since when.
        since: Millis,
    },
    /// On its way out; on the books until confirmed gone.
    Draining {
        /// The id whose next container must wait because this one may still serve it.
        blocks: Option<SessionId>,
        /// Why.
        cause: DrainCause,
        /// How far.
        phase: DrainPhase,
    },
    /// Handed over to a sibling: no longer this shard's to use, and on its books until the sibling has it on its own.
    Moving {
        /// To whom.
        to: ShardIndex,
        /// Counts what goes there, from 1.
        seq: u64,
        /// The generation of the credit that goes along; none where there was no limit, or no credit.
        credit: Option<u64>,
        /// The state it arrives in.
        was: Box<State>,
    },
}

impl State {
    /// The id that a container in this state has.
    pub(super) fn assigned_to(&self) -> Option<&SessionId> {
        match self {
            Self::Assigned { id, .. } => Some(id),
            Self::Starting | Self::Warm { .. } | Self::Draining { .. } | Self::Moving { .. } => None,
        }
    }

    /// The id that a container in this state has, or may still serve. None for one that is being handed over: that is the sibling's
    /// concern.
    pub(super) fn concerns(&self) -> Option<&SessionId> {
        match self {
            Self::Assigned { id, .. } => Some(id),
            Self::Draining { blocks, .. } => blocks.as_ref(),
            Self::Starting | Self::Warm { .. } | Self::Moving { .. } => None,
        }
    }
}

/// How far a drain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DrainPhase {
    /// It has SIGTERM, or is being sent it, and until the deadline.
    Stopping {
        /// When it is destroyed.
        deadline: Millis,
    },
    /// It is being destroyed, as often as it takes.
    Destroying,
}

/// A container with what is known of it only while the shard is in memory.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub row: ContainerRow,
    /// The call that is under way, if any.
    pub pending: Option<Pending>,
    /// Calls in a row that proved nothing.
    pub failures: u32,
    /// Definite negatives in a row.
    pub negatives: u32,
    /// Whether a stop has reached it.
    pub stop_arrived: bool,
    /// No lease the container holds ends later than this. Right after loading, the latest it could be.
    pub lease_until: Millis,
    /// Since when it has not answered, if the last call to it was not.
    pub silent_since: Option<Millis>,
    /// When this shard first asked it to start, or was loaded.
    pub known_since: Millis,
    /// What the last call said that did not settle its start.
    pub last_error: Option<Box<StartFailure>>,
    /// It came warm from a sibling, and is told its new owner first.
    pub borrowed: bool,
    /// It may run though nothing is known of this shard's calls to it: it was on the books before the shard was loaded, or came from a
    /// sibling.
    pub may_run: bool,
}

/// A call under way to a container object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Start,
    Stop,
    Destroy,
    Check,
}

impl Slot {
    pub fn new(row: ContainerRow, now: Millis, lease_until: Millis) -> Self {
        Self {
            row,
            pending: None,
            failures: 0,
            negatives: 0,
            stop_arrived: false,
            lease_until,
            silent_since: None,
            known_since: now,
            last_error: None,
            borrowed: false,
            may_run: false,
        }
    }

    /// Whether it checks id and epoch itself.
    pub fn is_fenced(&self) -> bool {
        self.row.kind == Some(ContainerKind::Agent)
    }

    /// Whether this id has it.
    pub fn has(&self, id: &SessionId) -> bool {
        self.row.state.assigned_to() == Some(id)
    }

    /// It proved to be reachable.
    pub fn contact(&mut self) {
        self.silent_since = None;
        self.failures = 0;
    }

    /// A call to it proved nothing. Returns how many did so in a row.
    pub fn missed(&mut self, now: Millis) -> u32 {
        self.silent_since.get_or_insert(now);
        self.failures = self.failures.saturating_add(1);
        self.failures
    }
}
