//! How an id came by its container, and why one was refused: the closed sets that callers, metrics and events share.

use serde::{Deserialize, Serialize};

use super::id::{ContainerId, Epoch, ShardIndex};
use super::plan::PlanVersion;
use crate::config::resolved::BindingName;

/// How an id came by its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It had it already.
    Sticky,
    /// From this shard's warm stock.
    Warm,
    /// From another shard's warm stock.
    Borrowed,
    /// A container had to start first.
    Cold,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sticky, Self::Warm, Self::Borrowed, Self::Cold];

    /// The word used in headers and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sticky => "sticky",
            Self::Warm => "warm",
            Self::Borrowed => "borrowed",
            Self::Cold => "cold",
        }
    }
}

/// Why an id got another container than before, or why none was warm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The shard's share of the warm target is 0.
    NoWarmTarget,
    /// The shard has not yet filled its stock for the first time.
    Filling,
    /// Warm containers were taken faster than new ones started.
    Exhausted,
    /// The shard had as many containers as it may have.
    AtCapacity,
    /// Starts are failing and wait for their backoff.
    StartsFailing,
    /// The id's former container stopped.
    ContainerStopped,
    /// The id's former container could not be reached for so long that it was given up.
    ContainerUnreachable,
}

impl Reason {
    /// The word used in headers and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoWarmTarget => "no-warm-target",
            Self::Filling => "filling",
            Self::Exhausted => "exhausted",
            Self::AtCapacity => "at-capacity",
            Self::StartsFailing => "starts-failing",
            Self::ContainerStopped => "container-stopped",
            Self::ContainerUnreachable => "container-unreachable",
        }
    }
}

/// An id's container, and how it came by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// The container; its Durable Object has this name.
    pub container: ContainerId,
    /// The epoch of the assignment: with the id, what the container's fence compares.
    pub epoch: Epoch,
    /// Whether the container checks id and epoch itself (the Rust agent does, JS classes do not).
    pub fenced: bool,
    /// How the id came by it.
    pub outcome: Outcome,
    /// Why it is not the one before, or why it was not warm.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Reason>,
    /// The shard that owns the id.
    pub shard: ShardIndex,
    /// The Durable Object binding of the container's class, whatever the pool's configuration names now. A shard always tells it;
    /// none comes only from one that runs older code, and then nobody knows it for certain.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub binding: Option<BindingName>,
}

/// Why an id got no container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The shard has as many containers as it may have, and none came free in time.
    AtCapacity,
    /// Containers were starting, but none was ready in time.
    Timeout,
    /// Containers of this pool do not start; the message has the last error.
    StartFailed,
    /// More callers wait than the shard can hold.
    Overloaded,
    /// The id belongs to another shard under the plan in force.
    WrongShard,
    /// The pool is in no configuration that the shard knows.
    UnknownPool,
}

impl RefusalCode {
    /// The word used in stats and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtCapacity => "at_capacity",
            Self::Timeout => "timeout",
            Self::StartFailed => "start_failed",
            Self::Overloaded => "overloaded",
            Self::WrongShard => "wrong_shard",
            Self::UnknownPool => "unknown_pool",
        }
    }
}

/// A refusal, for the caller to act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// What kind.
    pub code: RefusalCode,
    /// What happened and what to do, for people.
    pub message: String,
    /// After how long a retry has a chance.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after_millis: Option<u64>,
    /// With [`RefusalCode::WrongShard`]: the plan that says so. A caller that knows a newer one tells the shard.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan: Option<PlanVersion>,
    /// With [`RefusalCode::WrongShard`]: the shard count in force.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shards: Option<u32>,
}
