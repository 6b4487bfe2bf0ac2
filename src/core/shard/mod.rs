//! One shard of one pool: which containers it has, which id has which, and what to do next.
//!
//! Always true between steps:
//! - a container is in exactly one state, and a row says which; state is a function of the rows plus what is only
//!   known while in memory (callers that wait, calls under way), so the shard can be dropped and loaded at any point;
//! - an id has one assigned container at most, and a container one id;
//! - a container that left `Warm` never returns to it;
//! - there are never more containers, in whatever state, than the shard has credits (unless the limit was lowered);
//! - a container that is handed over to a sibling is neither used nor taken back, and stays on the books until the sibling has it
//!   on its own;
//! - an id that a sibling may still have something of is given nothing;
//! - when anything is due, a timer is set.

mod acquire;
mod allotted;
mod books;
mod borrow;
mod credits;
mod doubt;
mod drain;
mod gate;
mod handover;
mod health;
mod loss;
mod message;
mod parcel;
mod questions;
mod queue;
mod resharding;
mod slot;
mod stock;
mod supply;
mod tell;

use crate::config::resolved::{BindingName, Millis};
use crate::core::id::{ContainerId, Epoch, SessionId, ShardId, ShardIndex};
use crate::core::journal::Journal;
use crate::core::mutants::{self, Mutant};
use crate::core::plan::Plan;
use crate::core::stats::{Counters, CountersRow, Detail, Due, Tally};
use crate::core::timers::Timers;

pub use credits::Credits;
pub use gate::{BASE_BACKOFF, BREAKER, CEILING_TTL, Ceiling, GateRow, MAX_BACKOFF};
pub use health::{CHECKS_PER_REFRESH, LEASE_MARGIN, NEGATIVES, UNKNOWNS, WARM_CHECKS_PER_REFRESH};
pub use message::{
    Action, Answer, Call, ContainerKind, DrainCause, Effects, Entropy, Event, Finding, Input, LeaseReply, Spec, SpecId,
    WaiterId, Write,
};
pub use parcel::{BorrowReply, Channel, Delivery, Paid, Parcel, PullReply, Receipt, Target};
pub use slot::{ContainerRow, DrainPhase, State};

use crate::core::sorted::{Map, Set};
use allotted::{Advice, Demand};
use books::{Books, Place};
use borrow::Borrowing;
use doubt::Doubts;
use handover::Outbox;
use loss::Losses;
use questions::Questions;
use queue::{Caller, Queue};
use resharding::Resharding;
use slot::{Pending, Slot};
use stock::{Stock, Warm};
use tell::GateTold;

/// The shard machine.
#[derive(Debug)]
pub struct Shard {
    me: ShardId,
    plan: Option<Plan>,
    gate: GateRow,
    gate_changed: bool,
    /// Every spec that a container on the books was started as, and the one of the plan.
    specs: Map<SpecId, Spec>,
    /// How many containers use a spec.
    spec_users: Map<SpecId, usize>,
    current_spec: Option<SpecId>,
    books: Books,
    starting: Set<ContainerId>,
    warm: Stock,
    /// Those that are draining because they did not start.
    failed_starts: Set<ContainerId>,
    /// Ids whose former container may still serve them.
    blocked_by: Map<SessionId, ContainerId>,
    queue: Queue,
    timers: Timers<Timer>,
    next_epoch: Epoch,
    epoch_ceiling: Epoch,
    /// Where the health checks of assigned containers go on.
    cursor: Option<Place>,
    /// Where those of warm ones do.
    warm_cursor: Option<Warm>,
    /// Whether the stock was once full since loading.
    filled: bool,
    losses: Losses,
    tally: Tally,
    dirty: Set<ContainerId>,
    dirty_specs: Set<SpecId>,
    doubts: Doubts,
    channels: Map<ShardIndex, Channel>,
    dirty_channels: Set<ShardIndex>,
    /// Containers that are being handed over, by receiver.
    outbox: Map<ShardIndex, Outbox>,
    resharding: Resharding,
    questions: Questions,
    borrowing: Borrowing,
    credits: Option<Credits>,
    credits_changed: bool,
    target: Option<Target>,
    advice: Advice,
    demand: Demand,
    /// How many were warm beyond the target at the last refresh.
    surplus: usize,
    /// What the coordinator has not been told of what has happened.
    journal: Journal,
    gate_told: GateTold,
}

/// What wakes a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Health checks, renewals, trimming, the report.
    Refresh,
    /// The backoff of failing starts, or a learned ceiling, ends.
    Gate,
    /// A caller has waited long enough.
    Queue,
    /// A container's next call, or the deadline of its state.
    Slot(ContainerId),
    /// A lease that a draining container could hold has run out.
    Fence(ContainerId),
    /// What is handed over to a sibling has not arrived, or nobody said so.
    Deliver(ShardIndex),
    /// A sibling that was asked for an id has not answered well, or a caller has waited long enough for it.
    Resolve,
    /// A sibling that was asked for a container has not answered.
    Borrow,
    /// Credits that are lacking have not come.
    Lacking,
    /// The coordinator is to be told what has happened.
    Journal,
}

/// All the rows of a shard: its durable state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The plan; none for a shard that never had one.
    pub plan: Option<Plan>,
    /// What failing starts taught.
    pub gate: GateRow,
    /// All epochs below may have been used.
    pub epoch_ceiling: u64,
    /// The specs in use.
    pub specs: Map<SpecId, Spec>,
    /// The containers.
    pub containers: Map<ContainerId, ContainerRow>,
    /// How far the channels to siblings are.
    pub channels: Map<ShardIndex, Channel>,
    /// The credits; none without a limit.
    pub credits: Option<Credits>,
    /// The target that the coordinator has set; none before it has.
    pub target: Option<Target>,
    /// What was counted when it was written last.
    pub counters: CountersRow,
}

impl Rows {
    /// What a write makes of the rows: what a database does with it.
    pub fn apply(&mut self, write: Write) {
        match write {
            Write::PutContainer(row) => drop(self.containers.insert(row.container, row)),
            Write::DeleteContainer(container) => drop(self.containers.remove(&container)),
            Write::PutSpec(id, spec) => drop(self.specs.insert(id, *spec)),
            Write::DeleteSpec(id) => drop(self.specs.remove(&id)),
            Write::PutPlan(plan) => self.plan = Some(*plan),
            Write::PutEpochCeiling(ceiling) => self.epoch_ceiling = ceiling,
            Write::PutGate(gate) => self.gate = gate,
            Write::PutChannel(sibling, channel) => drop(self.channels.insert(sibling, channel)),
            Write::PutCredits(credits) => self.credits = Some(credits),
            Write::PutTarget(target) => self.target = Some(target),
            Write::PutCounters(counters) => self.counters = *counters,
        }
    }
}

/// How many epochs are reserved by one write, so that an assignment need not write its own.
const EPOCH_BLOCK: u64 = 10_000;
/// The reserve is filled up, by a start, before it falls below this.
const EPOCH_RESERVE: u64 = 1_000;
/// How long after a call its answer is given up: longer than any call of the adapter takes.
const CALL_LOST_AFTER: Millis = Millis::from_secs(60);

impl Shard {
    /// The shard whose rows are `rows`, at `now`. It does nothing by itself: step it with [`Input::Woken`] at
    /// [`Self::next_timeout`], which takes up whatever was under way when the rows were written.
    pub fn load(me: ShardId, rows: Rows, now: Millis) -> Self {
        let Rows { plan, mut gate, epoch_ceiling, mut specs, containers, channels, credits, target, counters } = rows;
        let first_epoch = if mutants::on(Mutant::EpochsStartAnew) { 1 } else { epoch_ceiling.max(1) };
        // A clock that went back must not stretch what was meant to end.
        let gate_changed = !mutants::on(Mutant::LearnedNotClamped) && gate.clamp(now);
        let gate_told = GateTold::of(&gate, now);
        let spec = plan.as_ref().map(|plan| Spec::of(&plan.pool));
        let current_spec = spec.as_ref().map(Spec::id);
        let mut dirty_specs = Set::new();
        if let Some((spec, id)) = spec.zip(current_spec) {
            // Other code may have had another name for the same spec.
            specs.entry(id).or_insert_with(|| {
                dirty_specs.insert(id);
                spec
            });
        }
        let mut shard = Self {
            me,
            plan,
            gate,
            // Else each reload would put the end off again.
            gate_changed,
            specs,
            spec_users: Map::new(),
            current_spec,
            books: Books::default(),
            starting: Set::new(),
            warm: Stock::default(),
            failed_starts: Set::new(),
            blocked_by: Map::new(),
            queue: Queue::default(),
            timers: Timers::default(),
            next_epoch: Epoch(first_epoch),
            epoch_ceiling: Epoch(epoch_ceiling),
            cursor: None,
            warm_cursor: None,
            filled: false,
            losses: Losses::default(),
            tally: Tally::default(),
            dirty: Set::new(),
            dirty_specs,
            doubts: Doubts::default(),
            channels,
            dirty_channels: Set::new(),
            outbox: Map::new(),
            resharding: Resharding::default(),
            questions: Questions::default(),
            borrowing: Borrowing::default(),
            credits,
            credits_changed: false,
            target,
            advice: Advice::default(),
            demand: Demand::default(),
            surplus: usize::MAX,
            journal: Journal::default(),
            gate_told,
        };
        shard.books = Books::load(containers.into_values().map(|row| shard.index(row, now)));
        shard.tally = Tally::load(counters, now, shard.sizes());
        shard.sort_out();
        let unused: Vec<SpecId> = shard.specs.keys().copied().collect();
        for spec in unused {
            shard.forget_unused_spec(spec);
        }
        if shard.wants_refresh() {
            shard.timers.set(Timer::Refresh, now);
        }
        shard
    }

    /// Enters a container wherever its state says, but in the books.
    fn index(&mut self, mut row: ContainerRow, now: Millis) -> Slot {
        let container = row.container;
        let drain_timeout = self.specs.get(&row.spec).map_or(Millis(0), |spec| spec.drain_timeout);
        match &mut row.state {
            State::Starting => {
                self.starting.insert(container);
                if !mutants::on(Mutant::StartNotResumed) {
                    self.timers.set(Timer::Slot(container), now);
                }
            }
            State::Warm { since } => {
                self.warm.put((Some(row.spec) != self.current_spec, *since, container));
            }
            State::Assigned { .. } => {}
            State::Draining { blocks, cause, phase } => {
                if *cause == DrainCause::StartFailed {
                    self.failed_starts.insert(container);
                }
                if let DrainPhase::Stopping { deadline } = phase {
                    // The clock may have gone back.
                    let latest = now + drain_timeout;
                    if *deadline > latest {
                        *deadline = latest;
                        self.dirty.insert(container);
                    }
                }
                if !mutants::on(Mutant::DrainNotResumed) {
                    self.timers.set(Timer::Slot(container), now);
                }
                if let Some(id) = blocks {
                    self.blocked_by.insert(id.clone(), container);
                }
            }
            State::Moving { to, seq, .. } => {
                self.outbox.entry(*to).or_default().parcels.insert(*seq, container);
                self.timers.set(Timer::Deliver(*to), now);
            }
        }
        *self.spec_users.entry(row.spec).or_default() += 1;
        // A lease may have been granted just before the shard was dropped.
        let spec = self.specs.get(&row.spec).filter(|_| !mutants::on(Mutant::LeaseForgottenOnLoad));
        let lease_until = match (spec, &row.state) {
            // Its receiver counts from when it got it, which may have been long ago.
            (_, State::Moving { .. }) | (None, _) => now,
            (Some(spec), _) => now + spec.lease_ttl,
        };
        let slot = Slot { may_run: true, ..Slot::new(row, now, lease_until) };
        if matches!(slot.row.state, State::Draining { blocks: Some(_), .. }) {
            self.timers.set(Timer::Fence(container), self.fence_end(now, &slot));
        }
        slot
    }

    /// The one entry. Everything that is due at `now` is done too, whatever the input.
    pub fn step(&mut self, now: Millis, input: Input, fx: &mut Effects<'_>) {
        self.tally.pass(now, self.sizes());
        match input {
            Input::Woken => {}
            Input::Tell => self.tally.due(Due::Told),
            Input::Configured(plan) => self.configure(now, *plan, fx),
            Input::Acquire { waiter, id, shards, suspect } => {
                self.acquire(now, Caller { waiter, since: now }, id, shards, suspect, fx);
            }
            Input::Release(id) => self.release(now, &id, fx),
            Input::ShutdownPrewarmed => self.shutdown_prewarmed(now, fx),
            Input::Stopped(container) => self.stopped(now, container, fx),
            Input::StartDone { container, result } => self.start_done(now, container, result, fx),
            Input::StartUnsent { container, failure } => self.start_unsent(now, container, failure, fx),
            Input::StopDone(container, true) if mutants::on(Mutant::StopIsGone) => self.forget(container, fx),
            Input::StopDone(container, arrived) => self.stop_done(now, container, arrived),
            Input::DestroyDone(container, arrived) => self.destroy_done(now, container, arrived, fx),
            Input::CheckDone(container, finding) => self.check_done(now, container, finding, fx),
            Input::Allotted(allotment) => self.allotted(now, &allotment, fx),
            Input::Locate { waiter, id } => self.locate(now, waiter, id, fx),
            Input::Lend { to } => self.lend(now, to, fx),
            Input::PullAsked { id, to, plan } => self.pull_asked(now, &id, to, *plan, fx),
            Input::Receive(delivery) => self.receive(now, *delivery, fx),
            Input::Borrowed { from, reply } => self.borrowed(now, from, reply, fx),
            Input::Pulled { from, id, reply } => self.pulled(now, from, id, reply, fx),
            Input::Delivered { to, receipt } => self.delivered(now, to, receipt, fx),
            Input::Recorded { number, ended } => self.recorded(now, number, ended, fx),
        }
        // Before anything is done with what belongs elsewhere.
        self.hand_over_foreign(now, fx);
        while let Some(timer) = self.timers.pop_due(now) {
            self.fire(now, timer, fx);
        }
        self.answer_doubters(now, fx);
        self.serve(now, fx);
        self.trim_outdated(now, fx);
        self.return_over(now, fx);
        self.borrow(now, fx);
        self.replenish(now, fx);
        self.refuse_hopeless(now, fx);
        self.return_spare(now, fx);
        self.tell(now, fx);
        self.arm(now, fx);
        self.flush(fx);
    }

    /// Right after loading: takes the plan that the deployed code brings, without doing anything about it yet. The first
    /// step does.
    pub fn adopt(&mut self, now: Millis, plan: Plan, fx: &mut Effects<'_>) {
        self.configure(now, plan, fx);
        self.flush(fx);
    }

    /// When to step next, if nothing comes in before. None: nothing is due.
    pub fn next_timeout(&self) -> Option<Millis> {
        self.timers.next()
    }

    /// The shard's identity.
    pub fn id(&self) -> &ShardId {
        &self.me
    }

    /// The plan it works by; none before the first [`Input::Configured`].
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// The binding of the class of a container of this shard; none for one that is being handed over.
    pub fn binding_of(&self, container: ContainerId) -> Option<&BindingName> {
        let slot = self.books.get(container).filter(|slot| !matches!(slot.row.state, State::Moving { .. }))?;
        self.specs.get(&slot.row.spec).map(|spec| &spec.binding)
    }

    /// The sibling to which a container is being handed over, if it is.
    pub fn handed_to(&self, container: ContainerId) -> Option<ShardIndex> {
        match self.books.get(container)?.row.state {
            State::Moving { to, .. } => Some(to),
            State::Starting | State::Warm { .. } | State::Assigned { .. } | State::Draining { .. } => None,
        }
    }

    /// Every container on the books with its row.
    pub fn containers(&self) -> impl Iterator<Item = &ContainerRow> {
        self.books.rows()
    }

    /// What failing starts taught.
    pub fn gate(&self) -> &GateRow {
        &self.gate
    }

    /// What is counted, with the time up to now. Who tells others of it steps with [`Input::Tell`] first.
    pub(in crate::core) fn counted(&self, now: Millis) -> (Counters, Detail) {
        self.tally.told(now, self.sizes())
    }

    /// How many callers wait.
    pub fn waiting(&self) -> u32 {
        u32::try_from(self.queue.callers()).unwrap_or(u32::MAX)
    }

    /// The durable state, as [`Self::load`] takes it.
    pub fn rows(&self) -> Rows {
        Rows {
            plan: self.plan.clone(),
            gate: self.gate.clone(),
            epoch_ceiling: self.epoch_ceiling.0,
            specs: self.specs.clone(),
            containers: self.books.rows().map(|row| (row.container, row.clone())).collect(),
            channels: self.channels.clone(),
            credits: self.credits.clone(),
            target: self.target,
            counters: self.tally.written().clone(),
        }
    }

    fn fire(&mut self, now: Millis, timer: Timer, fx: &mut Effects<'_>) {
        match timer {
            Timer::Refresh => self.refresh(now, fx),
            // The gate is asked by `replenish`, which runs after every step, and so is the journal by `tell`.
            Timer::Gate | Timer::Journal => {}
            Timer::Queue => self.refuse_late(now, fx),
            Timer::Slot(container) => self.slot_due(now, container, fx),
            Timer::Fence(container) => self.unblock(container),
            Timer::Deliver(sibling) => self.delivery_due(now, sibling, fx),
            Timer::Resolve => self.resolve_due(now, fx),
            Timer::Borrow => self.borrowing.give_up_late(now),
            Timer::Lacking => fx.report(),
        }
    }

    /// Sets the timers that depend on the whole: the refresh while there is anything to refresh, the first deadline of
    /// those that wait.
    fn arm(&mut self, now: Millis, fx: &mut Effects<'_>) {
        match self.queue.next_deadline() {
            Some(at) if !mutants::on(Mutant::LateNeverRefused) => self.timers.set(Timer::Queue, at),
            Some(_) | None => self.timers.stop(Timer::Queue),
        }
        self.arm_questions();
        if !self.wants_refresh() {
            if self.timers.is_set(Timer::Refresh) {
                // The last one for a while: what it had is free.
                fx.report();
                self.tally.due(Due::Refresh);
            }
            self.timers.stop(Timer::Refresh);
        } else if !self.timers.is_set(Timer::Refresh)
            && let Some(plan) = &self.plan
        {
            self.timers.set(Timer::Refresh, now + plan.pool.refresh_interval);
        }
    }

    fn wants_refresh(&self) -> bool {
        let target = self.warm_target();
        let is_in_use = target > 0 || !self.books.is_empty() || !self.queue.is_empty();
        self.plan.is_some() && (is_in_use || self.owes_word())
    }

    /// Turns what changed in this step into writes, one per row.
    fn flush(&mut self, fx: &mut Effects<'_>) {
        for id in std::mem::take(&mut self.dirty_specs) {
            fx.writes.push(match self.specs.get(&id) {
                Some(spec) => Write::PutSpec(id, Box::new(spec.clone())),
                None => Write::DeleteSpec(id),
            });
        }
        for container in std::mem::take(&mut self.dirty) {
            fx.writes.push(match self.books.get(container) {
                Some(slot) => Write::PutContainer(slot.row.clone()),
                None => Write::DeleteContainer(container),
            });
        }
        if std::mem::take(&mut self.gate_changed) {
            fx.writes.push(Write::PutGate(self.gate.clone()));
        }
        for sibling in std::mem::take(&mut self.dirty_channels) {
            let channel = self.channels.get(&sibling).copied().unwrap_or_default();
            fx.writes.push(Write::PutChannel(sibling, channel));
        }
        if std::mem::take(&mut self.credits_changed)
            && let Some(credits) = &self.credits
        {
            fx.writes.push(Write::PutCredits(credits.clone()));
        }
        if let Some(row) = self.tally.take_write(self.sizes()) {
            fx.writes.push(Write::PutCounters(Box::new(row)));
        }
    }

    fn call(&mut self, now: Millis, container: ContainerId, pending: Pending, call: Call, fx: &mut Effects<'_>) {
        match pending {
            // Their states have deadlines of their own.
            Pending::Start | Pending::Stop => {}
            // Should the answer be lost, with the future that waits for it, it is called again.
            Pending::Check | Pending::Destroy => self.timers.set(Timer::Slot(container), now + CALL_LOST_AFTER),
        }
        let Some(slot) = self.books.get_mut(container) else { return };
        let Some(spec) = self.specs.get(&slot.row.spec) else { return };
        slot.pending = Some(pending);
        fx.actions.push(Action::Call { container, binding: spec.binding.clone(), call });
    }

    /// How many more containers may be started.
    fn room(&self, now: Millis) -> u32 {
        if self.advice.holds(now) {
            return 0;
        }
        let limit = [self.limit(), self.gate.ceiling(now)].into_iter().flatten().min().unwrap_or(u32::MAX);
        limit.saturating_sub(self.count())
    }

    /// How many containers are starting, warm, assigned, draining, and being handed over.
    pub(in crate::core) fn sizes(&self) -> [usize; 5] {
        [self.starting.len(), self.warm.len(), self.books.assigned(), self.draining(), self.moving()]
    }

    /// How many containers are being handed over.
    fn moving(&self) -> usize {
        self.outbox.values().map(|outbox| outbox.parcels.len()).sum()
    }

    /// How many containers are on their way out.
    fn draining(&self) -> usize {
        let others = self.warm.len() + self.starting.len() + self.books.assigned() + self.moving();
        self.books.len().saturating_sub(others)
    }

    fn count(&self) -> u32 {
        let starting = if mutants::on(Mutant::StartingNotCounted) { self.starting.len() } else { 0 };
        let draining = if mutants::on(Mutant::DrainingNotCounted) { self.draining() } else { 0 };
        u32::try_from(self.books.len() - self.moving() - starting - draining).unwrap_or(u32::MAX)
    }
}
