//! What is counted is counted right, costs no write where none is due, and never goes back in what has been told.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::failure::FailureClass;
use cf_warm_pools::core::outcome::{Outcome, Reason};
use cf_warm_pools::core::shard::{Input, Write};
use cf_warm_pools::core::stats::KEEP;

use crate::world::{Script, World, failure, id};

fn writes_counters(world: &World) -> bool {
    world.last_writes.iter().any(|write| matches!(write, Write::PutCounters(_)))
}

#[test]
fn an_answer_is_counted_with_its_outcome_its_reason_and_how_long_it_took() {
    let mut world = World::warm(r#""warm_target": 1"#);
    world.get("alice");
    let (bob, joins) = (world.ask("bob"), world.ask("bob"));
    world.run_for(Millis(1_000));
    let late = world.ask("bob");
    for waiter in [bob, joins, late] {
        assert_eq!(world.answer(waiter).unwrap().outcome, Outcome::Cold);
    }
    assert!(world.shard.sticky(&id("alice")).is_some());
    world.get("alice");
    let detail = world.tell().detail.unwrap();
    assert_eq!(detail.because.get(&Outcome::Cold).unwrap().get(&Reason::Exhausted), Some(&3));
    let of = |outcome| {
        let histogram = detail.acquire.get(&outcome).unwrap();
        (histogram.buckets.iter().sum::<u64>(), histogram.sum_millis)
    };
    assert_eq!((of(Outcome::Warm), of(Outcome::Sticky)), ((1, 0), (2, 0)));
    assert_eq!(of(Outcome::Cold), (3, 3_000 + 3_000 + 2_000), "each waited from its own question on");
    assert_eq!(detail.start.sum_millis, 3_000 * detail.start.buckets.iter().sum::<u64>());
}

#[test]
fn a_caller_who_doubted_a_container_has_waited_for_its_check() {
    let mut world = World::warm(r#""warm_target": 1"#);
    let alice = world.get("alice");
    let waiter = world.ask_with("alice", Some(alice.container));
    assert_eq!(world.answer(waiter).unwrap().container, alice.container);
    let detail = world.tell().detail.unwrap();
    assert_eq!(detail.acquire.get(&Outcome::Sticky).unwrap().sum_millis, crate::world::LATENCY.0);
}

#[test]
fn the_last_error_of_a_class_is_kept_with_its_time() {
    let script = Script { fails: failure(FailureClass::NotReady), ..Script::default() };
    let mut world = World::with(r#""warm_target": 1"#, script);
    world.run_for(Millis::from_secs(5));
    let last = world.tell().detail.unwrap().last_errors.get(&FailureClass::NotReady).unwrap().clone();
    assert_eq!(last.message, "scripted");
    assert!(last.at < world.now && world.now - last.at < Millis::from_secs(5));
}

#[test]
fn sticky_answers_cost_no_write_and_quiet_refreshes_hardly_any() {
    let mut world = World::warm(r#""warm_target": 2, "refresh_interval": "10s""#);
    world.get("alice");
    world.run_for(Millis::from_secs(25));
    for _ in 0..100 {
        world.ask("alice");
        assert_eq!(world.last_writes, [], "a sticky answer");
    }
    let mut rows = 0;
    let end = world.now + KEEP;
    while world.now < end {
        world.run_for(Millis::from_secs(1));
        rows += usize::from(writes_counters(&world));
    }
    // The sticky answers, and then the time that containers have lived.
    assert!((1..=2).contains(&rows), "{rows} rows in five quiet minutes");
}

#[test]
fn a_pool_that_has_nothing_writes_nothing_when_it_is_asked() {
    let mut world = World::new(r#""warm_target": 0"#);
    world.tell();
    assert_eq!(world.last_writes, []);
    let mut unknown = World::unconfigured();
    unknown.tell();
    assert_eq!((unknown.last_writes.len(), unknown.shard.next_timeout()), (0, None));
}

#[test]
fn what_was_told_survives_the_object() {
    for seed in 0..20_u64 {
        let mut random = seed;
        let mut dice = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut world =
            World::new(r#""warm_target": 2, "max_instances": 5, "acquire_timeout": "2s", "drain_timeout": "1s""#);
        for _ in 0..150 {
            let name = format!("id-{}", dice(6));
            match dice(9) {
                0..3 => drop(world.ask(&name)),
                3 => world.step(Input::Release(id(&name))),
                4 => drop(world.tell()),
                5 => {
                    // In a step of its own: between two there is what only memory knows.
                    world.tell();
                    world.run_for(Millis(dice(20_000)));
                    world.restart();
                    world.tell();
                }
                6 => drop(world.shard.sticky(&id(&name))),
                _ => world.run_for(Millis(dice(5_000))),
            }
        }
    }
}

#[test]
fn the_time_while_the_object_was_not_in_memory_is_counted_by_what_it_finds() {
    let mut world = World::warm(r#""warm_target": 2"#);
    let warm = |world: &mut World| world.tell().detail.unwrap().container_millis.warm;
    let before = warm(&mut world);
    world.now = world.now + Millis::from_secs(3_600);
    world.restart();
    assert_eq!(warm(&mut world) - before, 2 * 3_600_000);
}
