//! All users of a pool of eight shards come to one of them, suddenly: it has to get nearly all that the pool may have.

use std::fmt::Write;

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::ShardIndex;
use serde_json::json;

use super::Finding;
use super::stage;
use crate::schedule::{Operation, What};
use crate::world::message::Addr;

pub fn run() -> Finding {
    let pool = json!({
        "container": "AGENT",
        "warm_target": WARM,
        "shards": SHARDS,
        "max_instances": MOST,
        "refresh_interval": REFRESH.0,
        "sleep_after": "1h",
        "acquire_timeout": "60s",
        "max_concurrent_starts": 64,
    });
    let mut schedule = stage::schedule(SEED, pool, AT + Millis::from_secs(120));
    for id in stage::ids_of(HOT, SHARDS).take(IDS) {
        let at = AT + Millis(u64::from(id) % 1_000);
        schedule.operations.push(Operation { at, what: What::GetContainer { router: id % 4, pool: 0, id } });
    }
    let looks = [Millis(0), Millis(2_000), Millis(5_000), Millis(10_000), Millis(REFRESH.0 * 2)];
    schedule.operations.extend(looks.map(|after| Operation { at: AT + after, what: What::Count }));
    let mut wrong = Vec::new();
    // Of more ids than there is room for, some are refused: that is no matter here.
    let report = stage::run(schedule, &mut wrong);
    wrong.retain(|what| !what.contains("requests came to"));
    let mut table = String::new();
    writeln!(table, "| after | containers of the hot shard | of all shards | of at most |").unwrap();
    writeln!(table, "|---|---|---|---|").unwrap();
    let mut last = 0;
    for (after, counts) in looks.iter().zip(&report.counts) {
        last = counts.shards.get(&Addr::Shard { pool: 0, index: HOT.0 }).copied().unwrap_or(0);
        let all: u32 = counts.shards.values().sum();
        writeln!(table, "| {} s | {last} | {all} | {MOST} |", after.0 as f64 / 1_000.0).unwrap();
    }
    if f64::from(last) < f64::from(MOST) * 0.9 {
        wrong.push(format!("within two refresh intervals it has {last} of {MOST}, less than 90 %"));
    }
    Finding { table, wrong }
}

const SEED: u64 = 5;
const SHARDS: u32 = 8;
const HOT: ShardIndex = ShardIndex(3);
const WARM: u32 = 8;
const MOST: u32 = 80;
const IDS: usize = 100;
const REFRESH: Millis = Millis::from_secs(10);
/// When they come: long after everything was shared out evenly.
const AT: Millis = Millis::from_secs(120);
