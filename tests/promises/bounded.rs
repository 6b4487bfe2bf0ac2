//! Starting, warm, assigned and draining containers together never exceed `max_instances`.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::outcome::{Outcome, Reason, RefusalCode};
use cf_warm_pools::core::shard::Input;

use crate::world::{Script, World, id};

fn total(world: &World) -> u32 {
    let (starting, warm, assigned, draining) = world.counts();
    starting + warm + assigned + draining
}

#[test]
fn fifty_ids_on_six_containers() {
    let mut world = World::new(r#""warm_target": 2, "max_instances": 6, "acquire_timeout": "10s""#);
    let waiters: Vec<_> = (0..50).map(|n| world.ask(&format!("id-{n}"))).collect();
    let mut most = 0;
    for _ in 0..200 {
        world.run_for(Millis(100));
        most = most.max(total(&world));
    }
    let answers: Vec<_> = waiters.into_iter().map(|waiter| world.answer(waiter)).collect();
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert_eq!((most, refused.len()), (6, 44));
    assert!(refused.iter().all(|refusal| refusal.code == RefusalCode::AtCapacity));
    assert!(refused.iter().all(|refusal| refusal.retry_after_millis.is_some_and(|wait| wait >= 1_000)));
}

#[test]
fn a_draining_container_counts_until_it_is_gone_and_the_first_in_line_gets_its_place() {
    let script = Script { ignores_sigterm: true, ..Script::default() };
    let mut world = World::with(r#""warm_target": 0, "max_instances": 1, "drain_timeout": "10s""#, script);
    world.get("alice");
    world.step(Input::Release(id("alice")));
    let (bob, carol) = (world.ask("bob"), world.ask("carol"));
    world.run_for(Millis::from_secs(9));
    assert_eq!(total(&world), 1);
    assert_eq!(world.counts().3, 1);
    let bob = world.answer(bob).unwrap();
    assert_eq!((bob.outcome, bob.reason), (Outcome::Cold, Some(Reason::AtCapacity)));
    assert!(world.answer(carol).is_err());
}

#[test]
fn a_container_that_may_still_serve_its_former_id_counts() {
    let mut world = World::warm(r#""warm_target": 1, "max_instances": 1"#);
    let alice = world.get("alice");
    world.shard.confirm(world.now, alice.container, &id("alice"), alice.epoch).granted().unwrap();
    world.containers.get_mut(&alice.container).unwrap().script.unreachable = true;
    world.step(Input::Release(id("alice")));
    let bob = world.ask("bob");
    assert!(world.answer(bob).is_err());
    assert_eq!(total(&world), 1);
}

#[test]
fn starts_are_bounded_in_parallel() {
    let mut world = World::new(r#""warm_target": 20, "max_concurrent_starts": 4"#);
    let mut most = 0;
    for _ in 0..100 {
        most = most.max(world.counts().0);
        world.run_for(Millis(200));
    }
    assert_eq!((most, world.counts().1), (4, 20));
}

#[test]
fn a_lowered_limit_takes_from_the_stock_never_from_ids() {
    let mut world = World::warm(r#""warm_target": 4, "max_instances": 8"#);
    world.get("alice");
    world.run_for(Millis::from_secs(10));
    world.configure(2, r#""warm_target": 2, "max_instances": 2"#);
    world.run_for(Millis::from_secs(30));
    assert_eq!(world.counts(), (0, 1, 1, 0));
}
