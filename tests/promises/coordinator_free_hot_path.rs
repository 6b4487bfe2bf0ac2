//! A container is had while the coordinator is unreachable. (Here nobody ever answers a report.)

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::outcome::{Outcome, RefusalCode};
use cf_warm_pools::core::shard::{Input, WaiterId};

use crate::world::{World, id};

#[test]
fn a_shard_serves_and_replenishes_for_hours_without_an_answer() {
    let mut world = World::warm(r#""warm_target": 2"#);
    for n in 0..100 {
        assert_eq!(world.get(&format!("id-{n}")).outcome, Outcome::Warm);
        world.run_for(Millis::from_secs(60));
    }
    assert_eq!(world.counts(), (0, 2, 100, 0));
    assert!(world.reports > 100, "it never stopped trying");
}

#[test]
fn an_id_of_another_shard_is_sent_there_and_changes_nothing() {
    let mut world = World::warm(r#""warm_target": 2"#);
    let before = world.rows.clone();
    let waiter = WaiterId(9_999);
    world.step(Input::Acquire { waiter, id: id("alice"), shards: Some(8), suspect: None });
    let refusal = world.answers[&waiter].clone().unwrap_err();
    assert_eq!((refusal.code, refusal.shards), (RefusalCode::WrongShard, Some(1)));
    assert_eq!(world.rows, before);
}
