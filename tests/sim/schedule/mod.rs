//! What is done to the system, and when: drawn from a seed.
//!
//! Which faults a seed has, and how often, differs from seed to seed (swarm testing, Groce et al. 2012): with everything
//! on at once, much of what one fault alone would reveal stays hidden behind the others.

mod plots;
mod settings;

use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

use cf_warm_pools::config::Config;
use cf_warm_pools::config::resolved::{BindingName, Millis, ShardCount};
use cf_warm_pools::core::gateway::Replay;
use cf_warm_pools::core::id::SessionId;
use serde_json::{Map, Value};

use plots::{Plan, SHARD_COUNTS};
pub use plots::{Plot, RESHARDING_FROM};
use settings::{change, config};

use crate::dice::{Dice, Key, Stream};
use crate::faults::{Fault, Rates, Strike};
use crate::world::network::By;

/// A run.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub seed: u64,
    pub plot: Plot,
    pub climate: Climate,
    pub habitat: Habitat,
    pub rates: Rates,
    /// Only these faults, of those the rates would bring: a run that was shrunk.
    pub only: Option<BTreeSet<Strike>>,
    /// How many isolates serve users.
    pub routers: u32,
    /// The configurations that are deployed or put in force; the first is deployed from the start.
    pub configs: Vec<Rc<Config>>,
    /// In order of time.
    pub operations: Vec<Operation>,
    /// How long things are done and go wrong.
    pub duration: Millis,
}

/// What kind of run it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Climate {
    /// Nothing goes wrong of which users must notice anything.
    Calm,
    /// Nothing goes wrong, but for the coordinator, which is gone from soon after the beginning.
    NoCoordinator,
    /// Some kinds of faults, often or rarely.
    Swarm,
}

impl Climate {
    /// Whether whoever asks for a container gets one, unless the pool is full.
    pub const fn serves_everybody(self) -> bool {
        match self {
            Self::Calm | Self::NoCoordinator => true,
            Self::Swarm => false,
        }
    }
}

/// What a world is like, beside what goes wrong in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habitat {
    /// How long each process takes to be ready; none: each another time.
    pub boot: Option<Millis>,
    pub borrowing: Borrowing,
}

/// Whether shards lend each other warm containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Borrowing {
    #[default]
    On,
    /// No shard is told of another's stock, and who asks all the same is refused.
    Off,
}

/// Something that is done from outside.
#[derive(Clone, Debug)]
pub struct Operation {
    /// When, from the start.
    pub at: Millis,
    pub what: What,
}

/// What is done.
#[derive(Clone, Debug)]
pub enum What {
    /// A user's request, through the gateway.
    Request {
        router: u32,
        pool: u32,
        id: u32,
        replay: Replay,
    },
    /// A program asks for a container, keeps what it got, and uses it later.
    GetContainer {
        router: u32,
        pool: u32,
        id: u32,
    },
    Release {
        router: u32,
        pool: u32,
        id: u32,
    },
    Lookup {
        router: u32,
        pool: u32,
        id: u32,
    },
    ShutdownPrewarmed {
        pool: u32,
        index: u32,
    },
    /// An administrator sets a configuration.
    PutConfig(usize),
    /// An administrator sets what is in force, with another shard count for a pool (as far as its `max_instances` allows).
    Reshard {
        pool: u32,
        shards: u32,
    },
    DropOverride,
    /// A new version of the Worker rolls out, within this time.
    Deploy {
        config: usize,
        within: Millis,
    },
    Evict(Target),
    CutOff {
        target: Target,
        by: By,
        duration: Millis,
    },
    CoordinatorDown {
        duration: Millis,
    },
    /// A container that serves an id is cut off from all but users, its shard is dropped, and the id is given up, while the
    /// users go on: what the fence is for.
    Strand {
        router: u32,
        nth: u32,
        duration: Millis,
    },
    /// A process ends.
    Kill {
        nth: u32,
    },
    /// The platform has room for so many processes only.
    Limit {
        room: u32,
        duration: Millis,
    },
    LoseImages {
        duration: Millis,
    },
    ClockJump {
        target: Target,
        by: i64,
    },
    /// Somebody counts the containers of every shard, for the report.
    Count,
}

/// Whom it strikes.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    Shard {
        pool: u32,
        index: u32,
    },
    Coordinator,
    Router(u32),
    /// One of those that there are by then.
    Container {
        nth: u32,
    },
}

/// The id of a number.
pub fn session(id: u32) -> SessionId {
    SessionId::try_from(format!("user-{id}")).unwrap()
}

impl Schedule {
    /// The run of a seed.
    pub fn of_seed(seed: u64) -> Self {
        let plot = Plot::of_seed(seed);
        let mut draw = Dice::new(seed).stream(SCHEDULE);
        // What came later draws its own lots, so that the seeds of before stay what they were.
        let mut late = Dice::new(seed).stream(LATER);
        let plan = plot.plan(&mut draw, &mut late);
        let mut schedule = Self::of_plan(seed, plan, &mut draw, &mut late);
        schedule.operations.sort_by_key(|operation| operation.at);
        schedule
    }

    fn of_plan(seed: u64, plan: Plan, draw: &mut Stream, late: &mut Stream) -> Self {
        let Plan { plot, climate, rates, bases, routers, duration, ids, reshards, outage } = plan;
        let pools = bases.len() as u32;
        let mut configs = vec![Rc::new(config(bases.iter().cloned().map(Some)))];
        // Without its coordinator nothing can be changed, and in fair weather nothing should be that takes a pool away.
        let changes = if climate.serves_everybody() { 0 } else { draw.between(0, 4) };
        for _ in 0..changes {
            let changed: Vec<Option<Map<String, Value>>> = bases.iter().map(|base| change(draw, base)).collect();
            configs.push(Rc::new(config(changed.into_iter())));
        }
        let routers = routers.unwrap_or_else(|| draw.between(1, 4) as u32);
        let duration = duration.unwrap_or_else(|| Millis(draw.between(60_000, 300_000)));
        let mut schedule = Self {
            seed,
            plot,
            climate,
            habitat: Habitat::default(),
            rates,
            only: None,
            routers,
            configs,
            operations: Vec::new(),
            duration,
        };
        schedule.add_traffic(draw, pools, ids);
        schedule.add_changes(draw, pools);
        schedule.add_blows(draw, pools);
        schedule.operations.extend(reshards);
        if plot == Plot::Everyday && climate != Climate::NoCoordinator {
            schedule.add_reshards(late, pools);
        }
        if climate == Climate::NoCoordinator {
            // From the very beginning, or from when every shard has its plan.
            let (at, lasts) = outage.unwrap_or_else(|| {
                let at = if draw.chance(0.5) { Millis(0) } else { FIRST_PLANS };
                (at, duration)
            });
            if outage.is_none() {
                schedule.operations.retain(|operation| operation.at >= at);
            }
            let what = What::CoordinatorDown { duration: lasts };
            schedule.operations.push(Operation { at, what });
            if at > Millis(0) {
                let wakes = (0..pools).map(|pool| What::GetContainer { router: 0, pool, id: 0 });
                schedule.operations.extend(wakes.map(|what| Operation { at: Millis(0), what }));
            }
        }
        if climate.serves_everybody() {
            // Whoever gives an id up while others use it turns them away.
            schedule.operations.retain(|operation| !matches!(operation.what, What::Release { .. }));
        }
        if schedule.rates.of(Fault::TransferReplyLost) > 0.0 && climate.serves_everybody() {
            // Who only wants to know does not wait for as long as it may take then.
            schedule.operations.retain(|operation| !matches!(operation.what, What::Lookup { .. }));
        }
        schedule
    }

    /// The operations in order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The same with only those operations for which `keep` is true.
    #[must_use]
    pub fn without(&self, keep: &[bool]) -> Self {
        let kept = self.operations.iter().zip(keep).filter(|(_, keep)| **keep);
        Self { operations: kept.map(|(operation, _)| operation.clone()).collect(), ..self.clone() }
    }

    /// The same with only these faults.
    #[must_use]
    pub fn only(&self, strikes: BTreeSet<Strike>) -> Self {
        Self { only: Some(strikes), ..self.clone() }
    }

    /// The same for the pools of `cf-container-warm-pool`: one object for each, JavaScript classes, no limit, no cache.
    #[must_use]
    pub fn for_peer(&self) -> Self {
        let adapt = |config: &Rc<Config>| {
            let mut config = (**config).clone();
            for pool in config.pools.values_mut() {
                pool.container = BindingName::try_from("CLASS".to_owned()).unwrap();
                pool.shards = ShardCount::ONE;
                pool.max_instances = None;
                pool.id_cache = None;
            }
            Rc::new(config)
        };
        Self { configs: self.configs.iter().map(adapt).collect(), ..self.clone() }
    }

    fn add_traffic(&mut self, draw: &mut Stream, pools: u32, (fewest, most): (u64, u64)) {
        let count = draw.between(700, 1_500);
        let ids: Vec<u64> = (0..pools).map(|_| draw.between(fewest, most)).collect();
        // From even to very uneven: a few ids have most of the requests.
        let skew = 1.0 + 3.0 * draw.unit();
        let mut burst: Option<(u64, u64)> = None;
        for _ in 0..count {
            burst = match burst {
                Some((at, left)) if left > 0 => Some((at, left - 1)),
                _ if draw.chance(0.03) => Some((draw.below(self.duration.0), draw.between(5, 40))),
                _ => None,
            };
            let at = match burst {
                Some((at, _)) => at + draw.below(100),
                None => draw.below(self.duration.0),
            };
            let pool = draw.below(u64::from(pools)) as u32;
            let id = (ids[pool as usize] as f64 * draw.unit().powf(skew)) as u32;
            let router = draw.below(u64::from(self.routers)) as u32;
            let what = match draw.below(100) {
                0..80 => {
                    let replay = draw.pick(&[Replay::Anytime, Replay::Anytime, Replay::IfUnsent, Replay::Never]);
                    What::Request { router, pool, id, replay }
                }
                80..88 => What::GetContainer { router, pool, id },
                88..93 => What::Lookup { router, pool, id },
                _ => What::Release { router, pool, id },
            };
            self.operations.push(Operation { at: Millis(at), what });
        }
    }

    fn add_changes(&mut self, draw: &mut Stream, pools: u32) {
        let duration = self.duration.0;
        let other = |draw: &mut Stream| draw.below(self.configs.len() as u64) as usize;
        let mut changes = Vec::new();
        if self.configs.len() > 1 {
            let kinds = if self.rates.of(Fault::Deploy) > 0.0 { 3 } else { 2 };
            for _ in 0..draw.below(4) {
                changes.push(match draw.below(kinds) {
                    0 => What::PutConfig(other(draw)),
                    1 => What::DropOverride,
                    _ => What::Deploy { config: other(draw), within: Millis(draw.between(1, 60_000)) },
                });
            }
        }
        for _ in 0..draw.below(3) {
            let pool = draw.below(u64::from(pools)) as u32;
            changes.push(What::ShutdownPrewarmed { pool, index: draw.below(self.most_shards()) as u32 });
        }
        for what in changes {
            self.operations.push(Operation { at: Millis(draw.below(duration)), what });
        }
    }

    /// Now and then a pool gets another shard count, whatever else goes on.
    fn add_reshards(&mut self, late: &mut Stream, pools: u32) {
        if late.chance(0.4) {
            for _ in 0..late.between(1, 3) {
                let what =
                    What::Reshard { pool: late.below(u64::from(pools)) as u32, shards: late.pick(&SHARD_COUNTS) };
                self.operations.push(Operation { at: Millis(late.below(self.duration.0)), what });
            }
        }
    }

    /// So many shards, or a few more, are worth to be struck.
    fn most_shards(&self) -> u64 {
        match self.plot {
            Plot::Resharding | Plot::LongOutage => 16,
            Plot::Everyday | Plot::SharedClass => 4,
        }
    }

    /// What goes wrong at a given time, rather than wherever it can.
    fn add_blows(&mut self, draw: &mut Stream, pools: u32) {
        let duration = self.duration.0;
        let mut blows = Vec::new();
        let mut some = |draw: &mut Stream, fault: Fault, most: u64, make: &mut dyn FnMut(&mut Stream) -> What| {
            if self.rates.of(fault) > 0.0 {
                for _ in 0..draw.between(1, most) {
                    let what = make(draw);
                    blows.push(Operation { at: Millis(draw.below(duration)), what });
                }
            }
        };
        let (routers, most_shards) = (self.routers, self.most_shards());
        let target = |draw: &mut Stream| match draw.below(10) {
            0 => Target::Coordinator,
            1 => Target::Router(draw.below(u64::from(routers)) as u32),
            2..6 => Target::Shard { pool: draw.below(u64::from(pools)) as u32, index: draw.below(most_shards) as u32 },
            _ => Target::Container { nth: draw.draw() as u32 },
        };
        some(draw, Fault::Evicted, 10, &mut |draw| What::Evict(target(draw)));
        some(draw, Fault::Partition, 6, &mut |draw| What::CutOff {
            target: target(draw),
            by: draw.pick(&[By::Anybody, By::Objects]),
            duration: Millis(draw.between(1_000, 100_000)),
        });
        if draw.chance(0.4) {
            some(draw, Fault::Partition, 3, &mut |draw| What::Strand {
                router: draw.below(u64::from(routers)) as u32,
                nth: draw.draw() as u32,
                duration: Millis(draw.between(20_000, 100_000)),
            });
        }
        some(draw, Fault::CoordinatorDown, 2, &mut |draw| What::CoordinatorDown {
            duration: Millis(draw.between(10_000, 300_000)),
        });
        some(draw, Fault::Dies, 8, &mut |draw| What::Kill { nth: draw.draw() as u32 });
        some(draw, Fault::Capacity, 2, &mut |draw| What::Limit {
            room: draw.below(12) as u32,
            duration: Millis(draw.between(5_000, 60_000)),
        });
        some(draw, Fault::BadImage, 2, &mut |draw| What::LoseImages { duration: Millis(draw.between(1_000, 40_000)) });
        // Small steps, of which the fence must not take notice, and in some seeds big ones. A clock that goes back holds up
        // whatever waits for a time for as long, so that it goes back by a minute at most.
        let big = draw.chance(0.3);
        some(draw, Fault::ClockJump, 6, &mut |draw| {
            let (back, forth) = if big { draw.pick(&[(2_000, 2_000), (60_000, 3_600_000)]) } else { (400, 400) };
            What::ClockJump { target: target(draw), by: draw.below(back + forth) as i64 - back as i64 }
        });
        self.operations.extend(blows);
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3}  {:?}", self.at.0 as f64 / 1_000.0, self.what)
    }
}

/// By then every shard has its first plan, where nothing goes wrong.
const FIRST_PLANS: Millis = Millis::from_secs(5);

const SCHEDULE: Key = Key::new(20);
const LATER: Key = Key::new(23);
