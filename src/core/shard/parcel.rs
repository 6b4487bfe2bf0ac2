//! What shards of a pool say to each other about containers that change hands.
//!
//! Handing over is in two phases. The giver writes down that a container is [`Moving`](super::State::Moving), under the next number of its
//! channel to the receiver, and from then on neither uses it nor takes it back; it sends it as often as it takes. The receiver
//! takes what follows the last number it has, writes both down in one transaction, and says so; then the giver forgets it. So
//! a message that is lost, late, or comes twice neither leaks a container nor shares one.

use serde::{Deserialize, Serialize};

use super::message::{ContainerKind, Spec};
use super::slot::State;
use crate::config::resolved::Millis;
use crate::core::id::{ContainerId, Epoch, ShardIndex};
use crate::core::plan::{Plan, PlanVersion};

/// How far a channel between two shards is. Durable, and never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// The number of the last parcel that was sent to the sibling; 0 before the first.
    pub sent: u64,
    /// The number of the last parcel that came from it.
    pub received: u64,
}

/// Everything that is on its way from one shard to another, first sent first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Who sends it.
    pub from: ShardIndex,
    /// The plan it goes by, as the receiver's.
    pub plan: Plan,
    /// The sender has given no id an epoch as high as this.
    pub epochs_below: Epoch,
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
    /// The generation of the credit that goes along; none where there is no limit.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PullReply {
    /// There is something of the id, and it is on its way.
    Coming,
    /// There is nothing of it, and never will be.
    Nothing {
        /// No id was given an epoch as high as this.
        epochs_below: Epoch,
        /// There is nothing left that has to go to the sibling.
        drained: bool,
    },
    /// This shard works by a newer plan, by which the id is not the sibling's; none can be said to be.
    Outdated,
}

/// The warm target that the coordinator has set. Durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// For which plan: under another it is not right any more.
    pub plan: PlanVersion,
    /// Containers to keep warm.
    pub warm_target: u32,
}
