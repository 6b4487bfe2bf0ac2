//! Credits: a shard has no more containers than it has, gets more when ids wait, and gives back what it does not need.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::allotment::CreditTerms;
use cf_warm_pools::core::outcome::{Outcome, RefusalCode};

use super::siblings::Siblings;

const SOON: Millis = Millis::from_secs(20);

/// Two shards, of a pool that may have ten containers: five credits each, and a coordinator.
fn pool(warm_target: u32) -> Siblings {
    pool_with(warm_target, "")
}

fn pool_with(warm_target: u32, more: &str) -> Siblings {
    let keys = format!(
        r#""warm_target": {warm_target}, "max_instances": 10, "refresh_interval": "2s", "acquire_timeout": "5s"{more}"#
    );
    let mut pool = Siblings::new(2, &keys);
    pool.reshard(2);
    let shards = pool.plan_of.pool.shards;
    pool.plan_of.from = None;
    pool.plan_of.credits = Some(CreditTerms { generation: 2, total: 10, shards });
    (0..2).for_each(|index| pool.configure(index));
    pool.run_for(SOON);
    pool
}

fn credits(pool: &Siblings, index: u32) -> u32 {
    pool.shard(index).stats(pool.now).max_instances.unwrap()
}

fn returned(pool: &Siblings, index: u32) -> u64 {
    pool.shard(index).report(pool.now).standing.unwrap().credits.unwrap().returned
}

#[test]
fn ids_that_wait_for_credits_are_reported_at_once_and_served_with_what_is_given() {
    let mut pool = pool(0);
    for nth in 0..5 {
        let id = pool.id_of(0, nth);
        assert_eq!(pool.get(&id).outcome, Outcome::Cold);
    }
    let reports = pool.reports.get(&0).copied().unwrap_or_default();
    let (sixth, seventh) = (pool.id_of(0, 5), pool.id_of(0, 6));
    let waiters = [pool.ask(&sixth), pool.ask(&seventh)];
    assert_eq!(pool.reports[&0], reports + 2, "once for each that makes it more");
    let standing = pool.shard(0).report(pool.now).standing.unwrap();
    assert_eq!((standing.lacking, standing.waiting), (2, 2));
    pool.allot(0, 0, 1, Millis(0));
    pool.run_for(Millis::from_secs(4));
    assert!(pool.answers[&waiters[0]].is_ok(), "who came first");
    pool.run_for(Millis::from_secs(4));
    assert_eq!(pool.answers[&waiters[1]].clone().unwrap_err().code, RefusalCode::AtCapacity);
}

#[test]
fn what_was_given_is_told_again_and_again_and_counts_once() {
    let mut pool = pool(0);
    for _ in 0..3 {
        pool.allot(0, 0, 4, Millis(0));
    }
    pool.allot(0, 0, 2, Millis(0));
    pool.restart(0);
    assert_eq!(credits(&pool, 0), 9);
}

#[test]
fn credits_that_are_called_back_go_unless_they_are_in_use() {
    let mut pool = pool(2);
    let id = pool.id_of(0, 0);
    pool.get(&id);
    pool.run_for(SOON);
    assert_eq!(credits(&pool, 0), 5);
    pool.allot(0, 1, 0, Millis::from_secs(4));
    assert_eq!((credits(&pool, 0), returned(&pool, 0)), (2, 3), "one serves, one is warm");
    // For as long as they are called back, also what becomes free.
    pool.release(&id);
    pool.run_for(Millis::from_secs(1));
    assert_eq!((credits(&pool, 0), returned(&pool, 0)), (1, 4));
    pool.run_for(Millis::from_secs(4));
    pool.allot(0, 1, 1, Millis(0));
    assert_eq!(credits(&pool, 0), 2, "and no longer");
}

#[test]
fn over_a_lowered_limit_credits_go_that_ids_wait_for_and_else_they_stay() {
    for (over, left) in [(false, 3), (true, 1)] {
        let mut pool = pool_with(0, r#", "max_concurrent_starts": 1"#);
        pool.over = over;
        for nth in 0..3 {
            let id = pool.id_of(0, nth);
            pool.ask(&id);
        }
        pool.allot(0, 0, 0, Millis::from_secs(4));
        assert_eq!((credits(&pool, 0), returned(&pool, 0)), (left, u64::from(5 - left)), "one starts, two wait");
        assert_eq!(pool.shard(0).report(pool.now).standing.unwrap().lacking, if over { 2 } else { 0 });
    }
}

#[test]
fn nothing_is_returned_to_whoever_counts_from_another_beginning() {
    let mut pool = pool(0);
    pool.plan_of.credits.as_mut().unwrap().generation = 1;
    pool.allot(0, 0, 0, Millis::from_secs(4));
    assert_eq!((credits(&pool, 0), returned(&pool, 0)), (5, 0));
}

#[test]
fn a_pool_that_is_gone_gives_everything_back() {
    let mut pool = pool(4);
    pool.plan_of = pool.plan_of.clone().retired(pool.plan_of.version);
    pool.plan_of.version.version += 1;
    (0..2).for_each(|index| pool.configure(index));
    pool.run_for(Millis::from_secs(60));
    assert_eq!([credits(&pool, 0), credits(&pool, 1)], [0, 0]);
    assert_eq!(returned(&pool, 0) + returned(&pool, 1), 10);
}

#[test]
fn a_shard_that_is_gone_gives_everything_back() {
    let mut pool = pool(4);
    let ids: Vec<String> = (0..2).flat_map(|shard| [pool.id_of(shard, 0), pool.id_of(shard, 1)]).collect();
    let before: Vec<_> = ids.iter().map(|id| pool.get(id).container).collect();
    let credits_of = pool.plan_of.credits;
    pool.reshard(1);
    pool.plan_of.credits = credits_of;
    (0..2).for_each(|index| pool.configure(index));
    pool.run_for(Millis::from_secs(30));
    assert_eq!(credits(&pool, 1), 0);
    let moved = u64::from(credits(&pool, 0)) - 5;
    assert_eq!(returned(&pool, 1), 5 - moved, "what did not go along with a container");
    let after: Vec<_> = ids.iter().map(|id| pool.get(id).container).collect();
    assert_eq!(after, before);
}

#[test]
fn by_code_alone_a_limit_is_split_evenly_and_changes_with_the_plan() {
    let mut pool = Siblings::new(2, r#""warm_target": 0, "max_instances": 5"#);
    assert_eq!([credits(&pool, 0), credits(&pool, 1)], [3, 2]);
    pool.reshard(2);
    let shards = pool.plan_of.pool.shards;
    pool.plan_of.from = None;
    pool.plan_of.credits = Some(CreditTerms { generation: 0, total: 8, shards });
    (0..2).for_each(|index| pool.configure(index));
    assert_eq!([credits(&pool, 0), credits(&pool, 1)], [4, 4]);
}

#[test]
fn a_return_is_told_again_until_it_is_heard_of_also_by_a_shard_that_is_idle() {
    let mut pool = pool(0);
    assert_eq!(pool.shard(0).next_timeout(), None, "it has nothing to do");
    pool.allot(0, 0, 0, Millis::from_secs(4));
    assert_eq!(returned(&pool, 0), 5);
    pool.restart(0);
    let before = pool.reports.get(&0).copied().unwrap_or_default();
    pool.run_for(Millis::from_secs(10));
    assert!(pool.reports[&0] >= before + 4, "once per refresh");
    pool.heard_returned = 5;
    pool.allot(0, 0, 0, Millis(0));
    pool.run_for(Millis::from_secs(4));
    assert_eq!(pool.shard(0).next_timeout(), None, "and then it rests");
}
