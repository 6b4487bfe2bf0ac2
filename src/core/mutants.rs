//! Deliberate bugs, by which the simulator's oracle is tested: each must be reported, under the name of a promise.
//!
//! A use site asks [`on`] for its bug. Without the cargo feature `mutants` that is a constant `false`, so that nothing of
//! any bug is left in the program; with it, one bug at a time is switched on for the whole process by [`set_active`]. The
//! feature is for the simulator's test of itself and must never be enabled for anything else.

#[cfg(all(feature = "mutants", target_arch = "wasm32"))]
compile_error!("the feature `mutants` is for the simulator: its deliberate bugs must not get into a Worker");

#[cfg(feature = "mutants")]
use std::sync::atomic::{AtomicU8, Ordering};

/// Declares the bugs: what is wrong, the name, and the promises of which any may report it.
macro_rules! mutants {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal breaks $promises:expr;)+) => {
        /// A deliberate bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Mutant {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Mutant {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name, in kebab case.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The promises it breaks: the report of any of them counts.
            pub const fn promises(self) -> &'static [&'static str] {
                match self {
                    $(Self::$variant => &$promises,)+
                }
            }
        }
    };
}

mutants! {
    // The shard: who gets which container.

    /// A second caller of an id that waits gets a place, and so a start, of its own.
    NoSingleFlight = "no-single-flight" breaks ["single", "answered"];
    /// A caller who doubted a container that turned out to live is given another one.
    DoubtGivesAnother = "doubt-gives-another" breaks ["single", "sticky"];
    /// A caller who doubted a container is never answered.
    DoubterNeverAnswered = "doubter-never-answered" breaks ["answered"];
    /// A caller whose time is up is left waiting.
    LateNeverRefused = "late-never-refused" breaks ["answered"];
    /// An id that was released gets its next container while the former one may still serve it.
    NoFenceWait = "no-fence-wait" breaks ["single"];
    /// A shard gives containers to ids that another shard owns.
    WrongShardAccepted = "wrong-shard-accepted" breaks ["single", "sticky"];
    /// A shard serves nobody before it has heard from the coordinator.
    NeedsCoordinator = "needs-coordinator" breaks ["coordinator-free"];
    /// The row of an assignment is not written.
    AssignmentNotWritten = "assignment-not-written" breaks ["durable", "exclusive", "sticky", "single"];
    /// The reserve of epochs is not written.
    EpochCeilingNotWritten = "epoch-ceiling-not-written" breaks ["durable", "single"];
    /// A shard that is loaded counts its epochs from the beginning.
    EpochsStartAnew = "epochs-start-anew" breaks ["single"];

    // The shard: what it starts and lets go.

    /// A container is started before its row is written.
    StartNotWritten = "start-not-written" breaks ["accounted", "durable"];
    /// Containers that are starting do not count against the limit.
    StartingNotCounted = "starting-not-counted" breaks ["bounded"];
    /// Containers that are draining do not count against the limit.
    DrainingNotCounted = "draining-not-counted" breaks ["bounded"];
    /// What is starting already is not taken off what is missing, so that each step starts it once more.
    InFlightStartedAgain = "in-flight-started-again" breaks ["single", "bounded", "converging"];
    /// Each shard rounds its part of a total up.
    ShareRoundedUp = "share-rounded-up" breaks ["bounded", "converging"];
    /// A container whose start failed is forgotten, whether it runs or not.
    FailedStartForgotten = "failed-start-forgotten" breaks ["accounted"];
    /// Warm containers beyond the target are kept.
    SurplusKept = "surplus-kept" breaks ["converging"];
    /// Shutting down the unassigned containers shuts down the assigned ones too.
    ShutdownTakesAssigned = "shutdown-takes-assigned" breaks ["sticky"];
    /// What a container was started as is forgotten while containers still need it to be called.
    SpecForgottenInUse = "spec-forgotten-in-use" breaks ["converging", "sticky"];
}

/// The discriminant of the bug that is on, or [`NONE`].
#[cfg(feature = "mutants")]
static ACTIVE: AtomicU8 = AtomicU8::new(NONE);
#[cfg(feature = "mutants")]
const NONE: u8 = u8::MAX;

/// Switches one bug on, or all off, for all threads of the process.
#[cfg(feature = "mutants")]
pub fn set_active(mutant: Option<Mutant>) {
    ACTIVE.store(mutant.map_or(NONE, |mutant| mutant as u8), Ordering::SeqCst);
}

/// Whether this bug is on.
#[cfg(feature = "mutants")]
pub fn on(mutant: Mutant) -> bool {
    ACTIVE.load(Ordering::Relaxed) == mutant as u8
}

/// Whether this bug is on: never, without the feature.
#[cfg(not(feature = "mutants"))]
pub const fn on(_: Mutant) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_each_bug_breaks_a_known_promise() {
        let known = [
            "exclusive",
            "sticky",
            "single",
            "accounted",
            "bounded",
            "converging",
            "unwedgeable",
            "coordinator-free",
            "all-or-nothing",
            "unknown-is-not-dead",
            "answered",
            "durable",
        ];
        let names: BTreeSet<&str> = Mutant::ALL.iter().map(|mutant| mutant.name()).collect();
        assert_eq!(names.len(), Mutant::ALL.len());
        for mutant in Mutant::ALL {
            let kebab = mutant.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            assert!(kebab, "{}", mutant.name());
            let promises = mutant.promises();
            assert!(!promises.is_empty(), "{}", mutant.name());
            assert!(promises.iter().all(|promise| known.contains(promise)), "{}", mutant.name());
        }
    }

    #[test]
    fn none_is_on_unless_it_is_switched_on() {
        assert!(!Mutant::ALL.iter().any(|&mutant| on(mutant)));
    }
}
