//! Once faults stop, the pool is at its target within a few refresh intervals.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::outcome::{Outcome, Reason};
use cf_warm_pools::core::shard::{CHECKS_PER_REFRESH, ContainerKind, Input, State, WARM_CHECKS_PER_REFRESH};

use crate::world::{Script, World, id};

#[test]
fn refill_starts_as_soon_as_one_is_taken() {
    let mut world = World::warm(r#""warm_target": 20, "max_concurrent_starts": 20"#);
    for n in 0..20 {
        assert_eq!(world.get(&format!("id-{n}")).outcome, Outcome::Warm);
    }
    assert_eq!(world.counts(), (20, 0, 20, 0));
    world.run_for(world.script.boot + Millis(50));
    assert_eq!(world.counts(), (0, 20, 20, 0), "one start time, not one per container");
}

#[test]
fn a_killed_warm_container_is_replaced() {
    for kind in [ContainerKind::Agent, ContainerKind::Class] {
        let mut world = World::with(r#""warm_target": 2"#, Script { kind, ..Script::default() });
        world.run_for(Millis::from_secs(20));
        let victim = world.shard.containers().next().unwrap().container;
        world.kill(victim);
        world.run_for(Millis::from_secs(25));
        assert_eq!((world.counts(), world.running()), ((0, 2, 0, 0), 2));
        assert!(!world.rows.containers.contains_key(&victim));
    }
}

#[test]
fn a_stopped_container_ends_its_mapping_and_the_id_learns_why_it_has_another() {
    let mut world = World::warm(r#""warm_target": 1"#);
    let first = world.get("alice").container;
    world.kill(first);
    world.step(Input::Stopped(first));
    world.run_for(Millis::from_secs(10));
    let second = world.get("alice");
    assert_ne!(second.container, first);
    assert_eq!((second.outcome, second.reason), (Outcome::Warm, Some(Reason::ContainerStopped)));
}

#[test]
fn an_unreported_death_is_found_by_the_checks() {
    let mut world = World::warm(r#""warm_target": 0"#);
    let first = world.get("alice").container;
    world.get("bob");
    world.kill(first);
    world.run_for(Millis::from_secs(12));
    assert!(world.lookup("alice").is_none());
    assert!(world.lookup("bob").is_some(), "others are untouched");
}

#[test]
fn a_smaller_target_lets_the_surplus_go_and_a_larger_one_fills_up() {
    let mut world = World::warm(r#""warm_target": 6"#);
    world.configure(2, r#""warm_target": 2"#);
    world.run_for(Millis::from_secs(10));
    assert_eq!((world.counts(), world.running()), ((0, 2, 0, 0), 2));
    world.configure(3, r#""warm_target": 5"#);
    world.run_for(Millis::from_secs(10));
    assert_eq!(world.counts(), (0, 5, 0, 0));
}

#[test]
fn a_new_spec_rolls_through_the_stock_without_emptying_it() {
    let mut world = World::warm(r#""warm_target": 3"#);
    let old: Vec<_> = world.rows.containers.keys().copied().collect();
    world.configure(2, r#""warm_target": 3, "start": {"env": {"MODE": "new"}}"#);
    for _ in 0..100 {
        world.run_for(Millis(100));
        assert!(world.counts().1 >= 3, "never below the target: {:?}", world.counts());
    }
    assert!(world.rows.containers.keys().all(|container| !old.contains(container)));
    assert_eq!(world.rows.specs.len(), 1, "the old spec is forgotten with its last container");
}

#[test]
fn of_a_surplus_the_outdated_go_first() {
    let mut world = World::warm(r#""warm_target": 4"#);
    let renewed = r#""max_concurrent_starts": 1, "start": {"env": {"MODE": "new"}}"#;
    world.configure(2, &format!(r#""warm_target": 4, {renewed}"#));
    world.run_for(world.script.boot + Millis(100));
    let current = *world.containers.keys().nth(4).unwrap();
    assert_eq!(world.counts().1, 4, "three outdated, one current");
    world.configure(3, &format!(r#""warm_target": 1, {renewed}"#));
    world.run_for(Millis(100));
    assert_eq!(world.counts().1, 1);
    assert!(matches!(world.rows.containers.get(&current).unwrap().state, State::Warm { .. }));
}

#[test]
fn at_capacity_a_new_spec_rolls_one_by_one() {
    let mut world = World::warm(r#""warm_target": 3, "max_instances": 3"#);
    world.configure(2, r#""warm_target": 3, "max_instances": 3, "start": {"env": {"MODE": "new"}}"#);
    world.run_for(Millis::from_secs(60));
    assert_eq!(world.counts(), (0, 3, 0, 0));
    assert_eq!(world.rows.specs.len(), 1);
}

#[test]
fn an_empty_pool_has_no_alarm() {
    let mut world = World::warm(r#""warm_target": 0"#);
    world.get("alice");
    assert!(world.shard.next_timeout().is_some());
    world.step(Input::Release(id("alice")));
    // And the coordinator has been told of it.
    world.run_for(Millis::from_secs(3));
    assert_eq!(world.shard.next_timeout(), None);
}

#[test]
fn checks_come_in_pages_and_reach_every_container() {
    let mut world = World::new(r#""warm_target": 600, "max_concurrent_starts": 64"#);
    world.run_for(Millis::from_secs(60));
    let waiters: Vec<_> = (0..150).map(|n| world.ask(&format!("id-{n}"))).collect();
    for waiter in waiters {
        world.answer(waiter).unwrap();
    }
    world.run_for(Millis::from_secs(30));
    world.checks.clear();
    world.run_for(Millis::from_secs(10));
    let at_once: u32 = world.checks.values().sum();
    assert!(at_once as usize <= 2 * (CHECKS_PER_REFRESH + WARM_CHECKS_PER_REFRESH), "{at_once} at once");
    world.run_for(Millis::from_secs(40));
    assert!(world.rows.containers.keys().all(|container| world.checks.contains_key(container)));
}
