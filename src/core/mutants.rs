//! Deliberate bugs, by which the simulator's oracle is tested: each must be reported, under the name of a promise.
//!
//! A use site asks [`on`] for its bug. Without the cargo feature `mutants` that is a constant `false`, so that nothing of
//! any bug is left in the program; with it, one bug at a time is switched on for the whole process by `set_active`. The
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
    NoSingleFlight = "no-single-flight" breaks ["single", "answered", "bounded"];
    /// A caller who doubted a container that turned out to live is given another one.
    DoubtGivesAnother = "doubt-gives-another" breaks ["single", "sticky"];
    /// A caller who doubted a container is never answered.
    DoubterNeverAnswered = "doubter-never-answered" breaks ["answered"];
    /// A caller whose time is up is left waiting.
    LateNeverRefused = "late-never-refused" breaks ["answered", "converging"];
    /// An id that was released gets its next container while the former one may still serve it.
    NoFenceWait = "no-fence-wait" breaks ["single"];
    /// A shard counts an id as its own without asking the one that had it.
    FormerOwnerNotAsked = "former-owner-not-asked" breaks ["single", "sticky"];
    /// What belongs to another shard is handed over only when that asks.
    NothingPushed = "nothing-pushed" breaks ["converging", "unwedgeable"];
    /// What a sibling hands over is taken as often as it comes.
    ParcelTakenTwice = "parcel-taken-twice" breaks ["exclusive", "single", "accounted"];
    /// How far a channel is, is not written.
    ChannelNotWritten = "channel-not-written" breaks ["durable", "exclusive", "single"];
    /// A container that is handed over leaves its credit behind.
    CreditStays = "credit-stays" breaks ["bounded"];
    /// Credits that are returned are used all the same.
    ReturnedIsKept = "returned-is-kept" breaks ["bounded"];
    /// Spare credits are never returned.
    RecallIgnored = "recall-ignored" breaks ["converging", "unwedgeable"];
    /// What the coordinator gives is not written.
    GrantNotWritten = "grant-not-written" breaks ["durable", "bounded"];
    /// A new owner gives ids epochs that they have had before.
    EpochsNotRaised = "epochs-not-raised" breaks ["single"];
    /// A sibling that does not answer is waited for, for ever.
    BorrowingNeverGivenUp = "borrowing-never-given-up" breaks ["converging", "answered", "unwedgeable"];
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
    /// A start that was under way when the shard was dropped is not taken up again.
    StartNotResumed = "start-not-resumed" breaks ["converging"];

    // The shard: the way out of a container.

    /// A container goes back into the stock when its id is released.
    ReleasedIsStock = "released-is-stock" breaks ["exclusive"];
    /// A container is forgotten once it was told to stop, whether it does or not.
    StopIsGone = "stop-is-gone" breaks ["accounted"];
    /// A container that does not stop in time is not destroyed.
    NeverDestroys = "never-destroys" breaks ["converging"];
    /// A container is forgotten though its destruction failed.
    LostDestroyIsGone = "lost-destroy-is-gone" breaks ["accounted"];
    /// A destruction that failed is not tried again.
    DestroyNotRetried = "destroy-not-retried" breaks ["converging"];
    /// A drain that was under way when the shard was dropped is not taken up again.
    DrainNotResumed = "drain-not-resumed" breaks ["converging"];
    /// A stop that may not have arrived counts as the end of the container's service.
    LostStopUnblocks = "lost-stop-unblocks" breaks ["single", "unknown-is-not-dead"];
    /// An id that was released waits for its former container for ever.
    ReleasedIdStaysHeld = "released-id-stays-held" breaks ["unwedgeable", "converging", "answered"];

    // The shard: what it believes of a container.

    /// A shard that is loaded takes no container to hold a lease.
    LeaseForgottenOnLoad = "lease-forgotten-on-load" breaks ["single"];
    /// A lease is granted without a note of until when.
    LeaseNotNoted = "lease-not-noted" breaks ["single"];
    /// A lease is granted to whoever asks for one.
    ConfirmForAnyone = "confirm-for-anyone" breaks ["exclusive", "single"];
    /// One definite negative ends a mapping.
    OneNegativeIsDead = "one-negative-is-dead" breaks ["unknown-is-not-dead", "sticky"];
    /// One unanswered check ends a mapping.
    UnknownIsDead = "unknown-is-dead" breaks ["unknown-is-not-dead", "sticky", "single"];
    /// Unanswered checks end a mapping before any lease can have run out.
    GivenUpTooSoon = "given-up-too-soon" breaks ["unknown-is-not-dead", "sticky", "single"];
    /// Containers are checked only when somebody doubts them.
    NoPeriodicChecks = "no-periodic-checks" breaks ["converging"];

    // The shard: what failing starts teach.

    /// After a failed start there is no other.
    BackoffForEver = "backoff-for-ever" breaks ["unwedgeable", "converging"];
    /// A learned ceiling is believed for ever.
    CeilingForEver = "ceiling-for-ever" breaks ["unwedgeable", "converging"];
    /// An open breaker lets no probe through.
    BreakerNeverProbes = "breaker-never-probes" breaks ["unwedgeable", "converging"];
    /// What was learned before the clock went back lasts until the clock has caught up.
    LearnedNotClamped = "learned-not-clamped" breaks ["unwedgeable", "converging"];
    /// What a failed start taught is not written.
    GateNotWritten = "gate-not-written" breaks ["durable"];

    // The coordinator and the plans.

    /// A plan that could not be sent is not sent again.
    PushNotRetried = "push-not-retried" breaks ["converging"];
    /// Whatever code runs, what it brings along is put in force, older or not.
    OlderDeployWins = "older-deploy-wins" breaks ["converging", "all-or-nothing"];
    /// A deploy drops what the admin API has set.
    AdminLostOnDeploy = "admin-lost-on-deploy" breaks ["all-or-nothing", "converging"];
    /// A change of the configuration does not count the version up.
    VersionStandsStill = "version-stands-still" breaks ["converging", "all-or-nothing"];
    /// What is put in force is not written.
    RegistryNotWritten = "registry-not-written" breaks ["durable", "converging", "all-or-nothing", "bounded", "sticky", "single"];
    /// A shard takes whatever plan comes, older or not.
    OlderPlanWins = "older-plan-wins" breaks ["converging", "all-or-nothing", "bounded"];
    /// A pool that is taken out of the configuration keeps its stock.
    RetiredStaysWarm = "retired-stays-warm" breaks ["converging", "bounded"];

    // The coordinator: resharding, and who may have how many containers.

    /// Plans do not say where ids came from.
    FormerCountNotTold = "former-count-not-told" breaks ["single", "sticky"];
    /// A migration ends when every shard knows of it, moved or not.
    MigrationClosedTooEarly = "migration-closed-too-early" breaks ["single", "sticky", "accounted"];
    /// A shard that has nothing to hand over by a plan from before the migration counts as done.
    OldWordBelieved = "old-word-believed" breaks ["single", "sticky", "accounted"];
    /// A second change of the shard count begins while the first goes on.
    SecondChangeDoesNotWait = "second-change-does-not-wait" breaks ["single", "sticky", "accounted"];
    /// Shards that have nothing to do are not asked whether they have anything to hand over, so that the migration never ends.
    NobodyAskedToMove = "nobody-asked-to-move" breaks ["converging", "unwedgeable"];
    /// What is given to one shard is given to the next as well.
    CreditGivenTwice = "credit-given-twice" breaks ["bounded"];
    /// Pools of one class have what each may have alone.
    ClassLimitIgnored = "class-limit-ignored" breaks ["bounded"];
    /// What was given and what was returned is not written.
    LedgerNotWritten = "ledger-not-written" breaks ["durable", "bounded", "converging"];
    /// What a shard has returned is counted with each of its reports.
    ReturnsCountedAnew = "returns-counted-anew" breaks ["bounded"];
    /// Nobody is asked for credits that others lack.
    CreditsNeverCalledBack = "credits-never-called-back" breaks ["converging", "unwedgeable", "answered"];

    // The agent.

    /// An agent serves on when its lease has run out.
    AgentServesAfterLease = "agent-serves-after-lease" breaks ["single"];
    /// An agent that could not ask for a lease serves without one.
    AgentServesUnconfirmed = "agent-serves-unconfirmed" breaks ["single", "exclusive"];
    /// An agent that has a lease serves any id under it.
    AgentServesAnyone = "agent-serves-anyone" breaks ["exclusive"];
    /// An agent serves an id of another pool under the lease of its own.
    AgentServesAnyPool = "agent-serves-any-pool" breaks ["exclusive"];
    /// Requests that wait for a lease are never answered when the container ends.
    AgentForgetsWaiters = "agent-forgets-waiters" breaks ["answered"];
    /// A start request starts a container that has stopped.
    AgentStartsTwice = "agent-starts-twice" breaks ["accounted", "exclusive"];
    /// The record of a container that has ended is dropped at once, so that a late start request starts it again.
    AgentForgetsItsEnd = "agent-forgets-its-end" breaks ["accounted"];
    /// A stop that comes before the start is not remembered.
    AgentForgetsEarlyStop = "agent-forgets-early-stop" breaks ["accounted"];
    /// A destruction that failed counts as done.
    AgentGivesUpDestroy = "agent-gives-up-destroy" breaks ["accounted"];
    /// A container is destroyed because the call that watched it failed.
    AgentBelievesLostMonitor = "agent-believes-lost-monitor" breaks ["sticky", "unknown-is-not-dead", "accounted"];
    /// A container is started before the agent's record is written.
    AgentStartNotWritten = "agent-start-not-written" breaks ["durable", "accounted"];

    // The gateway.

    /// A request that may have arrived is sent again though repeating it is not safe.
    UnsafeReplay = "unsafe-replay" breaks ["at-most-once"];
    /// A router takes whatever configuration comes, older or not.
    RoutingFlipsBack = "routing-flips-back" breaks ["converging", "all-or-nothing"];
    /// Events that a shard sends twice are stored twice.
    BatchTakenTwice = "batch-taken-twice" breaks ["told-once"];
    /// A router never takes another configuration than the one it began with.
    RoutingStandsStill = "routing-stands-still" breaks ["converging", "answered"];
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
    fn names_are_unique_and_bugs_and_promises_cover_each_other() {
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
            "at-most-once",
            "durable",
            "told-once",
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
        for promise in known {
            assert!(Mutant::ALL.iter().any(|mutant| mutant.promises().contains(&promise)), "{promise}");
        }
    }

    #[test]
    fn none_is_on_unless_it_is_switched_on() {
        assert!(!Mutant::ALL.iter().any(|&mutant| on(mutant)));
    }
}
