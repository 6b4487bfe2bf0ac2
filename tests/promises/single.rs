//! An id never has two live containers.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::outcome::Outcome;
use cf_warm_pools::core::shard::{ContainerKind, Input};

use crate::world::{Script, World, id};

#[test]
fn concurrent_first_calls_share_one_start() {
    let mut world = World::new(r#""warm_target": 0"#);
    let waiters: Vec<_> = (0..50).map(|_| world.ask("alice")).collect();
    let answers: Vec<_> = waiters.into_iter().map(|waiter| world.answer(waiter).unwrap()).collect();
    assert!(answers.iter().all(|answer| answer.container == answers[0].container && answer.outcome == Outcome::Cold));
    assert_eq!(world.containers.len(), 1);
}

#[test]
fn a_waiter_is_served_by_whichever_container_is_ready_first() {
    let mut world = World::new(r#""warm_target": 0"#);
    world.script.boot = Millis(9_000);
    let alice = world.ask("alice");
    world.script.boot = Millis(1_000);
    let bob = world.ask("bob");
    let at = world.now;
    world.answer(alice).unwrap();
    assert_eq!(world.now - at, Millis(1_000), "alice was first in line, so the quick one is hers");
    world.answer(bob).unwrap();
    assert_eq!(world.now - at, Millis(9_000));
}

#[test]
fn after_a_release_the_next_container_waits_until_the_former_one_is_revoked() {
    let mut world = World::warm(r#""warm_target": 2"#);
    let first = world.get("alice");
    world.shard.confirm(world.now, first.container, &id("alice"), first.epoch).granted().unwrap();
    world.step(Input::Release(id("alice")));
    let at = world.now;
    let waiter = world.ask("alice");
    assert!(!world.answers.contains_key(&waiter), "the stop has not arrived yet");
    let second = world.answer(waiter).unwrap();
    assert!(world.now > at);
    assert_ne!(second.container, first.container);
    assert!(second.epoch > first.epoch);
}

#[test]
fn when_the_stop_of_a_released_container_is_lost_its_lease_is_waited_out() {
    let mut world = World::warm(r#""warm_target": 2, "lease_ttl": "20s", "acquire_timeout": "2m""#);
    let first = world.get("alice");
    let granted = world.now;
    assert!(world.shard.confirm(world.now, first.container, &id("alice"), first.epoch).granted().is_some());
    world.containers.get_mut(&first.container).unwrap().script.unreachable = true;
    world.run_for(Millis::from_secs(5));
    world.step(Input::Release(id("alice")));
    let waiter = world.ask("alice");
    world.answer(waiter).unwrap();
    assert!(world.now - granted >= Millis::from_secs(20), "{:?}", world.now - granted);
    assert!(world.now - granted < Millis::from_secs(25));
    assert!(world.shard.confirm(world.now, first.container, &id("alice"), first.epoch).granted().is_none());
}

#[test]
fn a_restart_forgets_no_lease() {
    let mut world = World::warm(r#""warm_target": 2, "lease_ttl": "20s", "acquire_timeout": "2m""#);
    let first = world.get("alice");
    world.shard.confirm(world.now, first.container, &id("alice"), first.epoch).granted().unwrap();
    let granted = world.now;
    world.containers.get_mut(&first.container).unwrap().script.unreachable = true;
    world.restart();
    world.step(Input::Release(id("alice")));
    world.restart();
    let waiter = world.ask("alice");
    world.answer(waiter).unwrap();
    assert!(world.now - granted >= Millis::from_secs(20));
}

#[test]
fn epochs_grow_through_restarts() {
    let mut world = World::warm(r#""warm_target": 1"#);
    let mut last = world.get("alice").epoch;
    for _ in 0..5 {
        world.step(Input::Release(id("alice")));
        world.restart();
        let epoch = world.get("alice").epoch;
        assert!(epoch > last);
        last = epoch;
    }
}

#[test]
fn only_the_holder_is_confirmed() {
    let mut world = World::warm(r#""warm_target": 2"#);
    let alice = world.get("alice");
    let bob = world.get("bob");
    let now = world.now;
    assert!(world.shard.confirm(now, alice.container, &id("alice"), alice.epoch).granted().is_some());
    assert!(world.shard.confirm(now, alice.container, &id("bob"), bob.epoch).granted().is_none());
    assert!(world.shard.confirm(now, alice.container, &id("alice"), bob.epoch).granted().is_none());
    assert!(world.shard.confirm(now, bob.container, &id("alice"), alice.epoch).granted().is_none());
}

#[test]
fn a_class_without_a_fence_is_replaced_once_its_stop_arrived() {
    let script = Script { kind: ContainerKind::Class, ..Script::default() };
    let mut world = World::with(r#""warm_target": 1"#, script);
    let first = world.get("alice");
    assert!(!first.fenced);
    world.step(Input::Release(id("alice")));
    assert_ne!(world.get("alice").container, first.container);
    world.run_for(Millis::from_secs(60));
    assert_eq!(world.counts(), (0, 1, 1, 0));
    assert_eq!(world.running(), 2);
}

#[test]
fn a_class_that_was_not_checked_for_long_still_blocks_its_id_until_its_stop_arrived() {
    let script = Script { kind: ContainerKind::Class, ..Script::default() };
    let mut world = World::with(r#""warm_target": 1, "refresh_interval": "4m", "acquire_timeout": "2m""#, script);
    let first = world.get("alice");
    world.run_for(Millis::from_secs(200));
    world.containers.get_mut(&first.container).unwrap().script.unreachable = true;
    world.step(Input::Release(id("alice")));
    let at = world.now;
    let waiter = world.ask("alice");
    world.answer(waiter).unwrap();
    assert!(world.now - at >= Millis::from_secs(60));
}
