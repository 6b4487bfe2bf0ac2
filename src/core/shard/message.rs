//! What goes into a shard and what comes out of it.

use serde::{Deserialize, Serialize};

use super::slot::ContainerRow;
use crate::config::resolved::{BindingName, Millis, Start};
use crate::core::allotment::Allotment;
use crate::core::failure::StartFailure;
use crate::core::id::{ContainerId, Epoch, SessionId, ShardId, ShardIndex};
use crate::core::journal::{Batch, Ended, SessionHash};
use crate::core::outcome::{Assignment, Refusal};
use crate::core::plan::Plan;
use crate::core::stats::CountersRow;

use super::credits::Credits;
use super::gate::GateRow;
use super::parcel::{BorrowReply, Channel, Delivery, PullReply, Receipt, Target};

/// Names one caller that waits for an answer; chosen by the adapter, unique while the shard is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub u64);

/// Something that happened. Timers that are due fire with whatever input comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing but that time has passed: the alarm rang, or the shard was just loaded.
    Woken,
    /// Somebody is about to be told the numbers: what was counted is written down first, so that no more was told than is known
    /// after the object was dropped.
    Tell,
    /// A plan came, from the coordinator or the deployed code. An older one than the shard has is ignored.
    Configured(Box<Plan>),
    /// A caller wants the container of an id.
    Acquire {
        /// Who gets the answer.
        waiter: WaiterId,
        /// The id.
        id: SessionId,
        /// The shard count by which the caller chose this shard.
        shards: Option<u32>,
        /// A container that the caller could not reach.
        suspect: Option<ContainerId>,
    },
    /// The id is done with its container.
    Release(SessionId),
    /// Every container that is not assigned, nor awaited by a caller, is to be replaced.
    ShutdownPrewarmed,
    /// A container says (or is proved) to have stopped.
    Stopped(ContainerId),
    /// `startAndWaitForPorts` ended.
    StartDone {
        /// The container.
        container: ContainerId,
        /// Whether it is ready, and if so, what it is.
        result: Result<ContainerKind, StartFailure>,
    },
    /// `startAndWaitForPorts` could not even be sent: the Worker has no binding for the class. Nothing runs, unless it was asked
    /// before, by code that had one.
    StartUnsent {
        /// The container.
        container: ContainerId,
        /// What is missing.
        failure: StartFailure,
    },
    /// `stop` ended; false when whether it arrived is not known.
    StopDone(ContainerId, bool),
    /// `destroy` ended; false when whether it arrived is not known.
    DestroyDone(ContainerId, bool),
    /// `getState` ended.
    CheckDone(ContainerId, Finding),
    /// What the coordinator allots.
    Allotted(Box<Allotment>),
    /// A caller wants to know the container of an id, and whether it has one is not known before a sibling was asked. Answered
    /// by [`Action::Located`].
    Locate {
        /// Who gets the answer.
        waiter: WaiterId,
        /// The id.
        id: SessionId,
    },
    /// A sibling asks for a warm container. Answered by [`Answer::Borrow`].
    Lend {
        /// Who asks.
        to: ShardIndex,
    },
    /// A sibling asks for all there is of an id that it owns by this plan. Answered by [`Answer::Pull`].
    PullAsked {
        /// The id.
        id: SessionId,
        /// Who asks.
        to: ShardIndex,
        /// The plan it goes by, as this shard's.
        plan: Box<Plan>,
    },
    /// A sibling hands containers over. Answered by [`Answer::Received`].
    Receive(Box<Delivery>),
    /// [`Action::Borrow`] ended; none when it failed.
    Borrowed {
        /// Who was asked.
        from: ShardIndex,
        /// What it said.
        reply: Option<BorrowReply>,
    },
    /// [`Action::Pull`] ended; none when it failed.
    Pulled {
        /// Who was asked.
        from: ShardIndex,
        /// For which id.
        id: SessionId,
        /// What it said.
        reply: Option<PullReply>,
    },
    /// [`Action::Deliver`] ended.
    Delivered {
        /// To whom.
        to: ShardIndex,
        /// What has arrived; none when nothing is known.
        receipt: Option<Receipt>,
    },
    /// [`Action::Record`] ended.
    Recorded {
        /// The batch.
        number: u64,
        /// What became of it.
        ended: Ended,
    },
}

/// What kind of object answers for a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerKind {
    /// The Rust agent: it checks id and epoch itself and reports its own end.
    Agent,
    /// A JavaScript class: it knows neither.
    Class,
}

/// What a health check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It runs.
    Running,
    /// It got a signal to stop.
    Stopping,
    /// It does not run: a definite negative.
    Stopped,
    /// No answer: proves nothing.
    Unknown,
}

/// The world's part in a step: randomness in, consequences out.
///
/// The adapter applies [`writes`](Self::writes) in one transaction before it runs any of [`actions`](Self::actions).
pub struct Effects<'a> {
    /// Where randomness comes from.
    pub entropy: &'a mut dyn Entropy,
    /// Rows to write, at most one per row.
    pub writes: Vec<Write>,
    /// What to do next, in order.
    pub actions: Vec<Action>,
    /// What happened, for logs. The shard tells the coordinator by itself, by [`Action::Record`].
    pub events: Vec<Event>,
    /// What a sibling that asks is told, once the writes are durable.
    pub answer: Option<Answer>,
}

impl<'a> Effects<'a> {
    /// No effects yet.
    pub fn new(entropy: &'a mut dyn Entropy) -> Self {
        Self { entropy, writes: Vec::new(), actions: Vec::new(), events: Vec::new(), answer: None }
    }

    /// Asks for a report, which tells how all is after the step: one will do, whatever has changed.
    pub(super) fn report(&mut self) {
        if !self.actions.contains(&Action::Report) {
            self.actions.push(Action::Report);
        }
    }
}

/// Randomness, from outside: the machines have none of their own.
pub trait Entropy {
    /// 128 bits that no other call, anywhere, has returned.
    fn unique(&mut self) -> u128;
    /// A number from 0 to `below`, exclusive; 0 when `below` is 0.
    fn jitter(&mut self, below: u64) -> u64;
    /// A time after `now`, half a `pause` later to one and a half: so that those who failed together do not come back together.
    fn around(&mut self, now: Millis, pause: Millis) -> Millis {
        Millis(now.0 + pause.0 / 2 + self.jitter(pause.0) + 1)
    }
}

/// A row to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Insert or replace the row of a container.
    PutContainer(ContainerRow),
    /// Delete it.
    DeleteContainer(ContainerId),
    /// Insert the row of a spec.
    PutSpec(SpecId, Box<Spec>),
    /// Delete it: no container uses it any more.
    DeleteSpec(SpecId),
    /// Replace the shard's plan.
    PutPlan(Box<Plan>),
    /// Raise the epoch below which epochs may be in use.
    PutEpochCeiling(u64),
    /// Replace what the shard learned from failing starts.
    PutGate(GateRow),
    /// Insert or replace what has passed between this shard and a sibling.
    PutChannel(ShardIndex, Channel),
    /// Replace the shard's credits.
    PutCredits(Credits),
    /// Replace the target that the coordinator has set.
    PutTarget(Target),
    /// Replace what was counted.
    PutCounters(Box<CountersRow>),
}

/// Something to do once the writes are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Call a container object; the result comes back as the matching `…Done` input.
    Call {
        /// The container.
        container: ContainerId,
        /// The binding of its class.
        binding: BindingName,
        /// What to call.
        call: Call,
    },
    /// Answer a caller. An answer to one that is gone is dropped.
    Reply(WaiterId, Result<Assignment, Refusal>),
    /// Send the coordinator [`Shard::report`](super::Shard::report), and take what it answers.
    Report,
    /// Tell a caller which container an id has.
    Located(WaiterId, Result<Option<Assignment>, Refusal>),
    /// Ask a sibling for a warm container: [`Input::Lend`] there, [`Input::Borrowed`] here.
    Borrow {
        /// Whom.
        from: ShardIndex,
    },
    /// Ask a sibling for all there is of an id: [`Input::PullAsked`] there, [`Input::Pulled`] here.
    Pull {
        /// Whom.
        from: ShardIndex,
        /// Which id.
        id: SessionId,
        /// The plan that says so, as the sibling's.
        plan: Box<Plan>,
    },
    /// Hand containers over to a sibling: [`Input::Receive`] there, [`Input::Delivered`] here.
    Deliver {
        /// Whom.
        to: ShardIndex,
        /// What.
        delivery: Box<Delivery>,
    },
    /// Tell the coordinator what has happened: [`Input::Recorded`].
    Record(Box<Batch>),
}

/// What a sibling is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Input::Lend`].
    Borrow(BorrowReply),
    /// To [`Input::PullAsked`].
    Pull(PullReply),
    /// To [`Input::Receive`].
    Received(Receipt),
}

/// A call to a container object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `startAndWaitForPorts`, answered by [`Input::StartDone`].
    Start(Box<Spec>),
    /// `stop`, answered by [`Input::StopDone`].
    Stop,
    /// `destroy`, answered by [`Input::DestroyDone`].
    Destroy,
    /// `getState`, answered by [`Input::CheckDone`].
    Check,
    /// `renewActivityTimeout`, not answered: the next check tells.
    Renew,
}

/// What a container was started as. A change of any of it makes the warm stock outdated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The binding of its class.
    pub binding: BindingName,
    /// How it starts.
    pub start: Start,
    /// How long it may be idle.
    pub sleep_after: Millis,
    /// How long it serves an id without asking.
    pub lease_ttl: Millis,
    /// How long it has after SIGTERM.
    pub drain_timeout: Millis,
}

/// Names a [`Spec`]: a hash of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpecId(pub u64);

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A container's start began.
    Starting(ContainerId),
    /// It is ready.
    Ready(ContainerId),
    /// It did not become ready.
    StartFailed(ContainerId, StartFailure),
    /// It was given to an id.
    Assigned(SessionHash, Assignment),
    /// It is on its way out; with the id that it served, and the epoch, if it was assigned.
    Draining(ContainerId, DrainCause, Option<(SessionHash, Epoch)>),
    /// It is confirmed gone.
    Gone(ContainerId),
    /// It is being handed over to a sibling.
    Moving(ContainerId, ShardIndex),
    /// It came from a sibling.
    Received(ContainerId, ShardIndex),
    /// The sibling has it.
    Moved(ContainerId, ShardIndex),
    /// It was warm, and goes to a sibling that has asked.
    Lent(ContainerId, ShardIndex),
    /// It came warm from a sibling.
    Borrowed(ContainerId, ShardIndex),
    /// The platform has room for no more containers of this shard than so many.
    CeilingLearned(u32),
    /// That is not believed any more.
    CeilingExpired,
    /// Starts keep failing, the last one so.
    BreakerOpened(Option<StartFailure>),
    /// They do not any more, or what is started has changed.
    BreakerClosed,
    /// A plan is in force.
    Configured(Box<Plan>),
}

/// Why a container is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrainCause {
    /// Its id was released.
    Released,
    /// More are warm than the target.
    Surplus,
    /// It was started under an older configuration.
    Outdated,
    /// `shutdownPrewarmed`.
    Shutdown,
    /// It did not become ready.
    StartFailed,
    /// It stopped by itself.
    Stopped,
    /// It is stopping by itself, and serves its id no more.
    Ending,
    /// It was not reachable for too long.
    Unreachable,
}

impl DrainCause {
    /// The word used in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Surplus => "surplus",
            Self::Outdated => "outdated",
            Self::Shutdown => "shutdown",
            Self::StartFailed => "start-failed",
            Self::Stopped => "stopped",
            Self::Ending => "ending",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What an agent is told that asks whether it may serve an id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LeaseReply {
    /// It may, for so long from the moment the question was sent.
    Granted(Millis),
    /// It may not: the container does not serve this id at this epoch.
    Denied,
    /// Another shard has the id by now: it knows.
    Elsewhere(ShardId),
}

impl LeaseReply {
    /// For how long it may; none when it may not.
    pub fn granted(&self) -> Option<Millis> {
        match self {
            Self::Granted(ttl) => Some(*ttl),
            Self::Denied | Self::Elsewhere(_) => None,
        }
    }
}
