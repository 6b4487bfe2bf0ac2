//! What the scenarios have in common: a pool, in fair weather, and users that come as they please.

use std::rc::Rc;

use cf_warm_pools::config::parse_value;
use cf_warm_pools::config::resolved::{Millis, ShardCount};
use cf_warm_pools::core::id::ShardIndex;
use cf_warm_pools::core::route::shard_of;
use serde_json::{Value, json};

use crate::dice::{Dice, Key, Stream};
use crate::faults::Rates;
use crate::schedule::{Climate, Habitat, Operation, Plot, Schedule, What, session};
use crate::simulation::{self, Report};
use crate::trace::Trace;
use crate::world::message::pool_name;

/// A run with one pool, whose settings are these, where nothing goes wrong.
pub fn schedule(seed: u64, pool: Value, duration: Millis) -> Schedule {
    let document = json!({ "pools": { "p0": pool } });
    let config = parse_value(&document).unwrap_or_else(|errors| panic!("{errors}: {document}"));
    Schedule {
        seed,
        plot: Plot::Everyday,
        climate: Climate::Calm,
        habitat: Habitat::default(),
        rates: Rates::none(),
        only: None,
        routers: 4,
        configs: vec![Rc::new(config)],
        operations: Vec::new(),
        duration,
    }
}

/// Runs it; a promise that is broken is wrong in any case.
pub fn run(mut schedule: Schedule, wrong: &mut Vec<String>) -> Report {
    schedule.operations.sort_by_key(|operation| operation.at);
    let report = simulation::run(&schedule, Trace::silent());
    wrong.extend(report.violations.iter().map(ToString::to_string));
    report
}

/// New ids, each of which asks for a container, independently of the others (a Poisson process), and gives it up after a
/// while.
pub struct Arrivals {
    /// How many come in a second, on average.
    pub per_second: f64,
    pub from: Millis,
    pub until: Millis,
    /// How long each keeps its container; none: for ever.
    pub keeps: Option<Millis>,
}

impl Arrivals {
    pub fn add_to(&self, schedule: &mut Schedule) {
        let mut draw: Stream = Dice::new(schedule.seed).stream(ARRIVALS);
        let mut at = self.from.0 as f64;
        for id in 0.. {
            at -= (1.0 - draw.unit()).ln() * 1_000.0 / self.per_second;
            if at >= self.until.0 as f64 {
                return;
            }
            let (at, router) = (Millis(at as u64), draw.below(u64::from(schedule.routers)) as u32);
            schedule.operations.push(Operation { at, what: What::GetContainer { router, pool: 0, id } });
            if let Some(keeps) = self.keeps {
                schedule.operations.push(Operation { at: at + keeps, what: What::Release { router, pool: 0, id } });
            }
        }
    }
}

/// Numbers of ids that one of so many shards owns.
pub fn ids_of(shard: ShardIndex, shards: u32) -> impl Iterator<Item = u32> {
    let count = ShardCount::try_from(shards).unwrap();
    (0..).filter(move |&id| shard_of(&pool_name(0), &session(id), count) == shard)
}

const ARRIVALS: Key = Key::new(40);
