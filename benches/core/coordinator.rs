//! The coordinator: taking a report of one of many shards, and merging what all say.

use std::hint::black_box;

use cf_warm_pools::config::parse_json;
use cf_warm_pools::config::resolved::{Millis, Prices};
use cf_warm_pools::core::allotment::{CreditReport, ShardReport, Standing};
use cf_warm_pools::core::coordinator::{ConfigSource, Coordinator, Deployed, Effects, Input, Registry};
use cf_warm_pools::core::id::{ShardId, ShardIndex};
use cf_warm_pools::core::outcome::Outcome;
use cf_warm_pools::core::shard::Shard;
use cf_warm_pools::core::stats::{Answers, Counters, Counts, ShardStats, Terms, merge};
use criterion::{BatchSize, BenchmarkId, Criterion};

use crate::world::{START, name, rows};

const SHARDS: [u32; 3] = [1, 16, 256];

pub fn all(criterion: &mut Criterion) {
    // With the reply to it.
    let mut group = criterion.benchmark_group("report");
    for shards in SHARDS {
        let mut desk = None;
        group.bench_function(BenchmarkId::from_parameter(shards), |bencher| {
            let desk = desk.get_or_insert_with(|| Desk::checked(shards));
            let mut index = 0;
            bencher.iter(|| {
                index = (index + 1) % shards;
                desk.report(index)
            });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("merge");
    for shards in SHARDS {
        let stats = Answers { answered: stats(shards), ..Answers::default() };
        let config = parse_json(r#"{"pools": {"python": {"container": "PYTHON"}}}"#).unwrap();
        let pool = config.pools.into_values().next().unwrap();
        let merge = |answers: Answers| merge(Terms { pool: &pool, prices: &Prices::default() }, answers);
        let merged = merge(stats.clone());
        assert_eq!((merged.counts.assigned, merged.shards.len()), (40 * shards, shards as usize));
        assert_eq!(merged.counters.outcomes.get(&Outcome::Sticky), Some(&(500 * u64::from(shards))));
        group.bench_function(BenchmarkId::from_parameter(shards), |bencher| {
            bencher.iter_batched(|| stats.clone(), merge, BatchSize::SmallInput);
        });
    }
    group.finish();
}

struct Desk {
    machine: Coordinator,
    shards: Vec<ShardId>,
    now: Millis,
}

impl Desk {
    /// Every shard works by the plan and its allotment, has said so, and reports again: nothing has changed.
    fn checked(shards: u32) -> Self {
        let keys = format!(r#""container": "PYTHON", "shards": {shards}, "warm_target": 512, "max_instances": 100000"#);
        let config = parse_json(&format!(r#"{{"pools": {{"python": {{{keys}}}}}}}"#)).unwrap();
        let machine = Coordinator::load(Registry::default(), [].into(), [].into());
        let mut desk = Self { machine, shards: Vec::new(), now: START };
        let deployed = Deployed { stamp: 5, source: ConfigSource::Bundled, config };
        let fx = desk.step(Input::Deployed(Box::new(deployed)));
        desk.carry(fx);
        desk.shards = desk.machine.shards().collect();
        assert_eq!(desk.shards.len(), shards as usize);
        for _ in 0..4 {
            for index in 0..shards {
                let fx = desk.report(index);
                desk.carry(fx);
            }
            desk.now = desk.now + Millis::from_secs(10);
        }
        desk.settle();
        for index in 0..shards {
            let fx = desk.report(index);
            assert!(fx.writes.is_empty() && fx.allotments.is_empty() && fx.pushes.is_empty(), "{fx:?}");
        }
        let allotment = desk.machine.allotment_of(&desk.shards[0]).unwrap();
        assert_eq!(allotment.stocked.is_empty(), shards == 1, "it is told of its siblings' stock");
        assert_eq!(desk.machine.next_timeout(), None, "nobody is owed anything");
        desk
    }

    fn step(&mut self, input: Input) -> Effects {
        let mut fx = Effects::default();
        self.machine.step(self.now, input, &mut fx);
        fx
    }

    /// Wakes it whenever something is due, until nobody is owed anything.
    fn settle(&mut self) {
        while let Some(at) = self.machine.next_timeout() {
            self.now = self.now.max(at);
            let fx = self.step(Input::Woken);
            self.carry(fx);
        }
    }

    /// All that a step wants sent arrives, and whatever comes of that.
    fn carry(&mut self, mut fx: Effects) {
        while !(fx.pushes.is_empty() && fx.allotments.is_empty()) {
            let pushed = fx.pushes.into_iter().map(|(shard, plan)| Input::Acknowledged(shard, plan.version));
            let told = fx.allotments.into_iter().map(|(shard, _)| Input::Answered(self.says(&shard)));
            let inputs: Vec<Input> = pushed.chain(told).collect();
            fx = Effects::default();
            for input in inputs {
                let more = self.step(input);
                fx.pushes.extend(more.pushes);
                fx.allotments.extend(more.allotments);
            }
        }
    }

    fn report(&mut self, index: u32) -> Effects {
        let shard = self.shards[index as usize].clone();
        let report = self.says(&shard);
        let fx = self.step(Input::Reported(report));
        // What it is replied.
        black_box((self.machine.plan_of(&shard), self.machine.allotment_of(&shard)));
        fx
    }

    /// What a shard says that has done all it was told.
    fn says(&self, shard: &ShardId) -> Box<ShardReport> {
        let allotment = self.machine.allotment_of(shard).unwrap();
        let warm_target = allotment.warm_target;
        let credits = allotment.credits.map(|grant| {
            let (generation, given) = (grant.generation, grant.given);
            CreditReport { generation, given, returned: grant.returned, spare: 100 }
        });
        let counts = Counts { warm: warm_target, assigned: 40, total: warm_target + 40, ..Counts::default() };
        let standing = Standing { counts, warm_target, credits, demand: 200, ..Standing::default() };
        Box::new(ShardReport { shard: shard.clone(), plan: Some(self.machine.version()), standing: Some(standing) })
    }
}

fn stats(shards: u32) -> Vec<ShardStats> {
    let shard = Shard::load(name(), rows(40, 4), START);
    let outcomes = [(Outcome::Sticky, 500), (Outcome::Warm, 50), (Outcome::Cold, 1)].into();
    let counters = Counters { outcomes, starts_ready: 51, ..Counters::default() };
    let stats = ShardStats { counters, ..shard.stats(START) };
    (0..shards).map(|index| ShardStats { shard: ShardIndex(index), ..stats.clone() }).collect()
}
