//! What shards are told besides is right when it is told, and ends by itself.

use cf_warm_pools::config::resolved::{Config, Millis};
use cf_warm_pools::core::allotment::{Standing, Stocked};
use cf_warm_pools::core::coordinator::{Input, MAX_HOLD, MAX_STOCKED};
use cf_warm_pools::core::id::ShardIndex;
use cf_warm_pools::core::stats::Counts;

use crate::desk::{Desk, REFRESH, pools, sent, shard, told};

fn pool_of(shards: u32, warm_target: u32) -> Config {
    pools(&[&format!(r#""warm_target": {warm_target}, "shards": {shards}"#)])
}

fn warm(warm: u32) -> Standing {
    Standing { counts: Counts { warm, ..Counts::default() }, ..Standing::default() }
}

fn starting() -> Standing {
    Standing { counts: Counts { starting: 1, ..Counts::default() }, ..Standing::default() }
}

fn no_room(secs: u64) -> Standing {
    Standing { no_room_for: Some(Millis::from_secs(secs)), ..starting() }
}

fn stocked(desk: &Desk, name: &str) -> Vec<(u32, u32, u32)> {
    let all = desk.machine.allotment_of(&shard(name)).unwrap().stocked;
    all.into_iter().map(|Stocked { shard: ShardIndex(index), warm, target }| (index, warm, target)).collect()
}

fn hold(desk: &Desk, name: &str) -> Millis {
    desk.machine.allotment_of(&shard(name)).unwrap().hold
}

#[test]
fn siblings_with_stock_are_named_most_first() {
    let mut desk = Desk::with(pool_of(5, 16));
    for (index, count) in [(0, 3), (1, 0), (2, 6), (3, 0)] {
        desk.report(&format!("a/{index}"), warm(count));
    }
    // The first two are to have 8 each; of the last nothing is known, and it is to have nothing.
    assert_eq!(stocked(&desk, "a/3"), [(2, 6, 0), (0, 3, 8), (1, 0, 8)]);
    assert_eq!(stocked(&desk, "a/2"), [(0, 3, 8), (1, 0, 8)], "not itself");
    assert!(stocked(&Desk::with(pool_of(1, 16)), "a/0").is_empty());
}

#[test]
fn equal_siblings_are_named_in_another_order_to_each() {
    let mut desk = Desk::with(pool_of(16, 0));
    for index in 0..16 {
        desk.report(&format!("a/{index}"), warm(2));
    }
    let first = |name: &str| stocked(&desk, name).first().map(|&(index, ..)| index);
    assert_eq!(["a/0", "a/7", "a/15"].map(first), [Some(1), Some(8), Some(0)]);
    assert_eq!(stocked(&desk, "a/0").len(), MAX_STOCKED);
}

#[test]
fn what_was_warm_long_ago_is_not_told() {
    let mut desk = Desk::with(pool_of(3, 8));
    desk.report("a/1", warm(5));
    desk.report("a/0", warm(5));
    desk.later(Millis(3 * REFRESH.0));
    assert_eq!(desk.step(Input::Woken).writes, []);
    assert_eq!(stocked(&desk, "a/2"), [(0, 0, 8)], "but who is to have some is");
}

#[test]
fn while_the_platform_has_no_room_others_of_the_class_start_nothing() {
    let both = pools(&[r#""shards": 2"#, r#""shards": 1"#]);
    let mut desk = Desk::with(both);
    desk.report("a/1", starting());
    desk.report("b/0", warm(0));
    let (_, reply, fx) = desk.report("a/0", no_room(20));
    assert_eq!(reply.hold, Millis(0), "it goes by what it has learned itself");
    assert_eq!(told(&fx), ["a/1"], "at once, who would start something");
    assert_eq!(sent(&fx, "a/1").hold, Millis::from_secs(20));
    desk.later(Millis::from_secs(5));
    let (_, reply, _) = desk.report("b/0", warm(0));
    assert_eq!(reply.hold, Millis::from_secs(15), "others by the reply");
}

#[test]
fn when_one_has_started_again_so_may_all() {
    let mut desk = Desk::with(pool_of(3, 0));
    desk.report("a/1", starting());
    let (_, _, fx) = desk.report("a/0", no_room(20));
    assert_eq!(told(&fx), ["a/1"]);
    desk.answer("a/1", starting());
    let (_, _, fx) = desk.report("a/0", warm(1));
    assert_eq!(told(&fx), ["a/1"]);
    assert_eq!(sent(&fx, "a/1").hold, Millis(0));
}

#[test]
fn a_hold_ends_by_itself_and_is_never_long() {
    let mut desk = Desk::with(pool_of(2, 0));
    desk.report("a/0", no_room(3_600));
    assert_eq!(hold(&desk, "a/1"), MAX_HOLD);
    desk.later(MAX_HOLD);
    desk.step(Input::Woken);
    assert_eq!(hold(&desk, "a/1"), Millis(0), "whatever became of the one that said so");
    desk.report("a/0", no_room(20));
    // The clock goes back.
    desk.now = Millis(5);
    desk.step(Input::Woken);
    assert_eq!(hold(&desk, "a/1"), Millis(0));
}

#[test]
fn of_several_that_found_no_room_one_tries() {
    let mut desk = Desk::with(pool_of(3, 0));
    desk.report("a/1", no_room(10));
    desk.later(Millis(1));
    desk.report("a/0", no_room(20));
    let secs = |name| hold(&desk, name).0.div_ceil(1_000);
    assert_eq!(["a/0", "a/1", "a/2"].map(secs), [10, 0, 20], "the first tries");
    desk.report("a/1", warm(0));
    let secs = |name| hold(&desk, name).0.div_ceil(1_000);
    assert_eq!(["a/0", "a/1", "a/2"].map(secs), [0, 20, 20], "then the other");
}

#[test]
fn shards_that_never_were_leave_nothing_behind() {
    let mut desk = Desk::with(pool_of(2, 8));
    let before = format!("{:?}", desk.machine);
    for name in ["a/2", "ghost/0"] {
        let report = desk.says(name, warm(9));
        let fx = desk.step(Input::Reported(report.clone()));
        assert!(fx.writes.is_empty() && fx.pushes.is_empty() && fx.allotments.is_empty());
        desk.step(Input::Answered(report));
    }
    assert_eq!(format!("{:?}", desk.machine), before);
    assert_eq!(desk.machine.plan_of(&shard("ghost/0")), None);
    assert_eq!(desk.machine.allotment_of(&shard("ghost/0")), None);
}

#[test]
fn a_shard_without_a_plan_is_replied_both() {
    let mut desk = Desk::with(pool_of(2, 8));
    let report = cf_warm_pools::core::allotment::ShardReport { shard: shard("a/0"), plan: None, standing: None };
    let fx = desk.step(Input::Reported(Box::new(report)));
    assert!(fx.writes.is_empty());
    let (plan, allotment) = (desk.machine.plan_of(&shard("a/0")), desk.machine.allotment_of(&shard("a/0")));
    assert_eq!(plan.map(|plan| plan.version), allotment.map(|allotment| allotment.plan));
}
