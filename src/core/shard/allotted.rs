//! What the coordinator allots, and what it is told: credits, the share of the stock, advice. See
//! [`allotment`](crate::core::allotment).

use super::Shard;
use super::message::{Effects, Write};
use super::parcel::Target;
use super::{CEILING_TTL, Timer};
use crate::config::resolved::Millis;
use crate::core::allotment::{Allotment, CreditReport, Grant, ShardReport, Standing};
use crate::core::mutants::{self, Mutant};

/// How soon a report is repeated while credits are lacking.
const LACKING_REPORT_EVERY: Millis = Millis(1_000);
/// For how long credits may be called back by one allotment.
const MAX_RECALL: Millis = Millis::from_secs(300);
/// Within this time two thirds of what was asked for is forgotten.
const DEMAND_MEMORY: Millis = Millis::from_secs(60);

/// What the coordinator has advised, which is of no harm if it is old and ends by itself; and what it is to hear.
#[derive(Debug, Default)]
pub(super) struct Advice {
    recall_until: Millis,
    /// Whether that is because the limit was lowered.
    is_over: bool,
    hold_until: Millis,
    /// Warm containers that are to go because the limit was lowered.
    excess: u32,
    /// How many credits are lacking for ids that wait, and for the stock.
    lacking: u32,
    stock_lacking: u32,
    /// How many were lacking for ids when that was last reported.
    reported_lacking: u32,
    /// How many of the returned credits the coordinator is known to have heard of.
    returned_heard: u64,
}

impl Advice {
    /// Whether starts wait for another shard to find out whether the platform has room.
    pub fn holds(&self, now: Millis) -> bool {
        now < self.hold_until
    }

    /// When that ends, if it is so.
    pub fn held_until(&self, now: Millis) -> Option<Millis> {
        Some(self.hold_until).filter(|_| self.holds(now))
    }

    /// How many warm containers are to go, told once.
    pub fn take_excess(&mut self) -> usize {
        std::mem::take(&mut self.excess) as usize
    }
}

/// How many ids have asked for a container lately: a sum that decays.
#[derive(Debug, Default)]
pub(super) struct Demand {
    level: f64,
    at: Millis,
}

impl Demand {
    fn decay(&self, now: Millis) -> f64 {
        self.level * (-((now - self.at).0 as f64) / DEMAND_MEMORY.0 as f64).exp()
    }

    /// An id asks.
    pub fn note(&mut self, now: Millis) {
        self.level = self.decay(now) + 1.0;
        self.at = now;
    }

    /// Ids per 1,000 s.
    fn rate(&self, now: Millis) -> u64 {
        (self.decay(now) * 1_000_000.0 / DEMAND_MEMORY.0 as f64) as u64
    }
}

impl Shard {
    /// What the shard says of itself to the coordinator.
    pub fn report(&self, now: Millis) -> ShardReport {
        let standing = self.plan.as_ref().map(|_| self.standing(now));
        // A plan that older code has written lacks what it did not know: it is asked for anew.
        let plan = self.plan.as_ref().filter(|plan| plan.is_complete()).map(|plan| plan.version);
        ShardReport { shard: self.me.clone(), plan, standing }
    }

    fn standing(&self, now: Millis) -> Standing {
        let ceiling = self.gate.ceiling.filter(|ceiling| now < ceiling.until);
        Standing {
            shards: self.plan.as_ref().map(|plan| plan.pool.shards),
            from: self.plan.as_ref().and_then(|plan| plan.from),
            counts: self.counts(),
            to_move: u32::try_from(self.to_move()).unwrap_or(u32::MAX),
            waiting: u32::try_from(self.queue.ready()).unwrap_or(u32::MAX),
            waiting_for: self.queue.first_arrival().map_or(Millis(0), |at| now - at),
            lacking: self.advice.lacking,
            stock_lacking: self.advice.stock_lacking,
            warm_target: self.warm_target(),
            demand: self.demand.rate(now),
            credits: self.credits.as_ref().filter(|_| self.limit().is_some()).map(|credits| CreditReport {
                generation: credits.generation,
                given: credits.given,
                returned: credits.returned,
                spare: self.spare(),
            }),
            no_room_for: ceiling.map(|ceiling| ceiling.until - now),
        }
    }

    /// The most containers that the shard may have: its credits. None: there is no limit.
    pub(in crate::core) fn limit(&self) -> Option<u32> {
        let plan = self.plan.as_ref()?;
        match plan.credits {
            Some(_) => self.credits.as_ref().map(super::Credits::total),
            // A row of code that knew of no credits has its part of the limit.
            None => plan.share.max_instances,
        }
    }

    /// How many containers are to be warm.
    pub(in crate::core) fn warm_target(&self) -> u32 {
        let Some(plan) = &self.plan else { return 0 };
        let set = self.target.filter(|target| target.plan == plan.version && plan.active && !self.is_removed());
        set.map_or(plan.share.warm_target, |target| target.warm_target)
    }

    /// Takes what the coordinator allots.
    pub(super) fn allotted(&mut self, now: Millis, allotment: &Allotment, fx: &mut Effects<'_>) {
        let Allotment { plan, warm_target, credits: grant, recall, over, excess, hold, stocked } = allotment;
        if let (Some(grant), Some(credits)) = (grant, &mut self.credits)
            && credits.take(*grant)
        {
            self.credits_changed = !mutants::on(Mutant::GrantNotWritten);
        }
        if let Some(credits) = &self.credits {
            // Without terms of this generation there is nothing to return.
            let heard = grant.filter(|grant| grant.generation == credits.generation).map(|grant| grant.returned);
            self.advice.returned_heard = heard.unwrap_or(credits.returned);
        }
        let target = Target { plan: *plan, warm_target: *warm_target };
        if self.plan.as_ref().is_some_and(|has| has.version == *plan) && self.target != Some(target) {
            self.target = Some(target);
            self.filled = false;
            fx.writes.push(Write::PutTarget(target));
        }
        // Whoever counts from another beginning would not hear of a return: it would be lost.
        let counts = |grant: &Grant| self.credits.as_ref().is_some_and(|has| has.generation == grant.generation);
        let recall = (*recall).min(if grant.as_ref().is_some_and(counts) { MAX_RECALL } else { Millis(0) });
        self.advice.recall_until = now + recall;
        self.advice.is_over = *over;
        self.advice.hold_until = now + (*hold).min(CEILING_TTL);
        self.advice.excess = *excess;
        self.borrowing.hear(now, self.me.index, stocked);
    }

    /// Credits that are not in use.
    fn unused(&self) -> u32 {
        self.limit().map_or(0, |limit| limit.saturating_sub(self.count()))
    }

    /// Credits that are not in use, and that nobody who waits here needs.
    pub(super) fn spare(&self) -> u32 {
        let arriving = self.starting.len();
        let needed = u32::try_from(self.queue.ready().saturating_sub(arriving)).unwrap_or(u32::MAX);
        self.unused().saturating_sub(needed)
    }

    /// Gives back what is spare, when others wait for it or the shard has no use for it any more.
    pub(super) fn return_spare(&mut self, now: Millis, fx: &mut Effects<'_>) {
        let has_no_use = self.is_removed() || self.plan.as_ref().is_some_and(|plan| !plan.active);
        if now < self.advice.recall_until || has_no_use {
            self.give_back(self.spare(), fx);
        }
    }

    /// Over a lowered limit nothing more is started: what is unused goes back first, and who waits here gets its turn among all
    /// who wait.
    pub(super) fn return_over(&mut self, now: Millis, fx: &mut Effects<'_>) {
        if self.advice.is_over && now < self.advice.recall_until {
            self.give_back(self.unused(), fx);
        }
    }

    fn give_back(&mut self, spare: u32, fx: &mut Effects<'_>) {
        let spare = if mutants::on(Mutant::RecallIgnored) { 0 } else { spare };
        let Some(credits) = self.credits.as_mut().filter(|credits| credits.generation > 0 && spare > 0) else { return };
        credits.returned += u64::from(spare);
        if mutants::on(Mutant::ReturnedIsKept) {
            credits.base += spare;
        }
        self.credits_changed = true;
        fx.report();
    }

    /// Whether credits were returned of which the coordinator may not have heard.
    pub(super) fn owes_word(&self) -> bool {
        let credits = self.credits.as_ref().filter(|credits| credits.generation > 0);
        credits.is_some_and(|credits| credits.returned > self.advice.returned_heard)
    }

    /// Notes how many containers would be started if there were the credits, and says so when it matters.
    pub(super) fn note_lacking(&mut self, now: Millis, for_ids: u32, for_stock: u32, fx: &mut Effects<'_>) {
        self.advice.lacking = for_ids;
        self.advice.stock_lacking = for_stock;
        if for_ids == 0 {
            self.advice.reported_lacking = 0;
            return self.timers.stop(Timer::Lacking);
        }
        // Of a burst not each one: the timer does the rest.
        if self.advice.reported_lacking == 0 || for_ids >= self.advice.reported_lacking.saturating_mul(2) {
            self.advice.reported_lacking = for_ids;
            fx.report();
        }
        if !self.timers.is_set(Timer::Lacking) {
            self.timers.set(Timer::Lacking, now + LACKING_REPORT_EVERY);
        }
    }
}
