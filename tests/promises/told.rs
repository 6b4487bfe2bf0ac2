//! What a shard tells the coordinator of what has happened: why, in order, without an id, and without a row for it.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::failure::FailureClass;
use cf_warm_pools::core::outcome::{Outcome, Reason};
use cf_warm_pools::core::shard::Input;
use serde_json::{Map, Value};

use super::world::{Script, World, failure, id};

/// The words under `key` of the events of `kind`.
fn words<'w>(world: &'w World, kind: &str, key: &str) -> Vec<Option<&'w str>> {
    of(world, kind).map(|event| event.get(key).and_then(Value::as_str)).collect()
}

fn of<'w>(world: &'w World, kind: &str) -> impl Iterator<Item = &'w Map<String, Value>> {
    world.told.iter().filter(move |event| event["kind"] == kind)
}

#[test]
fn the_life_of_a_container_is_told_with_the_reason_and_the_hash_of_its_id() {
    let mut world = World::new(r#""warm_target": 0"#);
    let assignment = world.get("alice");
    assert_eq!((assignment.outcome, assignment.reason), (Outcome::Cold, Some(Reason::NoWarmTarget)));
    world.step(Input::Release(id("alice")));
    world.run_for(Millis::from_secs(3));
    let container = assignment.container.to_string();
    let kinds: Vec<&str> = world.told.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["started", "assigned", "released", "drained", "gone"]);
    assert!(world.told.iter().all(|event| event["container"] == container.as_str()));
    assert_eq!(words(&world, "assigned", "outcome"), [Some("cold")]);
    assert_eq!(words(&world, "assigned", "reason"), [Some("no-warm-target")]);
    assert_eq!(words(&world, "drained", "reason"), [Some("released")]);
    let sessions = ["assigned", "released", "drained"].map(|kind| words(&world, kind, "session"));
    assert!(sessions.iter().all(|session| *session == sessions[0] && session[0].is_some()));
    assert!(of(&world, "released").all(|event| event["epoch"] == assignment.epoch.0));
    assert!(!format!("{:?}", world.told).contains("alice"));
    assert_eq!(world.shard.next_timeout(), None, "all is told, and nothing is due");
}

#[test]
fn what_is_learned_from_failing_starts_is_told_and_that_it_is_over() {
    let script = Script { fails: failure(FailureClass::Permanent), ..Script::default() };
    let mut world = World::with(r#""warm_target": 1"#, script);
    world.run_for(Millis::from_secs(10));
    assert_eq!(words(&world, "start-failed", "reason")[0], Some("permanent"));
    assert_eq!(words(&world, "breaker-opened", "message"), [Some("scripted")]);
    world.script = Script { fails: failure(FailureClass::Capacity), ..Script::default() };
    world.configure(2, r#""warm_target": 1, "sleep_after": "9m""#);
    world.run_for(Millis::from_secs(10));
    assert_eq!(words(&world, "breaker-closed", "reason"), [None]);
    assert!(of(&world, "ceiling-learned").all(|event| event["limit"] == 0));
    assert_eq!(of(&world, "ceiling-expired").count(), 0);
    world.script = Script::default();
    world.run_for(Millis::from_secs(60));
    assert_eq!((of(&world, "ceiling-learned").count(), of(&world, "ceiling-expired").count()), (1, 1));
    assert_eq!(of(&world, "started").count(), 1);
}
