//! Nothing learned can block for ever: a ceiling, a backoff, a breaker each decay or are retried.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::failure::FailureClass;
use cf_warm_pools::core::outcome::{Outcome, RefusalCode};

use crate::world::{Script, World, failure};

fn failing(class: FailureClass) -> Script {
    Script { boot: Millis(200), fails: failure(class), ..Script::default() }
}

#[test]
fn a_burst_at_the_platforms_cap_teaches_no_ceiling_for_ever() {
    let mut world = World::with(r#""warm_target": 3"#, failing(FailureClass::Capacity));
    world.run_for(Millis::from_secs(5));
    let stats = world.shard.stats(world.now);
    assert_eq!((stats.ceiling, stats.counts.total), (Some(0), 0));
    world.script.fails = None;
    world.run_for(Millis::from_secs(60));
    assert_eq!(world.counts(), (0, 3, 0, 0));
}

#[test]
fn a_permanent_failure_is_told_at_once_and_mended_without_a_restart() {
    let mut world = World::with(r#""warm_target": 1"#, failing(FailureClass::Permanent));
    world.run_for(Millis::from_secs(1));
    let at = world.now;
    let waiter = world.ask("alice");
    let refusal = world.answer(waiter).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::StartFailed);
    assert!(refusal.message.contains("scripted"), "the caller is told the cause: {}", refusal.message);
    assert!(refusal.retry_after_millis.is_some());
    assert_eq!(world.now, at, "without waiting");
    world.script.fails = None;
    world.run_for(Millis::from_secs(70));
    assert_eq!(world.counts().1, 1);
    assert_eq!(world.get("alice").outcome, Outcome::Warm);
}

#[test]
fn failing_starts_back_off_and_the_stats_show_it() {
    let mut world = World::with(r#""warm_target": 4"#, failing(FailureClass::Exited));
    world.run_for(Millis::from_secs(600));
    let stats = world.shard.stats(world.now);
    assert!(stats.breaker_open && stats.failures >= 5);
    assert_eq!(stats.last_failure.unwrap().class, FailureClass::Exited);
    let tried = world.containers.len();
    assert!(tried < 60, "{tried} starts in ten minutes");
    assert_eq!(world.running(), 0, "no leak");
}

#[test]
fn a_changed_start_is_tried_at_once() {
    let mut world = World::with(r#""warm_target": 1"#, failing(FailureClass::Permanent));
    world.run_for(Millis::from_secs(300));
    world.script.fails = None;
    world.configure(2, r#""warm_target": 1, "start": {"port": 9000}"#);
    world.run_for(Millis(250));
    assert_eq!(world.counts().1, 1);
}

#[test]
fn a_transient_error_is_retried_with_the_same_container() {
    let mut world = World::with(r#""warm_target": 1"#, failing(FailureClass::Transient));
    world.run_for(Millis::from_secs(5));
    let container = *world.containers.keys().next().unwrap();
    world.containers.get_mut(&container).unwrap().script.fails = None;
    world.run_for(Millis::from_secs(20));
    assert_eq!((world.containers.len(), world.counts()), (1, (0, 1, 0, 0)));
}

#[test]
fn a_start_that_never_answers_ends_at_its_deadline() {
    let script = Script { unreachable: true, ..Script::default() };
    let mut world = World::with(r#""warm_target": 1"#, script);
    world.run_for(Millis::from_secs(30));
    world.script.unreachable = false;
    world.run_for(Millis::from_secs(120));
    assert_eq!(world.counts().1, 1, "another one took its place");
}
