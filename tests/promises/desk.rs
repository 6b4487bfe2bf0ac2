//! The coordinator machine, driven as its Durable Object does, with what must always hold checked after every step.

use std::collections::{BTreeMap, BTreeSet};

use cf_warm_pools::config::parse_json;
use cf_warm_pools::config::resolved::{Config, Millis, PoolName};
use cf_warm_pools::core::allotment::{Allotment, CreditReport, ShardReport, Standing};
use cf_warm_pools::core::coordinator::{
    ConfigSource, Coordinator, Deployed, Effects, Input, LedgerRow, Record, Registry, Write,
};
use cf_warm_pools::core::id::ShardId;
use cf_warm_pools::core::journal::Change;
use cf_warm_pools::core::plan::{Plan, PlanVersion};
use cf_warm_pools::core::sorted::Map;

/// The refresh interval of every pool made by [`pools`].
pub const REFRESH: Millis = Millis::from_secs(10);

/// A configuration of pools named `a`, `b`, …, all of one class, each with these keys.
pub fn pools(keys: &[&str]) -> Config {
    let pool = |(name, keys): (char, &&str)| format!(r#""{name}": {{"container": "C", "sleep_after": "10m", {keys}}}"#);
    let pools: Vec<String> = ('a'..).zip(keys).map(pool).collect();
    parse_json(&format!(r#"{{"pools": {{{}}}}}"#, pools.join(", "))).unwrap()
}

pub fn pool(name: &str) -> PoolName {
    PoolName::try_from(name.to_owned()).unwrap()
}

pub fn shard(name: &str) -> ShardId {
    name.parse().unwrap()
}

/// The machine with its rows.
pub struct Desk {
    pub machine: Coordinator,
    pub registry: Registry,
    pub acknowledged: Map<ShardId, PlanVersion>,
    pub ledger: Map<ShardId, LedgerRow>,
    pub records: Vec<Record>,
    pub now: Millis,
    stamp: u64,
    /// Calls that have not ended.
    under_way: Effects,
}

impl Desk {
    pub fn new() -> Self {
        let (registry, acknowledged, ledger) = (Registry::default(), Map::new(), Map::new());
        let machine = Coordinator::load(registry.clone(), Map::new(), Map::new());
        Self {
            machine,
            registry,
            acknowledged,
            ledger,
            records: Vec::new(),
            now: Millis(1_000_000),
            stamp: 0,
            under_way: Effects::default(),
        }
    }

    /// A coordinator under which this configuration was deployed, and every shard has heard of it.
    pub fn with(config: Config) -> Self {
        let mut desk = Self::new();
        desk.deploy(config);
        desk.settle();
        desk
    }

    pub fn step(&mut self, input: Input) -> Effects {
        let leased = self.leased();
        let mut fx = Effects::default();
        self.machine.step(self.now, input, &mut fx);
        self.apply(&fx.writes);
        // Of many shards it takes long.
        let is_due = fx.writes.iter().any(|write| !matches!(write, Write::PutAcknowledged(..)));
        if is_due || self.machine.shards().count() <= 16 {
            self.check(&leased);
        }
        self.under_way.pushes.extend(fx.pushes.iter().cloned());
        self.under_way.allotments.extend(fx.allotments.iter().cloned());
        fx
    }

    fn apply(&mut self, writes: &[Write]) {
        let mut rows = BTreeSet::new();
        for write in writes {
            let row = match write {
                Write::PutRegistry(registry) => {
                    let text = serde_json::to_string(registry).unwrap();
                    self.registry = serde_json::from_str(&text).unwrap();
                    "registry".to_owned()
                }
                Write::PutAcknowledged(shard, version) => {
                    self.acknowledged.insert(shard.clone(), *version);
                    format!("acknowledged {shard}")
                }
                Write::PutLedger(shard, row) => {
                    self.ledger.insert(shard.clone(), *row);
                    format!("ledger {shard}")
                }
                Write::PutRecord(record) => {
                    self.records.push((**record).clone());
                    format!("record {}", record.version)
                }
                Write::Events(Change::Put(pool, page)) => format!("events {pool} {}", page.first),
                Write::Events(Change::Drop((pool, first))) => format!("events {pool} {first}"),
            };
            assert!(rows.insert(row.clone()), "{row} is written twice in one step");
        }
    }

    /// What always holds: the rows are all there is; the shares sum to the target; no step leases beyond a limit.
    fn check(&self, before: &BTreeMap<PoolName, (u32, u32)>) {
        let loaded = self.reloaded();
        assert_eq!((loaded.version(), loaded.config()), (self.machine.version(), self.machine.config()));
        let active = self.machine.config().pools;
        for name in self.registry.pools.keys() {
            let shards: Vec<ShardId> = self.machine.shards().filter(|shard| shard.pool == *name).collect();
            let mut warm = 0;
            for shard in &shards {
                let plan = self.machine.plan_of(shard).unwrap();
                assert_eq!(Some(&plan), loaded.plan_of(shard).as_ref(), "{shard} is told what is not written");
                let allotted = self.machine.allotment_of(shard).unwrap();
                assert_eq!(allotted.warm_target, plan.share.warm_target);
                warm += allotted.warm_target;
            }
            assert_eq!(warm, active.get(name).map_or(0, |pool| pool.warm_target), "the shares of {name}");
        }
        for (name, (pool, class)) in self.leased().into_iter().filter(|(name, _)| active.contains_key(name)) {
            let capacity = self.machine.capacity(&name).unwrap();
            let pool_before = before.get(&name).map_or(0, |&(pool, _)| pool);
            let class_before = before.values().map(|&(_, class)| class).max().unwrap_or_default();
            assert!(pool <= capacity.limit.max(pool_before), "{name}: {pool} of {} are leased", capacity.limit);
            let limit = capacity.class_limit.max(class_before);
            assert!(class <= limit, "{class} of {} are leased of the class", capacity.class_limit);
        }
    }

    /// The credits that shards have, by pool: its own, and all of its class.
    fn leased(&self) -> BTreeMap<PoolName, (u32, u32)> {
        let leased = |name: &PoolName| {
            let capacity = self.machine.capacity(name)?;
            Some((name.clone(), (capacity.leased, capacity.class_leased)))
        };
        self.registry.pools.keys().filter_map(leased).collect()
    }

    pub fn reloaded(&self) -> Coordinator {
        Coordinator::load(self.registry.clone(), self.acknowledged.clone(), self.ledger.clone())
    }

    /// The object is dropped and loaded again.
    pub fn restart(&mut self) {
        self.machine = self.reloaded();
        self.under_way = Effects::default();
    }

    pub fn deploy(&mut self, config: Config) -> Effects {
        self.stamp += 1;
        let deployed = Deployed { stamp: self.stamp, source: ConfigSource::Bundled, config };
        self.step(Input::Deployed(Box::new(deployed)))
    }

    /// Every shard takes what is pushed, until nobody is behind; allotments do not arrive. Returns who was pushed a plan.
    pub fn settle(&mut self) -> BTreeSet<ShardId> {
        let mut told = BTreeSet::new();
        self.now = self.now.max(self.machine.next_timeout().unwrap_or_default());
        self.step(Input::Woken);
        loop {
            let Effects { pushes, allotments, .. } = std::mem::take(&mut self.under_way);
            if pushes.is_empty() && allotments.is_empty() {
                return told;
            }
            for (shard, plan) in pushes {
                self.step(Input::Acknowledged(shard.clone(), plan.version));
                told.insert(shard);
            }
            for (shard, _) in allotments {
                self.step(Input::AllotFailed(shard));
            }
        }
    }

    pub fn version(&self) -> PlanVersion {
        self.machine.version()
    }

    /// Those answer that have not been heard to know what they have.
    pub fn confirm(&mut self) {
        let untold = self.ledger.iter().filter(|(_, row)| row.untold).map(|(shard, _)| shard.to_string());
        for name in untold.collect::<Vec<_>>() {
            let credits = self.credits(&name, 0, 0);
            self.answer(&name, Standing { credits, ..Standing::default() });
        }
    }

    /// A report of a shard that works by the plan in force, and by its share.
    pub fn says(&self, name: &str, standing: Standing) -> Box<ShardReport> {
        let warm_target = self.machine.allotment_of(&shard(name)).map_or(0, |allotment| allotment.warm_target);
        let standing = Standing { warm_target, ..standing };
        Box::new(ShardReport { shard: shard(name), plan: Some(self.version()), standing: Some(standing) })
    }

    /// A shard that works by the plan in force reports. What it is replied, and what is sent to others.
    pub fn report(&mut self, name: &str, standing: Standing) -> (Plan, Allotment, Effects) {
        let report = self.says(name, standing);
        let fx = self.step(Input::Reported(report));
        let shard = shard(name);
        (self.machine.plan_of(&shard).unwrap(), self.machine.allotment_of(&shard).unwrap(), fx)
    }

    /// The answer of a shard to an allotment.
    pub fn answer(&mut self, name: &str, standing: Standing) -> Effects {
        let report = self.says(name, standing);
        self.step(Input::Answered(report))
    }

    pub fn later(&mut self, pause: Millis) {
        self.now = self.now + pause;
    }

    /// The credits of a shard that has heard of all it was given.
    pub fn credits(&self, name: &str, returned: u64, spare: u32) -> Option<CreditReport> {
        let grant = self.machine.allotment_of(&shard(name)).unwrap().credits?;
        Some(CreditReport { generation: grant.generation, given: grant.given, returned, spare })
    }
}

/// Whom the allotments go to.
pub fn told(fx: &Effects) -> Vec<String> {
    let mut told: Vec<String> = fx.allotments.iter().map(|(shard, _)| shard.to_string()).collect();
    told.sort();
    told
}

/// The allotment that goes to a shard.
pub fn sent<'a>(fx: &'a Effects, name: &str) -> &'a Allotment {
    let to = shard(name);
    &fx.allotments.iter().find(|(shard, _)| *shard == to).unwrap_or_else(|| panic!("nothing goes to {name}")).1
}
