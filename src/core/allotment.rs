//! What the coordinator allots a shard besides its plan, and what a shard tells it in return.
//!
//! **Credits.** A container may be started, in whatever state it will be, only on a credit; there are as many as the pool may have
//! containers. They start spread evenly by [`CreditTerms`], which every shard can work out for itself, and move in three ways:
//! the coordinator gives some, a shard returns some, a container that changes shards takes its own along. What was given and
//! what was returned are totals that only grow, so that a message that is lost, late or comes twice neither makes a credit nor
//! loses one (the escrow of bounded counters, Balegas and others 2015). A credit that is in use is never taken back, and an
//! unused one only by its shard's own doing: so the sum holds whatever fails, and no lease has to run out for it.
//!
//! All else here is advice: it may be old, and costs a detour at worst.

use serde::{Deserialize, Serialize};

use super::id::{ShardId, ShardIndex};
use super::plan::PlanVersion;
use super::share;
use super::stats::Counts;
use crate::config::resolved::{Millis, ShardCount};

/// The credits with which a pool's shards began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreditTerms {
    /// Tells one beginning from the next: what was given and returned under another counts no more. 0 for terms by code
    /// alone, of which the coordinator knows nothing.
    pub generation: u64,
    /// How many there were, over all shards.
    pub total: u32,
    /// Over how many shards they were spread; any other began with none.
    pub shards: ShardCount,
}

impl CreditTerms {
    /// With how many a shard began.
    pub fn base(&self, index: ShardIndex) -> u32 {
        share::even(self.total, self.shards, index)
    }
}

/// What a shard says of itself: once per refresh, when it lacks credits, and when it is asked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShardReport {
    /// Who reports.
    pub shard: ShardId,
    /// The plan it works by; none when it has none yet.
    #[serde(default)]
    pub plan: Option<PlanVersion>,
    /// How it stands; none without a plan.
    #[serde(default)]
    pub standing: Option<Standing>,
}

/// How a shard stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Standing {
    /// How many shards there are by the plan it works by; none from older code.
    pub shards: Option<ShardCount>,
    /// While ids move by it to other shards: how many there were before.
    pub from: Option<ShardCount>,
    /// Its containers.
    pub counts: Counts,
    /// Of those, how many have to go to another shard by the plan it works by; 0 for one that has nothing left to move.
    pub to_move: u32,
    /// Ids that wait for a container.
    pub waiting: u32,
    /// How long the first of them has waited.
    pub waiting_for: Millis,
    /// Containers that it would start for ids that wait, if it had the credits.
    pub lacking: u32,
    /// Containers that it would start for its stock, if it had the credits.
    pub stock_lacking: u32,
    /// Containers that it keeps warm.
    pub warm_target: u32,
    /// Ids that asked for a container, per 1,000 s, lately.
    pub demand: u64,
    /// Its credits; none where there is no limit.
    pub credits: Option<CreditReport>,
    /// For how long it will believe that the platform has no room for more; none when it does not.
    pub no_room_for: Option<Millis>,
}

/// A shard's credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreditReport {
    /// Of which beginning.
    pub generation: u64,
    /// All that it was ever given, as far as it has heard.
    pub given: u64,
    /// All that it ever returned.
    pub returned: u64,
    /// Unused ones that it has and has no use for now.
    pub spare: u32,
}

/// What a shard is allotted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allotment {
    /// The plan for which it was worked out: under another its target is no longer right.
    pub plan: PlanVersion,
    /// Containers to keep warm; over all shards they sum to the pool's target.
    pub warm_target: u32,
    /// The credits it was ever given; none where there is no limit.
    #[serde(default)]
    pub credits: Option<Grant>,
    /// Other shards wait for credits, or the limit was lowered: for so long, what is spare is returned at once.
    #[serde(default)]
    pub recall: Millis,
    /// What is called back is beyond a lowered limit: what ids wait for goes as well.
    #[serde(default)]
    pub over: bool,
    /// The limit was lowered: so many warm containers are to go, beyond those over the target.
    #[serde(default)]
    pub excess: u32,
    /// The platform has no room, and another shard tries whether it has again: for so long, nothing is started.
    #[serde(default)]
    pub hold: Millis,
    /// Siblings that have warm containers, as far as is known, the best to ask first.
    #[serde(default)]
    pub stocked: Vec<Stocked>,
}

/// All credits that a shard was ever given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Of which beginning.
    pub generation: u64,
    /// How many, from the beginning on.
    pub given: u64,
    /// How many of those it has returned the coordinator has written down.
    #[serde(default)]
    pub returned: u64,
}

/// A sibling's stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stocked {
    /// Which.
    pub shard: ShardIndex,
    /// How many were warm when it last said so.
    pub warm: u32,
    /// How many it keeps warm.
    pub target: u32,
}
