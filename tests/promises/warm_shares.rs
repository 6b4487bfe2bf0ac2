//! The stock is kept where the demand is, sums to the target, and does not wander about.

use cf_warm_pools::config::resolved::{Config, Millis};
use cf_warm_pools::core::allotment::Standing;
use cf_warm_pools::core::coordinator::{DEMAND_KNOWN_AFTER, Input, MIN_STOCK, TELL_AGAIN, Write};
use cf_warm_pools::core::stats::Counts;
use proptest::prelude::*;

use crate::desk::{Desk, REFRESH, pools, shard, told};

fn stock(warm_target: u32, shards: u32) -> Config {
    pools(&[&format!(r#""warm_target": {warm_target}, "shards": {shards}"#)])
}

fn shares(desk: &Desk, shards: u32) -> Vec<u32> {
    let share = |index| desk.machine.allotment_of(&shard(&format!("a/{index}"))).unwrap().warm_target;
    (0..shards).map(share).collect()
}

/// A shard that so many ids asked in the last 1,000 s.
fn demand(demand: u64) -> Standing {
    Standing { demand, counts: Counts { warm: 1, ..Counts::default() }, ..Standing::default() }
}

/// All shards report, once per refresh interval for so long. Returns how often a share was written.
fn refreshes(desk: &mut Desk, times: u64, demands: &[u64]) -> usize {
    let mut written = 0;
    for _ in 0..times {
        desk.later(REFRESH);
        for (index, &of) in demands.iter().enumerate() {
            let (_, _, fx) = desk.report(&format!("a/{index}"), demand(of));
            written += fx.writes.iter().filter(|write| matches!(write, Write::PutLedger(..))).count();
        }
    }
    written
}

#[test]
fn a_few_shards_hold_the_stock_evenly_until_the_demand_is_known() {
    for (warm_target, shards, expected) in [
        (10, 4, vec![10, 0, 0, 0]),
        (42, 8, vec![11, 11, 10, 10, 0, 0, 0, 0]),
        (100, 4, vec![25, 25, 25, 25]),
        (5, 1, vec![5]),
        (0, 3, vec![0, 0, 0]),
    ] {
        let desk = Desk::with(stock(warm_target, shards));
        assert_eq!(self::shares(&desk, shards), expected);
        assert!(expected.iter().all(|&share| share == 0 || share >= MIN_STOCK.min(warm_target)));
    }
}

#[test]
fn the_plan_that_is_pushed_has_the_same_share() {
    let mut desk = Desk::new();
    let fx = desk.deploy(stock(42, 8));
    let pushed: Vec<u32> = fx.pushes.iter().map(|(_, plan)| plan.share.warm_target).collect();
    assert_eq!(pushed, [11, 11, 10, 10, 0, 0, 0, 0]);
}

#[test]
fn stock_goes_where_the_demand_is_in_proportion() {
    let mut desk = Desk::with(stock(24, 6));
    refreshes(&mut desk, DEMAND_KNOWN_AFTER + 2, &[0, 100_000, 0, 200_000, 0, 300_000]);
    let shares = shares(&desk, 6);
    assert_eq!((shares[0], shares[2], shares[4]), (0, 0, 0), "{shares:?}");
    assert!(shares[1].abs_diff(4) <= 1 && shares[3].abs_diff(8) <= 1 && shares[5].abs_diff(12) <= 1, "{shares:?}");
}

#[test]
fn what_one_shard_says_first_after_a_restart_moves_nothing() {
    let demands = [0, 100_000, 100_000, 0];
    let mut desk = Desk::with(stock(16, 4));
    refreshes(&mut desk, 4, &demands);
    assert_eq!(shares(&desk, 4), [0, 8, 8, 0]);
    desk.restart();
    assert_eq!(shares(&desk, 4), [0, 8, 8, 0], "shares are durable");
    desk.report("a/3", demand(50_000));
    desk.later(REFRESH);
    desk.report("a/3", demand(50_000));
    assert_eq!(shares(&desk, 4), [0, 8, 8, 0], "the others have not been heard of yet");
}

#[test]
fn small_changes_move_nothing() {
    let mut desk = Desk::with(stock(20, 4));
    refreshes(&mut desk, 4, &[100_000, 100_000, 0, 0]);
    assert_eq!(shares(&desk, 4), [10, 10, 0, 0]);
    assert_eq!(refreshes(&mut desk, 4, &[115_000, 90_000, 80_000, 0]), 0, "{:?}", shares(&desk, 4));
    assert!(refreshes(&mut desk, 2, &[200_000, 90_000, 80_000, 0]) > 0);
    assert_eq!(shares(&desk, 4).iter().filter(|&&share| share > 0).count(), 2);
}

#[test]
fn one_that_holds_stock_is_replaced_only_by_one_that_is_asked_much_more() {
    let mut desk = Desk::with(stock(10, 3));
    refreshes(&mut desk, 4, &[0, 100_000, 0]);
    assert_eq!(shares(&desk, 3), [0, 10, 0]);
    refreshes(&mut desk, 4, &[0, 100_000, 140_000]);
    assert_eq!(shares(&desk, 3), [0, 10, 0]);
    refreshes(&mut desk, 2, &[0, 100_000, 170_000]);
    assert_eq!(shares(&desk, 3), [0, 0, 10]);
}

#[test]
fn shares_change_at_most_once_per_refresh_interval() {
    let mut desk = Desk::with(stock(10, 2));
    refreshes(&mut desk, 4, &[0, 100_000]);
    assert_eq!(shares(&desk, 2), [0, 10]);
    desk.later(REFRESH);
    desk.report("a/0", demand(900_000));
    assert_eq!(shares(&desk, 2), [10, 0]);
    desk.report("a/1", demand(9_000_000));
    desk.later(Millis(REFRESH.0 - 1));
    desk.report("a/1", demand(9_000_000));
    assert_eq!(shares(&desk, 2), [10, 0]);
    desk.later(Millis(1));
    desk.report("a/1", demand(9_000_000));
    assert_eq!(shares(&desk, 2), [0, 10]);
}

#[test]
fn old_demand_counts_no_more() {
    let mut desk = Desk::with(stock(10, 2));
    refreshes(&mut desk, 4, &[100_000, 0]);
    desk.later(Millis(3 * REFRESH.0));
    desk.report("a/1", demand(5_000));
    assert_eq!(shares(&desk, 2), [0, 10]);
}

#[test]
fn nothing_moves_where_nobody_asks() {
    let mut desk = Desk::with(stock(20, 4));
    refreshes(&mut desk, 4, &[0, 0, 100_000, 300_000]);
    assert_eq!(shares(&desk, 4), [0, 0, 5, 15]);
    assert_eq!(refreshes(&mut desk, 4, &[0, 0, 0, 0]), 0);
}

#[test]
fn another_target_or_count_is_shared_out_at_once_among_those_that_hold_stock_already() {
    let mut desk = Desk::with(stock(16, 4));
    refreshes(&mut desk, 4, &[0, 100_000, 0, 100_000]);
    assert_eq!(shares(&desk, 4), [0, 8, 0, 8]);
    desk.restart();
    desk.deploy(stock(20, 4));
    assert_eq!(shares(&desk, 4), [0, 10, 0, 10]);
    desk.deploy(stock(20, 2));
    assert_eq!(shares(&desk, 4), [10, 10, 0, 0], "those that are no more keep nothing");
    desk.deploy(pools(&[]));
    assert_eq!(shares(&desk, 4), [0; 4], "nor does a pool that is taken out");
}

#[test]
fn one_that_gets_a_share_and_does_not_report_is_told() {
    let mut desk = Desk::with(stock(20, 4));
    refreshes(&mut desk, 4, &[0, 0, 100_000, 100_000]);
    assert_eq!(shares(&desk, 4), [0, 0, 10, 10]);
    desk.confirm();
    desk.later(Millis(3 * REFRESH.0));
    // Of the two only one is left that anybody asks; the first by number takes the other's place.
    let (_, _, fx) = desk.report("a/2", demand(100_000));
    let told = told(&fx);
    for (index, share) in shares(&desk, 4).into_iter().enumerate() {
        let before = [0, 0, 10, 10][index];
        assert_eq!(told.contains(&format!("a/{index}")), share != before && index != 2, "{index}: {share}");
    }
}

#[test]
fn one_that_says_by_itself_that_it_has_its_share_is_asked_once_when_it_falls_silent() {
    // The report may be older than the share: it had as much before.
    let mut desk = Desk::with(stock(4, 1));
    desk.report("a/0", demand(1_000));
    desk.later(TELL_AGAIN);
    assert_eq!(told(&desk.step(Input::Woken)), ["a/0"]);
    desk.answer("a/0", demand(1_000));
    desk.later(TELL_AGAIN);
    assert_eq!(told(&desk.step(Input::Woken)), [""; 0]);
    assert_eq!(desk.machine.next_timeout(), None, "nothing is due");
}

proptest! {
    #[test]
    fn with_a_steady_demand_the_shares_come_to_rest(
        warm_target in 0..200u32, demands in proptest::collection::vec(0..500_000u64, 1..10),
    ) {
        let mut desk = Desk::with(stock(warm_target, demands.len() as u32));
        refreshes(&mut desk, DEMAND_KNOWN_AFTER + 3, &demands);
        prop_assert_eq!(refreshes(&mut desk, 4, &demands), 0);
    }

    #[test]
    fn a_demand_that_goes_up_and_down_by_a_tenth_moves_no_stock_to_and_fro(
        warm_target in 8..200u32, demands in proptest::collection::vec(100_000..500_000u64, 1..10),
        noise in proptest::collection::vec(90..110u64, 10),
    ) {
        let mut desk = Desk::with(stock(warm_target, demands.len() as u32));
        let noisy: Vec<u64> = demands.iter().zip(noise).map(|(demand, noise)| demand * noise / 100).collect();
        let mut seen = Vec::new();
        for _ in 0..3 {
            for demands in [&demands, &noisy] {
                refreshes(&mut desk, 3, demands);
                seen.push(shares(&desk, demands.len() as u32).iter().map(|&share| share > 0).collect::<Vec<_>>());
            }
        }
        // Those that held it first may have been at the edge.
        seen.drain(..2);
        seen.dedup();
        prop_assert_eq!(seen.len(), 1, "{:?}", seen);
    }
}

#[test]
fn the_shares_of_256_shards_are_worked_out_of_one_report_each() {
    let demands: Vec<u64> = (0..256).map(|index| if index % 8 == 0 { 100_000 } else { 1_000 }).collect();
    let mut desk = Desk::with(stock(256, 256));
    refreshes(&mut desk, 4, &demands);
    let (holders, others): (Vec<_>, Vec<_>) =
        shares(&desk, 256).into_iter().enumerate().partition(|(at, _)| at % 8 == 0);
    let heaps: Vec<u32> = holders.iter().map(|&(_, share)| share).filter(|&share| share > 0).collect();
    assert_eq!((heaps.len(), heaps.iter().sum::<u32>()), (10, 256), "{holders:?}");
    assert!(others.iter().all(|&(_, share)| share == 0), "{others:?}");
}
