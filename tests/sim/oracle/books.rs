//! What the shards have written down, all of them together, and which changes of it are legal.

use std::collections::{BTreeMap, BTreeSet};

use cf_warm_pools::config::resolved::{Millis, ShardCount};
use cf_warm_pools::core::coordinator::Registry;
use cf_warm_pools::core::id::{ContainerId, Epoch, SessionId};
use cf_warm_pools::core::plan::Plan;
use cf_warm_pools::core::shard::{ContainerRow, DrainCause, Shard, Spec, State};

use super::evidence::Evidence;
use crate::world::message::{Addr, pool_number};

/// An id of a pool.
pub type Owner = (u32, SessionId);
/// A promise and how it was broken.
pub type Broken = (&'static str, String);

/// The rows of all shards.
#[derive(Debug, Default)]
pub struct Books {
    rows: BTreeMap<ContainerId, Entry>,
    by_id: BTreeMap<Owner, ContainerId>,
    /// Whom each container was ever assigned to.
    assigned: BTreeMap<ContainerId, Owner>,
    /// The last assignment of each id.
    last: BTreeMap<Owner, (ContainerId, Epoch)>,
    counts: BTreeMap<Addr, u32>,
    starting: BTreeMap<Addr, BTreeSet<ContainerId>>,
    plans: BTreeMap<Addr, Plan>,
    /// The shard count with which each pool was first in force.
    shards: BTreeMap<u32, ShardCount>,
    deploy_stamp: u64,
    version: u64,
    /// Whether an administrator has set a configuration.
    is_overridden: bool,
}

#[derive(Debug)]
struct Entry {
    shard: Addr,
    row: ContainerRow,
    since: Millis,
}

impl Books {
    /// Whether no shard ever wrote anything down.
    pub fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }

    pub fn has(&self, container: ContainerId) -> bool {
        self.rows.contains_key(&container)
    }

    pub fn has_at(&self, shard: Addr, container: ContainerId) -> bool {
        self.rows.get(&container).is_some_and(|entry| entry.shard == shard)
    }

    /// Whom a container was ever assigned to.
    pub fn ever_assigned_to(&self, container: ContainerId) -> Option<&Owner> {
        self.assigned.get(&container)
    }

    /// The container that an id was last assigned.
    pub fn last_container_of(&self, owner: &Owner) -> Option<ContainerId> {
        self.last.get(owner).map(|&(container, _)| container)
    }

    /// The container that an id has now.
    pub fn container_of(&self, owner: &Owner) -> Option<ContainerId> {
        self.by_id.get(owner).copied()
    }

    pub fn is_assigned(&self, shard: Addr, container: ContainerId, at: Epoch) -> bool {
        self.rows.get(&container).is_some_and(|entry| {
            entry.shard == shard && matches!(entry.row.state, State::Assigned { epoch, .. } if epoch == at)
        })
    }

    pub fn is_draining(&self, container: ContainerId) -> bool {
        self.rows.get(&container).is_some_and(|entry| matches!(entry.row.state, State::Draining { .. }))
    }

    pub fn count(&self, shard: Addr) -> u32 {
        self.counts.get(&shard).copied().unwrap_or(0)
    }

    /// The ids that have a container of a shard.
    pub fn ids_of(&self, shard: Addr) -> impl Iterator<Item = &SessionId> {
        let of_shard = move |(_, container): &(&Owner, &ContainerId)| self.has_at(shard, **container);
        self.by_id.iter().filter(of_shard).map(|((_, session), _)| session)
    }

    /// One of the containers that serve an id, with its shard.
    pub fn nth_assigned(&self, nth: u32) -> Option<(ContainerId, Addr, Owner)> {
        let count = self.by_id.len().max(1);
        let (owner, container) = self.by_id.iter().nth(nth as usize % count)?;
        Some((*container, self.rows.get(container)?.shard, owner.clone()))
    }

    /// Every row of a shard, and since when it is in its state.
    pub fn rows_of(&self, shard: Addr) -> impl Iterator<Item = (&ContainerRow, Millis)> {
        let entries = self.rows.values().filter(move |entry| entry.shard == shard);
        entries.map(|entry| (&entry.row, entry.since))
    }

    /// A row is written.
    #[allow(clippy::too_many_arguments)]
    pub fn put(
        &mut self,
        now: Millis,
        shard: Addr,
        row: &ContainerRow,
        evidence: &BTreeMap<ContainerId, Evidence>,
        jumped: &BTreeMap<Addr, Millis>,
        machine: &Shard,
        broken: &mut Vec<Broken>,
    ) {
        let container = row.container;
        let Addr::Shard { pool, .. } = shard else { return };
        let former = self.rows.remove(&container);
        if let Some(former) = &former
            && former.shard != shard
        {
            broken.push(("exclusive", format!("{container} is on the books of {:?} and {shard:?}", former.shard)));
        }
        let before = former.as_ref().map(|entry| &entry.row.state);
        match (before, &row.state) {
            (None | Some(State::Starting), State::Starting)
            | (Some(State::Starting | State::Warm { .. }), State::Warm { .. } | State::Assigned { .. })
            | (Some(_), State::Draining { .. }) => {}
            (Some(State::Assigned { id: was, epoch: at, .. }), State::Assigned { id, epoch, .. })
                if was == id && at == epoch => {}
            (before, after) => {
                let what = format!("{container} goes from {before:?} to {after:?}");
                broken.push(("exclusive", what));
            }
        }
        if let (Some(State::Assigned { id, .. }), State::Draining { cause, .. }) = (before, &row.state) {
            let owner = (pool, id.clone());
            self.by_id.remove(&owner);
            let evidence = evidence.get(&container).cloned().unwrap_or_default();
            if let Err((promise, what)) = evidence.justifies(now, shard, row, *cause, machine, jumped) {
                broken.push((promise, format!("{owner:?} loses {container} ({cause:?}): {what}")));
            }
        }
        if let State::Assigned { id, epoch, .. } = &row.state
            && !matches!(before, Some(State::Assigned { .. }))
        {
            self.assign(container, (pool, id.clone()), *epoch, broken);
        }
        if matches!(row.state, State::Starting) {
            self.starting.entry(shard).or_default().insert(container);
        } else if matches!(before, Some(State::Starting)) {
            self.starting.entry(shard).or_default().remove(&container);
        }
        if former.is_none() {
            *self.counts.entry(shard).or_default() += 1;
        }
        let same = before.is_some_and(|before| std::mem::discriminant(before) == std::mem::discriminant(&row.state));
        let since = former.as_ref().filter(|_| same).map_or(now, |entry| entry.since);
        self.rows.insert(container, Entry { shard, row: row.clone(), since });
    }

    fn assign(&mut self, container: ContainerId, owner: Owner, epoch: Epoch, broken: &mut Vec<Broken>) {
        if let Some(&has) = self.by_id.get(&owner) {
            broken.push(("single", format!("{owner:?} has {has}, and gets {container}")));
        }
        if let Some(&(last, at)) = self.last.get(&owner)
            && at >= epoch
        {
            broken.push(("single", format!("{owner:?} had {last} at {at:?}, and gets {container} at {epoch:?}")));
        }
        match self.assigned.get(&container) {
            Some(first) if *first != owner => {
                broken.push(("exclusive", format!("{container} was given to {first:?} and then to {owner:?}")));
            }
            Some(first) => broken.push(("exclusive", format!("{container} was given to {first:?} twice"))),
            None => {}
        }
        self.assigned.insert(container, owner.clone());
        self.last.insert(owner.clone(), (container, epoch));
        self.by_id.insert(owner, container);
    }

    /// A row is deleted.
    pub fn delete(&mut self, shard: Addr, container: ContainerId, runs: bool, broken: &mut Vec<Broken>) {
        let Some(former) = self.rows.remove(&container) else {
            // Written and deleted within one step.
            return;
        };
        *self.counts.entry(former.shard).or_default() -= 1;
        self.starting.entry(former.shard).or_default().remove(&container);
        if former.shard != shard {
            broken
                .push(("accounted", format!("{container} of {:?} is taken off the books by {shard:?}", former.shard)));
        }
        match &former.row.state {
            State::Starting | State::Draining { .. } => {}
            state @ (State::Warm { .. } | State::Assigned { .. }) => {
                broken.push(("accounted", format!("{container} goes off the books from {state:?}")));
            }
        }
        if let State::Assigned { id, .. } = &former.row.state
            && let Addr::Shard { pool, .. } = shard
        {
            self.by_id.remove(&(pool, id.clone()));
        }
        if runs {
            broken.push(("accounted", format!("{container} goes off the books and runs")));
        }
    }

    /// A shard takes a plan.
    pub fn plan(&mut self, shard: Addr, plan: &Plan, broken: &mut Vec<Broken>) {
        if let Some(had) = self.plans.insert(shard, plan.clone()) {
            if plan.version < had.version {
                broken.push(("all-or-nothing", format!("{shard:?} goes from {:?} to {:?}", had.version, plan.version)));
            }
            if plan.pool.shards != had.pool.shards {
                let what = format!("{shard:?} goes from {:?} to {:?}", had.pool.shards, plan.pool.shards);
                broken.push(("sticky", what));
            }
        }
    }

    /// A shard starts one more.
    pub fn bounded(&self, shard: Addr, machine: &Shard, broken: &mut Vec<Broken>) {
        let Some(plan) = machine.plan() else {
            broken.push(("bounded", format!("{shard:?} starts a container and has no plan")));
            return;
        };
        if !plan.active {
            broken.push(("bounded", format!("{shard:?} starts a container of a pool that is in no configuration")));
        }
        let count = self.count(shard);
        if plan.share.max_instances.is_some_and(|max| count > max) {
            broken.push((
                "bounded",
                format!("{shard:?} has {count} containers, and may have {:?}", plan.share.max_instances),
            ));
        }
        let starting = self.starting.get(&shard).map_or(0, BTreeSet::len);
        if starting > plan.pool.max_concurrent_starts as usize {
            broken.push(("bounded", format!("{shard:?} starts {starting} containers at once")));
        }
        // One for each that waits, and what is missing of the stock; those of another configuration are of no use.
        let spec = Spec::of(&plan.pool).id();
        let current = |state: fn(&State) -> bool| {
            machine.containers().filter(|row| row.spec == spec && state(&row.state)).count()
        };
        let coming = current(|state| matches!(state, State::Starting));
        let stock = current(|state| matches!(state, State::Warm { .. }));
        let missing = machine.waiting() as usize + (plan.share.warm_target as usize).saturating_sub(stock);
        if coming > missing {
            broken.push(("bounded", format!("{shard:?} starts {coming} containers, and {missing} are missing")));
        }
        // Over all shards, by the largest limit that any of them works by.
        let Addr::Shard { pool, .. } = shard else { return };
        let of_pool = |addr: &Addr| matches!(addr, Addr::Shard { pool: of, .. } if *of == pool);
        let plans = || self.plans.iter().filter(|(addr, _)| of_pool(addr)).map(|(_, plan)| plan);
        let limit = plans().map(|plan| plan.pool.max_instances).reduce(|a, b| Some(a?.max(b?))).flatten();
        let total: u32 = self.counts.iter().filter(|(addr, _)| of_pool(addr)).map(|(_, count)| count).sum();
        let in_transition = plans().any(|plan| plan.pool.max_instances != limit);
        if let Some(limit) = limit
            && total > limit
            && !in_transition
            && !self.is_over_by_history(pool)
        {
            broken.push(("bounded", format!("pool {pool} has {total} containers, and may have {limit}")));
        }
    }

    /// Whether some shard has more than its share since a limit was lowered: then the sum may be over it, too.
    fn is_over_by_history(&self, pool: u32) -> bool {
        self.counts.iter().any(|(addr, &count)| {
            matches!(addr, Addr::Shard { pool: of, .. } if *of == pool)
                && self.plans.get(addr).and_then(|plan| plan.share.max_instances).is_some_and(|share| count > share)
        })
    }

    /// The coordinator has put something in force.
    pub fn registry(&mut self, registry: &Registry, drops_override: bool, broken: &mut Vec<Broken>) {
        let is_overridden = registry.admin.is_some();
        if std::mem::replace(&mut self.is_overridden, is_overridden) && !is_overridden && !drops_override {
            broken.push(("all-or-nothing", "what an administrator set is gone, and nobody dropped it".to_owned()));
        }
        if registry.version < self.version {
            broken.push(("all-or-nothing", format!("version {} after {}", registry.version, self.version)));
        }
        self.version = registry.version;
        let stamp = registry.deployed.as_ref().map_or(0, |deployed| deployed.stamp);
        if stamp < self.deploy_stamp {
            broken.push(("all-or-nothing", format!("the deploy of {stamp} replaces that of {}", self.deploy_stamp)));
        }
        self.deploy_stamp = stamp;
        for (name, pool) in &registry.pools {
            let first = *self.shards.entry(pool_number(name)).or_insert(pool.shards);
            if first != pool.shards {
                let what = format!("{name} goes from {first:?} to {:?}, and its ids move", pool.shards);
                broken.push(("all-or-nothing", what));
            }
        }
    }
}

/// Why an id may lose its container.
impl Evidence {
    fn justifies(
        &self,
        now: Millis,
        shard: Addr,
        row: &ContainerRow,
        cause: DrainCause,
        machine: &Shard,
        jumped: &BTreeMap<Addr, Millis>,
    ) -> Result<(), Broken> {
        match cause {
            DrainCause::Released if self.released => Ok(()),
            DrainCause::Released => Err(("sticky", "nobody released it".to_owned())),
            DrainCause::Stopped if self.said_stopped || self.negatives >= 2 => Ok(()),
            DrainCause::Stopped => Err(("unknown-is-not-dead", format!("all that is known is {self:?}"))),
            DrainCause::Ending if self.stopping => Ok(()),
            DrainCause::Ending => Err(("unknown-is-not-dead", format!("it never said so: {self:?}"))),
            DrainCause::Unreachable => self.justifies_giving_up(now, shard, row, machine, jumped),
            DrainCause::Surplus | DrainCause::Outdated | DrainCause::Shutdown | DrainCause::StartFailed => {
                Err(("sticky", "that is no reason to take it away".to_owned()))
            }
        }
    }
}
