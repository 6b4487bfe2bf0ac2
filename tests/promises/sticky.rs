//! While its container lives, an id gets that container.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::outcome::Outcome;

use crate::world::World;

#[test]
fn an_id_keeps_its_container_through_restarts_and_config_changes() {
    let mut world = World::warm(r#""warm_target": 2"#);
    let first = world.get("alice");
    for round in 2..12u64 {
        world.restart();
        world.configure(round, &format!(r#""warm_target": {}, "start": {{"port": {}}}"#, round % 4, 8000 + round));
        world.run_for(Millis::from_secs(60));
        let again = world.get("alice");
        assert_eq!((again.container, again.epoch, again.outcome), (first.container, first.epoch, Outcome::Sticky));
    }
}

#[test]
fn when_the_pool_changes_its_class_an_id_keeps_its_container_and_is_told_its_binding() {
    let mut world = World::warm(r#""warm_target": 2"#);
    let first = world.get("alice");
    assert_eq!(first.binding.unwrap().as_str(), "C");
    let mut plan = world.shard.plan().unwrap().clone();
    plan.version.version += 1;
    plan.pool.container = "OTHER".to_owned().try_into().unwrap();
    world.step(cf_warm_pools::core::shard::Input::Configured(Box::new(plan)));
    world.run_for(Millis::from_secs(30));
    let again = world.get("alice");
    assert_eq!((again.container, again.outcome), (first.container, Outcome::Sticky));
    assert_eq!(again.binding.unwrap().as_str(), "C");
    assert_eq!(world.get("bob").binding.unwrap().as_str(), "OTHER", "new ones are of the new class");
}

#[test]
fn a_sticky_hit_writes_nothing() {
    let mut world = World::warm(r#""warm_target": 2"#);
    world.get("alice");
    world.get("alice");
    assert_eq!(world.last_writes, []);
}

#[test]
fn a_warm_assignment_writes_its_row_and_the_one_of_the_successor() {
    let mut world = World::warm(r#""warm_target": 2"#);
    world.get("alice");
    assert_eq!(world.last_writes.len(), 2, "{:?}", world.last_writes);
}

#[test]
fn a_pool_that_is_taken_out_of_the_configuration_keeps_its_ids() {
    let mut world = World::warm(r#""warm_target": 2"#);
    let first = world.get("alice");
    let plan = world.shard.plan().unwrap().clone();
    let mut version = plan.version;
    version.version += 1;
    world.step(cf_warm_pools::core::shard::Input::Configured(Box::new(plan.retired(version))));
    world.run_for(Millis::from_secs(60));
    assert_eq!(world.get("alice").container, first.container);
    assert_eq!(world.counts(), (0, 0, 1, 0), "the stock is gone");
    let refused = world.ask("bob");
    assert!(world.answer(refused).unwrap_err().message.contains("no configuration"));
}

#[test]
fn who_waits_for_a_pool_that_is_taken_out_is_told_so_and_nothing_is_started_for_them() {
    let mut world = World::new(r#""warm_target": 0, "max_concurrent_starts": 1"#);
    let waiting = [world.ask("alice"), world.ask("bob")];
    let plan = world.shard.plan().unwrap().clone();
    let mut version = plan.version;
    version.version += 1;
    world.step(cf_warm_pools::core::shard::Input::Configured(Box::new(plan.retired(version))));
    for waiter in waiting {
        let answer = world.answers.get(&waiter).expect("at once");
        assert!(answer.as_ref().unwrap_err().message.contains("no configuration"));
    }
    world.run_for(Millis::from_secs(60));
    assert_eq!(world.containers.len(), 1, "only the one that was starting already");
    assert_eq!(world.counts(), (0, 0, 0, 0));
}
