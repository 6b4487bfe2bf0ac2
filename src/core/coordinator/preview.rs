//! What would become of the pools if a configuration were put in force, as far as shards have been heard of.

use serde_json::{Value, json};

use super::Coordinator;
use super::registry::shards_of;
use crate::config::resolved::{Config, Pool, PoolName};
use crate::core::shard::Spec;

/// What happens to a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Added,
    Removed,
    Changed,
    Unchanged,
}

impl Fate {
    fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What a pool's shards have, as far as has been heard.
#[derive(Clone, Copy, Debug, Default)]
struct Has {
    /// Containers that are ready, or will be soon.
    stock: u32,
    assigned: u32,
}

impl Coordinator {
    /// What putting `config` in force would do, as JSON:
    /// `{pools: [{pool, change, start, drain, move, waits, restart, changes}], routes: {changed}, prices: {changed}}`.
    ///
    /// `start` and `drain` are how many containers would be started, and sent away; they leave assigned containers out, which no
    /// configuration takes from their ids.
    pub fn preview(&self, config: &Config) -> Value {
        let in_force = self.config();
        let mut names: Vec<&PoolName> = in_force.pools.keys().chain(config.pools.keys()).collect();
        names.sort();
        names.dedup();
        let pools: Vec<Value> = names.into_iter().map(|name| self.preview_of(name, &in_force, config)).collect();
        let changed = |is_changed: bool| json!({ "changed": is_changed });
        let (routes, prices) = (in_force.routes != config.routes, in_force.prices != config.prices);
        json!({ "pools": pools, "routes": changed(routes), "prices": changed(prices) })
    }

    fn preview_of(&self, name: &PoolName, in_force: &Config, config: &Config) -> Value {
        let (former, latter) = (in_force.pools.get(name), config.pools.get(name));
        let (fate, changes, restart) = match (former, latter) {
            (None, _) => (Fate::Added, Vec::new(), false),
            (_, None) => (Fate::Removed, Vec::new(), false),
            (Some(former), Some(latter)) => {
                let changes = former.differences(name, latter);
                let fate = if changes.is_empty() { Fate::Unchanged } else { Fate::Changed };
                (fate, changes, Spec::of(former) != Spec::of(latter))
            }
        };
        // A pool that was taken out earlier has its shards still.
        let shards = self.registry.pools.get(name).map(|pool| pool.shards);
        let moves = shards.zip(latter).map(|(from, pool)| (from, pool.shards)).filter(|(from, to)| from != to);
        let waits = moves.is_some() && self.registry.migrations.contains_key(name);
        let has = self.has(name);
        let (was, will) = (stock_of(in_force, former, has), stock_of(config, latter, has));
        let (start, drain) = if restart {
            (will, has.stock)
        } else if will > was {
            (will.saturating_sub(has.stock), 0)
        } else if will < was {
            (0, has.stock.saturating_sub(will))
        } else {
            (0, 0)
        };
        let changes = changes.iter().map(|each| json!({ "path": each.path, "from": each.from, "to": each.to }));
        json!({
            "pool": name,
            "change": fate.as_str(),
            "start": start,
            "drain": drain,
            "move": moves.map(|(from, to)| json!({ "from": from, "to": to })),
            "waits": waits,
            "restart": restart,
            "changes": changes.collect::<Vec<_>>(),
        })
    }

    /// What all shards of a pool have. One that was not heard of lately is taken to keep its share.
    fn has(&self, pool: &PoolName) -> Has {
        shards_of(pool, self.registry.ever(pool)).fold(Has::default(), |sum, shard| {
            let (stock, assigned) = match self.heard_lately(&shard) {
                Some(heard) => (heard.stock(), heard.standing.counts.assigned),
                None if self.is_empty(&shard) => (0, 0),
                None => (self.warm_target_of(&shard), 0),
            };
            Has { stock: sum.stock.saturating_add(stock), assigned: sum.assigned.saturating_add(assigned) }
        })
    }
}

/// How many containers a pool keeps ready under a configuration: its target, as far as its limit or its class's leaves room beside the
/// assigned ones.
fn stock_of(config: &Config, pool: Option<&Pool>, has: Has) -> u32 {
    let Some(pool) = pool else { return 0 };
    let of_class = config.pools.values().filter(|other| other.container == pool.container);
    let limit = pool.max_instances.or_else(|| of_class.filter_map(|other| other.max_instances).max());
    limit.map_or(pool.warm_target, |limit| pool.warm_target.min(limit.saturating_sub(has.assigned)))
}
