//! The coordinator is gone for ten minutes, with users coming all the time: nobody is turned away, and what shards need for
//! themselves, they have.

use std::fmt::Write;

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::outcome::Outcome;
use serde_json::json;

use super::Finding;
use super::stage::{self, Arrivals};
use crate::schedule::{Climate, Operation, What};

pub fn run() -> Finding {
    let (mut table, mut wrong) = (String::new(), Vec::new());
    writeln!(table, "| shards | max_instances | requests | not served | warm | borrowed | cold |").unwrap();
    writeln!(table, "|---|---|---|---|---|---|---|").unwrap();
    for (shards, most) in [(1, None), (8, None), (8, Some(200))] {
        let mut pool = json!({
            "container": "AGENT",
            "warm_target": 16,
            "shards": shards,
            "sleep_after": "1h",
            "acquire_timeout": "60s",
        });
        if let Some(most) = most {
            pool["max_instances"] = json!(most);
        }
        let mut schedule = stage::schedule(SEED, pool, GOES + TEN_MINUTES + Millis::from_secs(60));
        schedule.climate = Climate::NoCoordinator;
        let arrivals =
            Arrivals { per_second: 2.0, from: Millis::from_secs(10), until: schedule.duration, keeps: Some(KEEPS) };
        arrivals.add_to(&mut schedule);
        schedule.operations.push(Operation { at: GOES, what: What::CoordinatorDown { duration: TEN_MINUTES } });
        let report = stage::run(schedule, &mut wrong);
        let good: u64 = ["served", "done"].iter().filter_map(|fate| report.fates.get(fate)).sum();
        let bad = report.fates.values().sum::<u64>() - good;
        let of = |outcome| report.outcomes.get(&outcome).copied().unwrap_or(0);
        let (warm, borrowed, cold) = (of(Outcome::Warm), of(Outcome::Borrowed), of(Outcome::Cold));
        let limit = most.map_or("none".to_owned(), |most: u32| most.to_string());
        writeln!(table, "| {shards} | {limit} | {} | {bad} | {warm} | {borrowed} | {cold} |", report.requests).unwrap();
        if bad > 0 {
            wrong.push(format!("{shards} shards, limit {limit}: {bad} requests were not served: {:?}", report.fates));
        }
    }
    Finding { table, wrong }
}

const SEED: u64 = 6;
const GOES: Millis = Millis::from_secs(60);
const TEN_MINUTES: Millis = Millis::from_secs(600);
const KEEPS: Millis = Millis::from_secs(15);
