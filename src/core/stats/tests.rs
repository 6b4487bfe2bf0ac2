use serde_json::json;

use super::*;
use crate::config::resolved::{Pool, PoolName, Prices};
use crate::core::failure::FailureClass;
use crate::core::id::ShardId;
use crate::core::outcome::{Outcome, Reason, RefusalCode};
use crate::core::shard::Rows;
use crate::core::sorted::Map;

fn shard(index: u32, assigned: u32, outcomes: &[(Outcome, u64)]) -> ShardStats {
    let id = ShardId { pool: name(), index: ShardIndex(index) };
    let stats = Shard::load(id, Rows::default(), Millis(0)).stats(Millis(0));
    let counters = Counters { outcomes: outcomes.iter().copied().collect(), ..Counters::default() };
    ShardStats { counts: Counts { assigned, ..Counts::default() }, counters, ..stats }
}

fn name() -> PoolName {
    "p".to_owned().try_into().unwrap()
}

fn pool() -> Pool {
    serde_json::from_value(json!({"container": "C", "warm_target": 7})).unwrap()
}

fn merged(answers: Answers) -> MergedStats {
    merge(Terms { pool: &pool(), prices: &Prices::default() }, answers)
}

fn of(answered: Vec<ShardStats>) -> Answers {
    Answers { answered, ..Answers::default() }
}

#[test]
fn the_pool_says_how_uneven_its_shards_are_and_how_much_they_borrow() {
    let shards = vec![
        shard(0, 30, &[(Outcome::Sticky, 500), (Outcome::Warm, 5), (Outcome::Cold, 1)]),
        shard(1, 10, &[(Outcome::Borrowed, 2)]),
    ];
    let merged_ones = merged(of(shards));
    assert_eq!((merged_ones.imbalance, merged_ones.borrow_rate), (Some(1.5), Some(0.25)));
    let nothing = merged(of(vec![shard(0, 0, &[])]));
    assert_eq!((nothing.imbalance, nothing.borrow_rate), (None, None));
}

#[test]
fn the_document_has_every_answer_once_with_its_outcome_and_reason() {
    let mut tally = Tally::load(CountersRow::default(), Millis(1_000), [0; 5]);
    tally.pass(Millis(1_700), [0, 2, 0, 0, 0]);
    tally.sticky();
    tally.sticky();
    tally.acquired(Outcome::Warm, None, Millis(1_700));
    tally.acquired(Outcome::Cold, Some(Reason::Exhausted), Millis(1_000));
    tally.acquired(Outcome::Cold, Some(Reason::Filling), Millis(1_000));
    tally.refused(RefusalCode::AtCapacity);
    tally.started(Millis(400));
    tally.start_failed(&StartFailure::new(FailureClass::Exited, "exit 1"));
    let (counters, detail) = tally.told(Millis(2_000), [0, 2, 0, 0, 0]);
    let stats = ShardStats { counters, detail: Some(Box::new(detail)), ..shard(3, 0, &[]) };
    let document = merged(of(vec![stats])).document(&name(), &pool()).unwrap();

    let acquires =
        |outcome: &str, reason: Option<&str>, count: u64| json!({"outcome": outcome, "reason": reason, "count": count});
    let expected = json!([
        acquires("sticky", None, 2),
        acquires("warm", None, 1),
        acquires("cold", Some("filling"), 1),
        acquires("cold", Some("exhausted"), 1),
        acquires("refused", Some("at_capacity"), 1),
    ]);
    assert_eq!(document["acquires"], expected);
    assert_eq!(document["latencies"]["acquire"]["sticky"]["count"], 2);
    assert_eq!(document["latencies"]["acquire"]["borrowed"]["p50"], json!(null));
    let cold = &document["latencies"]["acquire"]["cold"];
    assert_eq!((&cold["count"], &cold["sum"]), (&json!(2), &json!(1.4)));
    assert_eq!(cold["buckets"], json!([0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0]));
    assert_eq!(document["latencies"]["start"]["count"], 1);
    assert_eq!(document["starts"], json!({"ready": 1, "retried": 0, "failed": {"exited": 1}}));
    assert_eq!(document["lastErrors"], json!({"exited": {"message": "exit 1", "at": 1_700, "shard": 3}}));
    assert_eq!(document["containerSeconds"]["warm"], 2.0);
    assert_eq!((&document["warmTarget"], &document["countersComplete"]), (&json!(7), &json!(true)));
    assert!(document["shards"][0].get("detail").is_none(), "what is in the sum is not told again per shard");
    let again: MergedStats = serde_json::from_value(document.into()).unwrap();
    assert_eq!(again.acquires.len(), 5, "who reads the document in Rust gets the same");
}

#[test]
fn the_cost_is_that_of_memory_and_disk_in_whatever_state_and_idle_is_what_serves_nobody() {
    let counts = Counts { starting: 1, warm: 2, assigned: 5, draining: 1, moving: 1, total: 7 };
    let container_millis = ByState { warm: 2_000, assigned: 6_000, ..ByState::default() };
    let detail = Detail { container_millis, ..Detail::default() };
    let stats = ShardStats { counts, detail: Some(Box::new(detail)), ..shard(0, 0, &[]) };
    let cost = merged(of(vec![stats])).cost;
    let second = 0.25 * 0.000_002_5 + 2.0 * 0.000_000_07;
    let about = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert_eq!((cost.currency.as_str(), cost.instance_type.as_str()), ("USD", "lite"));
    assert!(about(cost.per_hour, 10.0 * 3_600.0 * second) && about(cost.idle_per_hour, 5.0 * 3_600.0 * second));
    assert!(about(cost.so_far, 8.0 * second) && about(cost.idle_so_far, 2.0 * second));
}

fn sticky_total(merged: &MergedStats) -> u64 {
    merged.counters.outcomes.get(&Outcome::Sticky).copied().unwrap_or_default()
}

/// A shard that has counted `sticky` by then.
fn at(index: u32, until: u64, sticky: u64) -> ShardStats {
    let detail = Detail { until: Millis(until), ..Detail::default() };
    ShardStats { detail: Some(Box::new(detail)), ..shard(index, 1, &[(Outcome::Sticky, sticky)]) }
}

#[test]
fn counters_do_not_go_back_when_a_shard_does_not_answer_or_is_no_more() {
    let mut memory = Memory::default();
    let mut ask = |heard: Vec<Heard>, in_force, ever| merged(memory.gather(&name(), heard, in_force, ever));
    let both = |first, second| vec![(ShardIndex(0), first), (ShardIndex(1), second)];

    let first = ask(both(Some(at(0, 10, 3)), None), 2, 2);
    assert_eq!((first.complete, first.counters_complete, sticky_total(&first)), (false, false, 3));
    let all = ask(both(Some(at(0, 20, 4)), Some(at(1, 20, 5))), 2, 2);
    assert_eq!((all.complete, all.counters_complete, sticky_total(&all)), (true, true, 9));

    let hung = ask(both(Some(at(0, 30, 4)), None), 2, 2);
    assert_eq!((hung.complete, hung.counters_complete, sticky_total(&hung)), (false, true, 9));
    assert_eq!(hung.missing, [ShardIndex(1)]);
    assert_eq!((hung.counts.assigned, hung.shards.len()), (1, 1), "what a silent shard has is not guessed");

    let fewer = ask(vec![(ShardIndex(0), Some(at(0, 40, 4)))], 1, 2);
    assert_eq!((fewer.complete, fewer.counters_complete, sticky_total(&fewer)), (true, true, 9));
    assert_eq!(fewer.counts.assigned, 1);

    // An older answer that comes late does not replace what is remembered.
    ask(both(Some(at(0, 5, 1)), None), 2, 2);
    assert_eq!(sticky_total(&ask(both(None, None), 2, 2)), 9);
}

#[test]
fn counters_do_not_go_back_either_when_a_clock_does() {
    let mut memory = Memory::default();
    let mut ask = |heard| sticky_total(&merged(memory.gather(&name(), vec![(ShardIndex(0), heard)], 1, 1)));
    assert_eq!(ask(Some(at(0, 1_000, 5))), 5);
    assert_eq!(ask(Some(at(0, 10, 8))), 8);
    assert_eq!(ask(None), 8, "what it said last, whenever that was by its clock");
}

#[test]
fn a_former_shard_is_asked_while_it_may_have_something_new_to_tell() {
    let mut memory = Memory::default();
    assert!(memory.must_ask_former(&name(), ShardIndex(1)), "nothing is known of it");
    memory.gather(&name(), vec![(ShardIndex(1), Some(at(1, 10, 5)))], 1, 2);
    assert!(memory.must_ask_former(&name(), ShardIndex(1)), "it has a container");
    let empty = ShardStats { counts: Counts::default(), ..at(1, 20, 5) };
    let answers = memory.gather(&name(), vec![(ShardIndex(1), Some(empty))], 1, 2);
    assert!(!memory.must_ask_former(&name(), ShardIndex(1)));
    assert_eq!((answers.missing.len(), answers.remembered.len(), answers.forgotten), (1, 1, true), "of shard 0");
}

#[test]
fn what_older_code_tells_is_merged_as_well() {
    let told = json!({
        "shard": 0, "plan": {"version": 1, "stamp": 1}, "starting": 0, "warm": 1, "assigned": 0, "draining": 0, "moving": 0,
        "total": 1, "warmTarget": 1, "maxInstances": null, "waiting": 0, "failures": 0, "backoffMillis": 0,
        "breakerOpen": false, "ceiling": null, "lastFailure": null, "outcomes": {"warm": 4}, "startsReady": 5,
    });
    let stats: ShardStats = serde_json::from_value(told).unwrap();
    let merged = merged(of(vec![stats]));
    assert_eq!(merged.acquires, [Acquires { outcome: "warm".to_owned(), reason: None, count: 4 }]);
    assert_eq!(merged.latencies.acquire.values().map(|summary| summary.count).sum::<u64>(), 0);
    assert_eq!(merged.last_errors, Map::new());
}
