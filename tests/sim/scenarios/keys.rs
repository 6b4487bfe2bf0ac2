//! How evenly ids are spread over shards, and how many of them move when there is one more: by `core::route` alone.

use std::fmt::Write;

use cf_warm_pools::config::resolved::ShardCount;
use cf_warm_pools::core::route::shard_of;

use super::Finding;
use crate::schedule::session;
use crate::world::message::pool_name;

pub fn run() -> Finding {
    let pool = pool_name(0);
    let shards = |count: u32| ShardCount::try_from(count).unwrap();
    let (mut table, mut wrong) = (String::new(), Vec::new());
    let mut loads = [0u32; 64];
    for id in 0..IDS {
        loads[shard_of(&pool, &session(id), shards(64)).0 as usize] += 1;
    }
    let (most, mean) = (loads.iter().max().copied().unwrap_or(0), f64::from(IDS) / 64.0);
    let ratio = f64::from(most) / mean;
    writeln!(table, "{IDS} ids over 64 shards: {mean} each on average, {most} at most, {ratio:.4} times as many\n")
        .unwrap();
    if ratio > 1.05 {
        wrong.push(format!("the fullest of 64 shards has {ratio:.4} times the average, more than 1.05"));
    }
    writeln!(table, "| from | to | ids that move | at most |").unwrap();
    writeln!(table, "|---|---|---|---|").unwrap();
    for count in [1, 2, 4, 8, 16, 32, 63] {
        let moves = |id: &u32| {
            let id = session(*id);
            shard_of(&pool, &id, shards(count)) != shard_of(&pool, &id, shards(count + 1))
        };
        let moved = f64::from((0..IDS).filter(moves).count() as u32) / f64::from(IDS);
        let most = 1.0 / f64::from(count + 1) + 0.01;
        let (moved_percent, most_percent) = (moved * 100.0, most * 100.0);
        writeln!(table, "| {count} | {} | {moved_percent:.2} % | {most_percent:.2} % |", count + 1).unwrap();
        if moved > most {
            wrong.push(format!("from {count} to {} shards {moved_percent:.2} % of the ids move", count + 1));
        }
    }
    Finding { table, wrong }
}

const IDS: u32 = 1_000_000;
