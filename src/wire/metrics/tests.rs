//! The metrics of documents: one of real shards, and ones with what is missing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::exposition;
use crate::config::parse_json;
use crate::config::resolved::{Millis, Pool, PoolName, Prices};
use crate::core::id::{ShardId, ShardIndex};
use crate::core::shard::{Rows, Shard};
use crate::core::stats::{Answers, Counts, ShardStats, Terms, merge};

fn name() -> PoolName {
    "p".to_owned().try_into().unwrap()
}

fn pool(keys: &Value) -> (Pool, Prices) {
    let mut pool = json!({ "container": "C" });
    pool.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    let config = parse_json(&json!({ "pools": { "p": pool } }).to_string()).unwrap();
    (config.pools.get(&name()).unwrap().clone(), config.prices)
}

fn shard(index: u32, counts: Counts) -> ShardStats {
    let id = ShardId { pool: name(), index: ShardIndex(index) };
    let stats = Shard::load(id, Rows::default(), Millis(0)).stats(Millis(0));
    ShardStats { counts, ..stats }
}

/// The document of a pool of two shards that answer and one that does not.
fn real() -> Value {
    let (pool, prices) = pool(&json!({ "max_instances": 40, "warm_target": 7, "shards": 3 }));
    let counts = Counts { warm: 3, assigned: 2, total: 5, ..Counts::default() };
    let answers = Answers {
        answered: vec![shard(0, counts), shard(2, Counts { draining: 1, ..Counts::default() })],
        missing: vec![ShardIndex(1)],
        ..Answers::default()
    };
    let stats = merge(Terms { pool: &pool, prices: &prices }, answers);
    let mut document = Value::Object(stats.document(&name(), &pool).unwrap());
    document["migration"] = json!(null);
    document
}

/// Samples by name and labels as written.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples: Vec<(&str, f64)> = lines
        .map(|line| line.rsplit_once(' ').map(|(series, value)| (series, value.parse().unwrap())).unwrap())
        .collect();
    let count = samples.len();
    let samples: BTreeMap<&str, f64> = samples.into_iter().collect();
    assert_eq!(samples.len(), count, "no series twice:\n{text}");
    samples
}

#[test]
fn a_pool_of_real_shards_is_told_whole() {
    let text = exposition(&[real()]).unwrap();
    let samples = samples(&text);
    let value = |series: &str| samples.get(series).copied().unwrap_or_else(|| panic!("no {series} in\n{text}"));
    assert_eq!(value(r#"warm_pool_containers{pool="p",state="warm"}"#), 3.0);
    assert_eq!(value(r#"warm_pool_containers{pool="p",state="draining"}"#), 1.0);
    assert_eq!(value(r#"warm_pool_warm_target{pool="p"}"#), 7.0);
    assert_eq!(value(r#"warm_pool_max_instances{pool="p"}"#), 40.0);
    assert_eq!(value(r#"warm_pool_waiting{pool="p"}"#), 0.0);
    assert_eq!(value(r#"warm_pool_shards_missing{pool="p"}"#), 1.0);
    assert_eq!(value(r#"warm_pool_migrating{pool="p"}"#), 0.0);
    assert_eq!(value(r#"warm_pool_acquires_total{pool="p",outcome="refused",reason="at_capacity"}"#), 0.0);
    assert_eq!(value(r#"warm_pool_acquire_duration_seconds_bucket{pool="p",outcome="warm",le="+Inf"}"#), 0.0);
    assert_eq!(value(r#"warm_pool_start_duration_seconds_count{pool="p"}"#), 0.0);
    assert_eq!(value(r#"warm_pool_starts_total{pool="p",result="not_ready"}"#), 0.0);
    assert_eq!(value(r#"warm_pool_container_seconds_total{pool="p",state="assigned"}"#), 0.0);
    assert_eq!(value(r#"warm_pool_cost_dollars_total{pool="p",kind="busy"}"#), 0.0);
    let per_hour = |kind| value(&format!(r#"warm_pool_cost_dollars_per_hour{{pool="p",kind="{kind}"}}"#));
    let [busy, idle] = ["busy", "idle"].map(per_hour);
    assert!(busy > 0.0 && (idle / busy - 2.0).abs() < 1e-9, "2 busy, 4 idle: {busy} {idle}");
    assert_eq!(value(r#"warm_pool_shard_containers{pool="p",shard="0"}"#), 5.0);
    assert_eq!(value(r#"warm_pool_shard_warm_target{pool="p",shard="2"}"#), 0.0);
    assert_eq!(value(r#"warm_pool_shard_waiting{pool="p",shard="2"}"#), 0.0);
    assert_eq!(value(r#"warm_pool_shard_breaker_open{pool="p",shard="2"}"#), 0.0);
    assert_eq!(value(r#"warm_pool_shard_backoff_seconds{pool="p",shard="2"}"#), 0.0);
    assert_eq!([0, 1, 2].map(|n| value(&format!(r#"warm_pool_shard_up{{pool="p",shard="{n}"}}"#))), [1.0, 0.0, 1.0]);
    assert!(!samples.keys().any(|series| series.starts_with("warm_pool_shard_c") && series.contains("\"1\"")));
}

/// A document as the coordinator tells it, with numbers in it.
fn told() -> Value {
    let mut document = real();
    let mut buckets = vec![0; 14];
    (buckets[0], buckets[5], buckets[13]) = (3, 2, 1);
    document["latencies"]["acquire"]["cold"] = json!({ "count": 6, "sum": 90.125, "buckets": buckets });
    document["acquires"] = json!([
        { "outcome": "sticky", "reason": null, "count": 9 },
        { "outcome": "cold", "reason": "exhausted", "count": 6 },
        { "outcome": "warm", "reason": "container-stopped", "count": 2 },
    ]);
    document["starts"] = json!({ "ready": 5, "retried": 1, "failed": { "exited": 4 } });
    document
}

#[test]
fn buckets_are_cumulative_and_end_without_bound() {
    let text = exposition(&[told()]).unwrap();
    let buckets: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| {
            line.strip_prefix(r#"warm_pool_acquire_duration_seconds_bucket{pool="p",outcome="cold",le=""#)
        })
        .map(|line| line.split_once("\"} ").unwrap())
        .collect();
    let bounds: Vec<&str> = buckets.iter().map(|(bound, _)| *bound).collect();
    let expected = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "60", "+Inf"];
    assert_eq!(bounds, expected);
    let counts: Vec<&str> = buckets.iter().map(|(_, count)| *count).collect();
    assert_eq!(counts, ["3", "3", "3", "3", "3", "5", "5", "5", "5", "5", "5", "5", "5", "6"]);
    assert!(text.contains("\nwarm_pool_acquire_duration_seconds_sum{pool=\"p\",outcome=\"cold\"} 90.125\n"), "{text}");
    assert!(text.contains("\nwarm_pool_acquire_duration_seconds_count{pool=\"p\",outcome=\"cold\"} 6\n"), "{text}");
}

#[test]
fn what_was_counted_is_told_once_and_the_rest_as_0() {
    let text = exposition(&[told()]).unwrap();
    let samples = samples(&text);
    for (series, count) in [
        (r#"warm_pool_acquires_total{pool="p",outcome="sticky",reason=""}"#, 9.0),
        (r#"warm_pool_acquires_total{pool="p",outcome="cold",reason="exhausted"}"#, 6.0),
        (r#"warm_pool_acquires_total{pool="p",outcome="warm",reason="container-stopped"}"#, 2.0),
        (r#"warm_pool_acquires_total{pool="p",outcome="warm",reason=""}"#, 0.0),
        (r#"warm_pool_acquires_total{pool="p",outcome="cold",reason="filling"}"#, 0.0),
        (r#"warm_pool_starts_total{pool="p",result="ready"}"#, 5.0),
        (r#"warm_pool_starts_total{pool="p",result="retried"}"#, 1.0),
        (r#"warm_pool_starts_total{pool="p",result="exited"}"#, 4.0),
        (r#"warm_pool_starts_total{pool="p",result="capacity"}"#, 0.0),
    ] {
        assert_eq!(samples.get(series), Some(&count), "{series} in\n{text}");
    }
}

#[test]
fn counters_that_are_not_known_of_every_shard_are_left_out() {
    let mut unknown = told();
    unknown["countersComplete"] = json!(false);
    let mut other = told();
    other["name"] = json!("q");
    let text = exposition(&[unknown, other]).unwrap();
    let of_p: Vec<&str> = text.lines().filter(|line| line.contains(r#"pool="p""#)).collect();
    assert!(of_p.iter().any(|line| line.starts_with("warm_pool_containers{")), "{text}");
    assert!(of_p.iter().any(|line| line.starts_with("warm_pool_shard_up{")), "{text}");
    for line in of_p {
        assert!(!line.contains("_total{") && !line.contains("_duration_"), "{line}");
    }
    assert!(text.contains(r#"warm_pool_acquires_total{pool="q""#), "another pool's are there");
}

#[test]
fn what_older_code_does_not_tell_is_left_out() {
    let old = json!({
        "name": "p", "starting": 0, "warm": 1, "assigned": 0, "draining": 0, "total": 1, "waiting": 0,
        "outcomes": { "warm": 3 }, "complete": true, "missing": [], "maxInstances": null, "migration": null,
        "shards": [{ "shard": 0, "starting": 0, "warm": 1, "assigned": 0, "draining": 0, "warmTarget": 1, "breakerOpen": true }],
    });
    let text = exposition(&[old, json!({}), json!(null), json!([1])]).unwrap();
    let expected = [
        r#"warm_pool_containers{pool="p",state="assigned"}"#,
        r#"warm_pool_containers{pool="p",state="draining"}"#,
        r#"warm_pool_containers{pool="p",state="starting"}"#,
        r#"warm_pool_containers{pool="p",state="warm"}"#,
        r#"warm_pool_migrating{pool="p"}"#,
        r#"warm_pool_shard_breaker_open{pool="p",shard="0"}"#,
        r#"warm_pool_shard_up{pool="p",shard="0"}"#,
        r#"warm_pool_shard_warm_target{pool="p",shard="0"}"#,
        r#"warm_pool_shards_missing{pool="p"}"#,
        r#"warm_pool_waiting{pool="p"}"#,
    ];
    assert_eq!(samples(&text).into_keys().collect::<Vec<_>>(), expected);
    assert_eq!(exposition(&[]).unwrap(), "");
}

#[test]
fn series_are_bounded_and_their_labels_are_of_closed_sets() {
    let outcomes = ["sticky", "warm", "borrowed", "cold"];
    let reasons = [
        "no-warm-target",
        "filling",
        "exhausted",
        "at-capacity",
        "starts-failing",
        "container-stopped",
        "container-unreachable",
    ];
    let mut document = told();
    // All that can be: an id whose container is gone may get a warm one, and a cold one has a reason.
    let mut acquires = vec![("sticky", None), ("warm", None), ("borrowed", None)];
    acquires.extend(
        ["warm", "borrowed"].iter().flat_map(|outcome| reasons[5..].iter().map(|reason| (*outcome, Some(*reason)))),
    );
    acquires.extend(reasons.iter().map(|reason| ("cold", Some(*reason))));
    acquires.extend(["at_capacity", "timeout", "start_failed", "overloaded"].map(|code| ("refused", Some(code))));
    acquires.extend(["wrong_shard", "unknown_pool"].map(|code| ("refused", Some(code))));
    document["acquires"] =
        acquires.iter().map(|(outcome, reason)| json!({ "outcome": outcome, "reason": reason, "count": 1 })).collect();
    let shard = document["shards"][0].clone();
    document["missing"] = json!([]);
    document["shards"] = (0..256)
        .map(|index| {
            let mut shard = shard.clone();
            shard["shard"] = json!(index);
            shard
        })
        .collect();
    let text = exposition(&[document]).unwrap();
    let series = samples(&text);
    let (shards, others): (Vec<&str>, Vec<&str>) =
        series.keys().copied().partition(|series| series.starts_with("warm_pool_shard_"));
    assert_eq!((others.len(), shards.len()), (OF_A_POOL, 6 * 256), "docs/operations.md has these numbers too");
    let labels: BTreeSet<&str> = series
        .keys()
        .flat_map(|series| series.split_once('{').unwrap().1.trim_end_matches('}').split(','))
        .map(|label| label.split_once('=').unwrap().0)
        .collect();
    let expected = ["kind", "le", "outcome", "pool", "reason", "result", "shard", "state"];
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), expected);
    assert!(outcomes.iter().all(|outcome| text.contains(&format!("outcome=\"{outcome}\""))));
}

/// The most series that a pool has besides its shards'.
const OF_A_POOL: usize = 127;
