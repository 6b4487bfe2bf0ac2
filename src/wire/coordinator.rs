//! To the coordinator, from shards, gateways and the admin API.

use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use crate::config::resolved::{Config, PoolName, ShardCount};
pub use crate::core::allotment::{Allotment, CreditTerms, ShardReport};
pub use crate::core::coordinator::ConfigSource;
use crate::core::gateway::InForce;
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

/// A configuration with its version: the answer of `plan` (when it differs from the known one), `getConfig`, `putConfig` (whose
/// argument is a resolved [`Config`] that the gateway has checked) and `deleteConfig`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigView {
    /// The version.
    pub version: PlanVersion,
    /// Where it came from.
    pub source: ConfigSource,
    /// The configuration. Each pool's `shards` is the count in force.
    pub config: Config,
    /// Pools whose ids are moving to other shards: how many shards there were before.
    #[serde(default)]
    pub moving_from: BTreeMap<PoolName, ShardCount>,
    /// The terms of the credits of each pool that has a limit: with them whoever knows this can make a shard's plan.
    #[serde(default)]
    pub credits: BTreeMap<PoolName, CreditTerms>,
}

impl From<ConfigView> for InForce {
    fn from(view: ConfigView) -> Self {
        let ConfigView { version, source, config, moving_from, credits } = view;
        Self { version, source, config, moving_from, credits }
    }
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
