//! Asking the shard that owns an id, and another when it says that another does.

use cf_warm_pools::config::resolved::ShardCount;
use cf_warm_pools::core::id::{ContainerId, ShardId};
use cf_warm_pools::core::outcome::{Assignment, Refusal, RefusalCode};
use cf_warm_pools::core::route::shard_of;
use cf_warm_pools::wire::shard::{AcquireReply, AcquireRequest};

use super::turn::Turn;
use super::{ACQUIRE_MARGIN, DEADLINE, Flow};
use crate::oracle::Fate;
use crate::world::message::{Addr, Answer, CallError, Request, Response, Then};

/// How often an id is sought with a corrected shard count.
pub const MAX_CORRECTIONS: u32 = 2;
/// The most calls of one question, of whatever kind: the first, one after a call that threw, and one for each correction.
pub const MAX_CALLS: u32 = 2 + MAX_CORRECTIONS;

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

/// The shard that owns the id, as far as is known.
struct Owner {
    shards: ShardCount,
    corrections: u32,
}

impl Owner {
    fn new(turn: &Turn<'_>) -> Self {
        Self { shards: turn.shards_in_force(), corrections: 0 }
    }

    fn addr(&self, turn: &Turn<'_>) -> Addr {
        let index = shard_of(&turn.pool.name, turn.id, self.shards);
        Addr::of_shard(&ShardId { pool: turn.pool.name.clone(), index })
    }

    /// Takes the shard count that a shard says is in force, when that is news and not too often so.
    fn correct(&mut self, turn: &mut Turn<'_>, refusal: Refusal) -> Result<(), Failure> {
        let in_force = refusal.shards.and_then(|shards| ShardCount::try_from(shards).ok());
        match in_force.filter(|in_force| *in_force != self.shards && self.corrections < MAX_CORRECTIONS) {
            Some(in_force) => {
                self.corrections += 1;
                turn.correct_shards(in_force);
                self.shards = in_force;
                Ok(())
            }
            None => Err(Failure::Refused(refusal)),
        }
    }
}

/// A question for the container of an id: `Pool::acquire`.
pub struct Question {
    owner: Owner,
    suspect: Option<ContainerId>,
    /// Whether a call has thrown.
    has_failed: bool,
}

impl Question {
    /// Asks. Each call ends with [`Then::Question`].
    pub fn ask(turn: &mut Turn<'_>, suspect: Option<ContainerId>) -> Self {
        let question = Self { owner: Owner::new(turn), suspect, has_failed: false };
        question.call(turn);
        question
    }

    /// A call has ended. None when there is another.
    pub fn ended(&mut self, turn: &mut Turn<'_>, answer: Answer) -> Option<Result<Assignment, Failure>> {
        let refusal = match answer {
            Ok(Response::Acquired(AcquireReply::Assigned(assignment))) => {
                turn.isolate.note_fence(&assignment);
                return Some(Ok(assignment));
            }
            Ok(Response::Acquired(AcquireReply::Refused(refusal)) | Response::Refused(refusal)) => refusal,
            Ok(other) => unreachable!("not an answer to a question: {other:?}"),
            // Asking twice gives no second container.
            Err(CallError::Threw(_)) if !self.has_failed => {
                self.has_failed = true;
                self.call(turn);
                return None;
            }
            Err(CallError::Threw(_) | CallError::Late) => return Some(Err(Failure::Unreachable)),
        };
        let corrected = match refusal.code {
            RefusalCode::WrongShard => self.owner.correct(turn, refusal),
            RefusalCode::AtCapacity
            | RefusalCode::Timeout
            | RefusalCode::StartFailed
            | RefusalCode::Overloaded
            | RefusalCode::UnknownPool => Err(Failure::Refused(refusal)),
        };
        match corrected {
            Ok(()) => {
                self.call(turn);
                None
            }
            Err(failure) => Some(Err(failure)),
        }
    }

    fn call(&self, turn: &mut Turn<'_>) {
        let to = self.owner.addr(turn);
        let shards = Some(self.owner.shards.get());
        let request = AcquireRequest { id: turn.id.clone(), shards, suspect: self.suspect };
        turn.note(|| format!("asks {to:?}, suspects {:?}", self.suspect));
        let within = turn.pool.acquire_timeout + ACQUIRE_MARGIN;
        turn.world.call(turn.router, to, Request::Acquire(request), within, Then::Question(turn.request));
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
    owner: Owner,
    what: What,
    /// Whether a call has thrown.
    has_failed: bool,
}

impl AtOwner {
    /// Asks. Each call ends with [`Then::Request`].
    pub fn ask(turn: &mut Turn<'_>, what: What) -> Self {
        let asked = Self { owner: Owner::new(turn), what, has_failed: false };
        asked.call(turn);
        asked
    }

    /// A call has ended.
    pub fn ended(&mut self, turn: &mut Turn<'_>, answer: Answer) -> Flow {
        let fate = match (self.what, answer) {
            (_, Ok(Response::Refused(refusal))) if refusal.code == RefusalCode::WrongShard => {
                match self.owner.correct(turn, refusal) {
                    Ok(()) => {
                        self.call(turn);
                        return Flow::Waits;
                    }
                    Err(failure) => failure.fate(),
                }
            }
            (_, Ok(Response::Refused(refusal))) => Fate::Refused(refusal.code),
            (What::Lookup, Ok(Response::Found)) => Fate::Done,
            (What::Release, Ok(Response::Released)) => {
                turn.isolate.cache.forget_id(&turn.pool.name, turn.id);
                if turn.has_id_cache() {
                    turn.write_hint(None);
                }
                Fate::Done
            }
            (what, Ok(other)) => unreachable!("not an answer to {what:?}: {other:?}"),
            (_, Err(CallError::Threw(_))) if !self.has_failed => {
                self.has_failed = true;
                self.call(turn);
                return Flow::Waits;
            }
            (_, Err(CallError::Threw(_) | CallError::Late)) => Fate::Unreachable,
        };
        turn.answered(fate);
        Flow::Over
    }

    fn call(&self, turn: &mut Turn<'_>) {
        let to = self.owner.addr(turn);
        turn.note(|| format!("{:?} at {to:?}", self.what));
        let id = turn.id.clone();
        let request = match self.what {
            What::Lookup => Request::Lookup(id),
            What::Release => Request::Release(id),
        };
        turn.world.call(turn.router, to, request, DEADLINE, Then::Request(turn.request));
    }
}
