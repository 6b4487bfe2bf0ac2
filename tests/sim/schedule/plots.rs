//! What a run is about: most are everyday life with all that can go wrong in it, some are about one thing.

use cf_warm_pools::config::resolved::Millis;
use serde_json::{Map, Value, json};

use super::settings::{in_no_hurry, pool, rates};
use super::{Climate, Operation, What};
use crate::dice::{Dice, Key, Stream};
use crate::faults::{Fault, Rates};

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plot {
    /// Everything, in some measure.
    Everyday,
    /// The shard count goes from 1 to 4 to 16 to 3 (in some runs to others) while users go on.
    Resharding,
    /// Several pools have the same class of containers, which has a limit that is soon reached.
    SharedClass,
    /// The coordinator is gone for ten minutes, in half of the runs while ids move, and nobody may notice.
    LongOutage,
}

/// What is settled of a run before the rest of it is drawn.
pub struct Plan {
    pub plot: Plot,
    pub climate: Climate,
    pub rates: Rates,
    /// The pools, as they are at first.
    pub bases: Vec<Map<String, Value>>,
    pub routers: Option<u32>,
    pub duration: Option<Millis>,
    /// How many ids a pool has, at least and at most.
    pub ids: (u64, u64),
    pub reshards: Vec<Operation>,
    /// When the coordinator goes, and for how long.
    pub outage: Option<(Millis, Millis)>,
}

impl Plot {
    pub fn of_seed(seed: u64) -> Self {
        match Dice::new(seed).below(PLOT, 32) {
            _ if seed >= RESHARDING_FROM => Self::Resharding,
            0..4 => Self::Resharding,
            4..6 => Self::SharedClass,
            6 => Self::LongOutage,
            _ => Self::Everyday,
        }
    }

    pub fn plan(self, draw: &mut Stream, late: &mut Stream) -> Plan {
        match self {
            Self::Everyday => everyday(draw, late),
            Self::Resharding => resharding(draw, late),
            Self::SharedClass => shared_class(draw, late),
            Self::LongOutage => long_outage(draw),
        }
    }
}

fn everyday(draw: &mut Stream, late: &mut Stream) -> Plan {
    let climate = match draw.below(40) {
        0 | 1 => Climate::Calm,
        2 => Climate::NoCoordinator,
        _ => Climate::Swarm,
    };
    let rates = match climate {
        Climate::Swarm => rates(draw, late),
        Climate::Calm | Climate::NoCoordinator => Rates::none(),
    };
    let pools = draw.between(1, 3);
    let mut bases: Vec<Map<String, Value>> = (0..pools).map(|_| pool(draw)).collect();
    if climate.serves_everybody() {
        bases.iter_mut().for_each(in_no_hurry);
    }
    Plan {
        plot: Plot::Everyday,
        climate,
        rates,
        bases,
        routers: None,
        duration: None,
        ids: (3, 60),
        reshards: Vec::new(),
        outage: None,
    }
}

fn resharding(draw: &mut Stream, late: &mut Stream) -> Plan {
    let climate = if draw.chance(0.3) { Climate::Calm } else { Climate::Swarm };
    let rates = match climate {
        Climate::Swarm => rates(draw, late),
        // What shards say to each other may be lost: then it takes longer, and nobody is turned away for it.
        Climate::Calm if draw.chance(0.6) => {
            let rates = Rates::none().with(Fault::TransferReplyLost, 0.02 + 0.2 * draw.unit());
            rates.with(Fault::PushDelayed, 0.3 * draw.unit())
        }
        Climate::Calm | Climate::NoCoordinator => Rates::none(),
    };
    let pools = draw.between(1, 2) as u32;
    let mut bases: Vec<Map<String, Value>> = (0..pools).map(|_| pool(draw)).collect();
    for base in &mut bases {
        base.insert("shards".into(), json!(1));
        if base.contains_key("max_instances") {
            // Enough for the most shards.
            base.insert("max_instances".into(), json!(draw.between(16, 48)));
        }
        if climate.serves_everybody() {
            in_no_hurry(base);
        }
    }
    let duration = draw.between(120_000, 260_000);
    let counts = if draw.chance(0.75) {
        [4, 16, 3]
    } else {
        [draw.pick(&SHARD_COUNTS), draw.pick(&SHARD_COUNTS), draw.pick(&SHARD_COUNTS)]
    };
    let mut reshards = Vec::new();
    for pool in 0..pools {
        for (shards, (least, most)) in counts.into_iter().zip([(3, 30), (25, 55), (50, 90)]) {
            let at = Millis(duration / 100 * draw.between(least, most));
            reshards.push(Operation { at, what: What::Reshard { pool, shards } });
        }
    }
    Plan {
        plot: Plot::Resharding,
        climate,
        rates,
        bases,
        routers: Some(draw.between(2, 4) as u32),
        duration: Some(Millis(duration)),
        ids: (20, 150),
        reshards,
        outage: None,
    }
}

fn shared_class(draw: &mut Stream, late: &mut Stream) -> Plan {
    let rates = rates(draw, late);
    // Less of what makes containers fail, that the limit is what holds them up.
    let rates = [Fault::StartExits, Fault::NeverReady, Fault::BadImage].into_iter().fold(rates, |rates, fault| {
        let less = rates.of(fault) / 4.0;
        rates.with(fault, less)
    });
    let pools = draw.between(2, 3);
    let mut bases: Vec<Map<String, Value>> = (0..pools).map(|_| pool(draw)).collect();
    let class = bases[0]["container"].clone();
    for (number, base) in bases.iter_mut().enumerate() {
        base.insert("container".into(), class.clone());
        let least = base["shards"].as_u64().max(base["warm_target"].as_u64()).unwrap_or(1).max(1);
        if number == 0 || draw.chance(0.6) {
            base.insert("max_instances".into(), json!(draw.between(least, least + 8)));
        } else {
            base.remove("max_instances");
        }
    }
    Plan {
        plot: Plot::SharedClass,
        climate: Climate::Swarm,
        rates,
        bases,
        routers: None,
        duration: None,
        ids: (5, 40),
        reshards: Vec::new(),
        outage: None,
    }
}

fn long_outage(draw: &mut Stream) -> Plan {
    let pools = draw.between(1, 2);
    let mut bases: Vec<Map<String, Value>> = (0..pools).map(|_| pool(draw)).collect();
    bases.iter_mut().for_each(in_no_hurry);
    let begins = draw.between(20_000, 40_000);
    let mut reshards = Vec::new();
    let mut rates = Rates::none();
    if draw.chance(0.6) {
        if draw.chance(0.7) {
            // Much of what shards say to each other is lost: what must be asked has to be asked again.
            rates = rates.with(Fault::TransferReplyLost, 0.3 + 0.3 * draw.unit());
        }
        let at = Millis(begins - draw.between(1, 3_000));
        let shards = draw.pick(&SHARD_COUNTS);
        reshards.push(Operation { at, what: What::Reshard { pool: 0, shards } });
    }
    Plan {
        plot: Plot::LongOutage,
        climate: Climate::NoCoordinator,
        rates,
        bases,
        routers: None,
        duration: Some(Millis(begins) + TEN_MINUTES + Millis(draw.between(0, 60_000))),
        ids: (10, 100),
        reshards,
        outage: Some((Millis(begins), TEN_MINUTES)),
    }
}

/// From here on every seed is about a change of shard counts.
pub const RESHARDING_FROM: u64 = 1_000_000_000;

/// The shard counts that a pool may get: mostly small ones, for in these most happens at the edges.
pub const SHARD_COUNTS: [u32; 12] = [1, 1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 16];

const TEN_MINUTES: Millis = Millis::from_secs(600);
const PLOT: Key = Key::new(24);
