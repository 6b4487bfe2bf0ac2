//! What shards of a pool say to each other about containers that change hands.
//!
//! Handing over is in two phases. The giver writes down that a container is [`Moving`](super::State::Moving), under the next number of its
//! channel to the receiver, and from then on neither uses it nor takes it back; it sends it as often as it takes. The receiver
//! takes what follows the last number it has, writes both down in one transaction, and says so; then the giver forgets it. So
//! a message that is lost, late, or comes twice neither leaks a container nor shares one.
//!
//! A container brings its credit along, so that it may come at any time. A borrower that has one to spare pays it back with
//! its receipt: else credits would gather where containers are borrowed, and lenders run out of them.

use serde::{Deserialize, Serialize};

use super::message::{ContainerKind, Spec};
use super::slot::State;
use crate::config::resolved::Millis;
use crate::core::id::{ContainerId, ShardIndex};
use crate::core::plan::{Plan, PlanVersion};

/// How far a channel between two shards is. Durable, and never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// The number of the last parcel that was sent to the sibling; 0 before the first.
    pub sent: u64,
    /// The number of the last parcel that came from it.
    pub received: u64,
    /// Credits that were paid back to the sibling, for containers that it lent.
    pub paid: Paid,
    /// Those that the sibling is known to have paid back.
    pub repaid: Paid,
}

/// Credits that were paid back by one shard to another: a total that only grows, within a generation of credits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Paid {
    /// Of which generation.
    pub generation: u64,
    /// How many.
    pub total: u64,
}

impl Paid {
    /// One more, of this generation.
    pub(super) fn add(&mut self, generation: u64) {
        let total = if self.generation == generation { self.total } else { 0 };
        *self = Self { generation, total: total + 1 };
    }

    /// Takes a later total. Returns how many it is more.
    pub(super) fn hear(&mut self, later: Self) -> u64 {
        let known = if self.generation == later.generation { self.total } else { 0 };
        if later.generation < self.generation || later.total <= known {
            return 0;
        }
        *self = later;
        later.total - known
    }
}

/// What a shard answers that was handed something over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// All up to this number are here and written down.
    pub up_to: u64,
    /// The credits that it has paid back so far.
    #[serde(default)]
    pub paid: Paid,
}

/// Everything that is on its way from one shard to another, first sent first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Who sends it.
    pub from: ShardIndex,
    /// The plan it goes by, as the receiver's.
    pub plan: Plan,
    /// The credits that the sender has paid back to the receiver so far: what lends to and fro may never see a receipt.
    #[serde(default)]
    pub paid: Paid,
    /// What it sends.
    pub parcels: Vec<Parcel>,
}

/// A container that changes hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parcel {
    /// Its number in the channel.
    pub seq: u64,
    /// The container.
    pub container: ContainerId,
    /// What it was started as.
    pub spec: Spec,
    /// When its row was first written.
    pub created: Millis,
    /// What answers for it, where that is known.
    #[serde(default)]
    pub kind: Option<ContainerKind>,
    /// Where it is in its life; never `Moving`.
    pub state: State,
    /// The generation of the credit that goes along; none where there is no limit, or its giver had no credit for it.
    #[serde(default)]
    pub credit: Option<u64>,
}

/// The answer to a sibling that asks for a warm container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BorrowReply {
    /// Whether one is on its way.
    pub lent: bool,
    /// How many are still warm here.
    pub left: u32,
}

/// The answer to a sibling that owns an id by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PullReply {
    /// There is something of the id, and it is on its way.
    Coming,
    /// There is nothing of it, and never will be.
    Nothing {
        /// The plan by which that is so.
        plan: PlanVersion,
        /// There is nothing left that has to go to the sibling.
        drained: bool,
    },
    /// By the plan of this shard the id is not the sibling's: it is to work by that one, too.
    Outdated {
        /// The plan, as the sibling's.
        plan: Option<Box<Plan>>,
    },
}

/// The warm target that the coordinator has set. Durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// For which plan: under another it is not right any more.
    pub plan: PlanVersion,
    /// Containers to keep warm.
    pub warm_target: u32,
}
