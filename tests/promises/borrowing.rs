//! Warm containers go to where they are needed, and a transfer neither leaks nor shares one, whatever is lost.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::outcome::Outcome;
use cf_warm_pools::core::shard::State;

use super::siblings::Siblings;

const KEYS: &str = r#""warm_target": 4, "refresh_interval": "2s""#;

fn warm(state: &State) -> bool {
    matches!(state, State::Warm { .. })
}

/// Two shards with two warm containers each, which know of each other.
fn two() -> Siblings {
    let mut pool = Siblings::new(2, KEYS);
    pool.run_for(Millis::from_secs(10));
    assert_eq!(pool.count(warm), 4);
    hints(&mut pool);
    pool
}

fn hints(pool: &mut Siblings) {
    for index in pool.indexes() {
        let target = pool.shard(index).stats(pool.now).warm_target;
        pool.allot(index, target, 0, Millis(0));
    }
}

#[test]
fn an_id_that_would_have_to_wait_gets_a_siblings_container() {
    let mut pool = two();
    let ids: Vec<String> = (0..4).map(|nth| pool.id_of(0, nth)).collect();
    let at = pool.now;
    let outcomes: Vec<Outcome> = ids.iter().map(|id| pool.get(id).outcome).collect();
    assert_eq!(outcomes, [Outcome::Warm, Outcome::Warm, Outcome::Borrowed, Outcome::Borrowed]);
    assert!(pool.now - at < Millis(100), "in no time: {:?}", pool.now - at);
    pool.run_for(Millis::from_secs(10));
    assert_eq!(pool.count(warm), 4, "the lender has replaced what it lent, and the borrower what it gave");
    assert_eq!(pool.shard(1).stats(pool.now).counts.warm, 2);
    for id in &ids {
        assert_eq!(pool.get(id).outcome, Outcome::Sticky);
    }
}

#[test]
fn where_nobody_has_stock_nobody_is_asked() {
    let mut pool = Siblings::new(2, r#""warm_target": 0"#);
    hints(&mut pool);
    let id = pool.id_of(0, 0);
    let at = pool.now;
    let assignment = pool.get(&id);
    assert_eq!(assignment.outcome, Outcome::Cold);
    assert!(pool.now - at < Millis(3_020), "its start does not wait: {:?}", pool.now - at);
}

#[test]
fn a_sibling_that_does_not_answer_is_not_waited_for_long() {
    let mut pool = two();
    let ids: Vec<String> = (0..3).map(|nth| pool.id_of(0, nth)).collect();
    pool.get(&ids[0]);
    pool.get(&ids[1]);
    pool.lost = 1_000;
    let at = pool.now;
    let third = pool.get(&ids[2]);
    assert_eq!(third.outcome, Outcome::Cold);
    assert!(pool.now - at < Millis(4_100), "a second for the sibling and a start: {:?}", pool.now - at);
}

#[test]
fn what_comes_too_late_is_stock_and_goes_if_there_is_too_much() {
    let mut pool = two();
    let ids: Vec<String> = (0..3).map(|nth| pool.id_of(0, nth)).collect();
    pool.get(&ids[0]);
    pool.get(&ids[1]);
    pool.ask(&ids[2]);
    // The question is out; what is sent back is lost for a while.
    pool.lost = 1_000;
    pool.run_for(Millis::from_secs(9));
    pool.lost = 0;
    pool.run_for(Millis::from_secs(30));
    assert_eq!(pool.count(|state| matches!(state, State::Moving { .. })), 0);
    assert_eq!(pool.count(warm), 4);
}

#[test]
fn at_capacity_a_container_brings_its_credit_along() {
    let mut pool = Siblings::new(2, r#""warm_target": 4, "max_instances": 4, "refresh_interval": "2s""#);
    pool.run_for(Millis::from_secs(10));
    hints(&mut pool);
    let ids: Vec<String> = (0..4).map(|nth| pool.id_of(0, nth)).collect();
    let outcomes: Vec<Outcome> = ids.iter().map(|id| pool.get(id).outcome).collect();
    assert_eq!(outcomes, [Outcome::Warm, Outcome::Warm, Outcome::Borrowed, Outcome::Borrowed]);
    assert_eq!(pool.shard(0).stats(pool.now).max_instances, Some(4));
    assert_eq!(pool.shard(1).stats(pool.now).max_instances, Some(0));
}

#[test]
fn a_container_that_is_given_back_before_anybody_said_it_had_come_is_not_lost() {
    let mut pool = Siblings::new(2, r#""warm_target": 1, "refresh_interval": "600s", "sleep_after": "3600s""#);
    pool.run_for(Millis::from_secs(10));
    hints(&mut pool);
    let first = pool.id_of(1, 0);
    // Shard 0 lends its one container, and hears nothing of its arrival; shard 1 has it as stock by then.
    pool.ask(&first);
    pool.release(&first);
    for _ in 0..500 {
        pool.lost = 300;
        for (index, nth) in [(0, 0), (1, 0)] {
            let id = pool.id_of(index, nth);
            pool.ask(&id);
            pool.run_for(Millis(200));
            pool.release(&id);
        }
        hints(&mut pool);
        pool.run_for(Millis(500));
    }
}

/// Containers are lent to and fro while messages are lost and objects dropped.
#[test]
fn nothing_is_leaked_or_shared_whatever_fails() {
    for seed in 0..12 {
        let mut pool = Siblings::new(
            4,
            r#""warm_target": 8, "max_instances": 120, "refresh_interval": "2s", "acquire_timeout": "10s""#,
        )
        .seeded(seed);
        pool.run_for(Millis::from_secs(10));
        (pool.lost, pool.dropped) = (100, 10);
        for round in 0..300u32 {
            let id = pool.id_of((round / 10) % 4, (round % 10) as usize);
            pool.ask(&id);
            if round % 3 == 0 {
                pool.release(&id);
            }
            if round % 20 == 0 {
                hints(&mut pool);
            }
            pool.run_for(Millis(50));
        }
        (pool.lost, pool.dropped) = (0, 0);
        pool.run_for(Millis::from_secs(120));
        assert_eq!(pool.count(|state| matches!(state, State::Moving { .. })), 0, "seed {seed}");
        assert_eq!(pool.count(warm), 8, "seed {seed}");
        let credits: u32 = (0..4).filter_map(|index| pool.shard(index).stats(pool.now).max_instances).sum();
        assert_eq!(credits, 120, "seed {seed}: no credit is made or lost");
    }
}

#[test]
fn however_much_is_on_its_way_a_delivery_is_bounded_and_the_rest_goes_with_the_next() {
    let mut pool = Siblings::new(1, r#""warm_target": 0, "max_concurrent_starts": 64"#);
    let ids: Vec<String> = (0..200).map(|n| format!("user-{n}")).collect();
    for id in &ids {
        pool.ask(id);
    }
    pool.run_for(Millis::from_secs(60));
    pool.reshard(2);
    // Nobody else pushes: all are asked for at once.
    pool.configure(1);
    let moved: Vec<&String> = ids.iter().filter(|id| pool.owner(id) == 1).collect();
    let at = pool.now;
    for id in &moved {
        pool.ask(id);
    }
    pool.run_for(Millis::from_secs(2));
    let missing = moved.iter().filter(|id| pool.shard(1).lookup(&super::world::id(id)).is_none()).count();
    assert_eq!(missing, 0, "all are there after {:?}", pool.now - at);
    assert!(pool.largest_delivery <= 32, "{}", pool.largest_delivery);
}

#[test]
fn who_has_asked_in_vain_starts_its_own_however_many_siblings_there_are() {
    let mut pool = Siblings::new(4, r#""warm_target": 40, "refresh_interval": "60s", "sleep_after": "600s""#);
    pool.run_for(Millis::from_secs(40));
    hints(&mut pool);
    let ids: Vec<String> = (0..12).map(|nth| pool.id_of(0, nth)).collect();
    for id in ids.iter().take(10) {
        pool.get(id);
    }
    pool.lost = 1_000;
    let at = pool.now;
    assert_eq!(pool.get(&ids[10]).outcome, Outcome::Cold);
    assert!(pool.now - at < Millis(5_100), "two seconds for two siblings and a start: {:?}", pool.now - at);
}
