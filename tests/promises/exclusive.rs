//! A container serves at most one id in its whole life; once used it never becomes warm again.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::ContainerId;
use cf_warm_pools::core::outcome::Outcome;
use cf_warm_pools::core::shard::Input;

use crate::world::{World, id};

#[test]
fn twenty_ids_have_twenty_containers() {
    let mut world = World::warm(r#""warm_target": 5"#);
    let waiters: Vec<_> = (0..200).map(|n| world.ask(&format!("id-{}", n % 20))).collect();
    let mut containers: Vec<ContainerId> =
        waiters.into_iter().map(|waiter| world.answer(waiter).unwrap().container).collect();
    containers.sort();
    containers.dedup();
    assert_eq!(containers.len(), 20);
    assert_eq!(world.counts().2, 20);
}

#[test]
fn a_released_container_is_never_handed_out_again() {
    let mut world = World::warm(r#""warm_target": 1"#);
    let first = world.get("alice").container;
    world.step(Input::Release(id("alice")));
    for n in 0..10 {
        assert_ne!(world.get(&format!("id-{n}")).container, first);
    }
    assert_ne!(world.get("alice").container, first);
}

#[test]
fn a_container_that_shutdown_prewarmed_sent_away_is_not_handed_out() {
    let mut world = World::warm(r#""warm_target": 3"#);
    let stock: Vec<ContainerId> = world.shard.containers().map(|row| row.container).collect();
    world.step(Input::ShutdownPrewarmed);
    let next = world.get("alice");
    assert!(!stock.contains(&next.container));
    world.run_for(Millis::from_secs(20));
    assert_eq!(world.counts(), (0, 3, 1, 0), "the stock is new");
}

#[test]
fn the_oldest_warm_container_goes_first() {
    let mut world = World::warm(r#""warm_target": 1"#);
    let oldest = world.shard.containers().next().unwrap().container;
    world.configure(2, r#""warm_target": 4"#);
    world.run_for(Millis::from_secs(5));
    let assignment = world.get("alice");
    assert_eq!((assignment.container, assignment.outcome), (oldest, Outcome::Warm));
}
