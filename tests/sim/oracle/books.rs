//! What the shards have written down, all of them together, and which changes of it are legal.
//!
//! A container is on the books of one shard as its own, or is on its way from one to another: then it is the giver's to account
//! for and nobody's to use, until the receiver has written it down. Where it was before does not matter for what it may become:
//! a change from one shard to another is held against the same rules as one within a shard.

use std::collections::{BTreeMap, BTreeSet};

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::{ContainerId, Epoch, SessionId};
use cf_warm_pools::core::plan::Plan;
use cf_warm_pools::core::shard::{ContainerRow, DrainCause, Shard, Spec, State, Target};

use super::evidence::Evidence;
use super::moves::{Moves, moving};
use crate::world::message::{Addr, pool_name};

/// An id of a pool.
pub type Owner = (u32, SessionId);
/// A promise and how it was broken.
pub type Broken = (&'static str, String);

/// The rows of all shards.
#[derive(Debug, Default)]
pub struct Books {
    /// What each shard has as its own.
    rows: BTreeMap<ContainerId, Entry>,
    moves: Moves,
    /// Every container that ever was on any books.
    ever: BTreeSet<ContainerId>,
    by_id: BTreeMap<Owner, ContainerId>,
    /// Containers that may still serve an id which has given them up.
    blocks: BTreeMap<Owner, BTreeSet<ContainerId>>,
    /// Whom each container was ever assigned to.
    assigned: BTreeMap<ContainerId, Owner>,
    /// The last assignment of each id.
    last: BTreeMap<Owner, (ContainerId, Epoch)>,
    /// How many each shard has as its own.
    counts: BTreeMap<Addr, u32>,
    /// How many there are of each pool, each once.
    totals: BTreeMap<u32, u64>,
    /// Those of a shard that it has begun to start itself.
    starting: BTreeMap<Addr, BTreeSet<ContainerId>>,
    plans: BTreeMap<Addr, Plan>,
    targets: BTreeMap<Addr, Target>,
}

#[derive(Debug)]
struct Entry {
    shard: Addr,
    row: ContainerRow,
    since: Millis,
}

/// How many containers there are at some time.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// Of each shard, in whatever state.
    pub shards: BTreeMap<Addr, u32>,
    /// Warm ones, and those that are to be.
    pub stock: u64,
}

/// One step of a shard, as the books see it.
pub struct Step<'a> {
    pub now: Millis,
    pub shard: Addr,
    pub machine: &'a Shard,
    pub evidence: &'a BTreeMap<ContainerId, Evidence>,
    pub jumped: &'a BTreeMap<Addr, Millis>,
    pub broken: &'a mut Vec<Broken>,
    /// What it has received, by giver and number.
    pub received: Vec<(Addr, u64)>,
    /// How many containers it has begun to start.
    pub started: u32,
    /// Whether anything was given or received.
    pub moves: bool,
}

impl Step<'_> {
    fn broken(&mut self, promise: &'static str, what: String) {
        self.broken.push((promise, what));
    }

    fn pool(&self) -> u32 {
        match self.shard {
            Addr::Shard { pool, .. } => pool,
            Addr::Router(_) | Addr::Coordinator | Addr::Container(_) | Addr::Admin => u32::MAX,
        }
    }
}

impl Books {
    /// Whether no shard ever wrote anything down.
    pub fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }

    /// Whether some shard accounts for a container.
    pub fn has(&self, container: ContainerId) -> bool {
        self.rows.contains_key(&container) || self.moves.open(container).is_some()
    }

    /// Whether a shard has a container as its own.
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

    /// The container that an id has now, at whichever shard, or on its way.
    pub fn container_of(&self, owner: &Owner) -> Option<ContainerId> {
        self.by_id.get(owner).copied()
    }

    pub fn is_assigned(&self, shard: Addr, container: ContainerId, at: Epoch) -> bool {
        self.rows.get(&container).is_some_and(|entry| {
            entry.shard == shard && matches!(entry.row.state, State::Assigned { epoch, .. } if epoch == at)
        })
    }

    pub fn is_draining(&self, container: ContainerId) -> bool {
        let own = self.rows.get(&container).map(|entry| &entry.row.state);
        let state = own.or_else(|| self.moves.open(container).map(|moving| &moving.was));
        matches!(state, Some(State::Draining { .. }))
    }

    /// How many containers a shard has as its own.
    pub fn count(&self, shard: Addr) -> u32 {
        self.counts.get(&shard).copied().unwrap_or(0)
    }

    /// All of them, as they are now.
    pub fn census(&self) -> Census {
        let is_stock = |entry: &&Entry| matches!(entry.row.state, State::Starting | State::Warm { .. });
        let moving = self.moves.all_open().filter(|(_, gift)| matches!(gift.was, State::Starting | State::Warm { .. }));
        Census {
            shards: self.counts.clone(),
            stock: (self.rows.values().filter(is_stock).count() + moving.count()) as u64,
        }
    }

    /// How many containers there are of a pool, each counted once.
    pub fn total(&self, pool: u32) -> u64 {
        self.totals.get(&pool).copied().unwrap_or(0)
    }

    pub fn moves(&self) -> &Moves {
        &self.moves
    }

    pub fn plans(&self) -> &BTreeMap<Addr, Plan> {
        &self.plans
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
        let own = self.rows.get(container).map(|entry| entry.shard);
        let shard = own.or_else(|| self.moves.open(*container).map(|moving| moving.giver))?;
        Some((*container, shard, owner.clone()))
    }

    /// Every row that a shard has as its own, and since when it is in its state.
    pub fn rows_of(&self, shard: Addr) -> impl Iterator<Item = (&ContainerRow, Millis)> {
        self.rows_of_pool_at(move |at| at == shard).map(|(_, row, since)| (row, since))
    }

    /// Every row of a pool that a shard has as its own.
    pub fn rows_of_pool(&self, pool: u32) -> impl Iterator<Item = (Addr, &ContainerRow)> {
        let of_pool = move |at| matches!(at, Addr::Shard { pool: of, .. } if of == pool);
        self.rows_of_pool_at(of_pool).map(|(shard, row, _)| (shard, row))
    }

    fn rows_of_pool_at(&self, which: impl Fn(Addr) -> bool) -> impl Iterator<Item = (Addr, &ContainerRow, Millis)> {
        let entries = self.rows.values().filter(move |entry| which(entry.shard));
        entries.map(|entry| (entry.shard, &entry.row, entry.since))
    }

    /// How many containers a shard is to keep warm, by what it has written.
    pub fn target_of(&self, shard: Addr) -> u32 {
        let (Some(plan), Addr::Shard { index, .. }) = (self.plans.get(&shard), shard) else { return 0 };
        let is_in_force = plan.active && index < plan.pool.shards.get();
        let set = self.targets.get(&shard).filter(|target| target.plan == plan.version && is_in_force);
        set.map_or(plan.share.warm_target, |target| target.warm_target)
    }

    pub fn put_target(&mut self, shard: Addr, target: Target) {
        self.targets.insert(shard, target);
    }

    /// A shard takes a plan.
    pub fn put_plan(&mut self, step: &mut Step<'_>, plan: &Plan) {
        if let Some(had) = self.plans.insert(step.shard, plan.clone())
            && plan.version < had.version
        {
            let what = format!("{:?} goes from {:?} to {:?}", step.shard, had.version, plan.version);
            step.broken("all-or-nothing", what);
        }
    }

    /// A row is written.
    pub fn put(&mut self, step: &mut Step<'_>, row: &ContainerRow) {
        match row.state {
            State::Moving { .. } => self.give(step, row),
            State::Starting | State::Warm { .. } | State::Assigned { .. } | State::Draining { .. } => {
                self.have(step, row);
            }
        }
    }

    /// A shard hands a container over.
    fn give(&mut self, step: &mut Step<'_>, row: &ContainerRow) {
        let (container, shard) = (row.container, step.shard);
        let Some(gift) = moving(shard, row, step.now) else { return };
        if let Some(before) = self.moves.at(container, shard).cloned()
            && !self.has_at(shard, container)
        {
            if (before.to, before.seq, before.credit, &before.was) != (gift.to, gift.seq, gift.credit, &gift.was) {
                step.broken("exclusive", format!("{container} goes another way: first {before:?}, then {gift:?}"));
            }
            return;
        }
        step.moves = true;
        let own = self.rows.remove(&container).filter(|own| own.shard == shard).map(|own| own.row.state);
        // It may hand on at once what it has just been handed.
        let Some(before) = own.or_else(|| self.receive(step, container)) else {
            return step.broken("exclusive", format!("{shard:?} hands {container} over, which is not its own"));
        };
        self.change(step, Some(&before), &gift.was, row);
        *self.counts.entry(shard).or_default() -= 1;
        self.starting.entry(shard).or_default().remove(&container);
        self.moves.begin(container, gift);
    }

    /// A shard takes what is on its way to it. Returns the state in which that arrives.
    fn receive(&mut self, step: &mut Step<'_>, container: ContainerId) -> Option<State> {
        let gift = self.moves.open(container).filter(|gift| gift.to == step.shard).cloned()?;
        step.moves = true;
        step.received.push((gift.giver, gift.seq));
        self.moves.received(container, gift.giver);
        *self.counts.entry(step.shard).or_default() += 1;
        // A warm one is asked to start once more, so that it knows whose it is.
        Some(match gift.was {
            State::Warm { .. } => State::Starting,
            was => was,
        })
    }

    /// A shard has a container as its own.
    fn have(&mut self, step: &mut Step<'_>, row: &ContainerRow) {
        let (container, shard) = (row.container, step.shard);
        let former = self.rows.remove(&container);
        let gift = self.moves.open(container).cloned();
        let before = match (&former, gift) {
            (Some(former), _) => {
                if former.shard != shard {
                    let what = format!("{container} is on the books of {:?} and {shard:?}", former.shard);
                    step.broken("exclusive", what);
                }
                Some(former.row.state.clone())
            }
            (None, Some(gift)) if gift.to == shard => self.receive(step, container),
            (None, Some(gift)) => {
                let what = format!("{shard:?} takes {container}, which {:?} hands over to {:?}", gift.giver, gift.to);
                step.broken("exclusive", what);
                None
            }
            (None, None) => {
                if !self.ever.insert(container) {
                    step.broken("accounted", format!("{container} was off all books, and {shard:?} has it again"));
                }
                step.started += 1;
                *self.counts.entry(shard).or_default() += 1;
                *self.totals.entry(step.pool()).or_default() += 1;
                self.starting.entry(shard).or_default().insert(container);
                None
            }
        };
        if self.moves.at(container, shard).is_some() {
            // It went there, and came back before this shard had heard of that.
            self.moves.end(container, shard);
        }
        self.change(step, before.as_ref(), &row.state, row);
        if row.state != State::Starting {
            self.starting.entry(shard).or_default().remove(&container);
        }
        let same = |former: &Entry| {
            former.shard == shard && std::mem::discriminant(&former.row.state) == std::mem::discriminant(&row.state)
        };
        let since = former.filter(same).map_or(step.now, |former| former.since);
        self.rows.insert(container, Entry { shard, row: row.clone(), since });
    }

    /// A container goes from one state to another, at the same shard or on its way to another.
    fn change(&mut self, step: &mut Step<'_>, before: Option<&State>, after: &State, row: &ContainerRow) {
        let container = row.container;
        let pool = step.pool();
        match (before, after) {
            (None | Some(State::Starting), State::Starting)
            | (Some(State::Starting | State::Warm { .. }), State::Warm { .. } | State::Assigned { .. })
            | (Some(_), State::Draining { .. }) => {}
            (Some(State::Assigned { id: was, epoch: at, .. }), State::Assigned { id, epoch, .. })
                if was == id && at == epoch => {}
            (before, after) => step.broken("exclusive", format!("{container} goes from {before:?} to {after:?}")),
        }
        if let Some(State::Draining { blocks: Some(id), .. }) = before {
            self.unblock(&(pool, id.clone()), container);
        }
        if let State::Draining { blocks: Some(id), .. } = after {
            self.blocks.entry((pool, id.clone())).or_default().insert(container);
        }
        if let (Some(State::Assigned { id, .. }), State::Draining { cause, .. }) = (before, after) {
            let owner = (pool, id.clone());
            self.by_id.remove(&owner);
            let evidence = step.evidence.get(&container).cloned().unwrap_or_default();
            if let Err((promise, what)) = evidence.justifies(step, row, *cause) {
                step.broken(promise, format!("{owner:?} loses {container} ({cause:?}): {what}"));
            }
        }
        if let State::Assigned { id, epoch, .. } = after
            && !matches!(before, Some(State::Assigned { .. }))
        {
            self.assign(step, container, (pool, id.clone()), *epoch);
        }
    }

    /// An id that has nothing is given a container: no shard may have anything of it.
    fn assign(&mut self, step: &mut Step<'_>, container: ContainerId, owner: Owner, epoch: Epoch) {
        if let Some(&has) = self.by_id.get(&owner) {
            step.broken("single", format!("{owner:?} has {has}, and gets {container}"));
        }
        if let Some(others) = self.blocks.get(&owner) {
            step.broken("single", format!("{owner:?} may still be served by {others:?}, and gets {container}"));
        }
        if let Some(&(last, at)) = self.last.get(&owner)
            && at >= epoch
        {
            step.broken("single", format!("{owner:?} had {last} at {at:?}, and gets {container} at {epoch:?}"));
        }
        match self.assigned.get(&container) {
            Some(first) if *first != owner => {
                step.broken("exclusive", format!("{container} was given to {first:?} and then to {owner:?}"));
            }
            Some(first) => step.broken("exclusive", format!("{container} was given to {first:?} twice")),
            None => {}
        }
        if let (Some(plan), Addr::Shard { pool, index }) = (step.machine.plan(), step.shard) {
            let owned_by = plan.owner_of(&pool_name(pool), &owner.1);
            if owned_by.0 != index {
                let what = format!("{:?} gives {owner:?} a container, and {owned_by:?} owns it", step.shard);
                step.broken("single", what);
            }
        }
        self.assigned.insert(container, owner.clone());
        self.last.insert(owner.clone(), (container, epoch));
        self.by_id.insert(owner, container);
    }

    fn unblock(&mut self, owner: &Owner, container: ContainerId) {
        if let Some(containers) = self.blocks.get_mut(owner) {
            containers.remove(&container);
            if containers.is_empty() {
                self.blocks.remove(owner);
            }
        }
    }

    /// A row is deleted.
    pub fn delete(&mut self, step: &mut Step<'_>, container: ContainerId, runs: bool) {
        let shard = step.shard;
        if !self.has_at(shard, container)
            && let Some(given) = self.moves.at(container, shard).cloned()
        {
            step.moves = true;
            if !given.received {
                let what = format!("{shard:?} forgets {container}, which {:?} has not got", given.to);
                step.broken("accounted", what);
                *self.totals.entry(step.pool()).or_default() -= 1;
            }
            return self.moves.end(container, shard);
        }
        let Some(former) = self.rows.remove(&container) else {
            // Written and deleted within one step.
            return;
        };
        *self.counts.entry(former.shard).or_default() -= 1;
        *self.totals.entry(step.pool()).or_default() -= 1;
        self.starting.entry(former.shard).or_default().remove(&container);
        if former.shard != shard {
            let what = format!("{container} of {:?} is taken off the books by {shard:?}", former.shard);
            step.broken("accounted", what);
        }
        match &former.row.state {
            State::Starting => {}
            State::Draining { blocks, .. } => {
                if let Some(id) = blocks {
                    self.unblock(&(step.pool(), id.clone()), container);
                }
            }
            state @ (State::Warm { .. } | State::Assigned { .. } | State::Moving { .. }) => {
                step.broken("accounted", format!("{container} goes off the books from {state:?}"));
            }
        }
        if let State::Assigned { id, .. } = &former.row.state {
            self.by_id.remove(&(step.pool(), id.clone()));
        }
        if runs {
            step.broken("accounted", format!("{container} goes off the books and runs"));
        }
    }

    /// What is handed over arrives in the order in which it was given.
    pub fn in_order(&self, step: &mut Step<'_>) {
        for (giver, seq) in std::mem::take(&mut step.received) {
            if self.moves.overtakes(giver, step.shard, seq) {
                step.broken("accounted", format!("{:?} takes number {seq} of {giver:?} before others", step.shard));
            }
        }
    }

    /// A shard starts one more: it is for somebody, or for the stock.
    pub fn needed(&self, step: &mut Step<'_>) {
        let (shard, machine) = (step.shard, step.machine);
        let Some(plan) = machine.plan() else {
            return step.broken("bounded", format!("{shard:?} starts a container and has no plan"));
        };
        if !plan.active {
            let what = format!("{shard:?} starts a container of a pool that is in no configuration");
            step.broken("bounded", what);
        }
        // One that came from a sibling and does not answer is not counted on; those that the shard has begun itself are.
        let own = self.starting.get(&shard);
        let starting = own.map_or(0, BTreeSet::len);
        if starting > plan.pool.max_concurrent_starts as usize {
            step.broken("bounded", format!("{shard:?} starts {starting} containers at once"));
        }
        // One for each that waits, and what is missing of the stock; those of another configuration are of no use.
        let spec = Spec::of(&plan.pool).id();
        let is_current =
            |container: &&ContainerId| self.rows.get(container).is_some_and(|entry| entry.row.spec == spec);
        let coming = own.into_iter().flatten().filter(is_current).count();
        let is_stock = |row: &&ContainerRow| row.spec == spec && matches!(row.state, State::Warm { .. });
        let stock = machine.containers().filter(is_stock).count();
        let missing = machine.waiting() as usize + (self.target_of(shard) as usize).saturating_sub(stock);
        if coming > missing {
            step.broken("bounded", format!("{shard:?} starts {coming} containers, and {missing} are missing"));
        }
    }
}

/// Why an id may lose its container.
impl Evidence {
    fn justifies(&self, step: &Step<'_>, row: &ContainerRow, cause: DrainCause) -> Result<(), Broken> {
        match cause {
            DrainCause::Released if self.released => Ok(()),
            DrainCause::Released => Err(("sticky", "nobody released it".to_owned())),
            DrainCause::Stopped if self.said_stopped || self.negatives >= 2 => Ok(()),
            DrainCause::Stopped => Err(("unknown-is-not-dead", format!("all that is known is {self:?}"))),
            DrainCause::Ending if self.stopping => Ok(()),
            DrainCause::Ending => Err(("unknown-is-not-dead", format!("it never said so: {self:?}"))),
            DrainCause::Unreachable => self.justifies_giving_up(step.now, step.shard, row, step.machine, step.jumped),
            DrainCause::Surplus | DrainCause::Outdated | DrainCause::Shutdown | DrainCause::StartFailed => {
                Err(("sticky", "that is no reason to take it away".to_owned()))
            }
        }
    }
}
