//! The settings of a seed: how often what goes wrong, what its pools are, and how they are changed.

use cf_warm_pools::config::{Config, parse_value};
use serde_json::{Map, Value, json};

use super::plots::SHARD_COUNTS;
use crate::dice::Stream;
use crate::faults::{Fault, Rates};

/// How often what goes wrong, in this seed.
pub fn rates(draw: &mut Stream, late: &mut Stream) -> Rates {
    let mut rates = Rates::none();
    for fault in Fault::ALL {
        let (least, most) = match fault {
            Fault::TransferReplyLost | Fault::PushDelayed => (0.01, 0.4),
            Fault::TransferCut | Fault::ChangeCut => (0.005, 0.1),
            Fault::LostBefore | Fault::LostAfter | Fault::Delayed => (0.002, 0.1),
            Fault::Duplicated => (0.002, 0.05),
            Fault::Evicted => (0.0005, 0.01),
            Fault::Trapped => (0.0001, 0.002),
            Fault::WriteFailed => (0.001, 0.03),
            Fault::AlarmLate | Fault::AlarmTwice => (0.005, 0.2),
            Fault::StartSlow
            | Fault::StartExits
            | Fault::NeverReady
            | Fault::Capacity
            | Fault::RateLimited
            | Fault::Dies
            | Fault::IgnoresSigterm
            | Fault::DestroyFails => (0.01, 0.25),
            Fault::Lies => (0.005, 0.1),
            Fault::KvStale | Fault::KvFails | Fault::KvHostile => (0.01, 0.5),
            // Those that happen at a time: on or off.
            Fault::Partition | Fault::BadImage | Fault::ClockJump | Fault::CoordinatorDown | Fault::Deploy => {
                (1.0, 1.0)
            }
        };
        let is_late =
            matches!(fault, Fault::TransferReplyLost | Fault::PushDelayed | Fault::TransferCut | Fault::ChangeCut);
        let draw = if is_late { &mut *late } else { &mut *draw };
        let on = draw.chance(0.6);
        let rate = least * f64::powf(most / least, draw.unit());
        if on {
            rates = rates.with(fault, rate);
        }
    }
    rates
}

/// The keys of a pool.
pub fn pool(draw: &mut Stream) -> Map<String, Value> {
    let agent = draw.chance(0.75);
    let shards = draw.pick(&[1, 1, 2, 2, 3, 4, 8]);
    let warm = draw.between(0, 8);
    let refresh = draw.pick(&[500, 1_000, 2_000, 5_000, 10_000]);
    let mut pool = json!({
        "container": if agent { "AGENT" } else { "CLASS" },
        "warm_target": warm,
        "shards": shards,
        "refresh_interval": refresh,
        // Longer than any start takes: a class goes to sleep also while it starts.
        "sleep_after": draw.pick(&[10_000, 30_000, 60_000, 300_000]).max(refresh + 1_000),
        "acquire_timeout": draw.pick(&[500, 2_000, 5_000, 10_000, 30_000]),
        "max_concurrent_starts": draw.pick(&[1, 2, 4, 8]),
        "lease_ttl": draw.pick(&[2_000, 5_000, 10_000, 60_000]),
        "unreachable_timeout": draw.pick(&[2_000, 10_000, 60_000]),
        "drain_timeout": draw.pick(&[100, 1_000, 5_000, 15_000]),
        "start": { "ready": { "timeout": draw.pick(&[4_000, 8_000, 20_000]) } },
    });
    let keys = pool.as_object_mut().unwrap();
    if draw.chance(0.6) {
        keys.insert("max_instances".into(), json!(draw.between(shards, shards + warm + 12)));
    }
    if draw.chance(0.4) {
        keys.insert("id_cache".into(), json!("IDS"));
    }
    if draw.chance(0.2) {
        keys["start"]["setup"] = json!({ "path": "/warmup" });
    }
    keys.clone()
}

/// Settings with which nobody is refused for want of time or room, nor turned away by a container that goes to sleep.
pub fn in_no_hurry(keys: &mut Map<String, Value>) {
    keys.insert("sleep_after".into(), json!("1h"));
    keys.remove("max_instances");
    keys.insert("acquire_timeout".into(), json!("5m"));
}

/// The same pool in another configuration; none: it is not in it.
pub fn change(draw: &mut Stream, base: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut keys = base.clone();
    match draw.below(8) {
        0 => return None,
        1 => drop(keys.insert("warm_target".into(), json!(draw.between(0, 10)))),
        2 => {
            let shards = keys["shards"].as_u64().unwrap();
            keys.insert("max_instances".into(), json!(draw.between(shards, shards + 12)));
        }
        3 => drop(keys.insert("start".into(), json!({ "env": { "V": draw.below(3).to_string() } }))),
        4 => drop(keys.insert("shards".into(), json!(draw.pick(&SHARD_COUNTS)))),
        5 => {
            let other = if keys["container"] == "AGENT" { "AGENT_2" } else { "CLASS_2" };
            keys.insert("container".into(), json!(other));
        }
        6 => drop(keys.insert("drain_timeout".into(), json!(2_000))),
        _ => {}
    }
    Some(keys)
}

pub fn config(pools: impl Iterator<Item = Option<Map<String, Value>>>) -> Config {
    let named = pools.enumerate().filter_map(|(number, keys)| Some((format!("p{number}"), Value::Object(keys?))));
    let pools: Map<String, Value> = named.collect();
    // A change of one key may not go with another.
    let fit = |mut keys: Value| {
        let least = keys["shards"].as_u64().max(keys["warm_target"].as_u64());
        if keys["max_instances"].as_u64() < least {
            keys.as_object_mut().unwrap().remove("max_instances");
        }
        keys
    };
    let pools: Map<String, Value> = pools.into_iter().map(|(name, keys)| (name, fit(keys))).collect();
    let document = json!({ "pools": pools });
    parse_value(&document).unwrap_or_else(|errors| panic!("{errors}: {document}"))
}
