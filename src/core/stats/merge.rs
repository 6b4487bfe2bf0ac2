//! How the shards' numbers become the pool's.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cost::Cost;
use super::counters::{ByState, Counters, Detail};
use super::histogram::Summary;
use super::{Counts, ShardStats};
use crate::config::resolved::{Pool, PoolName, Prices};
use crate::core::failure::FailureClass;
use crate::core::id::ShardIndex;
use crate::core::outcome::Outcome;
use crate::core::sorted::Map;

/// What the shards of a pool say together. The pool's name and configuration stand beside it in the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MergedStats {
    /// The pool's containers.
    #[serde(flatten)]
    pub counts: Counts,
    /// How many are kept warm over all shards.
    pub warm_target: u32,
    /// Callers that wait.
    pub waiting: u32,
    /// How long until the last shard tries a start again, in ms; 0 when nothing holds starts back.
    pub backoff_millis: u64,
    /// Whether a shard's breaker is open.
    pub breaker_open: bool,
    /// What has happened since the pool's beginning.
    #[serde(flatten)]
    pub counters: Counters,
    /// Every answer to a caller, by outcome and reason; without those that there were none of.
    pub acquires: Vec<Acquires>,
    /// How long answers and starts took.
    pub latencies: Latencies,
    /// The last start that failed of each class.
    pub last_errors: Map<FailureClass, LastErrorOf>,
    /// How long containers were in each state, together, in seconds.
    pub container_seconds: ByState<f64>,
    /// What they cost, but for CPU.
    pub cost: Cost,
    /// How many times the average the shard has that has the most assigned containers: 1 when all have the same. None when
    /// there are none.
    pub imbalance: Option<f64>,
    /// Of the ids that got a container, the part (0 to 1) for which it was borrowed. None when there were none.
    pub borrow_rate: Option<f64>,
    /// Whether every shard answered. The containers leave out those of shards that did not.
    pub complete: bool,
    /// Whether what was counted is known of every shard: of one that did not answer, what it said last is taken. When not, counters
    /// may be less than they were before.
    pub counters_complete: bool,
    /// Shards that did not answer.
    pub missing: Vec<ShardIndex>,
    /// Each shard that did.
    pub shards: Vec<ShardStats>,
}

/// Answers of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Acquires {
    /// How an id came by its container, or `refused`.
    #[cfg_attr(test, schemars(extend("enum" = ["sticky", "warm", "borrowed", "cold", "refused"])))]
    pub outcome: String,
    /// Why it was not a warm one or not the one before; or why there was none.
    pub reason: Option<String>,
    /// How many.
    pub count: u64,
}

/// How long things took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Latencies {
    /// From the question to the shard's answer with a container, by outcome; all four of them.
    pub acquire: Map<Outcome, Summary>,
    /// From the first asking for a start to ready.
    pub start: Summary,
}

/// A start that failed, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LastError"))]
#[serde(rename_all = "camelCase")]
pub struct LastErrorOf {
    /// What happened, for people.
    pub message: String,
    /// When, in ms since 1970.
    pub at: u64,
    /// In which shard.
    pub shard: ShardIndex,
}

/// What the shards of a pool have answered.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Those in force that did.
    pub answered: Vec<ShardStats>,
    /// Those that did not.
    pub missing: Vec<ShardIndex>,
    /// What others have said last: those that are missing, and those that are no more. Only what they have counted is taken.
    pub remembered: Vec<ShardStats>,
    /// Whether there are some of which nothing is remembered.
    pub forgotten: bool,
}

/// What answers are merged under.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'t> {
    /// The pool's settings in force.
    pub pool: &'t Pool,
    /// What memory and disk cost.
    pub prices: &'t Prices,
}

impl MergedStats {
    /// The numbers beside the pool's name and configuration, as the admin API and clients have them.
    ///
    /// # Errors
    ///
    /// None in practice: every number can be told.
    pub fn document(&self, name: &PoolName, pool: &Pool) -> Result<serde_json::Map<String, Value>, serde_json::Error> {
        let mut document: serde_json::Map<String, Value> = serde_json::from_str(&serde_json::to_string(self)?)?;
        let failed: serde_json::Map<String, Value> = self
            .counters
            .starts_failed
            .iter()
            .map(|(class, &count)| (class.as_str().to_owned(), count.into()))
            .collect();
        let starts = json!({
            "ready": self.counters.starts_ready,
            "retried": self.counters.starts_retried,
            "failed": failed,
        });
        document.insert("name".to_owned(), name.as_str().into());
        document.insert("config".to_owned(), pool.to_stats_json());
        document.insert("maxInstances".to_owned(), pool.max_instances.into());
        document.insert("starts".to_owned(), starts);
        Ok(document)
    }
}

/// Merges what a pool's shards have answered.
pub fn merge(terms: Terms<'_>, answers: Answers) -> MergedStats {
    let Answers { answered: mut shards, missing, remembered, forgotten } = answers;
    let (mut counts, mut counters, mut detail) = (Counts::default(), Counters::default(), Detail::default());
    let mut last_errors = Map::new();
    for shard in shards.iter().chain(&remembered) {
        counters.add(&shard.counters);
        if let Some(other) = &shard.detail {
            detail.add(other);
            note_errors(&mut last_errors, shard.shard, other);
        }
    }
    let (mut waiting, mut backoff_millis, mut breaker_open) = (0, 0, false);
    for shard in &mut shards {
        counts.add(&shard.counts);
        waiting += shard.waiting;
        backoff_millis = shard.backoff_millis.max(backoff_millis);
        breaker_open |= shard.breaker_open;
        // It stands once, for all.
        shard.detail = None;
    }
    MergedStats {
        counts,
        warm_target: terms.pool.warm_target,
        waiting,
        backoff_millis,
        breaker_open,
        acquires: acquires(&counters, &detail),
        latencies: latencies(&detail),
        last_errors,
        container_seconds: detail
            .container_millis
            .with(&ByState::<()>::default(), |millis, ()| millis as f64 / 1_000.0),
        cost: Cost::of(terms.pool.instance_type, terms.prices, &counts, &detail.container_millis),
        imbalance: imbalance(&shards),
        borrow_rate: borrow_rate(&counters),
        counters,
        complete: missing.is_empty(),
        counters_complete: !forgotten,
        missing,
        shards,
    }
}

fn note_errors(last: &mut Map<FailureClass, LastErrorOf>, shard: ShardIndex, detail: &Detail) {
    for (&class, error) in &detail.last_errors {
        let at = error.at.0;
        if last.get(&class).is_none_or(|other| other.at <= at) {
            last.insert(class, LastErrorOf { message: error.message.clone(), at, shard });
        }
    }
}

fn acquires(counters: &Counters, detail: &Detail) -> Vec<Acquires> {
    let mut all = Vec::new();
    let mut put = |outcome: &str, reason: Option<&str>, count: u64| {
        if count > 0 {
            all.push(Acquires { outcome: outcome.to_owned(), reason: reason.map(str::to_owned), count });
        }
    };
    for (outcome, &count) in &counters.outcomes {
        let reasons = detail.because.get(outcome);
        let with_reason: u64 = reasons.into_iter().flat_map(|reasons| reasons.values()).sum();
        put(outcome.as_str(), None, count.saturating_sub(with_reason));
        for (reason, &count) in reasons.into_iter().flatten() {
            put(outcome.as_str(), Some(reason.as_str()), count);
        }
    }
    for (code, &count) in &counters.refusals {
        put("refused", Some(code.as_str()), count);
    }
    all
}

fn latencies(detail: &Detail) -> Latencies {
    let of = |outcome| (outcome, detail.acquire.get(&outcome).cloned().unwrap_or_default().summary());
    let acquire = Outcome::ALL.into_iter().map(of).collect();
    Latencies { acquire, start: detail.start.summary() }
}

fn imbalance(shards: &[ShardStats]) -> Option<f64> {
    let assigned = shards.iter().map(|shard| shard.counts.assigned);
    let (most, sum) = (assigned.clone().max()?, assigned.map(u64::from).sum::<u64>());
    (sum > 0).then(|| f64::from(most) * shards.len() as f64 / sum as f64)
}

fn borrow_rate(counters: &Counters) -> Option<f64> {
    let count = |outcome: Outcome| counters.outcomes.get(&outcome).copied().unwrap_or_default();
    let (borrowed, others) = (count(Outcome::Borrowed), count(Outcome::Warm) + count(Outcome::Cold));
    (borrowed + others > 0).then(|| borrowed as f64 / (borrowed + others) as f64)
}
