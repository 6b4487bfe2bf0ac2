//! To a shard, from clients, from containers, and from its siblings.

use serde::{Deserialize, Serialize};

use crate::core::id::{ContainerId, SessionId, ShardIndex};
use crate::core::outcome::{Assignment, Refusal};
use crate::core::plan::{CodeVersion, Plan, PlanVersion};
pub use crate::core::shard::{BorrowReply, Delivery, PullReply, Receipt};

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
    /// The caller has the pool's settings from its code, and does not know yet whether the shard works by them. One that does not
    /// answers `unknown_pool`, and is to be told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<CodeVersion>,
}

/// The argument of `configure` where the shard is to find the binding of the container class by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassPlan {
    /// The plan, but for the binding: that is a guess.
    pub plan: Plan,
    /// What the class's namespace gives a name that is agreed upon, as text.
    pub class: String,
    /// Whether the binding is no guess: somebody has named it.
    #[serde(default)]
    pub named: bool,
}

/// The answer of `configure` to a [`ClassPlan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClassReply {
    /// The version that the shard works by.
    Heeded(PlanVersion),
    /// No binding leads to the class, or more than one: what to mend, for people.
    Mistake(String),
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

/// The second argument of `reportStopped`: who else may be asked for a container that is not on the shard's books. None, as from
/// code of an application: everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Forwarded {
    /// Only the shard to which it is being handed over.
    ToOwner,
    /// Nobody: another shard asks.
    BySibling,
}
