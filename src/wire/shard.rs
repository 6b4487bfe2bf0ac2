//! To a shard, from clients and from containers.

use serde::{Deserialize, Serialize};

use crate::core::id::{ContainerId, SessionId};
use crate::core::outcome::{Assignment, Refusal};

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
