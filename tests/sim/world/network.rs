//! Calls between objects, and what the network does to them.
//!
//! A call is carried out at most once, but for [`Fault::Duplicated`] (somebody below repeats it), and its caller hears of its
//! end exactly once: an answer, an error or its deadline, whichever comes first. An error proves nothing.

use std::collections::BTreeMap;

use cf_warm_pools::config::resolved::Millis;

use super::message::{Addr, Answer, CallError, CallId, Request, RequestNo, Response, Then};
use super::platform::Kind;
use super::{Happening, World, hash};
use crate::dice::Key;
use crate::faults::Fault;

/// The calls under way.
#[derive(Debug, Default)]
pub struct Network {
    calls: BTreeMap<CallId, Call>,
    /// Calls that have reached their callee and have no answer yet, and when they did.
    open: BTreeMap<Addr, BTreeMap<CallId, Millis>>,
    /// How many calls a caller has made to a callee.
    channels: BTreeMap<(Addr, Addr), u64>,
    next: u64,
    /// Who cannot be reached, by whom, until when.
    cut_off: BTreeMap<Addr, (By, Millis)>,
}

/// By whom something cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Anybody,
    /// By other objects; users still reach it.
    Objects,
}

#[derive(Debug)]
struct Call {
    from: Option<(Addr, u32)>,
    to: Addr,
    /// Taken when it arrives.
    request: Option<Request>,
    then: Then,
    /// Set when the callee, or the network, has ended it.
    answer: Option<Answer>,
    loses_answer: bool,
    slow_answer: bool,
    /// The user's request that it is, which no fence leaves without an answer.
    fetch: Option<RequestNo>,
    key: Key,
}

/// A call that has reached its callee.
#[derive(Debug)]
pub struct Arrival {
    pub from: Option<Addr>,
    pub to: Addr,
    pub request: Request,
}

/// A call whose end has reached its caller.
#[derive(Debug)]
pub struct Ended {
    pub by: Addr,
    pub then: Then,
    pub answer: Answer,
}

impl World {
    /// Calls somebody. The end of it comes back within `within`.
    pub fn call(&mut self, from: Addr, to: Addr, request: Request, within: Millis, then: Then) -> CallId {
        let channel = self.network.channels.entry((from, to)).or_default();
        *channel += 1;
        let key = CALL.of(hash(&(from, to))).of(*channel);
        let life = self.life(from);
        let id = self.network.id();
        let mut call = Call::new(Some((from, life)), to, then, key);
        let latency = self.latency(key);
        let unreachable = self.is_cut_off(to, from) || self.is_cut_off(from, to);
        if unreachable || self.faults.strikes(self.dice, Fault::LostBefore, key) {
            // At once, or never: then the deadline speaks.
            call.answer = Some(Err(lost()));
            if self.dice.chance(key.of(1), 0.7) {
                self.after(latency, Happening::Answered(id));
            }
        } else {
            call.loses_answer = self.faults.strikes(self.dice, Fault::LostAfter, key)
                || (request.is_transfer() && self.faults.strikes(self.dice, Fault::TransferReplyLost, key));
            let slow = self.faults.strikes(self.dice, Fault::Delayed, key);
            call.slow_answer = slow && self.dice.chance(key.of(2), 0.5);
            let held_up = from == Addr::Coordinator
                && request.is_push()
                && self.faults.strikes(self.dice, Fault::PushDelayed, key);
            let slow_request = (slow && !call.slow_answer) || held_up;
            let delay = if slow_request { self.dice.between(key.of(3), 500, 60_000) } else { latency };
            // Nobody repeats a user's request behind the router's back.
            call.fetch = match &request {
                Request::Fetch(fetch) => Some(fetch.request),
                _ => None,
            };
            if call.fetch.is_none() && self.faults.strikes(self.dice, Fault::Duplicated, key) {
                let ghost = self.network.id();
                let again = self.dice.between(key.of(4), 1, 3_000);
                let copy = Call::new(None, to, Then::Nothing, key);
                self.network.calls.insert(ghost, Call { request: Some(request.clone()), ..copy });
                self.after(delay + again, Happening::Arrives(ghost));
            }
            call.request = Some(request);
            self.after(delay, Happening::Arrives(id));
        }
        self.network.calls.insert(id, call);
        self.after(within, Happening::Expires(id));
        id
    }

    /// A call reaches its callee. None when it was cut off on the way.
    pub fn arrives(&mut self, id: CallId) -> Option<Arrival> {
        let call = self.network.calls.get_mut(&id)?;
        let request = call.request.take()?;
        let (from, to) = (call.from.map(|(from, _)| from), call.to);
        if from.is_some_and(|from| self.is_cut_off(to, from)) {
            self.end(id, Err(lost()));
            return None;
        }
        self.network.open.entry(to).or_default().insert(id, self.now);
        Some(Arrival { from, to, request })
    }

    /// The callee answers.
    pub fn answer(&mut self, id: CallId, response: Response) {
        self.end(id, Ok(response));
    }

    /// The callee throws.
    pub fn throw(&mut self, id: CallId, message: &str) {
        self.end(id, Err(CallError::Threw(message.to_owned())));
    }

    fn end(&mut self, id: CallId, answer: Answer) {
        let Some(call) = self.network.calls.get_mut(&id) else { return };
        if let Some(open) = self.network.open.get_mut(&call.to) {
            open.remove(&id);
        }
        if call.from.is_none() {
            self.network.calls.remove(&id);
            return;
        }
        let key = call.key.of(5);
        let (from, to) = (call.from.map(|(from, _)| from), call.to);
        let loses =
            call.loses_answer || from.is_some_and(|from| self.is_cut_off(to, from) || self.is_cut_off(from, to));
        let Some(call) = self.network.calls.get_mut(&id) else { return };
        call.answer = Some(if loses { Err(lost()) } else { answer });
        let delay = if call.slow_answer { self.dice.between(key, 500, 20_000) } else { self.latency(key) };
        self.after(delay, Happening::Answered(id));
    }

    /// A call's end reaches its caller. None when that is gone, or has heard of another end before.
    pub fn answered(&mut self, id: CallId) -> Option<Ended> {
        let call = self.network.calls.remove(&id)?;
        let (by, life) = call.from?;
        let answer = call.answer?;
        (self.life(by) == life).then_some(Ended { by, then: call.then, answer })
    }

    /// A call's deadline passes: the caller gives up. It may still be carried out.
    pub fn expires(&mut self, id: CallId) -> Option<Ended> {
        let call = self.network.calls.get_mut(&id)?;
        let (by, life) = call.from.take()?;
        let then = std::mem::replace(&mut call.then, Then::Nothing);
        let over = call.answer.is_some();
        let (to, fetch) = (call.to, call.fetch);
        let arrived = self.network.open.get(&to).and_then(|open| open.get(&id)).copied();
        // A class may wait for its container to start; an agent's fence has its answer long before.
        let is_agent = matches!(to, Addr::Container(container) if self.platform.kind(container) == Kind::Agent);
        let is_long = arrived.is_some_and(|at| self.now > at + LONGEST_FENCE);
        if let Some(request) = fetch.filter(|_| is_agent && is_long && !over) {
            self.oracle.hung(self.now, to, request);
        }
        if over {
            self.network.calls.remove(&id);
        }
        (self.life(by) == life).then_some(Ended { by, then, answer: Err(CallError::Late) })
    }

    /// Whoever waits for an answer of this object hears nothing until its deadline.
    pub fn abandon_calls_to(&mut self, addr: Addr) {
        self.network.open.remove(&addr);
    }

    /// Whoever waits for an answer of this object gets an error.
    pub fn fail_calls_to(&mut self, addr: Addr) {
        for id in self.network.open.remove(&addr).unwrap_or_default().into_keys() {
            self.end(id, Err(CallError::Threw("Durable Object reset because its code was updated.".to_owned())));
        }
    }

    /// This object is reached by nobody, or by no other object, for a while; nor does it reach them.
    pub fn cut_off(&mut self, addr: Addr, by: By, duration: Millis) {
        self.network.cut_off.insert(addr, (by, self.now + duration));
    }

    /// Everybody can be reached again.
    pub fn reconnect(&mut self) {
        self.network.cut_off.clear();
    }

    fn is_cut_off(&self, addr: Addr, from: Addr) -> bool {
        self.network.cut_off.get(&addr).is_some_and(|&(by, until)| {
            let concerned = match by {
                By::Anybody => true,
                By::Objects => !matches!(from, Addr::Router(_)),
            };
            concerned && self.now < until
        })
    }

    fn latency(&self, key: Key) -> Millis {
        self.dice.between(key.of(6), 1, 8)
    }
}

impl Call {
    fn new(from: Option<(Addr, u32)>, to: Addr, then: Then, key: Key) -> Self {
        Self { from, to, request: None, then, answer: None, loses_answer: false, slow_answer: false, fetch: None, key }
    }
}

impl Network {
    fn id(&mut self) -> CallId {
        self.next += 1;
        CallId(self.next)
    }
}

fn lost() -> CallError {
    CallError::Threw("Network connection lost.".to_owned())
}

/// No agent needs longer to tell whether it serves: asking its shard takes 10 s at most.
const LONGEST_FENCE: Millis = Millis::from_secs(15);

const CALL: Key = Key::new(4);
