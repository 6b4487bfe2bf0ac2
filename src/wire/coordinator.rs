//! To the coordinator, from shards, gateways and the admin API.

use serde::{Deserialize, Serialize};

pub use crate::core::allotment::{Allotment, CreditTerms, ShardReport};
/// The answer of `plan` (when its version differs from the known one), `getConfig`, `changeConfig` and, for gateways of former code,
/// `putConfig` and `deleteConfig`.
pub use crate::core::coordinator::InForce as ConfigView;
/// `changeConfig`: a change, whose configuration the gateway has checked.
pub use crate::core::coordinator::{Ask, Change, ConfigSource};
/// The argument of `record`, which answers the highest number that it has of this shard's batches.
pub use crate::core::journal::Batch;
/// The argument of `events`, which answers `{events, next, dropped}`, or null where there never was such a pool.
pub use crate::core::journal::Query as EventQuery;
use crate::core::plan::{Plan, PlanVersion};

/// The answer to a [`ShardReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportReply {
    /// Whether the shard works by the plan in force.
    pub plan: PlanNews,
    /// What it is allotted; none before it has a plan.
    #[serde(default)]
    pub allotment: Option<Allotment>,
}

/// Whether a shard works by the plan in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PlanNews {
    /// The shard's plan is the one in force.
    Current,
    /// Work by this one from now on.
    Changed(Box<Plan>),
    /// The pool is in no configuration and never was.
    UnknownPool,
}

/// `plan`: a gateway asks whether the configuration it routes by is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanQuestion {
    /// The version it routes by.
    pub known: PlanVersion,
}

/// The answer of `plan`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PlanReply {
    /// The known version is in force.
    Current,
    /// This one is.
    Changed(Box<ConfigView>),
}

/// The answer of `changeConfig`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeReply {
    /// This is in force now.
    InForce(Box<ConfigView>),
    /// Nothing was changed: another version is in force than those that the change was asked for over.
    Stale {
        /// The one in force.
        version: u64,
    },
}
