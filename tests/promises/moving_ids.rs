//! The shard count changes under load, and no id loses its container or gets a second one: what the shards do about it.

use std::collections::BTreeMap;

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::ContainerId;
use cf_warm_pools::core::outcome::{Outcome, RefusalCode};
use cf_warm_pools::core::shard::State;

use super::siblings::Siblings;

fn assigned(state: &State) -> bool {
    matches!(state, State::Assigned { .. })
}

/// Tells every shard of the old and the new count.
fn tell_all(pool: &mut Siblings, shards: u32) {
    let most = pool.indexes().into_iter().max().unwrap_or(0).max(shards - 1);
    (0..=most).for_each(|index| pool.configure(index));
}

fn reshard(pool: &mut Siblings, shards: u32) {
    pool.reshard(shards);
    tell_all(pool, shards);
    pool.run_for(Millis::from_secs(60));
    assert_eq!(pool.to_move(), 0, "all has moved");
    pool.close();
    pool.run_for(Millis::from_secs(30));
}

fn with_containers(pool: &mut Siblings, count: usize) -> Vec<(String, ContainerId)> {
    let ids = (0..count).map(|n| format!("user-{n}"));
    ids.map(|id| (id.clone(), pool.get(&id).container)).collect()
}

#[test]
fn every_id_keeps_its_container_through_growth_and_shrinking() {
    let mut pool = Siblings::new(1, r#""warm_target": 4, "refresh_interval": "1s""#);
    let before = with_containers(&mut pool, 100);
    for shards in [4, 16, 3] {
        reshard(&mut pool, shards);
        for (id, container) in &before {
            let found = pool.get(id);
            assert_eq!((found.container, found.outcome), (*container, Outcome::Sticky), "{shards} shards");
            assert_eq!(found.shard.0, pool.owner(id));
        }
        assert_eq!(pool.count(assigned), before.len());
        assert_eq!(pool.count(|state| matches!(state, State::Warm { .. })), 4, "{shards} shards");
    }
    for index in 3..16 {
        assert!(pool.rows(index).containers.is_empty(), "a shard that is no more has nothing left");
    }
}

#[test]
fn an_id_is_pulled_by_its_new_owner_before_all_else_has_moved() {
    let mut pool = Siblings::new(1, r#""warm_target": 1"#);
    let before: BTreeMap<String, ContainerId> = with_containers(&mut pool, 200).into_iter().collect();
    pool.reshard(2);
    // Only the new shard knows the new plan: it tells the old one.
    pool.configure(1);
    let last = before.keys().filter(|id| pool.owner(id) == 1).max_by_key(|id| before[*id]).unwrap().clone();
    let at = pool.now;
    assert_eq!(pool.get(&last).container, before[&last]);
    assert!(pool.now - at < Millis(50), "it does not wait for the others: {:?}", pool.now - at);
    assert!(pool.to_move() > 32, "which have not moved yet");
}

#[test]
fn a_new_owner_starts_nothing_before_it_has_heard_from_the_old_one() {
    let mut pool = Siblings::new(1, r#""warm_target": 0, "acquire_timeout": "8s""#);
    pool.reshard(2);
    pool.configure(1);
    let moved = pool.id_of(1, 0);
    pool.lost = 1_000;
    let waiter = pool.ask(&moved);
    pool.run_for(Millis::from_secs(9));
    let refusal = pool.answers[&waiter].clone().unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Timeout);
    assert!(pool.running.is_empty());
    pool.lost = 0;
    assert_eq!(pool.get(&moved).outcome, Outcome::Cold);
}

#[test]
fn who_asks_the_former_owner_is_told_which_plan_says_otherwise() {
    let mut pool = Siblings::new(1, "");
    pool.reshard(2);
    tell_all(&mut pool, 2);
    let moved = pool.id_of(1, 0);
    let waiter = pool.ask_at(0, &moved);
    let refusal = pool.answers[&waiter].clone().unwrap_err();
    assert_eq!(refusal.code, RefusalCode::WrongShard);
    assert_eq!((refusal.shards, refusal.plan), (Some(2), Some(pool.plan_of.version)));
}

#[test]
fn callers_that_wait_when_their_id_moves_are_sent_on() {
    let mut pool = Siblings::new(1, r#""warm_target": 0"#);
    let waiters: Vec<_> = (0..20).map(|n| (format!("user-{n}"), pool.ask(&format!("user-{n}")))).collect();
    pool.reshard(2);
    tell_all(&mut pool, 2);
    for (id, waiter) in waiters {
        let code = pool.answers.get(&waiter).map(|answer| answer.clone().unwrap_err().code);
        let expected = (pool.owner(&id) == 1).then_some(RefusalCode::WrongShard);
        assert_eq!(code, expected, "{id}");
    }
}

#[test]
fn a_lookup_waits_for_what_the_former_owner_says() {
    let mut pool = Siblings::new(1, "");
    let before = with_containers(&mut pool, 30);
    pool.reshard(3);
    pool.configure(1);
    pool.configure(2);
    let moved: Vec<_> = before.into_iter().filter(|(id, _)| pool.owner(id) != 0).collect();
    let waiters: Vec<_> = moved.iter().map(|(id, container)| (pool.locate(id), *container)).collect();
    let unknown = (100..).map(|n| format!("user-{n}")).find(|id| pool.owner(id) == 1).unwrap();
    let nobody = pool.locate(&unknown);
    pool.run_for(Millis(100));
    for (waiter, container) in waiters {
        let found = pool.located[&waiter].clone().unwrap().map(|assignment| assignment.container);
        assert_eq!(found, Some(container));
    }
    assert_eq!(pool.located[&nobody], Ok(None));
}

#[test]
fn a_released_id_waits_for_its_former_container_also_at_its_new_owner() {
    let mut pool = Siblings::new(1, r#""warm_target": 1"#);
    let id = {
        let mut other = Siblings::new(1, "");
        other.reshard(2);
        other.id_of(1, 0)
    };
    let first = pool.get(&id);
    pool.release(&id);
    pool.reshard(2);
    tell_all(&mut pool, 2);
    let second = pool.get(&id);
    assert_ne!(second.container, first.container);
    assert!(second.epoch > first.epoch);
}

/// 1 -> 4 -> 16 -> 3 with callers at any time, while messages between the shards are lost and objects dropped at any point.
#[test]
fn nothing_is_lost_or_doubled_whatever_fails() {
    for seed in 0..8 {
        let keys = r#""warm_target": 3, "refresh_interval": "2s", "max_instances": 60"#;
        let mut pool = Siblings::new(1, keys).seeded(seed);
        let mut asked = 0;
        for shards in [4, 16, 3] {
            (pool.lost, pool.dropped) = (60, 10);
            pool.reshard(shards);
            let most = pool.indexes().into_iter().max().unwrap().max(shards - 1);
            for round in 0..200u32 {
                // The shards hear of it one after another.
                if round % 5 == 0 {
                    pool.configure((round / 5) % (most + 1));
                }
                asked += 1;
                pool.ask(&format!("user-{}", (asked * 7) % 41));
                if asked % 23 == 0 {
                    pool.release(&format!("user-{}", asked % 41));
                }
                pool.run_for(Millis(37));
            }
            (0..=most).for_each(|index| pool.configure(index));
            (pool.lost, pool.dropped) = (0, 0);
            pool.run_for(Millis::from_secs(100));
            assert_eq!(pool.to_move(), 0, "seed {seed}: all has moved");
            pool.close();
        }
        pool.run_for(Millis::from_secs(200));
        for index in 3..16 {
            assert!(pool.rows(index).containers.is_empty(), "seed {seed}: {index} has nothing left");
        }
        assert_eq!(pool.count(|state| matches!(state, State::Moving { .. })), 0);
    }
}

#[test]
fn however_many_ids_are_asked_for_only_so_many_questions_are_under_way() {
    let mut pool = Siblings::new(1, r#""warm_target": 0, "acquire_timeout": "80s", "max_concurrent_starts": 64"#);
    let before = with_containers(&mut pool, 4);
    pool.reshard(2);
    pool.configure(1);
    pool.lost = 1_000;
    let ids: Vec<String> = (0..300).map(|nth| pool.id_of(1, nth)).collect();
    let waiters: Vec<_> = ids.iter().map(|id| pool.ask(id)).collect();
    assert!(pool.pulls <= 64, "{} at once", pool.pulls);
    pool.run_for(Millis::from_secs(12));
    pool.lost = 0;
    pool.run_for(Millis::from_secs(80));
    for (id, waiter) in ids.iter().zip(waiters) {
        let found = pool.answers[&waiter].clone();
        let known = before.iter().find(|(other, _)| other == id);
        match known {
            Some((_, container)) => assert_eq!(found.unwrap().container, *container),
            None => assert!(found.is_ok_and(|assignment| assignment.outcome == Outcome::Cold), "{id}"),
        }
    }
}
