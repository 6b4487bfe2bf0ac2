//! Who is served: the lease that the owner grants for one id at one epoch, and the container's binding to that id.
//!
//! A lease that holds costs a comparison. One that does not is asked for once, whatever the number of requests that
//! wait for it. It runs from before the question was sent, so that the owner, who counts from when it answered, never
//! thinks it over while it is used. An owner that has handed the container over names the next one, which is then asked, at
//! most [`MAX_REDIRECTS`] times for one question; the requests wait meanwhile.

use serde::{Deserialize, Serialize};

use super::io::{Caller, Effect, Reply};
use super::record::{Orders, Record};
use crate::config::resolved::Millis;
use crate::core::id::{Epoch, SessionId, ShardId};
use crate::core::mutants::{self, Mutant};

/// What a lease is for: an id, at the epoch of its assignment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseKey {
    /// The id.
    pub session: SessionId,
    /// The epoch.
    pub epoch: Epoch,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It goes to the container.
    Serve,
    /// It waits for [`Reply::Admitted`].
    Wait,
    /// It is turned away; nothing of it reaches the container.
    Refuse(Refusal),
}

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The container does not serve this id at this epoch.
    NotYours,
    /// The lease ran out and the owner could not be asked.
    Unconfirmed,
    /// The container does not run, or not any more.
    Gone,
}

/// What the owner said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// Serve for so long from when it was asked.
    Granted(Millis),
    /// Do not serve.
    Denied,
    /// This shard has the container by now.
    Elsewhere(ShardId),
    /// It could not be asked.
    Failed,
}

/// The leases held and asked for. Volatile: an object that is rebuilt asks again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    lease: Option<Lease>,
    asks: Vec<Ask>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Lease {
    key: LeaseKey,
    /// From here on the next request has the lease renewed while it is served, so that a busy container never waits for one.
    renew_at: Millis,
    until: Millis,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Ask {
    key: LeaseKey,
    waiting: Vec<Caller>,
    /// Who is being asked.
    of: ShardId,
    /// How often another was asked before.
    redirects: u32,
}

/// What follows from an answer.
enum Verdict {
    /// Those that wait are told this.
    Settled(Result<(), Refusal>),
    /// The owner of now is asked the same.
    AskAgain,
}

impl Fence {
    /// Whether a request of `key` is served, in a container that is ready.
    pub fn admit(
        &mut self,
        now: Millis,
        key: LeaseKey,
        caller: Caller,
        orders: &Orders,
        binding: Option<&LeaseKey>,
        effects: &mut Vec<Effect>,
    ) -> Admission {
        let in_time = |lease: &&Lease| now < lease.until || mutants::on(Mutant::AgentServesAfterLease);
        let fits = |lease: &&Lease| lease.key == key || mutants::on(Mutant::AgentServesAnyone);
        if let Some(lease) = self.lease.as_ref().filter(in_time).filter(fits) {
            if now >= lease.renew_at && !self.asks.iter().any(|ask| ask.key == key) {
                self.ask(now, key, Vec::new(), 0, orders, effects);
            }
            return Admission::Serve;
        }
        // Another id will never be served here, nor an epoch that has passed: no need to ask.
        if binding.is_some_and(|bound| bound.session != key.session || bound.epoch > key.epoch) {
            return Admission::Refuse(Refusal::NotYours);
        }
        if self.asks.iter().map(|ask| ask.waiting.len()).sum::<usize>() >= MAX_WAITING {
            return Admission::Refuse(Refusal::Unconfirmed);
        }
        if let Some(ask) = self.asks.iter_mut().find(|ask| ask.key == key) {
            ask.waiting.push(caller);
            return Admission::Wait;
        }
        if self.asks.len() >= MAX_ASKS {
            return Admission::Refuse(Refusal::Unconfirmed);
        }
        self.ask(now, key, vec![caller], 0, orders, effects);
        Admission::Wait
    }

    /// What the owner answered; binds the record to the first id that is granted a lease. One that ran out on the way admits
    /// nobody: by now the owner may have given the id another container.
    pub fn answered(
        &mut self,
        now: Millis,
        key: &LeaseKey,
        asked_at: Millis,
        answer: LeaseAnswer,
        record: &mut Record,
        effects: &mut Vec<Effect>,
    ) {
        let Some(at) = self.asks.iter().position(|ask| ask.key == *key) else { return };
        let Ask { key, waiting, of, redirects } = self.asks.swap_remove(at);
        let verdict = match (answer, &mut record.orders) {
            (LeaseAnswer::Granted(ttl), _) => Verdict::Settled(self.granted(now, &key, asked_at, ttl, record)),
            (LeaseAnswer::Failed, _) if mutants::on(Mutant::AgentServesUnconfirmed) => Verdict::Settled(Ok(())),
            // The container has changed hands since: what the former owner says or does not say is no matter.
            (_, Some(orders)) if orders.owner != of => Verdict::AskAgain,
            (LeaseAnswer::Elsewhere(owner), Some(orders)) if owner.pool == orders.owner.pool => {
                orders.owner = owner;
                Verdict::AskAgain
            }
            (LeaseAnswer::Elsewhere(_) | LeaseAnswer::Denied, _) => {
                if self.lease.as_ref().is_some_and(|lease| lease.key == key) {
                    self.lease = None;
                }
                Verdict::Settled(Err(Refusal::NotYours))
            }
            (LeaseAnswer::Failed, _) => Verdict::Settled(Err(Refusal::Unconfirmed)),
        };
        let result = match (verdict, &record.orders) {
            (Verdict::AskAgain, Some(orders)) if redirects < MAX_REDIRECTS => {
                return self.ask(now, key, waiting, redirects + 1, orders, effects);
            }
            (Verdict::AskAgain, _) => Err(Refusal::Unconfirmed),
            (Verdict::Settled(result), _) => result,
        };
        effects.extend(waiting.into_iter().map(|caller| Effect::Reply { caller, reply: Reply::Admitted(result) }));
    }

    fn granted(
        &mut self,
        now: Millis,
        key: &LeaseKey,
        asked_at: Millis,
        ttl: Millis,
        record: &mut Record,
    ) -> Result<(), Refusal> {
        if record.binding.as_ref().is_some_and(|bound| bound.session != key.session || bound.epoch > key.epoch) {
            return Err(Refusal::NotYours);
        }
        let longest = record.orders.as_ref().map_or(ttl, |orders| orders.lease_ttl);
        let ttl = ttl.min(longest);
        if record.binding.as_ref() != Some(key) {
            record.binding = Some(key.clone());
        }
        let until = Millis(asked_at.0.saturating_add(ttl.0));
        let renew_at = Millis(asked_at.0.saturating_add(ttl.0 - ttl.0 / 4));
        self.lease = Some(Lease { key: key.clone(), renew_at, until });
        if now < until { Ok(()) } else { Err(Refusal::Unconfirmed) }
    }

    /// Ends every lease; who waits for one is turned away.
    pub fn revoke(&mut self, effects: &mut Vec<Effect>) {
        self.lease = None;
        let waiting = self.asks.drain(..).flat_map(|ask| ask.waiting);
        effects.extend(waiting.map(|caller| Effect::Reply { caller, reply: Reply::Admitted(Err(Refusal::Gone)) }));
    }

    fn ask(
        &mut self,
        now: Millis,
        key: LeaseKey,
        waiting: Vec<Caller>,
        redirects: u32,
        orders: &Orders,
        effects: &mut Vec<Effect>,
    ) {
        let owner = orders.owner.clone();
        effects.push(Effect::AskLease {
            owner: owner.clone(),
            container: orders.container,
            key: key.clone(),
            asked_at: now,
        });
        self.asks.push(Ask { key, waiting, of: owner, redirects });
    }
}

/// How often one question goes on to another shard. A container changes hands once in a migration, twice when one follows another
/// at once.
pub const MAX_REDIRECTS: u32 = 3;
/// The most different ids that are asked about at once. One is normal, two a race.
const MAX_ASKS: usize = 16;
/// The most requests that wait for a lease at once; more are turned away as [`Refusal::Unconfirmed`].
const MAX_WAITING: usize = 1_024;
