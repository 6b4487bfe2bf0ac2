//! What the coordinator keeps of what has happened: what shards tell, and what is its own to tell.

use super::{Coordinator, Effects, Write};
use crate::config::resolved::{PoolName, ShardCount};
use crate::core::id::ShardId;
use crate::core::journal::{Archive, Entry, Kind};
use crate::core::sorted::{Map, Set};

use super::registry::Resharding;

/// What was told of what is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    version: u64,
    /// The pools of the configuration.
    pools: Set<PoolName>,
    migrations: Map<PoolName, Resharding>,
}

impl Coordinator {
    /// The same, with what is kept of what has happened.
    #[must_use]
    pub fn with_archive(self, archive: Archive) -> Self {
        Self { archive, ..self }
    }

    /// What is kept of what has happened.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The answer to a batch of events: the highest number that was taken of the shard, 0 when nothing is kept of it.
    pub fn recorded(&self, shard: &ShardId) -> u64 {
        self.archive.heard(shard)
    }

    /// What is in force now, as it is told.
    pub(super) fn to_tell(&self) -> Told {
        let registry = &self.registry;
        Told {
            version: registry.version,
            pools: registry.asked_for().into_iter().flat_map(|config| config.pools.keys().cloned()).collect(),
            migrations: registry.migrations.clone(),
        }
    }

    /// The end of a step: what has changed in it is an event of each pool concerned, and all that is new is written.
    pub(super) fn tell(&mut self, fx: &mut Effects) {
        if self.told_of.version != self.registry.version {
            let told = self.to_tell();
            let before = std::mem::replace(&mut self.told_of, told.clone());
            self.tell_changes(&before, &told);
        }
        fx.writes.extend(self.archive.take_changes().into_iter().map(Write::Events));
    }

    fn tell_changes(&mut self, before: &Told, told: &Told) {
        let entry = |kind| Entry { version: Some(told.version), ..Entry::new(self.now, kind) };
        let ended = before.migrations.iter().filter(|(pool, was)| told.migrations.get(*pool) != Some(*was));
        let moved = |kind, from: ShardCount, to: Option<ShardCount>| Entry {
            from: Some(from.get()),
            to: to.map(|to| to.get()),
            ..entry(kind)
        };
        let mut all: Vec<(PoolName, Entry)> = Vec::new();
        // A migration that is over is closed by a version of its own: the shard count is still the one that it led to, unless another
        // began with it.
        for (pool, was) in ended {
            let next = told.migrations.get(pool).map(|next| next.from);
            let to = next.or_else(|| self.registry.pools.get(pool).map(|pool| pool.shards));
            all.push((pool.clone(), moved(Kind::MigrationEnded, was.from, to)));
        }
        let source = self.source().as_str();
        let gone = before.pools.iter().filter(|pool| !told.pools.contains(*pool)).map(|pool| (pool, true));
        for (pool, is_gone) in told.pools.iter().map(|pool| (pool, false)).chain(gone) {
            let message = is_gone.then(|| "the pool is in the configuration no more".to_owned());
            all.push((pool.clone(), Entry { reason: Some(source), message, ..entry(Kind::ConfigApplied) }));
        }
        let began = told.migrations.iter().filter(|(pool, is)| before.migrations.get(*pool) != Some(*is));
        for (pool, is) in began {
            let to = self.registry.pools.get(pool).map(|pool| pool.shards);
            all.push((pool.clone(), moved(Kind::MigrationBegan, is.from, to)));
        }
        for (pool, entry) in all {
            self.archive.note(&pool, entry);
        }
    }
}
