//! Who there is, and what they say to each other: the RPC methods of the objects, as `src/edge` calls them.

use cf_warm_pools::config::Config;
use cf_warm_pools::config::resolved::{Millis, PoolName};
use cf_warm_pools::core::agent::{LeaseKey, Refusal as FenceRefusal};
use cf_warm_pools::core::id::{ContainerId, Epoch, SessionId, ShardId, ShardIndex};
use cf_warm_pools::core::journal::Batch;
use cf_warm_pools::core::outcome::Refusal;
use cf_warm_pools::core::plan::{Plan, PlanVersion};
use cf_warm_pools::wire::agent::{LeaseReply, LeaseRequest, StartReply, StartRequest, Status};
use cf_warm_pools::wire::coordinator::{Allotment, PlanQuestion, PlanReply, ReportReply, ShardReport};
use cf_warm_pools::wire::shard::{
    AcquireReply, AcquireRequest, BorrowReply, BorrowRequest, Delivery, Forwarded, PullReply, PullRequest, Receipt,
};

/// Somebody who calls or is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Addr {
    /// An isolate of the Worker, with its memory of routes.
    Router(u32),
    /// The one coordinator.
    Coordinator,
    /// A shard of the pool `p{pool}`.
    Shard { pool: u32, index: u32 },
    /// A container's object.
    Container(ContainerId),
    /// An administrator.
    Admin,
}

/// The name of a pool by its number.
pub fn pool_name(pool: u32) -> PoolName {
    PoolName::try_from(format!("p{pool}")).unwrap()
}

/// The number of a pool by its name.
pub fn pool_number(name: &PoolName) -> u32 {
    name.as_str()[1..].parse().unwrap()
}

impl Addr {
    pub fn of_shard(shard: &ShardId) -> Self {
        Self::Shard { pool: pool_number(&shard.pool), index: shard.index.0 }
    }

    /// The shard of this address.
    pub fn shard_id(self) -> Option<ShardId> {
        match self {
            Self::Shard { pool, index } => Some(ShardId { pool: pool_name(pool), index: ShardIndex(index) }),
            Self::Router(_) | Self::Coordinator | Self::Container(_) | Self::Admin => None,
        }
    }
}

/// Names one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// Names one request of a user, or a task of a router beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestNo(pub u64);

/// A call.
#[derive(Clone, Debug)]
pub enum Request {
    // Of a shard.
    Acquire(AcquireRequest),
    Lookup(SessionId),
    Release(SessionId),
    ConfirmLease(LeaseRequest),
    ReportStopped { container: ContainerId, forwarded: Option<Forwarded> },
    Configure(Box<Plan>),
    GetPlan,
    ShutdownPrewarmed,
    Allot(Box<Allotment>),
    // Of a shard, from a sibling.
    Borrow(BorrowRequest),
    Pull(Box<PullRequest>),
    Receive(Box<Delivery>),
    // Of the coordinator.
    Report(Box<ShardReport>),
    Record(Box<Batch>),
    Plan(PlanQuestion),
    PutConfig(Box<Config>),
    DeleteConfig,
    // Of a container's object.
    Start(Box<StartRequest>),
    Stop,
    Destroy,
    GetState,
    Renew,
    Fetch(Fetch),
}

impl Request {
    /// Whether it is about containers that change hands.
    pub const fn is_transfer(&self) -> bool {
        matches!(self, Self::Borrow(_) | Self::Pull(_) | Self::Receive(_))
    }

    /// Whether it is what the coordinator has a shard do.
    pub const fn is_push(&self) -> bool {
        matches!(self, Self::Configure(_) | Self::Allot(_))
    }
}

/// A user's request, on its way to a container.
#[derive(Clone, Debug)]
pub struct Fetch {
    pub pool: PoolName,
    pub session: SessionId,
    /// The epoch, for a container with a fence.
    pub fence: Option<Epoch>,
    /// Which request it is part of.
    pub request: RequestNo,
}

/// What a call returns.
#[derive(Clone, Debug)]
pub enum Response {
    Acquired(AcquireReply),
    /// What was found, or whether there was anything, nobody here looks at: the oracle has, when it was said.
    Found,
    Released,
    Lease(LeaseReply),
    Heard(bool),
    Configured(PlanVersion),
    ShardPlan(Option<Box<Plan>>),
    SentAway,
    /// To an allotment.
    Standing(Box<ShardReport>),
    Lent(BorrowReply),
    Pulled(PullReply),
    Received(Receipt),
    Reported(Box<ReportReply>),
    /// The highest number that the coordinator has of the shard's batches.
    Recorded(u64),
    RoutePlan(PlanReply),
    Put,
    View,
    /// An agent's answer to a start.
    Started(StartReply),
    /// A method that returns nothing.
    Nothing,
    State(Status),
    Fetched(Fetched),
    /// Thrown, with a refusal in it.
    Refused(Refusal),
}

/// What became of a user's request at a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The process answered.
    Served,
    /// The fence turned it away; nothing of it reached the process.
    Fenced(FenceRefusal),
    /// A 502: the process did not answer.
    Failed,
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// It threw; whether it was carried out is not known.
    Threw(String),
    /// Its deadline passed.
    Late,
}

/// How a call ends.
pub type Answer = Result<Response, CallError>;

/// What the caller does with the end of a call.
#[derive(Clone, Debug)]
pub enum Then {
    Nothing,
    // Of a shard.
    Start(ContainerId),
    Stop(ContainerId),
    Destroy(ContainerId),
    Check(ContainerId),
    /// A report to the coordinator by a shard that has a plan.
    Report,
    /// The same by one that has none, and callers that wait for it.
    FirstReport,
    /// The coordinator was told what has happened, in the batch of this number.
    Record(u64),
    /// The first shard was asked for its plan.
    SiblingPlan,
    /// A sibling was told that a container has stopped, for this call.
    Forward(CallId),
    /// The sibling to which it is being handed over was told so, for this call.
    PassOn(CallId),
    /// A sibling was asked for a warm container.
    Borrow(ShardIndex),
    /// A sibling was asked for what there is of an id.
    Pull(ShardIndex, SessionId),
    /// Containers were handed over to a sibling.
    Deliver(ShardIndex),
    /// A call of the pool object of `cf-container-warm-pool`, by its number.
    Peer(u64),
    // Of the coordinator.
    Push(ShardId),
    Allot(ShardId),
    // Of an agent.
    Lease {
        key: LeaseKey,
        asked_at: Millis,
    },
    OwnerTold,
    // Of a router.
    /// A user's request: a call to a container, or to look up or release.
    Request(RequestNo),
    /// A question to a shard for a container, for a user's request; it may be open while a request to a container is.
    Question(RequestNo),
    /// A question of the router itself about its configuration.
    Routing,
}
