//! What is being handed over: rows that say `Moving`, and whether the receiver has what they say.
//!
//! A container can be on its way at several shards at once: the first has not heard yet that the second has it, which hands
//! it on already. At most one of these rows is not received, and then no shard has the container as its own.

use std::collections::BTreeMap;

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::ContainerId;
use cf_warm_pools::core::shard::{ContainerRow, State};

use crate::world::message::Addr;

/// All of it.
#[derive(Debug, Default)]
pub struct Moves {
    by_container: BTreeMap<ContainerId, BTreeMap<Addr, Move>>,
    /// What has not been received, by giver and receiver, in the order in which it was given.
    open: BTreeMap<(Addr, Addr), BTreeMap<u64, ContainerId>>,
}

/// A row that says `Moving`.
#[derive(Clone, Debug)]
pub struct Move {
    pub giver: Addr,
    pub to: Addr,
    pub seq: u64,
    /// The state in which it is to arrive.
    pub was: State,
    /// Since when.
    pub since: Millis,
    /// The generation of the credit that goes along.
    pub credit: Option<u64>,
    /// Whether the receiver has written it down.
    pub received: bool,
}

impl Moves {
    /// The row of a giver.
    pub fn at(&self, container: ContainerId, giver: Addr) -> Option<&Move> {
        self.by_container.get(&container)?.get(&giver)
    }

    /// The one row of a container, of them all, that nobody has received.
    pub fn open(&self, container: ContainerId) -> Option<&Move> {
        self.by_container.get(&container)?.values().find(|moving| !moving.received)
    }

    /// Every row of a giver.
    pub fn of(&self, giver: Addr) -> impl Iterator<Item = (ContainerId, &Move)> {
        let at = move |(&container, rows): (&ContainerId, &'_ BTreeMap<Addr, Move>)| {
            rows.contains_key(&giver).then_some(container)
        };
        self.by_container
            .iter()
            .filter_map(at)
            .filter_map(move |container| Some((container, self.at(container, giver)?)))
    }

    /// Everything that nobody has received.
    pub fn all_open(&self) -> impl Iterator<Item = (ContainerId, &Move)> {
        self.open.values().flat_map(BTreeMap::values).filter_map(|&container| Some((container, self.open(container)?)))
    }

    pub fn begin(&mut self, container: ContainerId, moving: Move) {
        self.open.entry((moving.giver, moving.to)).or_default().insert(moving.seq, container);
        self.by_container.entry(container).or_default().insert(moving.giver, moving);
    }

    /// The receiver has it.
    pub fn received(&mut self, container: ContainerId, giver: Addr) {
        let Some(moving) = self.by_container.get_mut(&container).and_then(|rows| rows.get_mut(&giver)) else { return };
        moving.received = true;
        let channel = (giver, moving.to);
        if let Some(open) = self.open.get_mut(&channel) {
            open.remove(&moving.seq);
            if open.is_empty() {
                self.open.remove(&channel);
            }
        }
    }

    /// The row is gone.
    pub fn end(&mut self, container: ContainerId, giver: Addr) {
        self.received(container, giver);
        if let Some(rows) = self.by_container.get_mut(&container) {
            rows.remove(&giver);
            if rows.is_empty() {
                self.by_container.remove(&container);
            }
        }
    }

    /// Whether something that was given before this is not received yet.
    pub fn overtakes(&self, giver: Addr, to: Addr, seq: u64) -> bool {
        self.open.get(&(giver, to)).is_some_and(|open| open.range(..seq).next().is_some())
    }
}

/// The row that says that a container moves, of whichever shard.
pub fn moving(shard: Addr, row: &ContainerRow, now: Millis) -> Option<Move> {
    let (State::Moving { to, seq, credit, was }, Addr::Shard { pool, .. }) = (&row.state, shard) else { return None };
    Some(Move {
        giver: shard,
        to: Addr::Shard { pool, index: to.0 },
        seq: *seq,
        was: (**was).clone(),
        since: now,
        credit: *credit,
        received: false,
    })
}
