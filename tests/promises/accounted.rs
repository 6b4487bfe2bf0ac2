//! A container is written down before it is started, and stays on the books until it is confirmed gone.
//! (`World` checks after every step that nothing runs untracked.)

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::failure::FailureClass;
use cf_warm_pools::core::id::{ContainerId, ShardIndex};
use cf_warm_pools::core::shard::{ContainerKind, Delivery, Input, Parcel, Spec, State};

use crate::world::{Container, Script, World, failure, id};

#[test]
fn a_restart_in_the_middle_of_starts_takes_them_up_again() {
    let mut world = World::new(r#""warm_target": 4"#);
    assert_eq!(world.counts(), (4, 0, 0, 0));
    for _ in 0..5 {
        world.run_for(Millis(700));
        world.restart();
    }
    world.run_for(Millis::from_secs(10));
    assert_eq!(world.counts(), (0, 4, 0, 0));
    assert_eq!(world.containers.len(), 4, "no container was started in vain");
}

#[test]
fn a_failed_start_is_destroyed_not_forgotten() {
    let script = Script { fails: failure(FailureClass::NotReady), ..Script::default() };
    let mut world = World::with(r#""warm_target": 2"#, script);
    world.run_for(Millis::from_secs(60));
    world.script.fails = None;
    world.run_for(Millis::from_secs(60));
    assert_eq!(world.counts(), (0, 2, 0, 0));
    assert_eq!(world.running(), 2);
}

#[test]
fn a_container_that_ignores_sigterm_is_destroyed_at_the_deadline() {
    let script = Script { ignores_sigterm: true, ..Script::default() };
    let mut world = World::with(r#""warm_target": 0, "drain_timeout": "15s""#, script);
    let container = world.get("alice").container;
    world.step(Input::Release(id("alice")));
    world.run_for(Millis::from_secs(14));
    assert!(world.containers[&container].running);
    assert_eq!(world.counts(), (0, 0, 0, 1), "it counts as long as it runs");
    world.run_for(Millis::from_secs(2));
    assert!(!world.containers[&container].running);
    assert_eq!(world.counts(), (0, 0, 0, 0));
    world.run_for(Millis::from_secs(2));
    assert_eq!(world.shard.next_timeout(), None, "nothing is due, so no alarm");
}

#[test]
fn a_drain_goes_on_after_a_restart() {
    let script = Script { ignores_sigterm: true, ..Script::default() };
    let mut world = World::with(r#""warm_target": 0"#, script);
    world.get("alice");
    world.step(Input::Release(id("alice")));
    world.restart();
    world.run_for(Millis::from_secs(40));
    world.restart();
    assert_eq!((world.counts(), world.running()), ((0, 0, 0, 0), 0));
}

#[test]
fn a_container_that_cannot_be_destroyed_stays_on_the_books() {
    let mut world = World::new(r#""warm_target": 0, "max_instances": 1"#);
    let container = world.get("alice").container;
    world.containers.get_mut(&container).unwrap().script.unreachable = true;
    world.step(Input::Release(id("alice")));
    world.run_for(Millis::from_secs(3_600));
    assert_eq!(world.counts(), (0, 0, 0, 1));
    let bob = world.ask("bob");
    assert!(world.answer(bob).is_err(), "it still takes the only place");
    world.containers.get_mut(&container).unwrap().script.unreachable = false;
    world.run_for(Millis::from_secs(120));
    assert_eq!((world.counts(), world.running()), ((0, 0, 0, 0), 0));
}

#[test]
fn a_start_that_was_under_way_is_not_forgotten_by_code_without_the_binding() {
    let mut world = World::new(r#""warm_target": 2"#);
    world.run_for(Millis(700));
    // A deploy takes the binding away, and the object is loaded anew.
    world.script.unbound = true;
    world.containers.values_mut().for_each(|container| container.script.unbound = true);
    world.restart();
    world.run_for(Millis::from_secs(60));
    assert_eq!((world.counts(), world.running()), ((0, 0, 0, 2), 2), "they may run, and do");
    world.script.unbound = false;
    world.containers.values_mut().for_each(|container| container.script.unbound = false);
    world.run_for(Millis::from_secs(120));
    assert_eq!((world.counts(), world.running()), ((0, 2, 0, 0), 2));
}

#[test]
fn a_container_from_a_sibling_is_not_forgotten_by_code_without_the_binding() {
    let mut world = World::new(r#""warm_target": 0"#);
    let container = ContainerId::from_random(77);
    let script = Script { unbound: true, ..Script::default() };
    let plan = world.shard.plan().unwrap().clone();
    let spec = Spec::of(&plan.pool);
    let (state, kind) = (State::Warm { since: world.now }, Some(ContainerKind::Agent));
    let parcel = Parcel { seq: 1, container, spec, created: world.now, kind, state, credit: None };
    let delivery = Delivery { from: ShardIndex(1), plan, paid: Default::default(), parcels: vec![parcel] };
    world.containers.insert(container, Container { script, running: true, stopping: false });
    world.step(Input::Receive(Box::new(delivery)));
    world.run_for(Millis::from_secs(60));
    assert_eq!((world.counts(), world.running()), ((0, 0, 0, 1), 1), "it runs");
}
