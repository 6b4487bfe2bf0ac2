//! How many ids find a container that is ready, with one shard and with many, which have the same stock between them.
//!
//! 10 ids a second come, each at its own time; a container takes 3 s to be ready; the stock is 42, of which about 30 are being
//! made anew at any time. One shard then turns to a container that is still starting for about 1 id in 100. A stock in parts
//! is worth less: without lending each shard has its own luck. How much stock there really was, warm and on its way to be, is
//! measured too: who lends and who borrows may both start one for the same id.

use std::fmt::Write;
use std::thread;

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::outcome::Outcome;
use serde_json::json;

use super::Finding;
use super::stage::{self, Arrivals};
use crate::schedule::{Borrowing, Habitat, Operation, What};

/// The shard counts, with how far below one shard they may be, in percentage points.
const COUNTS: [(u32, f64); 3] = [(1, 0.0), (8, 1.0), (64, 3.0)];

struct Measured {
    shards: u32,
    borrowing: Borrowing,
    warm: u64,
    borrowed: u64,
    cold: u64,
    /// On average.
    stock: f64,
    wrong: Vec<String>,
}

impl Measured {
    fn hits(&self) -> f64 {
        let hits = self.warm + self.borrowed;
        100.0 * hits as f64 / (hits + self.cold).max(1) as f64
    }
}

pub fn run() -> Finding {
    let cases = || [Borrowing::On, Borrowing::Off].into_iter().flat_map(|how| COUNTS.map(|(shards, _)| (shards, how)));
    let measured: Vec<Measured> = thread::scope(|scope| {
        let runs: Vec<_> = cases().map(|(shards, how)| scope.spawn(move || measure(shards, how))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let mut table = String::new();
    let mut wrong = Vec::new();
    writeln!(table, "| shards | lending | ids | warm | borrowed | cold | warm or borrowed | stock |").unwrap();
    writeln!(table, "|---|---|---|---|---|---|---|---|").unwrap();
    for case in &measured {
        let lending = if case.borrowing == Borrowing::On { "on" } else { "off" };
        let ids = case.warm + case.borrowed + case.cold;
        let (warm, borrowed, cold) = (case.warm, case.borrowed, case.cold);
        let (shards, hits, stock) = (case.shards, case.hits(), case.stock);
        let counts = format!("{ids} | {warm} | {borrowed} | {cold}");
        writeln!(table, "| {shards} | {lending} | {counts} | {hits:.2} % | {stock:.1} |").unwrap();
        wrong.extend(case.wrong.iter().map(|what| format!("{shards} shards, lending {lending}: {what}")));
    }
    let with = |shards: u32| measured.iter().find(|case| case.shards == shards && case.borrowing == Borrowing::On);
    for (shards, below) in COUNTS {
        let (Some(one), Some(many)) = (with(1), with(shards)) else { continue };
        if many.hits() < one.hits() - below {
            let (many, one) = (many.hits(), one.hits());
            wrong.push(format!(
                "{shards} shards have {many:.2} % hits, and may have {below} points less than {one:.2} %"
            ));
        }
    }
    Finding { table, wrong }
}

fn measure(shards: u32, borrowing: Borrowing) -> Measured {
    let pool = json!({
        "container": "AGENT",
        "warm_target": 42,
        "shards": shards,
        "sleep_after": "1h",
        "acquire_timeout": "60s",
        "max_concurrent_starts": 64,
    });
    let mut schedule = stage::schedule(SEED, pool, UNTIL);
    schedule.habitat = Habitat { boot: Some(BOOT), borrowing };
    let arrivals = Arrivals { per_second: 10.0, from: FROM, until: UNTIL, keeps: Some(KEEPS) };
    arrivals.add_to(&mut schedule);
    let samples = (FROM.0..UNTIL.0).step_by(1_000).map(|at| Operation { at: Millis(at), what: What::Count });
    schedule.operations.extend(samples);
    let mut wrong = Vec::new();
    let report = stage::run(schedule, &mut wrong);
    let stock = report.counts.iter().map(|census| census.stock as f64).sum::<f64>() / report.counts.len() as f64;
    let of = |outcome| report.outcomes.get(&outcome).copied().unwrap_or(0);
    let (warm, borrowed, cold) = (of(Outcome::Warm), of(Outcome::Borrowed), of(Outcome::Cold));
    Measured { shards, borrowing, warm, borrowed, cold, stock, wrong }
}

const SEED: u64 = 4;
const BOOT: Millis = Millis(3_000);
/// By then the stock is full.
const FROM: Millis = Millis::from_secs(60);
const UNTIL: Millis = Millis::from_secs(60 + 1_500);
const KEEPS: Millis = Millis::from_secs(20);
