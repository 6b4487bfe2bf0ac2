//! Asking the shard that owns an id, and another when it says that another does: the asynchronous part around
//! [`Owner`](cf_warm_pools::core::gateway::Owner).

use cf_warm_pools::core::gateway::owner::MAX_ROUNDS;
use cf_warm_pools::core::gateway::{Correction, Owner};
use cf_warm_pools::core::id::{ContainerId, ShardId, ShardIndex};
use cf_warm_pools::core::outcome::{Assignment, Refusal, RefusalCode};
use cf_warm_pools::core::plan::Plan;
use cf_warm_pools::wire::shard::{AcquireReply, AcquireRequest};

use super::turn::Turn;
use super::{ACQUIRE_MARGIN, DEADLINE, Flow, PLAN_DEADLINE};
use crate::oracle::Fate;
use crate::world::message::{Addr, Answer, CallError, Request, Response, Then};

/// The most calls of one question that ask for what is wanted: the first, one after a call that threw, and one for each round.
pub const MAX_ASKS: u32 = 2 + MAX_ROUNDS;
/// The most other calls of it: a plan is fetched, and handed over.
pub const MAX_TOLD: u32 = 2 * MAX_ROUNDS;

/// Why no shard gave what was asked for.
pub enum Failure {
    Refused(Refusal),
    Unreachable,
}

impl Failure {
    pub fn fate(self) -> Fate {
        match self {
            Self::Refused(refusal) => Fate::Refused(refusal.code),
            Self::Unreachable => Fate::Unreachable,
        }
    }
}

/// The way to the shard that owns the id.
struct Search {
    owner: Owner,
    /// How its calls end.
    then: Then,
    waits_for: WaitsFor,
    /// What the last shard said that is not the owner.
    refusal: Option<Refusal>,
    /// Whether a call that asked has thrown.
    has_failed: bool,
}

/// What the call under way is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitsFor {
    /// What was asked for.
    Answer,
    /// A shard is told the plan that it has not got.
    HandedOver,
    /// Another is asked for that plan.
    Plan,
}

/// What is to be done once a call has ended.
enum Go {
    /// Ask the owner.
    Ask,
    /// Another call is under way.
    Wait,
    /// The last refusal is the answer.
    GiveUp,
}

impl Search {
    fn new(turn: &Turn<'_>, then: Then) -> Self {
        let owner = Owner::new(turn.pool.name.clone(), turn.id.clone(), turn.known());
        Self { owner, then, waits_for: WaitsFor::Answer, refusal: None, has_failed: false }
    }

    fn addr(&self, turn: &Turn<'_>, index: ShardIndex) -> Addr {
        Addr::of_shard(&ShardId { pool: turn.pool.name.clone(), index })
    }

    /// The shard says that another owns the id.
    fn refused(&mut self, turn: &mut Turn<'_>, refusal: Refusal) -> Go {
        let correction = self.owner.refused(&refusal, |index| turn.plan_for(index));
        turn.correct_shards(self.owner.known());
        self.refusal = Some(refusal);
        self.follow(turn, correction)
    }

    /// A call that asked for nothing has ended.
    fn told(&mut self, turn: &mut Turn<'_>, answer: Answer) -> Go {
        match std::mem::replace(&mut self.waits_for, WaitsFor::Answer) {
            WaitsFor::Answer => unreachable!("it asked for something"),
            // If it has not arrived, the shard will say so.
            WaitsFor::HandedOver => Go::Ask,
            WaitsFor::Plan => {
                let plan: Option<Box<Plan>> = match answer {
                    Ok(Response::ShardPlan(plan)) => plan,
                    Ok(other) => unreachable!("not a plan: {other:?}"),
                    Err(_) => None,
                };
                let correction = self.owner.fetched(plan.as_deref());
                turn.correct_shards(self.owner.known());
                self.follow(turn, correction)
            }
        }
    }

    fn follow(&mut self, turn: &mut Turn<'_>, correction: Correction) -> Go {
        let (to, request, waits_for) = match correction {
            Correction::AskAgain => return Go::Ask,
            Correction::GiveUp => return Go::GiveUp,
            Correction::HandOver { to, plan } => (to, Request::Configure(plan), WaitsFor::HandedOver),
            Correction::Fetch(from) => (from, Request::GetPlan, WaitsFor::Plan),
        };
        self.waits_for = waits_for;
        turn.note(|| format!("{waits_for:?} at shard {}", to.0));
        let to = self.addr(turn, to);
        turn.world.call(turn.router, to, request, PLAN_DEADLINE, self.then.clone());
        Go::Wait
    }

    fn refusal(&mut self) -> Failure {
        self.refusal.take().map_or(Failure::Unreachable, Failure::Refused)
    }
}

/// A question for the container of an id: `Pool::acquire`.
pub struct Question {
    search: Search,
    suspect: Option<ContainerId>,
}

impl Question {
    /// Asks. Each call ends with [`Then::Question`].
    pub fn ask(turn: &mut Turn<'_>, suspect: Option<ContainerId>) -> Self {
        let question = Self { search: Search::new(turn, Then::Question(turn.request)), suspect };
        question.call(turn);
        question
    }

    /// A call has ended. None when there is another.
    pub fn ended(&mut self, turn: &mut Turn<'_>, answer: Answer) -> Option<Result<Assignment, Failure>> {
        let go = if self.search.waits_for == WaitsFor::Answer {
            let refusal = match answer {
                Ok(Response::Acquired(AcquireReply::Assigned(assignment))) => {
                    turn.isolate.note_fence(&assignment);
                    return Some(Ok(assignment));
                }
                Ok(Response::Acquired(AcquireReply::Refused(refusal)) | Response::Refused(refusal)) => refusal,
                Ok(other) => unreachable!("not an answer to a question: {other:?}"),
                // Asking twice gives no second container.
                Err(CallError::Threw(_)) if !self.search.has_failed => {
                    self.search.has_failed = true;
                    self.call(turn);
                    return None;
                }
                Err(CallError::Threw(_) | CallError::Late) => return Some(Err(Failure::Unreachable)),
            };
            match refusal.code {
                RefusalCode::WrongShard => self.search.refused(turn, refusal),
                RefusalCode::AtCapacity
                | RefusalCode::Timeout
                | RefusalCode::StartFailed
                | RefusalCode::Overloaded
                | RefusalCode::UnknownPool => return Some(Err(Failure::Refused(refusal))),
            }
        } else {
            self.search.told(turn, answer)
        };
        match go {
            Go::Ask => {
                self.call(turn);
                None
            }
            Go::Wait => None,
            Go::GiveUp => Some(Err(self.search.refusal())),
        }
    }

    fn call(&self, turn: &mut Turn<'_>) {
        let to = self.search.addr(turn, self.search.owner.shard());
        let shards = Some(self.search.owner.shards().get());
        let request = AcquireRequest { id: turn.id.clone(), shards, suspect: self.suspect, code: None };
        turn.note(|| format!("asks {to:?}, suspects {:?}", self.suspect));
        let within = turn.pool.acquire_timeout + ACQUIRE_MARGIN;
        turn.world.call(turn.router, to, Request::Acquire(request), within, self.search.then.clone());
    }
}

/// What a user asks of the owner of its id.
#[derive(Clone, Copy, Debug)]
pub enum What {
    Lookup,
    Release,
}

/// Anything else that is asked of the owner of an id: `Pool::at_owner`.
pub struct AtOwner {
    search: Search,
    what: What,
}

impl AtOwner {
    /// Asks. Each call ends with [`Then::Request`].
    pub fn ask(turn: &mut Turn<'_>, what: What) -> Self {
        let asked = Self { search: Search::new(turn, Then::Request(turn.request)), what };
        asked.call(turn);
        asked
    }

    /// A call has ended.
    pub fn ended(&mut self, turn: &mut Turn<'_>, answer: Answer) -> Flow {
        let go = if self.search.waits_for == WaitsFor::Answer {
            let fate = match (self.what, answer) {
                (_, Ok(Response::Refused(refusal))) if refusal.code == RefusalCode::WrongShard => {
                    Err(self.search.refused(turn, refusal))
                }
                (_, Ok(Response::Refused(refusal))) => Ok(Fate::Refused(refusal.code)),
                (What::Lookup, Ok(Response::Found)) => Ok(Fate::Done),
                (What::Release, Ok(Response::Released)) => {
                    turn.isolate.cache.forget_id(&turn.pool.name, turn.id);
                    if turn.has_id_cache() {
                        turn.write_hint(None);
                    }
                    Ok(Fate::Done)
                }
                (what, Ok(other)) => unreachable!("not an answer to {what:?}: {other:?}"),
                (_, Err(CallError::Threw(_))) if !self.search.has_failed => {
                    self.search.has_failed = true;
                    Err(Go::Ask)
                }
                (_, Err(CallError::Threw(_) | CallError::Late)) => Ok(Fate::Unreachable),
            };
            match fate {
                Ok(fate) => {
                    turn.answered(fate);
                    return Flow::Over;
                }
                Err(go) => go,
            }
        } else {
            self.search.told(turn, answer)
        };
        match go {
            Go::Ask => self.call(turn),
            Go::Wait => {}
            Go::GiveUp => {
                turn.answered(self.search.refusal().fate());
                return Flow::Over;
            }
        }
        Flow::Waits
    }

    fn call(&self, turn: &mut Turn<'_>) {
        let to = self.search.addr(turn, self.search.owner.shard());
        turn.note(|| format!("{:?} at {to:?}", self.what));
        let id = turn.id.clone();
        let request = match self.what {
            What::Lookup => Request::Lookup(id),
            What::Release => Request::Release(id),
        };
        turn.world.call(turn.router, to, request, DEADLINE, self.search.then.clone());
    }
}
