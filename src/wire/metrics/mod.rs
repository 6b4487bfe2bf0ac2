//! The pools' numbers as metrics for Prometheus.
//!
//! - Labels come from small closed sets, pools and shards; never an id or a container. A pool has at most 127 series, and 6 more for
//!   each shard: 1,663 with 256 shards.
//! - A counter is told only while it is known of every shard, for one that falls is taken for a restart, and all of it counted again.
//! - What a coordinator of older code does not tell is left out, rather than told as 0.

mod exposition;

use serde_json::{Number, Value};

pub use self::exposition::CONTENT_TYPE;
use self::exposition::{Exposition, Family, Kind};
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
pub fn exposition(documents: &[Value]) -> String {
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
    let mut family = out.family("warm_pool_containers", Kind::Gauge, "Containers on the books, by state.");
    for Pool { name, document } in pools {
        for state in STATES {
            put(&mut family, &[("pool", name), ("state", state)], document.get(state));
        }
    }
    for (metric, key, help) in [
        ("warm_pool_warm_target", "warmTarget", "How many containers are to be warm."),
        (
            "warm_pool_max_instances",
            "maxInstances",
            "The most containers that the pool may have, where that is limited.",
        ),
        ("warm_pool_waiting", "waiting", "Callers that wait for a container."),
    ] {
        let mut family = out.family(metric, Kind::Gauge, help);
        for Pool { name, document } in pools {
            put(&mut family, &[("pool", name)], document.get(key));
        }
    }
    let mut family = out.family(
        "warm_pool_shards_missing",
        Kind::Gauge,
        "Shards that did not answer; their containers are in no sum.",
    );
    for Pool { name, document } in pools {
        if let Some(missing) = document.get("missing").and_then(Value::as_array) {
            family.sample(&[("pool", name)], &missing.len());
        }
    }
    let mut family =
        out.family("warm_pool_migrating", Kind::Gauge, "1 while containers move because the shard count was changed.");
    for Pool { name, document } in pools {
        if let Some(migration) = document.get("migration") {
            family.sample(&[("pool", name)], &u8::from(!migration.is_null()));
        }
    }
    let mut family = out.family(
        "warm_pool_cost_dollars_per_hour",
        Kind::Gauge,
        "What memory and disk of the containers cost in an hour: busy, those that serve an id; idle, all others.",
    );
    for pool in pools {
        costs(&mut family, pool, "perHour", "idlePerHour");
    }
}

fn counters(out: &mut Exposition, pools: &[Pool<'_>]) {
    let mut family = out.family(
        "warm_pool_acquires_total",
        Kind::Counter,
        "Answers to those who asked for an id's container, by how it was had, and why not at once.",
    );
    for pool in pools {
        acquires(&mut family, pool);
    }
    let mut family = out.family(
        "warm_pool_starts_total",
        Kind::Counter,
        "Starts by what came of them: ready, how they failed, or retried because the answer proved nothing.",
    );
    for Pool { name, document } in pools {
        let Some(starts) = document.get("starts") else { continue };
        for result in ["ready", "retried"] {
            put(&mut family, &[("pool", name), ("result", result)], starts.get(result));
        }
        for class in FAILURES.map(FailureClass::as_str) {
            let count = starts.get("failed").and_then(|failed| failed.get(class));
            put_or_zero(&mut family, &[("pool", name), ("result", class)], count);
        }
    }
    let mut family = out.family(
        "warm_pool_container_seconds_total",
        Kind::Counter,
        "How long containers were in each state, together, in seconds.",
    );
    for Pool { name, document } in pools {
        for state in STATES {
            let seconds = document.get("containerSeconds").and_then(|seconds| seconds.get(state));
            put(&mut family, &[("pool", name), ("state", state)], seconds);
        }
    }
    let mut family = out.family(
        "warm_pool_cost_dollars_total",
        Kind::Counter,
        "What memory and disk of the containers have cost by the present instance type and prices; jumps when those are changed.",
    );
    for pool in pools {
        costs(&mut family, pool, "soFar", "idleSoFar");
    }
}

fn acquires(family: &mut Family<'_>, pool: &Pool<'_>) {
    let Some(told) = pool.document.get("acquires").and_then(Value::as_array) else { return };
    let simple = [Outcome::Sticky, Outcome::Warm, Outcome::Borrowed].map(|outcome| (outcome.as_str(), ""));
    let cold = COLD.map(|reason| (Outcome::Cold.as_str(), reason.as_str()));
    let refused = REFUSED.map(|code| ("refused", code.as_str()));
    let mut expected: Vec<(&str, &str)> = simple.into_iter().chain(cold).chain(refused).collect();
    let mut put = |outcome: &str, reason: &str, count: &dyn std::fmt::Display| {
        family.sample(&[("pool", pool.name), ("outcome", outcome), ("reason", reason)], count);
    };
    for each in told {
        let (Some(outcome), Some(Value::Number(count))) = (text(each, "outcome"), each.get("count")) else { continue };
        let reason = text(each, "reason").unwrap_or_default();
        put(outcome, reason, count);
        expected.retain(|other| *other != (outcome, reason));
    }
    for (outcome, reason) in expected {
        put(outcome, reason, &0);
    }
}

/// Of a sum and the idle part of it, both parts.
fn costs(family: &mut Family<'_>, pool: &Pool<'_>, all: &str, idle: &str) {
    let number = |key| pool.document.get("cost")?.get(key)?.as_f64();
    let (Some(all), Some(idle)) = (number(all), number(idle)) else { return };
    for (kind, amount) in [("busy", (all - idle).max(0.0)), ("idle", idle)] {
        if let Some(amount) = Number::from_f64(amount) {
            family.sample(&[("pool", pool.name), ("kind", kind)], &amount);
        }
    }
}

fn histograms(out: &mut Exposition, pools: &[Pool<'_>]) {
    let mut family = out.family(
        "warm_pool_acquire_duration_seconds",
        Kind::Histogram,
        "From when a shard took a question in to its answer with a container, by how that was had.",
    );
    for Pool { name, document } in pools {
        for outcome in Outcome::ALL.map(Outcome::as_str) {
            let told = document.pointer("/latencies/acquire").and_then(|acquire| acquire.get(outcome));
            histogram(&mut family, &[("pool", name), ("outcome", outcome)], told);
        }
    }
    let mut family = out.family(
        "warm_pool_start_duration_seconds",
        Kind::Histogram,
        "From the first asking for a start to a ready container.",
    );
    for Pool { name, document } in pools {
        histogram(&mut family, &[("pool", name)], document.pointer("/latencies/start"));
    }
}

/// Left out when its buckets are not those of [`BOUNDS`].
fn histogram(family: &mut Family<'_>, labels: &[(&str, &str)], told: Option<&Value>) {
    let Some(told) = told else { return };
    let buckets = told.get("buckets").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let (Some(Value::Number(sum)), true) = (told.get("sum"), buckets.len() == BOUNDS.len() + 1) else { return };
    let mut count = 0;
    let ends = BOUNDS.iter().map(|&bound| Number::from_f64(bound).map(|bound| bound.to_string()));
    for (bucket, end) in buckets.iter().zip(ends.chain([None])) {
        count += bucket.as_u64().unwrap_or_default();
        let labels = [labels, &[("le", end.as_deref().unwrap_or("+Inf"))]].concat();
        family.suffixed("_bucket", &labels, &count);
    }
    family.suffixed("_sum", labels, sum);
    family.suffixed("_count", labels, &count);
}

fn shards(out: &mut Exposition, pools: &[Pool<'_>]) {
    type Told = fn(&Value) -> Option<Number>;
    let families: [(&str, &str, Told); 5] = [
        ("warm_pool_shard_containers", "Containers on the shard's books, in whatever state.", |shard| {
            let states: Option<Vec<u64>> = STATES.iter().map(|state| shard.get(state)?.as_u64()).collect();
            Some(states?.iter().sum::<u64>().into())
        }),
        ("warm_pool_shard_warm_target", "How many containers the shard is to keep warm.", |shard| {
            number(shard, "warmTarget").cloned()
        }),
        ("warm_pool_shard_waiting", "Callers that wait in the shard.", |shard| number(shard, "waiting").cloned()),
        ("warm_pool_shard_breaker_open", "1 while the shard tries one start at a time, because they fail.", |shard| {
            flag(shard, "breakerOpen").map(|open| u8::from(open).into())
        }),
        ("warm_pool_shard_backoff_seconds", "How long the shard starts nothing, because starts fail.", |shard| {
            Number::from_f64(number(shard, "backoffMillis")?.as_f64()? / 1_000.0)
        }),
    ];
    for (name, help, told) in families {
        let mut family = out.family(name, Kind::Gauge, help);
        for pool in pools {
            for (index, shard) in answered(pool) {
                if let Some(value) = told(shard) {
                    family.sample(&[("pool", pool.name), ("shard", &index.to_string())], &value);
                }
            }
        }
    }
    let mut family =
        out.family("warm_pool_shard_up", Kind::Gauge, "1 when the shard told its numbers, 0 when it did not.");
    for pool in pools {
        let up = answered(pool).map(|(index, _)| (index, 1));
        let missing = pool.document.get("missing").and_then(Value::as_array).into_iter().flatten();
        for (index, up) in up.chain(missing.filter_map(Value::as_u64).map(|index| (index, 0))) {
            family.sample(&[("pool", pool.name), ("shard", &index.to_string())], &up);
        }
    }
}

/// The shards that answered, by index.
fn answered<'d>(pool: &Pool<'d>) -> impl Iterator<Item = (u64, &'d Value)> {
    let shards = pool.document.get("shards").and_then(Value::as_array);
    shards.into_iter().flatten().filter_map(|shard| Some((shard.get("shard")?.as_u64()?, shard)))
}

fn put(family: &mut Family<'_>, labels: &[(&str, &str)], value: Option<&Value>) {
    if let Some(Value::Number(number)) = value {
        family.sample(labels, number);
    }
}

fn put_or_zero(family: &mut Family<'_>, labels: &[(&str, &str)], value: Option<&Value>) {
    match value {
        Some(Value::Number(number)) => family.sample(labels, number),
        _ => family.sample(labels, &0),
    }
}

fn text<'d>(document: &'d Value, key: &str) -> Option<&'d str> {
    document.get(key)?.as_str()
}

fn number<'d>(document: &'d Value, key: &str) -> Option<&'d Number> {
    document.get(key)?.as_number()
}

fn flag(document: &Value, key: &str) -> Option<bool> {
    document.get(key)?.as_bool()
}

#[cfg(test)]
mod tests;
