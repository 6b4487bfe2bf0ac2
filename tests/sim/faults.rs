//! What goes wrong, how often, and what of it did.

use std::collections::{BTreeMap, BTreeSet};

use super::dice::{Dice, Key};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A call never reaches its callee; the caller gets an error.
    LostBefore,
    /// A call is carried out, and its answer is lost.
    LostAfter,
    /// A call arrives twice.
    Duplicated,
    /// A call, or its answer, takes seconds.
    Delayed,
    /// An object cannot be reached for a while.
    Partition,
    /// An object is dropped from memory between two awaits.
    Evicted,
    /// All objects of an isolate are dropped at once, because one trapped.
    Trapped,
    /// A transaction fails and is rolled back.
    WriteFailed,
    /// An alarm rings up to a minute late.
    AlarmLate,
    /// An alarm rings twice.
    AlarmTwice,
    /// A container takes long to become ready.
    StartSlow,
    /// A container's process ends before it is ready.
    StartExits,
    /// A container's process never becomes ready.
    NeverReady,
    /// The platform has no room.
    Capacity,
    /// The platform asks for a pause.
    RateLimited,
    /// The image is gone, for a while.
    BadImage,
    /// A process ends by itself.
    Dies,
    /// A process ignores SIGTERM.
    IgnoresSigterm,
    /// A destruction fails.
    DestroyFails,
    /// A JavaScript class tells of a state that is not true.
    Lies,
    /// An object's clock jumps.
    ClockJump,
    /// The coordinator cannot be reached for minutes.
    CoordinatorDown,
    /// A deploy, during which old and new code run side by side.
    Deploy,
    /// A read of KV finds what was there before.
    KvStale,
    /// A call of KV fails.
    KvFails,
    /// Somebody wrote nonsense, or another id's container, into KV.
    KvHostile,
    /// An answer between shards about containers that change hands is lost.
    TransferReplyLost,
    /// A shard is dropped right after it has written down what changes hands, before it tells anybody; or before it hears
    /// that something has arrived.
    TransferCut,
    /// A shard or the coordinator is dropped right after it has written down a change of what is in force, or of credits,
    /// before it tells anybody.
    ChangeCut,
    /// What the coordinator has a shard do takes up to a minute to arrive.
    PushDelayed,
}

impl Fault {
    pub const ALL: [Self; 30] = [
        Self::LostBefore,
        Self::LostAfter,
        Self::Duplicated,
        Self::Delayed,
        Self::Partition,
        Self::Evicted,
        Self::Trapped,
        Self::WriteFailed,
        Self::AlarmLate,
        Self::AlarmTwice,
        Self::StartSlow,
        Self::StartExits,
        Self::NeverReady,
        Self::Capacity,
        Self::RateLimited,
        Self::BadImage,
        Self::Dies,
        Self::IgnoresSigterm,
        Self::DestroyFails,
        Self::Lies,
        Self::ClockJump,
        Self::CoordinatorDown,
        Self::Deploy,
        Self::KvStale,
        Self::KvFails,
        Self::KvHostile,
        Self::TransferReplyLost,
        Self::TransferCut,
        Self::ChangeCut,
        Self::PushDelayed,
    ];
}

/// How often each kind happens, where it could: a probability.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    rates: BTreeMap<Fault, f64>,
}

impl Rates {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// The same, with this kind as often as that.
    #[must_use]
    pub fn with(mut self, fault: Fault, rate: f64) -> Self {
        self.rates.insert(fault, rate);
        self
    }

    /// How often a kind happens.
    pub fn of(&self, fault: Fault) -> f64 {
        self.rates.get(&fault).copied().unwrap_or(0.0)
    }
}

/// One fault of a run: its kind, and what it struck.
pub type Strike = (Fault, Key);

/// Decides what goes wrong, and remembers it.
#[derive(Debug)]
pub struct Faults {
    rates: Rates,
    /// No more faults, but for those that are under way.
    healed: bool,
    /// Only these, of those that would have happened: a shrunk run.
    only: Option<BTreeSet<Strike>>,
    struck: Vec<Strike>,
    counts: BTreeMap<Fault, u64>,
}

impl Faults {
    pub fn new(rates: Rates, only: Option<BTreeSet<Strike>>) -> Self {
        Self { rates, healed: false, only, struck: Vec::new(), counts: BTreeMap::new() }
    }

    /// Whether `fault` strikes here.
    pub fn strikes(&mut self, dice: Dice, fault: Fault, at: Key) -> bool {
        let rate = self.rates.of(fault);
        if self.healed || rate <= 0.0 || !dice.chance(at.of(fault as u64), rate) {
            return false;
        }
        let strike = (fault, at);
        if self.only.as_ref().is_some_and(|only| !only.contains(&strike)) {
            return false;
        }
        self.struck.push(strike);
        self.count(fault);
        true
    }

    /// Whether alarms may be late, or clocks jump: then nothing that waits for a time can be relied on to come soon.
    pub fn distorts_time(&self) -> bool {
        !self.healed && [Fault::AlarmLate, Fault::ClockJump].iter().any(|&fault| self.rates.of(fault) > 0.0)
    }

    /// A fault that the schedule names.
    pub fn count(&mut self, fault: Fault) {
        *self.counts.entry(fault).or_default() += 1;
    }

    /// From now on nothing more goes wrong.
    pub fn heal(&mut self) {
        self.healed = true;
    }

    pub fn is_healed(&self) -> bool {
        self.healed
    }

    pub fn counts(&self) -> &BTreeMap<Fault, u64> {
        &self.counts
    }

    pub fn struck(&self) -> &[Strike] {
        &self.struck
    }
}
