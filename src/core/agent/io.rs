//! What goes into and comes out of the [`Agent`](super::Agent).

use super::fence::{LeaseAnswer, LeaseKey, Refusal};
use super::record::Orders;
use crate::config::resolved::{Millis, Setup};
use crate::core::failure::StartFailure;
use crate::core::id::{ContainerId, ShardId};

/// Somebody who waits for a [`Reply`]. Chosen by the adapter, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller(pub u64);

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The object was constructed: always the first input, once.
    Awoken {
        /// Whether the process runs.
        running: bool,
    },
    /// The owner wants it started. Answered with [`Reply::Started`].
    StartAsked {
        /// Who waits.
        caller: Caller,
        /// What is wanted.
        orders: Box<Orders>,
    },
    /// It is to stop in its own time. Answered with [`Reply::Stopped`] once it was told to.
    StopAsked {
        /// Who waits.
        caller: Caller,
    },
    /// It is to end now. Answered with [`Reply::Destroyed`] once it has.
    DestroyAsked {
        /// Who waits.
        caller: Caller,
    },
    /// The owner wants it kept from sleeping.
    RenewAsked,
    /// The process could not be started.
    StartThrew(String),
    /// A probe ended.
    Probed(ProbeResult),
    /// The setup request ended.
    SetUp(SetupResult),
    /// The process ended, by whatever cause.
    Exited {
        /// With which code, where it is known.
        code: Option<i32>,
        /// What the platform said.
        message: Option<String>,
    },
    /// The monitor failed, with this message: whether the process runs is not known.
    MonitorLost(String),
    /// `destroy` ended, or the attempt failed.
    Destroyed(Result<Destruction, String>),
    /// The owner was told of the end: it acknowledged it, or could not be reached.
    Reported(Result<(), String>),
    /// The owner was asked for a lease.
    LeaseAnswered {
        /// For whom.
        key: LeaseKey,
        /// When it was asked, in ms since 1970.
        asked_at: Millis,
        /// What it said.
        answer: LeaseAnswer,
    },
    /// The process was seen not to run, though no monitor said so.
    FoundStopped {
        /// Who waits, if anyone, for [`Reply::Told`]: the owner knows, or could not be reached.
        caller: Option<Caller>,
    },
    /// A request, stream or WebSocket to the container began.
    TrafficBegan,
    /// One that began has ended.
    TrafficEnded,
    /// The alarm rang; or it is simply time to look at the timers.
    Alarm,
}

/// What a successful `destroy` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destruction {
    /// It ended a process.
    Done,
    /// The runtime knew of no process.
    NothingToDo,
}

/// What a readiness probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// The process does not run.
    NotRunning,
    /// It runs, and the port did not answer.
    NoAnswer,
    /// The port answered with this HTTP status.
    Status(u16),
}

/// How the setup request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupResult {
    /// It was answered with this HTTP status.
    Status(u16),
    /// It was not answered in time.
    TimedOut,
    /// It could not be sent, or its answer not be read.
    Failed(String),
}

/// Something to do, in order, after the record is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start the process. A failure comes back as [`Input::StartThrew`].
    Start(Box<Orders>),
    /// Watch the process: [`Input::Exited`] or [`Input::MonitorLost`].
    Monitor,
    /// Ask a port whether it answers: [`Input::Probed`].
    Probe {
        /// Which.
        port: u16,
        /// The path to ask for; none for any.
        path: Option<String>,
        /// How long to wait first.
        after: Millis,
        /// How long the answer may take.
        within: Millis,
    },
    /// Send the setup request: [`Input::SetUp`].
    SetUp {
        /// To which port.
        port: u16,
        /// What to send.
        setup: Setup,
    },
    /// Send SIGTERM.
    Terminate,
    /// End the process: [`Input::Destroyed`].
    Destroy,
    /// Let the object be lost and rebuilt once what is written is durable, for a fresh look at whether the process runs.
    Rebuild,
    /// Tell the owner that the container is gone: [`Input::Reported`].
    Report {
        /// Whom to tell.
        owner: ShardId,
        /// About which container.
        container: ContainerId,
    },
    /// Ask the owner for a lease: [`Input::LeaseAnswered`].
    AskLease {
        /// Whom to ask.
        owner: ShardId,
        /// For which container.
        container: ContainerId,
        /// For whom.
        key: LeaseKey,
        /// When, to be handed back.
        asked_at: Millis,
    },
    /// Answer somebody who waits.
    Reply {
        /// Whom.
        caller: Caller,
        /// What.
        reply: Reply,
    },
}

/// An answer to somebody who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Input::StartAsked`].
    Started(Result<(), StartFailure>),
    /// To [`Input::StopAsked`].
    Stopped,
    /// To [`Input::DestroyAsked`]; an error means that it may still run, and that the agent goes on trying.
    Destroyed(Result<(), String>),
    /// To a request that waited for a lease.
    Admitted(Result<(), Refusal>),
    /// To [`Input::FoundStopped`].
    Told,
}
