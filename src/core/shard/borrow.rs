//! Warm containers from siblings, for ids that would have to wait.
//!
//! Whom to ask is known from the coordinator's hints and from what siblings said since. Stock changes within about the time that a
//! start takes, so that what is known soon says no more than how much a sibling keeps: of those that seem to have some, one is
//! drawn, the likelier the more it seems to be, rather than the best taken, to which then all would go. At most [`MAX_ASKED`] are
//! asked for an id, one after the other, and an own container is started when none has one, or none says so in time. A
//! container that comes after its id has been served is stock.

use super::message::{Action, Answer, Effects, Entropy, Event};
use super::parcel::BorrowReply;
use super::slot::{Slot, State};
use super::{Shard, Timer};
use crate::config::resolved::Millis;
use crate::core::allotment::Stocked;
use crate::core::id::{ContainerId, ShardIndex};
use crate::core::mutants::{self, Mutant};

/// Siblings that are asked for one id.
pub const MAX_ASKED: u32 = 2;
/// Siblings that are asked at once, for whomever.
const MAX_UNDER_WAY: usize = 32;
/// How long an answer is waited for.
const PATIENCE: Millis = Millis(1_000);
/// How long a container that is said to be on its way, and how long one that has come may take to answer.
const ARRIVES_WITHIN: Millis = Millis::from_secs(5);
/// After so long nothing is left of what was known of a sibling's stock.
const KNOWN_FOR: Millis = Millis::from_secs(3);
/// What is warm of a sibling's target, on average, where demand and target go together, in thousandths.
const USUAL: u64 = 300;
/// A sibling that seems to have fewer is not asked, in thousandths of a container.
const WORTH_ASKING: u64 = 100;

/// Whom to ask, and who has been asked.
#[derive(Debug, Default)]
pub(super) struct Borrowing {
    siblings: Vec<Sibling>,
    under_way: Vec<Attempt>,
    /// Of the ids that wait, so many for which siblings were asked in vain.
    in_vain: usize,
}

/// What is known of a sibling's stock.
#[derive(Debug)]
struct Sibling {
    index: ShardIndex,
    target: u32,
    warm: u32,
    /// When that was so.
    at: Millis,
}

impl Sibling {
    /// How much it seems to have, in thousandths of a container.
    fn estimate(&self, now: Millis) -> u64 {
        let (known, usual) = (u64::from(self.warm) * 1_000, u64::from(self.target) * USUAL);
        let age = (now - self.at).0.min(KNOWN_FOR.0);
        (known * (KNOWN_FOR.0 - age) + usual * age) / KNOWN_FOR.0
    }
}

/// For one id that waits, whichever.
#[derive(Debug)]
struct Attempt {
    asked: ShardIndex,
    /// How many were asked, this one counted.
    count: u32,
    /// Whether a container is on its way.
    is_coming: bool,
    until: Millis,
}

impl Borrowing {
    /// What the coordinator knows of the siblings' stock.
    pub fn hear(&mut self, now: Millis, me: ShardIndex, stocked: &[Stocked]) {
        let known = std::mem::take(&mut self.siblings);
        let others = stocked.iter().filter(|stocked| stocked.shard != me);
        let sibling = |&Stocked { shard, warm, target }: &Stocked| {
            // What a sibling itself has just said is newer than what it has reported.
            let own = known.iter().find(|own| own.index == shard && own.at <= now && now - own.at < KNOWN_FOR);
            let (warm, at) = own.map_or((warm, now), |own| (own.warm, own.at));
            Sibling { index: shard, target, warm, at }
        };
        self.siblings = others.map(sibling).collect();
        // Where there is stock again, it is asked for again: by as many as there is for.
        let stock = self.siblings.iter().map(|sibling| sibling.warm as usize).sum();
        self.in_vain = self.in_vain.saturating_sub(stock);
    }

    /// A container came from a sibling.
    pub fn arrived(&mut self, from: ShardIndex) {
        let is_it = |attempt: &Attempt| attempt.asked == from;
        // Rather the one that is said to be on its way.
        let at = self.under_way.iter().position(|attempt| is_it(attempt) && attempt.is_coming);
        if let Some(at) = at.or_else(|| self.under_way.iter().position(is_it)) {
            self.under_way.swap_remove(at);
        }
    }

    /// Gives up what has taken too long.
    pub fn give_up_late(&mut self, now: Millis) {
        if mutants::on(Mutant::BorrowingNeverGivenUp) {
            return;
        }
        let (open, late): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.under_way).into_iter().partition(|attempt| now < attempt.until);
        self.under_way = open;
        self.in_vain += late.len();
        for Attempt { asked, .. } in late {
            self.note(now, asked, 0);
        }
    }

    /// How many containers may be coming.
    pub fn expected(&self) -> usize {
        self.under_way.len()
    }

    fn next_end(&self) -> Option<Millis> {
        self.under_way.iter().map(|attempt| attempt.until).min()
    }

    /// Draws one of the siblings that seem to have stock, other than `but`, and counts with one fewer there.
    fn draw(&mut self, now: Millis, but: Option<ShardIndex>, entropy: &mut dyn Entropy) -> Option<ShardIndex> {
        let weight = |sibling: &Sibling| match sibling.estimate(now) {
            estimate if Some(sibling.index) != but && estimate >= WORTH_ASKING => estimate,
            _ => 0,
        };
        let sum: u64 = self.siblings.iter().map(weight).sum();
        if sum == 0 {
            return None;
        }
        let mut drawn = entropy.jitter(sum);
        let hit = |sibling: &&mut Sibling| {
            let weight = weight(sibling);
            let is_hit = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            is_hit
        };
        let sibling = self.siblings.iter_mut().find(hit)?;
        sibling.warm = sibling.warm.saturating_sub(1);
        Some(sibling.index)
    }

    fn note(&mut self, now: Millis, sibling: ShardIndex, warm: u32) {
        if let Some(sibling) = self.siblings.iter_mut().find(|known| known.index == sibling) {
            sibling.warm = warm;
            sibling.at = now;
        }
    }
}

impl Slot {
    /// When a container that came from a sibling is no longer counted on, unless it has answered by then.
    fn arrives_by(&self) -> Millis {
        self.known_since + ARRIVES_WITHIN
    }
}

impl Shard {
    /// Asks siblings for the ids that wait, as far as there are any that seem to have stock.
    pub(super) fn borrow(&mut self, now: Millis, fx: &mut Effects<'_>) {
        let arrivals = self.starting.iter().filter(|container| self.is_arriving(now, **container));
        let arrive_by: Vec<Millis> =
            arrivals.filter_map(|container| self.books.get(*container)).map(Slot::arrives_by).collect();
        let waiting = self.queue.ready().saturating_sub(arrive_by.len());
        self.borrowing.in_vain = self.borrowing.in_vain.min(waiting);
        let wanted = waiting - self.borrowing.in_vain;
        while self.borrowing.expected() < wanted.min(MAX_UNDER_WAY) {
            let Some(from) = self.borrowing.draw(now, None, fx.entropy) else { break };
            self.ask_for_one(now, from, 1, fx);
        }
        match self.borrowing.next_end().into_iter().chain(arrive_by).min() {
            Some(at) => self.timers.set(Timer::Borrow, at),
            None => self.timers.stop(Timer::Borrow),
        }
    }

    fn ask_for_one(&mut self, now: Millis, from: ShardIndex, count: u32, fx: &mut Effects<'_>) {
        self.borrowing.under_way.push(Attempt { asked: from, count, is_coming: false, until: now + PATIENCE });
        fx.actions.push(Action::Borrow { from });
    }

    /// A sibling has answered, or not.
    pub(super) fn borrowed(&mut self, now: Millis, from: ShardIndex, reply: Option<BorrowReply>, fx: &mut Effects<'_>) {
        let BorrowReply { lent, left } = reply.unwrap_or(BorrowReply { lent: false, left: 0 });
        self.borrowing.note(now, from, left);
        let is_it = |attempt: &Attempt| attempt.asked == from && !attempt.is_coming;
        // None when it is here already, or was given up.
        let Some(at) = self.borrowing.under_way.iter().position(is_it) else { return };
        if lent {
            if let Some(attempt) = self.borrowing.under_way.get_mut(at) {
                attempt.is_coming = true;
                attempt.until = now + ARRIVES_WITHIN;
            }
            return;
        }
        let Attempt { count, .. } = self.borrowing.under_way.swap_remove(at);
        if count < MAX_ASKED
            && let Some(next) = self.borrowing.draw(now, Some(from), fx.entropy)
        {
            return self.ask_for_one(now, next, count + 1, fx);
        }
        self.borrowing.in_vain += 1;
    }

    /// A sibling asks for a warm container. It gets one that nobody here waits for; what is missing then is started anew.
    pub(super) fn lend(&mut self, now: Millis, to: ShardIndex, fx: &mut Effects<'_>) {
        let is_active = self.plan.as_ref().is_some_and(|plan| plan.active);
        let free = self.warm.first().filter(|_| is_active && to != self.me.index && self.queue.ready() == 0);
        let lent = match free {
            Some((false, _, container)) => {
                self.hand_over(now, container, to, fx);
                self.deliver(now, to, fx);
                self.tally.lent();
                fx.events.push(Event::Lent(container, to));
                true
            }
            Some((true, ..)) | None => false,
        };
        let left = u32::try_from(self.warm.len()).unwrap_or(u32::MAX);
        fx.answer = Some(Answer::Borrow(BorrowReply { lent, left }));
    }

    /// Whether a container came warm from a sibling just now, and is being told whose it is: one that does not answer is not
    /// counted on.
    pub(super) fn is_arriving(&self, now: Millis, container: ContainerId) -> bool {
        self.is_borrowed(container) && self.books.get(container).is_some_and(|slot| now < slot.arrives_by())
    }

    /// Whether a starting container came warm from a sibling.
    pub(super) fn is_borrowed(&self, container: ContainerId) -> bool {
        self.books.get(container).is_some_and(|slot| slot.borrowed && slot.row.state == State::Starting)
    }
}
