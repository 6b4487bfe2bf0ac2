//! To a shard, from clients and from containers.

use serde::{Deserialize, Serialize};

use crate::core::id::{ContainerId, SessionId, ShardIndex};
use crate::core::outcome::{Assignment, Refusal};
use crate::core::plan::Plan;
pub use crate::core::shard::{BorrowReply, Delivery, PullReply};

/// The argument of `acquire`: `getContainer` with what a client of ours knows besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcquireRequest {
    /// Who wants a container.
    pub id: SessionId,
    /// The shard count the caller chose the shard by. Another count in force is answered with `wrong_shard`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shards: Option<u32>,
    /// A container of this id that the caller could not reach: the shard looks at it at once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suspect: Option<ContainerId>,
}

/// The answer of `acquire`. (`getContainer` answers the assignment, or throws the refusal.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AcquireReply {
    /// The id has this container.
    Assigned(Assignment),
    /// It has none.
    Refused(Refusal),
}

/// The argument of `borrow`: a sibling asks for a warm container. Answered by a [`BorrowReply`]; the container comes by `receive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BorrowRequest {
    /// Who asks.
    pub to: ShardIndex,
}

/// The argument of `pull`: a sibling asks for all there is of an id that it owns by now. Answered by a [`PullReply`]; what there
/// is comes by `receive`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequest {
    /// The id.
    pub id: SessionId,
    /// Who asks.
    pub to: ShardIndex,
    /// The plan that says so, as the asked shard's.
    pub plan: Plan,
}

/// The answer of `receive`, whose argument is a [`Delivery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiveReply {
    /// All up to this number are here and written down.
    pub up_to: u64,
}
