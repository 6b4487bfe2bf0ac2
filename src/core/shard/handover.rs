//! Containers that change hands: see [`parcel`](super::parcel) for how nothing is lost or shared.

use super::message::{Action, Answer, Call, ContainerKind, DrainCause, Effects, Event};
use super::parcel::{Delivery, Paid, Parcel, Receipt};
use super::slot::{ContainerRow, DrainPhase, State};
use super::{Shard, Timer};
use crate::config::resolved::Millis;
use crate::core::id::{ContainerId, ShardIndex};
use crate::core::mutants::{self, Mutant};
use crate::core::sorted::Map;

/// The most containers in one delivery: each comes with what it was started as, and a call has a limit of size.
const MAX_PARCELS: usize = 32;
/// How long until a delivery that nobody answered is sent again; longer than its call may take.
const REDELIVER_AFTER: Millis = Millis::from_secs(6);
/// The first pause after a delivery that failed; each further one doubles it.
const DELIVERY_BACKOFF: Millis = Millis(500);
/// The longest such pause.
const MAX_DELIVERY_BACKOFF: Millis = Millis::from_secs(15);

/// What is on its way to one sibling.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// By number in the channel.
    pub parcels: Map<u64, ContainerId>,
    /// Whether a delivery is under way: what comes meanwhile goes with the next.
    is_under_way: bool,
    /// Deliveries in a row that failed.
    failures: u32,
}

impl Shard {
    /// Gives a container to a sibling, with its credit. It is sent by the next [`Self::deliver`].
    pub(super) fn hand_over(&mut self, now: Millis, container: ContainerId, to: ShardIndex, fx: &mut Effects<'_>) {
        self.unindex(container);
        self.timers.stop(Timer::Fence(container));
        self.failed_starts.remove(&container);
        let credit = self.let_credit_go();
        let Some(slot) = self.books.get_mut(container) else { return };
        let ttl = self.specs.get(&slot.row.spec).map_or(Millis(0), |spec| spec.lease_ttl);
        let was = Box::new(slot.row.state.clone());
        if let State::Draining { blocks: Some(id), .. } = &slot.row.state {
            self.blocked_by.remove(id);
        }
        let channel = self.channels.entry(to).or_default();
        channel.sent += 1;
        let seq = channel.sent;
        slot.row.state = State::Moving { to, seq, credit, was };
        slot.pending = None;
        // No lease may end later: the receiver counts on it, from when it has the container.
        slot.lease_until = now + ttl;
        self.outbox.entry(to).or_default().parcels.insert(seq, container);
        self.dirty_channels.insert(to);
        self.dirty.insert(container);
        fx.events.push(Event::Moving(container, to));
    }

    /// The timer of a delivery rang: it is lost, or was not made yet.
    pub(super) fn delivery_due(&mut self, now: Millis, to: ShardIndex, fx: &mut Effects<'_>) {
        if let Some(outbox) = self.outbox.get_mut(&to) {
            outbox.is_under_way = false;
        }
        self.deliver(now, to, fx);
    }

    /// Sends what is on its way to a sibling, in order, whatever of it was sent before; unless that is being done.
    pub(super) fn deliver(&mut self, now: Millis, to: ShardIndex, fx: &mut Effects<'_>) {
        let Some(plan) = &self.plan else { return };
        let sendable = |outbox: &&mut Outbox| !outbox.parcels.is_empty() && !outbox.is_under_way;
        let Some(outbox) = self.outbox.get_mut(&to).filter(sendable) else { return };
        outbox.is_under_way = true;
        let parcel = |(&seq, container): (&u64, &ContainerId)| {
            let row = &self.books.get(*container)?.row;
            let State::Moving { was, credit, .. } = &row.state else { return None };
            let spec = self.specs.get(&row.spec)?.clone();
            let ContainerRow { container, created, kind, .. } = *row;
            let state = (**was).clone();
            Some(Parcel { seq, container, spec, created, kind, state, credit: *credit })
        };
        let delivery = Delivery {
            from: self.me.index,
            plan: plan.of_sibling(to),
            paid: self.channels.get(&to).copied().unwrap_or_default().paid,
            parcels: outbox.parcels.iter().take(MAX_PARCELS).filter_map(parcel).collect(),
        };
        fx.actions.push(Action::Deliver { to, delivery: Box::new(delivery) });
        self.timers.set(Timer::Deliver(to), now + REDELIVER_AFTER);
    }

    /// A delivery has ended: what has arrived comes off the books.
    pub(super) fn delivered(&mut self, now: Millis, to: ShardIndex, receipt: Option<Receipt>, fx: &mut Effects<'_>) {
        if let Some(Receipt { paid, .. }) = receipt {
            self.take_repaid(to, paid);
        }
        let Some(outbox) = self.outbox.get_mut(&to) else { return };
        outbox.is_under_way = false;
        let Some(Receipt { up_to, .. }) = receipt else {
            outbox.failures = outbox.failures.saturating_add(1);
            let pause = DELIVERY_BACKOFF.doubled(outbox.failures - 1, MAX_DELIVERY_BACKOFF);
            return self.timers.set(Timer::Deliver(to), fx.entropy.around(now, pause));
        };
        outbox.failures = 0;
        let mut arrived = Vec::new();
        while outbox.parcels.first_key_value().is_some_and(|(&seq, _)| seq <= up_to) {
            arrived.extend(outbox.parcels.pop_first().map(|(_, container)| container));
        }
        self.close_if_empty(to);
        for container in arrived {
            self.come_off(container);
            fx.events.push(Event::Moved(container, to));
        }
        self.deliver(now, to, fx);
    }

    fn close_if_empty(&mut self, to: ShardIndex) {
        if self.outbox.get(&to).is_some_and(|outbox| outbox.parcels.is_empty()) {
            self.outbox.remove(&to);
            self.timers.stop(Timer::Deliver(to));
        }
    }

    /// A container that was handed over has arrived.
    fn come_off(&mut self, container: ContainerId) {
        if let Some(slot) = self.books.remove(container) {
            self.dirty.insert(container);
            self.release_spec(slot.row.spec);
        }
    }

    /// A sibling hands containers over. What came before is not taken again.
    pub(super) fn receive(&mut self, now: Millis, delivery: Delivery, fx: &mut Effects<'_>) {
        let Delivery { from, plan, paid, parcels } = delivery;
        self.configure(now, plan, fx);
        self.take_repaid(from, paid);
        let mut received = self.channels.get(&from).copied().unwrap_or_default().received;
        if parcels.iter().all(|parcel| parcel.seq <= received) {
            // What was said to be coming may be this, which has come before.
            self.ask_again_soon(now, from);
        }
        for parcel in parcels {
            if parcel.seq == received + 1 || (mutants::on(Mutant::ParcelTakenTwice) && parcel.seq <= received) {
                received = received.max(parcel.seq);
                self.take_in(now, from, parcel, fx);
            }
        }
        if self.channels.get(&from).copied().unwrap_or_default().received < received {
            self.channels.entry(from).or_default().received = received;
            if !mutants::on(Mutant::ChannelNotWritten) {
                self.dirty_channels.insert(from);
            }
        }
        let paid = self.channels.get(&from).copied().unwrap_or_default().paid;
        fx.answer = Some(Answer::Received(Receipt { up_to: received, paid }));
    }

    /// Pays a credit back for a container that was lent, out of those that are to spare.
    fn pay_back(&mut self, to: ShardIndex, generation: u64) {
        if self.spare() == 0 {
            return;
        }
        let Some(credits) = self.credits.as_mut().filter(|credits| credits.generation == generation) else { return };
        credits.moved(generation, -1);
        self.credits_changed = true;
        self.channels.entry(to).or_default().paid.add(generation);
        self.dirty_channels.insert(to);
    }

    /// A borrower has paid credits back.
    fn take_repaid(&mut self, by: ShardIndex, paid: Paid) {
        let Some(channel) = self.channels.get_mut(&by) else { return };
        let more = channel.repaid.hear(paid);
        if let Some(credits) = self.credits.as_mut().filter(|_| more > 0) {
            credits.moved(paid.generation, i64::try_from(more).unwrap_or(i64::MAX));
            self.credits_changed = true;
            self.dirty_channels.insert(by);
        }
    }

    fn take_in(&mut self, now: Millis, from: ShardIndex, parcel: Parcel, fx: &mut Effects<'_>) {
        let Parcel { seq: _, container, spec, created, kind, state, credit } = parcel;
        // It has been here before, and whom it was given to gives it back: so that it has arrived there, which nobody had said.
        if let Some(State::Moving { to, seq, .. }) = self.books.get(container).map(|slot| &slot.row.state) {
            let (to, seq) = (*to, *seq);
            if let Some(outbox) = self.outbox.get_mut(&to) {
                outbox.parcels.remove(&seq);
            }
            self.close_if_empty(to);
            self.come_off(container);
        }
        let spec_id = spec.id();
        self.keep_spec(spec_id, &spec);
        if let (Some(generation), Some(credits)) = (credit, &mut self.credits) {
            credits.moved(generation, 1);
            self.credits_changed = true;
        }
        let borrowed = matches!(state, State::Warm { .. });
        let state = match state {
            // It has to be told whose it is before it can serve anybody.
            State::Warm { .. } => State::Starting,
            // It cannot be, for its giver has asked nobody else and this shard nobody but the giver.
            State::Assigned { id, .. } if self.books.of_id(&id).is_some() => {
                State::Draining { blocks: None, cause: DrainCause::Surplus, phase: DrainPhase::Destroying }
            }
            State::Moving { was, .. } => *was,
            state @ (State::Starting | State::Assigned { .. } | State::Draining { .. }) => state,
        };
        let is_assigned = matches!(state, State::Assigned { .. });
        let id = state.concerns().cloned();
        let row = ContainerRow { container, spec: spec_id, created, kind, state };
        let slot = self.index(row, now);
        self.books.put(slot);
        self.dirty.insert(container);
        self.note_if_foreign(container);
        if let Some(slot) = self.books.get_mut(container) {
            slot.borrowed = borrowed;
        }
        fx.events.push(Event::Received(container, from));
        if borrowed {
            fx.events.push(Event::Borrowed(container, from));
            self.borrowing.arrived(from);
            if let Some(generation) = credit {
                self.pay_back(from, generation);
            }
        }
        if is_assigned && kind == Some(ContainerKind::Agent) {
            // It asks its owner for leases, and reports to it. Should this not arrive, it learns it from its former owner.
            let (binding, call) = (spec.binding.clone(), Call::Start(Box::new(spec)));
            fx.actions.push(Action::Call { container, binding, call });
        }
        if let Some(id) = id {
            self.resolved(&id, fx);
        }
    }

    /// Takes a credit away, to go with a container. Returns its generation; none where there is no limit, or no credit.
    fn let_credit_go(&mut self) -> Option<u64> {
        // One that has more containers than credits, for the limit is new or was lowered, has none to give.
        self.limit().filter(|&limit| limit > 0)?;
        let credits = self.credits.as_mut()?;
        let generation = credits.generation;
        if !mutants::on(Mutant::CreditStays) {
            credits.moved(generation, -1);
            self.credits_changed = true;
        }
        Some(generation)
    }
}
