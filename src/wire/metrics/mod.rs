//! The pools' numbers as metrics for Prometheus.
//!
//! - Labels come from small closed sets, pools and shards; never an id or a container. A pool has at most 127 series, and 6 more for
//!   each shard: 1,663 with 256 shards.
//! - A counter is told only while it is known of every shard, for one that falls is taken for a restart, and all of it counted again.
//! - What a coordinator of older code does not tell is left out, rather than told as 0.

mod exposition;

use prometheus::proto::Metric;
use serde_json::Value;

pub use self::exposition::CONTENT_TYPE;
use self::exposition::{Exposition, Kind, Labels, counter, gauge};
use crate::core::failure::FailureClass;
use crate::core::outcome::{Outcome, Reason, RefusalCode};
use crate::core::stats::BOUNDS;

/// The states of a container.
const STATES: [&str; 5] = ["starting", "warm", "assigned", "draining", "moving"];
/// Told as 0 until there is one: a counter that begins above 0 is an increase nobody sees.
const COLD: [Reason; 7] = [
    Reason::NoWarmTarget,
    Reason::Filling,
    Reason::Exhausted,
    Reason::AtCapacity,
    Reason::StartsFailing,
    Reason::ContainerStopped,
    Reason::ContainerUnreachable,
];
/// The same.
const REFUSED: [RefusalCode; 6] = [
    RefusalCode::AtCapacity,
    RefusalCode::Timeout,
    RefusalCode::StartFailed,
    RefusalCode::Overloaded,
    RefusalCode::WrongShard,
    RefusalCode::UnknownPool,
];
/// The same.
const FAILURES: [FailureClass; 6] = [
    FailureClass::Capacity,
    FailureClass::Transient,
    FailureClass::Permanent,
    FailureClass::NotReady,
    FailureClass::Exited,
    FailureClass::Unknown,
];

/// The text for a scrape, of the stats documents of all pools.
///
/// # Errors
///
/// None in practice: every number can be told.
pub fn exposition(documents: &[Value]) -> prometheus::Result<String> {
    let named = |document| Some(Pool { name: text(document, "name")?, document });
    let pools: Vec<Pool<'_>> = documents.iter().filter_map(named).collect();
    let known: Vec<Pool<'_>> = pools.iter().copied().filter(Pool::knows_its_counters).collect();
    let mut out = Exposition::default();
    gauges(&mut out, &pools);
    counters(&mut out, &known);
    histograms(&mut out, &known);
    shards(&mut out, &pools);
    out.into_text()
}

/// A pool's stats document.
#[derive(Clone, Copy)]
struct Pool<'d> {
    name: &'d str,
    document: &'d Value,
}

impl Pool<'_> {
    fn knows_its_counters(&self) -> bool {
        flag(self.document, "countersComplete") == Some(true)
    }
}

fn gauges(out: &mut Exposition, pools: &[Pool<'_>]) {
    let of_state =
        |pool: &Pool<'_>, state| Some(gauge(&[("pool", pool.name), ("state", state)], number(pool.document, state)?));
    let containers = pools.iter().flat_map(|pool| STATES.iter().filter_map(|state| of_state(pool, state)));
    let help = "Containers on the books, by state.";
    out.family("warm_pool_containers", Kind::Gauge, help, containers.collect());
    type Told = fn(&Value) -> Option<f64>;
    let families: [(&str, &str, Told); 5] = [
        ("warm_pool_warm_target", "How many containers are to be warm.", |document| number(document, "warmTarget")),
        ("warm_pool_max_instances", "The most containers that the pool may have, where that is limited.", |document| {
            number(document, "maxInstances")
        }),
        ("warm_pool_waiting", "Callers that wait for a container.", |document| number(document, "waiting")),
        ("warm_pool_shards_missing", "Shards that did not answer; their containers are in no sum.", |document| {
            Some(list(document, "missing")?.len() as f64)
        }),
        ("warm_pool_migrating", "1 while containers move because the shard count was changed.", |document| {
            Some(f64::from(u8::from(!document.get("migration")?.is_null())))
        }),
    ];
    for (name, help, told) in families {
        let samples = pools.iter().filter_map(|pool| Some(gauge(&[("pool", pool.name)], told(pool.document)?)));
        out.family(name, Kind::Gauge, help, samples.collect());
    }
    let costs = pools.iter().flat_map(|pool| costs(pool, gauge, "perHour", "idlePerHour"));
    let help =
        "What memory and disk of the containers cost in an hour: busy, those that serve an id; idle, all others.";
    out.family("warm_pool_cost_dollars_per_hour", Kind::Gauge, help, costs.collect());
}

fn counters(out: &mut Exposition, pools: &[Pool<'_>]) {
    let help = "Answers to those who asked for an id's container, by how it was had, and why not at once.";
    out.family("warm_pool_acquires_total", Kind::Counter, help, pools.iter().flat_map(acquires).collect());
    let help = "Starts by what came of them: ready, how they failed, or retried because the answer proved nothing.";
    out.family("warm_pool_starts_total", Kind::Counter, help, pools.iter().flat_map(starts).collect());
    let of_state = |pool: &Pool<'_>, state| {
        let seconds = number(pool.document.get("containerSeconds")?, state)?;
        Some(counter(&[("pool", pool.name), ("state", state)], seconds))
    };
    let seconds = pools.iter().flat_map(|pool| STATES.iter().filter_map(|state| of_state(pool, state)));
    let help = "How long containers were in each state, together, in seconds.";
    out.family("warm_pool_container_seconds_total", Kind::Counter, help, seconds.collect());
    let costs = pools.iter().flat_map(|pool| costs(pool, counter, "soFar", "idleSoFar"));
    let help = "What memory and disk of the containers have cost by the present instance type and prices; jumps when those are changed.";
    out.family("warm_pool_cost_dollars_total", Kind::Counter, help, costs.collect());
}

fn acquires(pool: &Pool<'_>) -> Vec<Metric> {
    let Some(told) = list(pool.document, "acquires") else { return Vec::new() };
    let simple = [Outcome::Sticky, Outcome::Warm, Outcome::Borrowed].map(|outcome| (outcome.as_str(), ""));
    let cold = COLD.map(|reason| (Outcome::Cold.as_str(), reason.as_str()));
    let refused = REFUSED.map(|code| ("refused", code.as_str()));
    let mut expected: Vec<(&str, &str)> = simple.into_iter().chain(cold).chain(refused).collect();
    let sample = |(outcome, reason): (&str, &str), count| {
        counter(&[("pool", pool.name), ("outcome", outcome), ("reason", reason)], count)
    };
    let mut samples = Vec::new();
    for each in told {
        let (Some(outcome), Some(count)) = (text(each, "outcome"), number(each, "count")) else { continue };
        let labels = (outcome, text(each, "reason").unwrap_or_default());
        samples.push(sample(labels, count));
        expected.retain(|other| *other != labels);
    }
    samples.extend(expected.into_iter().map(|labels| sample(labels, 0.0)));
    samples
}

fn starts(pool: &Pool<'_>) -> Vec<Metric> {
    let Some(starts) = pool.document.get("starts") else { return Vec::new() };
    let sample = |result, count| counter(&[("pool", pool.name), ("result", result)], count);
    let told = ["ready", "retried"].into_iter().filter_map(|result| Some(sample(result, number(starts, result)?)));
    let failed = FAILURES.map(FailureClass::as_str).into_iter().map(|class| {
        let count = starts.get("failed").and_then(|failed| number(failed, class));
        sample(class, count.unwrap_or(0.0))
    });
    told.chain(failed).collect()
}

/// Of a sum and the idle part of it, both parts.
fn costs(pool: &Pool<'_>, sample: fn(Labels<'_>, f64) -> Metric, all: &str, idle: &str) -> Vec<Metric> {
    let number = |key| number(pool.document.get("cost")?, key);
    let (Some(all), Some(idle)) = (number(all), number(idle)) else { return Vec::new() };
    let parts = [("busy", (all - idle).max(0.0)), ("idle", idle)];
    parts.into_iter().map(|(kind, amount)| sample(&[("pool", pool.name), ("kind", kind)], amount)).collect()
}

fn histograms(out: &mut Exposition, pools: &[Pool<'_>]) {
    let of_outcome = |pool: &Pool<'_>, outcome: Outcome| {
        let told = pool.document.pointer("/latencies/acquire")?.get(outcome.as_str())?;
        histogram(&[("pool", pool.name), ("outcome", outcome.as_str())], told)
    };
    let acquires = pools.iter().flat_map(|pool| Outcome::ALL.into_iter().filter_map(|each| of_outcome(pool, each)));
    let help = "From when a shard took a question in to its answer with a container, by how that was had.";
    out.family("warm_pool_acquire_duration_seconds", Kind::Histogram, help, acquires.collect());
    let of_starts = |pool: &Pool<'_>| histogram(&[("pool", pool.name)], pool.document.pointer("/latencies/start")?);
    let help = "From the first asking for a start to a ready container.";
    let starts = pools.iter().filter_map(of_starts);
    out.family("warm_pool_start_duration_seconds", Kind::Histogram, help, starts.collect());
}

/// None when its buckets are not those of [`BOUNDS`].
fn histogram(labels: Labels<'_>, told: &Value) -> Option<Metric> {
    let counts: Vec<u64> = list(told, "buckets")?.iter().map(|count| count.as_u64().unwrap_or_default()).collect();
    (counts.len() == BOUNDS.len() + 1).then_some(())?;
    Some(exposition::histogram(labels, &BOUNDS, &counts, number(told, "sum")?))
}

fn shards(out: &mut Exposition, pools: &[Pool<'_>]) {
    type Told = fn(&Value) -> Option<f64>;
    let families: [(&str, &str, Told); 5] = [
        ("warm_pool_shard_containers", "Containers on the shard's books, in whatever state.", |shard| {
            STATES.iter().map(|state| number(shard, state)).sum()
        }),
        ("warm_pool_shard_warm_target", "How many containers the shard is to keep warm.", |shard| {
            number(shard, "warmTarget")
        }),
        ("warm_pool_shard_waiting", "Callers that wait in the shard.", |shard| number(shard, "waiting")),
        ("warm_pool_shard_breaker_open", "1 while the shard tries one start at a time, because they fail.", |shard| {
            flag(shard, "breakerOpen").map(|open| f64::from(u8::from(open)))
        }),
        ("warm_pool_shard_backoff_seconds", "How long the shard starts nothing, because starts fail.", |shard| {
            Some(number(shard, "backoffMillis")? / 1_000.0)
        }),
    ];
    let sample =
        |pool: &Pool<'_>, index: u64, value| gauge(&[("pool", pool.name), ("shard", &index.to_string())], value);
    for (name, help, told) in families {
        let of_pool = |pool| answered(pool).filter_map(|(index, shard)| Some(sample(pool, index, told(shard)?)));
        out.family(name, Kind::Gauge, help, pools.iter().flat_map(of_pool).collect());
    }
    let up = |pool: &Pool<'_>| {
        let missing = list(pool.document, "missing").into_iter().flatten().filter_map(Value::as_u64);
        let all = answered(pool).map(|(index, _)| (index, 1.0)).chain(missing.map(|index| (index, 0.0)));
        all.map(|(index, up)| sample(pool, index, up)).collect::<Vec<_>>()
    };
    let help = "1 when the shard told its numbers, 0 when it did not.";
    out.family("warm_pool_shard_up", Kind::Gauge, help, pools.iter().flat_map(up).collect());
}

/// The shards that answered, by index.
fn answered<'d>(pool: &Pool<'d>) -> impl Iterator<Item = (u64, &'d Value)> {
    let shards = list(pool.document, "shards").into_iter().flatten();
    shards.filter_map(|shard| Some((shard.get("shard")?.as_u64()?, shard)))
}

fn text<'d>(document: &'d Value, key: &str) -> Option<&'d str> {
    document.get(key)?.as_str()
}

fn number(document: &Value, key: &str) -> Option<f64> {
    document.get(key)?.as_f64()
}

fn list<'d>(document: &'d Value, key: &str) -> Option<&'d [Value]> {
    Some(document.get(key)?.as_array()?.as_slice())
}

fn flag(document: &Value, key: &str) -> Option<bool> {
    document.get(key)?.as_bool()
}

#[cfg(test)]
mod tests;
