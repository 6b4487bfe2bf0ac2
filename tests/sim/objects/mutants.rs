//! Deliberate bugs of the adapters: what `src/edge` would do wrong, done wrong here. Those of the machines are in
//! `src/core/mutants.rs`.

use std::sync::atomic::{AtomicU8, Ordering};

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AdapterMutant {
    /// What a step wants done is done before its rows are written: a container may start that no row knows.
    ActBeforeWrite = 1,
    /// A transaction that fails is passed over: the machine goes on with what was never written.
    CarryOnAfterFailedWrite,
    /// A step does not set the alarm; only loading does.
    StepWithoutAlarm,
    /// A call that failed counts as a definite negative.
    ErrorIsStopped,
    /// A destruction that failed counts as done.
    ErrorIsDestroyed,
    /// A sibling is answered before what was asked for is written: also when it never is.
    AnswerBeforeWrite,
    /// Who looks an id up, or gives it up, is answered without asking the shard that may still have it.
    LookupWithoutAsking,
    /// A delivery that failed counts as arrived.
    ErrorIsDelivered,
    /// A sibling that could not be asked for an id counts as having nothing of it.
    ErrorIsNothing,
    /// Of several containers that are handed over together the first is left out, so that they arrive in no order.
    DeliverySkipsTheFirst,
    /// What the coordinator allots in its answer to a report is not taken.
    AllotmentDropped,
}

impl AdapterMutant {
    pub const ALL: [Self; 11] = [
        Self::ActBeforeWrite,
        Self::CarryOnAfterFailedWrite,
        Self::StepWithoutAlarm,
        Self::ErrorIsStopped,
        Self::ErrorIsDestroyed,
        Self::AnswerBeforeWrite,
        Self::LookupWithoutAsking,
        Self::ErrorIsDelivered,
        Self::ErrorIsNothing,
        Self::DeliverySkipsTheFirst,
        Self::AllotmentDropped,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::ActBeforeWrite => "act-before-write",
            Self::CarryOnAfterFailedWrite => "carry-on-after-failed-write",
            Self::StepWithoutAlarm => "step-without-alarm",
            Self::ErrorIsStopped => "error-is-stopped",
            Self::ErrorIsDestroyed => "error-is-destroyed",
            Self::AnswerBeforeWrite => "answer-before-write",
            Self::LookupWithoutAsking => "lookup-without-asking",
            Self::ErrorIsDelivered => "error-is-delivered",
            Self::ErrorIsNothing => "error-is-nothing",
            Self::DeliverySkipsTheFirst => "delivery-skips-the-first",
            Self::AllotmentDropped => "allotment-dropped",
        }
    }

    /// The promises that may report it.
    pub const fn promises(self) -> &'static [&'static str] {
        match self {
            Self::ActBeforeWrite | Self::ErrorIsDestroyed | Self::ErrorIsDelivered => &["accounted"],
            Self::AnswerBeforeWrite => &["accounted", "sticky"],
            Self::LookupWithoutAsking => &["sticky"],
            Self::ErrorIsNothing => &["single", "sticky"],
            Self::DeliverySkipsTheFirst => &["converging", "durable"],
            Self::AllotmentDropped => &["converging"],
            Self::CarryOnAfterFailedWrite => &["durable", "accounted"],
            Self::StepWithoutAlarm => &["converging", "unwedgeable"],
            Self::ErrorIsStopped => &["unknown-is-not-dead", "sticky"],
        }
    }
}

static ACTIVE: AtomicU8 = AtomicU8::new(0);

/// Switches one on, or all off.
pub fn set_active(mutant: Option<AdapterMutant>) {
    ACTIVE.store(mutant.map_or(0, |mutant| mutant as u8), Ordering::Relaxed);
}

/// Whether it is on.
pub fn on(mutant: AdapterMutant) -> bool {
    ACTIVE.load(Ordering::Relaxed) == mutant as u8
}
