//! Containers of a class are never more than its limit over all shards of all its pools, and what one shard does not use, another
//! gets.

use cf_warm_pools::config::resolved::{Config, Millis};
use cf_warm_pools::core::allotment::{CreditTerms, ShardReport, Standing};
use cf_warm_pools::core::coordinator::{HEARD_EMPTY_FOR, Input, RECALL_AGAIN, Write};
use cf_warm_pools::core::share;
use cf_warm_pools::core::stats::Counts;

use crate::desk::{Desk, REFRESH, pool, pools, sent, shard, told};

/// One pool of so many shards with a limit and no stock.
fn limited(shards: u32, max: u32) -> Config {
    pools(&[&format!(r#""warm_target": 0, "shards": {shards}, "max_instances": {max}"#)])
}

fn terms(desk: &Desk, name: &str) -> CreditTerms {
    desk.machine.plan_of(&shard(name)).unwrap().credits.unwrap()
}

fn given(desk: &Desk, name: &str) -> u64 {
    desk.machine.allotment_of(&shard(name)).unwrap().credits.unwrap().given
}

/// A shard uses all it has, and so many ids wait, the first for so many seconds.
fn lacking(desk: &Desk, name: &str, lacking: u32, secs: u64) -> Standing {
    let waiting_for = Millis::from_secs(secs);
    Standing { waiting: lacking, lacking, waiting_for, credits: desk.credits(name, 0, 0), ..busy(desk, name) }
}

/// A shard uses all it has.
fn busy(desk: &Desk, name: &str) -> Standing {
    Standing { counts: Counts { assigned: 1, ..Counts::default() }, ..spare(desk, name, 0, 0) }
}

/// A shard has returned so many, and does not use so many.
fn spare(desk: &Desk, name: &str, returned: u64, spare: u32) -> Standing {
    Standing { credits: desk.credits(name, returned, spare), ..Standing::default() }
}

#[test]
fn a_pool_alone_begins_with_its_whole_limit_spread_evenly() {
    let desk = Desk::with(limited(4, 10));
    let terms = terms(&desk, "a/0");
    assert_eq!((terms.total, terms.shards.get(), terms.generation > 0), (10, 4, true));
    let bases = (0..4).map(|index| desk.machine.plan_of(&shard(&format!("a/{index}"))).unwrap().share.max_instances);
    assert_eq!(bases.collect::<Vec<_>>(), [Some(3), Some(3), Some(2), Some(2)]);
}

#[test]
fn pools_of_a_class_begin_with_what_code_alone_gives_them() {
    let config = pools(&[
        r#""warm_target": 0, "max_instances": 30"#,
        r#""warm_target": 0, "max_instances": 10"#,
        r#""warm_target": 0"#,
    ]);
    let desk = Desk::with(config.clone());
    let totals = ["a", "b", "c"].map(|name| terms(&desk, &format!("{name}/0")).total);
    let by_code = share::limits(&config);
    assert_eq!(totals.map(Some), ["a", "b", "c"].map(|name| by_code.get(&pool(name)).copied()));
    assert_eq!(totals.iter().sum::<u32>(), 30);
}

#[test]
fn a_pool_that_comes_later_begins_with_what_the_others_have_left() {
    let first = r#""warm_target": 0, "max_instances": 10"#;
    let mut desk = Desk::with(pools(&[first]));
    let before = terms(&desk, "a/0");
    desk.deploy(pools(&[first, r#""warm_target": 0, "max_instances": 16"#]));
    assert_eq!(terms(&desk, "b/0").total, 6, "16 for the class, of which a has 10");
    assert_eq!(terms(&desk, "a/0"), before, "terms stay");
    desk.deploy(pools(&[first, first, first]));
    assert_eq!(terms(&desk, "c/0").total, 0);
    let large = r#""warm_target": 0, "max_instances": 40"#;
    desk.deploy(pools(&[large, first, first, r#""warm_target": 0, "max_instances": 5"#]));
    assert_eq!(terms(&desk, "d/0").total, 5, "no more than its own limit");
}

#[test]
fn terms_outlast_every_change_but_the_end_of_the_limit() {
    let mut desk = Desk::with(limited(2, 10));
    let before = terms(&desk, "a/0");
    desk.deploy(limited(4, 30));
    assert_eq!(terms(&desk, "a/0"), before);
    assert_eq!(desk.machine.plan_of(&shard("a/3")).unwrap().share.max_instances, Some(0));
    desk.deploy(pools(&[r#""warm_target": 0, "shards": 4"#]));
    assert_eq!(desk.machine.plan_of(&shard("a/0")).unwrap().credits, None);
    desk.deploy(limited(4, 12));
    let after = terms(&desk, "a/0");
    assert_eq!((after.total, after.shards.get(), after.generation > before.generation), (12, 4, true));
}

#[test]
fn what_is_free_goes_to_whoever_lacks_it_and_is_written_down_first() {
    let mut desk = Desk::with(limited(2, 8));
    desk.deploy(limited(2, 12));
    desk.settle();
    let standing = lacking(&desk, "a/0", 3, 1);
    let (_, allotment, fx) = desk.report("a/0", standing);
    assert_eq!(allotment.credits.unwrap().given, 3, "the reply has it");
    assert!(fx.allotments.is_empty());
    let row = fx.writes.iter().find_map(|write| match write {
        Write::PutLedger(of, row) if *of == shard("a/0") => Some(row.given),
        _ => None,
    });
    assert_eq!(row, Some(3));
    let capacity = desk.machine.capacity(&pool("a")).unwrap();
    assert_eq!((capacity.limit, capacity.leased, capacity.class_leased), (12, 11, 11));
}

#[test]
fn a_reply_that_was_lost_gives_nothing_twice() {
    let mut desk = Desk::with(limited(2, 8));
    desk.deploy(limited(2, 12));
    desk.settle();
    let standing = lacking(&desk, "a/0", 3, 1);
    for _ in 0..3 {
        // It has not heard of any, and says the same again.
        let (_, allotment, _) = desk.report("a/0", standing.clone());
        assert_eq!(allotment.credits.unwrap().given, 3);
    }
    desk.restart();
    let (_, allotment, _) = desk.report("a/0", standing);
    assert_eq!(allotment.credits.unwrap().given, 3);
}

#[test]
fn those_who_wait_longest_are_served_first_over_all_shards_of_the_class() {
    let both = |max: u32| {
        let keys = format!(r#""warm_target": 0, "shards": 2, "max_instances": {max}"#);
        pools(&[&keys, &keys])
    };
    let mut desk = Desk::with(both(8));
    for name in ["a/0", "a/1", "b/0", "b/1"] {
        let (of, secs) = match name {
            "b/1" => (1, 9),
            "a/0" => (2, 8),
            "b/0" => (1, 3),
            _ => (1, 2),
        };
        let standing = lacking(&desk, name, of, secs);
        desk.report(name, standing);
    }
    let before = ["a/0", "a/1", "b/0", "b/1"].map(|name| given(&desk, name));
    assert_eq!(before, [0; 4], "all is in use");
    // The second of a/0 is taken to have come 4 s ago.
    for (limit, expected) in [(9, [0, 0, 0, 1]), (11, [2, 0, 0, 1]), (13, [2, 1, 1, 1])] {
        let fx = desk.deploy(both(limit));
        assert_eq!(["a/0", "a/1", "b/0", "b/1"].map(|name| given(&desk, name)), expected, "of {limit}");
        assert!(told(&fx).len() <= 2 && limit < 13 || limit == 13, "only those who got some are told");
        desk.settle();
    }
}

#[test]
fn stock_gets_what_ids_do_not_need_and_no_more_than_its_target() {
    let config = |max: u32| {
        let keys = format!(r#""warm_target": 8, "shards": 2, "max_instances": {max}"#);
        pools(&[&keys])
    };
    let mut desk = Desk::with(config(8));
    let target = desk.machine.allotment_of(&shard("a/0")).unwrap().warm_target;
    assert_eq!(target, 8);
    let for_stock = Standing {
        counts: Counts { warm: 2, assigned: 2, ..Counts::default() },
        stock_lacking: 20,
        ..spare(&desk, "a/0", 0, 0)
    };
    desk.report("a/0", for_stock);
    let standing = lacking(&desk, "a/1", 3, 1);
    desk.report("a/1", standing);
    desk.deploy(config(11));
    assert_eq!((given(&desk, "a/0"), given(&desk, "a/1")), (0, 3), "ids first");
    desk.deploy(config(30));
    assert_eq!((given(&desk, "a/0"), given(&desk, "a/1")), (6, 3), "2 are warm of 8");
}

#[test]
fn credits_are_called_back_from_those_who_have_most_and_from_no_more_than_needed() {
    let mut desk = Desk::with(limited(8, 40));
    for (index, left) in [(1, 4), (2, 5), (3, 2), (4, 5), (5, 1), (6, 0), (7, 0)] {
        let name = format!("a/{index}");
        let standing =
            Standing { counts: Counts { assigned: 5 - left, ..Counts::default() }, ..spare(&desk, &name, 0, left) };
        desk.report(&name, standing);
    }
    let standing = lacking(&desk, "a/0", 2, 1);
    let (_, reply, fx) = desk.report("a/0", standing);
    assert_eq!(told(&fx), ["a/2"], "5 is twice what is lacking");
    assert_eq!(sent(&fx, "a/2").recall, Millis(2 * REFRESH.0));
    assert_eq!(reply.recall, Millis(0));
    let standing = spare(&desk, "a/2", 5, 0);
    let fx = desk.answer("a/2", standing);
    assert_eq!(told(&fx), ["a/0"], "what comes back is given at once");
    assert_eq!((sent(&fx, "a/0").credits.unwrap().given, given(&desk, "a/2")), (2, 0));
    assert_eq!(desk.machine.allotment_of(&shard("a/4")).unwrap().recall, Millis(0), "and no more are called back");
}

#[test]
fn those_who_were_never_heard_of_are_asked_too_and_seldom_again() {
    let mut desk = Desk::with(limited(4, 8));
    let standing = lacking(&desk, "a/0", 5, 1);
    let (_, _, fx) = desk.report("a/0", standing.clone());
    assert_eq!(told(&fx), ["a/1", "a/2", "a/3"]);
    for name in ["a/1", "a/2", "a/3"] {
        let standing = spare(&desk, name, 2, 0);
        desk.answer(name, standing);
    }
    assert_eq!(given(&desk, "a/0"), 5);
    let standing = lacking(&desk, "a/0", 9, 1);
    let (_, allotment, fx) = desk.report("a/0", standing);
    assert_eq!((allotment.credits.unwrap().given, told(&fx).len()), (6, 0), "they have nothing left");
    for (refreshes, asked) in [(HEARD_EMPTY_FOR - 1, 0), (1, 3)] {
        desk.later(Millis(refreshes * REFRESH.0));
        let standing = lacking(&desk, "a/0", 9, 1);
        let (_, _, fx) = desk.report("a/0", standing);
        assert_eq!(fx.allotments.len(), asked, "only long after: they would say so if they got some");
    }
}

#[test]
fn one_that_does_not_return_its_credits_is_asked_again_but_not_at_once() {
    let mut desk = Desk::with(limited(2, 8));
    let standing = lacking(&desk, "a/0", 5, 1);
    let (_, _, fx) = desk.report("a/0", standing.clone());
    assert_eq!(told(&fx), ["a/1"]);
    let stubborn = spare(&desk, "a/1", 0, 4);
    assert!(told(&desk.answer("a/1", stubborn.clone())).is_empty());
    let at = desk.machine.next_timeout().expect("it is asked again");
    assert_eq!(at, desk.now + RECALL_AGAIN);
    desk.now = at;
    assert_eq!(told(&desk.step(Input::Woken)), ["a/1"]);
    desk.answer("a/1", stubborn);
    // Nobody lacks any more: nobody is asked any more.
    let standing = busy(&desk, "a/0");
    let (_, _, _) = desk.report("a/0", standing);
    desk.now = desk.machine.next_timeout().unwrap();
    assert!(told(&desk.step(Input::Woken)).is_empty());
    assert_eq!(desk.machine.next_timeout(), None);
}

#[test]
fn while_ids_wait_those_who_use_all_return_what_becomes_free() {
    let mut desk = Desk::with(limited(3, 6));
    for name in ["a/1", "a/2"] {
        let standing = busy(&desk, name);
        desk.report(name, standing);
    }
    let standing = lacking(&desk, "a/0", 1, 1);
    let (_, _, fx) = desk.report("a/0", standing.clone());
    assert_eq!(told(&fx), ["a/1", "a/2"]);
    for name in ["a/1", "a/2"] {
        let standing = busy(&desk, name);
        assert!(told(&desk.answer(name, standing)).is_empty());
    }
    // They are told again by the replies to their reports.
    desk.later(REFRESH);
    let standing = busy(&desk, "a/1");
    let (_, reply, _) = desk.report("a/1", standing);
    let standing = lacking(&desk, "a/0", 1, 1);
    let (_, _, fx) = desk.report("a/0", standing);
    assert_eq!((reply.recall > Millis(0), told(&fx).len()), (true, 0));
    // And whatever one returns goes to whoever waits.
    let standing = Standing { credits: desk.credits("a/2", 1, 0), ..busy(&desk, "a/2") };
    let (_, _, fx) = desk.report("a/2", standing);
    assert_eq!(sent(&fx, "a/0").credits.unwrap().given, 1);
}

#[test]
fn a_pool_at_its_own_limit_calls_nothing_back_from_others() {
    let config = pools(&[r#""warm_target": 0, "max_instances": 4"#, r#""warm_target": 0, "max_instances": 8"#]);
    let mut desk = Desk::with(config);
    assert_eq!((terms(&desk, "a/0").total, terms(&desk, "b/0").total), (3, 5));
    let standing = spare(&desk, "b/0", 0, 5);
    desk.report("b/0", standing);
    let standing = lacking(&desk, "a/0", 9, 1);
    let (_, _, fx) = desk.report("a/0", standing);
    assert_eq!((told(&fx), sent(&fx, "b/0").over), (vec!["b/0".to_owned()], false), "it may have one more");
    let standing = spare(&desk, "b/0", 1, 4);
    desk.answer("b/0", standing);
    assert_eq!((given(&desk, "a/0"), desk.machine.capacity(&pool("a")).unwrap().leased), (1, 4));
    let standing = lacking(&desk, "a/0", 8, 1);
    desk.report("a/0", standing);
    assert_eq!(
        desk.machine.allotment_of(&shard("b/0")).unwrap().recall,
        Millis(0),
        "all else would be of no use to it"
    );
}

#[test]
fn one_hot_shard_gets_everything_that_is_unused_in_one_round() {
    let mut desk = Desk::with(limited(8, 40));
    let standing = lacking(&desk, "a/3", 100, 1);
    let (_, _, fx) = desk.report("a/3", standing);
    assert_eq!(fx.allotments.len(), 7);
    let mut last = 0;
    for (of, _) in fx.allotments {
        let standing = spare(&desk, &of.to_string(), 5, 0);
        let fx = desk.answer(&of.to_string(), standing);
        if let Some((_, allotment)) = fx.allotments.first() {
            last = allotment.credits.unwrap().given;
            let standing = lacking(&desk, "a/3", 100 - last as u32, 1);
            desk.answer("a/3", standing);
        }
    }
    assert_eq!((last, given(&desk, "a/3")), (35, 35), "5 it had already");
}

#[test]
fn after_a_lower_limit_credits_come_back_and_the_rest_is_let_go_once() {
    let config = |max: u32| pools(&[&format!(r#""warm_target": 12, "shards": 3, "max_instances": {max}"#)]);
    let mut desk = Desk::with(config(30));
    let warm = |desk: &Desk, name: &str, warm: u32, left: u32| Standing {
        counts: Counts { warm, ..Counts::default() },
        ..spare(desk, name, 0, left)
    };
    for (name, count, left) in [("a/0", 6, 4), ("a/1", 9, 1), ("a/2", 3, 7)] {
        let standing = warm(&desk, name, count, left);
        desk.report(name, standing);
    }
    let fx = desk.deploy(config(12));
    // 30 are outstanding, 12 of them spare: 6 warm ones are to go, of 18.
    let all = ["a/0", "a/1", "a/2"];
    assert_eq!(told(&fx), all);
    assert_eq!(all.map(|name| sent(&fx, name).excess), [2, 3, 1]);
    assert!(all.iter().all(|name| sent(&fx, name).recall > Millis(0) && sent(&fx, name).over));
    assert_eq!(all.map(|name| desk.machine.allotment_of(&shard(name)).unwrap().excess), [0; 3], "told once");
    desk.settle();
    let draining = Counts { warm: 6, draining: 3, ..Counts::default() };
    let standing = Standing { counts: draining, ..spare(&desk, "a/1", 1, 0) };
    let (_, reply, fx) = desk.report("a/1", standing);
    assert_eq!((reply.excess, told(&fx).len()), (0, 0), "what is on its way out need not be told again");
    // One that was not reached still has all of its own: somebody is told anew.
    let standing = warm(&desk, "a/0", 6, 0);
    let standing = Standing { credits: desk.credits("a/0", 4, 0), ..standing };
    let (_, reply, fx) = desk.report("a/0", standing);
    let to_others: u32 = fx.allotments.iter().map(|(_, allotment)| allotment.excess).sum();
    assert_eq!((reply.excess > 0, reply.excess + to_others), (true, 2));
    // Back at the limit, nobody is asked for more.
    let standing = Standing { credits: desk.credits("a/0", 6, 0), ..warm(&desk, "a/0", 4, 0) };
    desk.report("a/0", standing);
    let standing = Standing { credits: desk.credits("a/1", 4, 0), ..warm(&desk, "a/1", 6, 0) };
    desk.report("a/1", standing);
    let standing = Standing { credits: desk.credits("a/2", 8, 0), ..warm(&desk, "a/2", 2, 0) };
    let (_, reply, _) = desk.report("a/2", standing);
    assert_eq!((reply.recall, reply.excess), (Millis(0), 0));
    assert_eq!(desk.machine.capacity(&pool("a")).unwrap().leased, 12);
}

#[test]
fn a_pool_that_is_taken_out_keeps_its_credits_until_they_are_back() {
    let limit = r#""warm_target": 0, "max_instances": 10"#;
    let mut desk = Desk::with(pools(&[limit, limit]));
    let before = terms(&desk, "b/0");
    desk.deploy(pools(&[limit]));
    assert_eq!(terms(&desk, "b/0"), before);
    let standing = lacking(&desk, "a/0", 9, 1);
    desk.report("a/0", standing);
    assert_eq!(given(&desk, "a/0"), 0, "b's shards may use theirs");
    desk.restart();
    let standing = lacking(&desk, "a/0", 9, 1);
    desk.report("a/0", standing);
    let standing = spare(&desk, "b/0", 5, 0);
    desk.report("b/0", standing);
    assert_eq!(given(&desk, "a/0"), 5);
    assert_eq!(desk.machine.plan_of(&shard("b/0")).unwrap().credits, None);
    desk.deploy(pools(&[limit, limit]));
    let after = terms(&desk, "b/0");
    assert_eq!((after.total, after.generation > before.generation), (0, true), "when it is back it begins anew");
}

#[test]
fn what_was_returned_under_other_terms_counts_no_more() {
    let mut desk = Desk::with(limited(1, 10));
    let old = Standing { credits: desk.credits("a/0", 4, 0), ..Standing::default() };
    desk.report("a/0", old.clone());
    desk.deploy(pools(&[r#""warm_target": 0"#]));
    desk.deploy(limited(1, 10));
    desk.settle();
    assert_eq!(desk.machine.capacity(&pool("a")).unwrap().leased, 10);
    let report = ShardReport { shard: shard("a/0"), plan: Some(desk.version()), standing: Some(old) };
    desk.step(Input::Reported(Box::new(report)));
    assert_eq!(desk.machine.capacity(&pool("a")).unwrap().leased, 10);
}

#[test]
fn an_older_report_that_comes_late_takes_nothing_back() {
    let mut desk = Desk::with(limited(2, 8));
    for returned in [3, 1] {
        let standing = spare(&desk, "a/0", returned, 0);
        desk.report("a/0", standing);
        assert_eq!(desk.machine.capacity(&pool("a")).unwrap().leased, 5);
    }
}

#[test]
fn who_is_no_more_is_given_nothing() {
    let limit = |shards: u32| format!(r#""warm_target": 0, "shards": {shards}, "max_instances": 20"#);
    let mut desk = Desk::with(pools(&[&limit(2), &limit(2)]));
    desk.deploy(pools(&[&limit(1).replace("20", "40")]));
    for name in ["a/1", "b/0"] {
        let standing = lacking(&desk, name, 3, 1);
        desk.report(name, standing);
        assert_eq!(given(&desk, name), 0, "{name}");
    }
    let standing = lacking(&desk, "a/0", 3, 1);
    desk.report("a/0", standing);
    assert_eq!(given(&desk, "a/0"), 3);
}

#[test]
fn old_wants_are_forgotten() {
    let mut desk = Desk::with(limited(2, 8));
    let standing = lacking(&desk, "a/0", 5, 1);
    desk.report("a/0", standing);
    desk.later(Millis(3 * REFRESH.0));
    desk.deploy(limited(2, 20));
    assert_eq!(given(&desk, "a/0"), 0);
}
