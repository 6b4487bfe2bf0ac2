//! An RPC error proves nothing about a container; only a definite answer, N times, or its destruction, ends a mapping.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::ContainerId;
use cf_warm_pools::core::outcome::{Outcome, Reason};
use cf_warm_pools::core::shard::{ContainerKind, Finding, Input};

use crate::world::{Script, World};

fn cut_off(world: &mut World, container: ContainerId, cut: bool) {
    world.containers.get_mut(&container).unwrap().script.unreachable = cut;
}

#[test]
fn a_short_outage_costs_no_mapping() {
    let mut world = World::warm(r#""warm_target": 0"#);
    let first = world.get("alice");
    cut_off(&mut world, first.container, true);
    world.run_for(Millis::from_secs(50));
    cut_off(&mut world, first.container, false);
    world.run_for(Millis::from_secs(120));
    assert_eq!(world.get("alice").container, first.container);
}

#[test]
fn one_definite_negative_is_not_enough() {
    let mut world = World::warm(r#""warm_target": 0"#);
    let first = world.get("alice");
    world.ask_with("alice", Some(first.container));
    world.step(Input::CheckDone(first.container, Finding::Stopped));
    world.run_for(Millis::from_secs(60));
    assert_eq!(world.get("alice").container, first.container);
}

#[test]
fn a_container_that_stays_unreachable_is_given_up_and_stays_on_the_books() {
    for kind in [ContainerKind::Agent, ContainerKind::Class] {
        let mut world = World::with(r#""warm_target": 1"#, Script { kind, ..Script::default() });
        let first = world.get("alice");
        let at = world.now;
        cut_off(&mut world, first.container, true);
        while world.lookup("alice").is_some() && world.now - at < Millis::from_secs(300) {
            world.run_for(Millis::from_secs(1));
        }
        let took = world.now - at;
        assert!(took >= Millis::from_secs(60) && took < Millis::from_secs(120), "{kind:?}: {took:?}");
        let second = world.get("alice");
        assert_eq!((second.outcome, second.reason), (Outcome::Warm, Some(Reason::ContainerUnreachable)));
        assert!(second.epoch > first.epoch);
        assert!(world.rows.containers.contains_key(&first.container));
    }
}

#[test]
fn an_answer_of_a_suspect_clears_it() {
    let mut world = World::warm(r#""warm_target": 0"#);
    let first = world.get("alice");
    for _ in 0..20 {
        let waiter = world.ask_with("alice", Some(first.container));
        assert_eq!(world.answer(waiter).unwrap().container, first.container);
        world.run_for(Millis(50));
    }
    assert!(world.lookup("alice").is_some());
}

#[test]
fn errors_that_come_fast_after_a_long_idle_time_cost_no_mapping() {
    // Nobody asked for minutes: that is no silence of the container's.
    let script = Script { error_after: Millis(5), ..Script::default() };
    for kind in [ContainerKind::Agent, ContainerKind::Class] {
        let mut world = World::with(r#""warm_target": 0, "refresh_interval": "4m""#, Script { kind, ..script.clone() });
        let first = world.get("alice");
        world.run_for(Millis::from_secs(230));
        cut_off(&mut world, first.container, true);
        for _ in 0..200 {
            world.ask_with("alice", Some(first.container));
            world.run_for(Millis(200));
        }
        cut_off(&mut world, first.container, false);
        world.run_for(Millis::from_secs(60));
        assert_eq!(world.get("alice").container, first.container, "{kind:?}");
    }
}

#[test]
fn a_lost_answer_stops_no_later_check() {
    let mut world = World::warm(r#""warm_target": 0"#);
    let first = world.get("alice");
    world.run_for(Millis::from_secs(9));
    world.lose_answers(Millis::from_secs(15));
    world.kill(first.container);
    world.run_for(Millis::from_secs(120));
    assert!(world.lookup("alice").is_none(), "it was checked again");
}

#[test]
fn an_answer_to_whoever_took_it_over_ends_the_silence() {
    // A shard that got the container from a sibling asks it to start, which tells it its new owner.
    let mut world = World::warm(r#""warm_target": 1"#);
    let first = world.get("alice");
    cut_off(&mut world, first.container, true);
    world.run_for(Millis::from_secs(50));
    world.step(Input::StartDone { container: first.container, result: Ok(ContainerKind::Agent) });
    world.run_for(Millis::from_secs(59));
    assert!(world.lookup("alice").is_some(), "it was heard of less than a lease ago");
    world.run_for(Millis::from_secs(60));
    assert!(world.lookup("alice").is_none());
}
