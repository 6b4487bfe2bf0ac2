//! Nothing learned can block for ever: a ceiling, a backoff, a breaker each decay or are retried.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::failure::FailureClass;
use cf_warm_pools::core::outcome::{Outcome, Reason, RefusalCode};
use cf_warm_pools::core::shard::{Input, Rows, Shard};

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
fn a_ceiling_rises_with_the_starts_that_were_under_way() {
    // Room for two: of three starts at once the third fails first, when none of the others is known to run.
    let slow = Script { boot: Millis(2_000), ..Script::default() };
    let mut world = World::with(r#""warm_target": 0"#, slow);
    let waiters = ["alice", "bob"].map(|id| world.ask(id));
    world.script = failing(FailureClass::Capacity);
    world.ask("carol");
    world.run_for(Millis(500));
    assert_eq!(world.shard.stats(world.now).ceiling, Some(0));
    world.run_for(Millis(2_000));
    assert_eq!(world.shard.stats(world.now).ceiling, Some(2));
    world.script = Script::default();
    for waiter in waiters {
        let container = world.answer(waiter).unwrap().container;
        world.kill(container);
        world.step(Input::Stopped(container));
    }
    world.run_for(Millis(500));
    assert_eq!(world.get("dave").outcome, Outcome::Cold, "what they had is free at once");
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

#[test]
fn an_agent_that_is_stopping_for_ever_keeps_no_id() {
    let script = Script { lingers: true, ..Script::default() };
    let mut world = World::with(r#""warm_target": 1, "drain_timeout": "5m""#, script);
    let first = world.get("alice");
    world.run_for(Millis::from_secs(5));
    world.containers.get_mut(&first.container).unwrap().stopping = true;
    // The agent has turned the caller away, who asks the shard what is true.
    let waiter = world.ask_with("alice", Some(first.container));
    let second = world.answer(waiter).unwrap();
    assert_ne!(second.container, first.container);
    assert_eq!((second.outcome, second.reason), (Outcome::Warm, Some(Reason::ContainerStopped)));
    world.run_for(Millis::from_secs(60));
    assert!(world.containers[&first.container].running, "it has its time to stop");
    world.run_for(Millis::from_secs(300));
    assert!(!world.containers[&first.container].running);
}

#[test]
fn a_caller_that_was_turned_away_waits_for_the_truth() {
    let mut world = World::warm(r#""warm_target": 1"#);
    let first = world.get("alice");
    world.run_for(Millis::from_secs(5));
    world.kill(first.container);
    let waiter = world.ask_with("alice", Some(first.container));
    let second = world.answer(waiter).unwrap();
    assert_ne!(second.container, first.container);
    assert_eq!(second.reason, Some(Reason::ContainerStopped));
}

#[test]
fn a_missing_binding_fills_no_books() {
    let script = Script { unbound: true, ..Script::default() };
    let mut world = World::with(r#""warm_target": 2, "max_instances": 2"#, script);
    world.run_for(Millis::from_secs(600));
    assert_eq!(world.counts(), (0, 0, 0, 0));
    let refused = world.ask("alice");
    assert!(world.answer(refused).unwrap_err().message.contains("no binding"));
    world.script.unbound = false;
    world.run_for(Millis::from_secs(60));
    assert_eq!(world.counts(), (0, 2, 0, 0));
}

#[test]
fn a_shard_starts_what_its_plan_says_though_no_row_has_that_spec() {
    // As after a deploy of code that has another name for the same spec.
    let world = World::warm(r#""warm_target": 1"#);
    let rows = Rows {
        specs: world.rows.specs.iter().map(|(&id, spec)| (id, spec.clone())).take(0).collect(),
        // What that shard has counted, the other world has not seen.
        counters: Default::default(),
        ..world.rows.clone()
    };
    let mut other = World::new(r#""warm_target": 1"#);
    other.shard =
        Shard::load(world.shard.id().clone(), Rows { containers: Default::default(), ..rows.clone() }, world.now);
    other.rows = Rows { containers: Default::default(), ..rows };
    other.now = world.now;
    other.containers.clear();
    other.forget_calls();
    other.run_for(Millis::from_secs(10));
    assert_eq!(other.counts(), (0, 1, 0, 0));
}

#[test]
fn at_the_platforms_cap_few_starts_fail() {
    let mut world = World::warm(r#""warm_target": 4, "max_concurrent_starts": 16"#);
    world.script.boot = Millis(100);
    world.script.fails = failure(FailureClass::Capacity);
    world.configure(2, r#""warm_target": 40, "max_concurrent_starts": 16"#);
    let before = world.containers.len();
    world.run_for(Millis::from_secs(14));
    let tried = world.containers.len() - before;
    assert!(tried <= 16, "{tried} starts failed");
}

#[test]
fn what_was_learned_before_the_clock_went_back_ends_however_often_the_object_is_loaded() {
    let mut world = World::with(r#""warm_target": 1"#, failing(FailureClass::Permanent));
    world.run_for(Millis::from_secs(1));
    world.script.fails = None;
    world.now = Millis(100_000);
    for _ in 0..6 {
        world.restart();
        world.run_for(Millis::from_secs(10));
    }
    assert_eq!(world.counts().1, 1, "no reload puts the end off again");
}
