//! The way of a request: the fence, the process, and back.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::agent::{Admission, Input, LeaseKey, Refusal};

use super::process::Purpose;
use super::{AgentObject, Outlook, Waiting};
use crate::world::message::{CallId, Fetch, Fetched, Response};
use crate::world::{Private, World};

impl AgentObject {
    pub(super) fn fetch(&mut self, world: &mut World, call: CallId, fetch: Fetch) {
        let Some(epoch) = fetch.fence else { return refuse(world, call, Refusal::NotYours) };
        let Some(memory) = &self.memory else { return };
        if memory.outlook == Outlook::Ending {
            return refuse(world, call, Refusal::Unconfirmed);
        }
        if self.is_missing(world) {
            return self.tell_owner(world, call);
        }
        let Some(memory) = &mut self.memory else { return };
        let caller = memory.caller();
        let key = LeaseKey { session: fetch.session.clone(), epoch };
        let mut effects = Vec::new();
        let admission = memory.agent.admit(world.clock(self.addr), &fetch.pool, key, caller, &mut effects);
        world.trace.note(world.now, || format!("{} <- {fetch:?}: {admission:?}", self.container));
        let serve = match admission {
            Admission::Serve => Some(fetch),
            Admission::Wait => {
                memory.waiting.insert(caller, Waiting::Admission(call, Box::new(fetch)));
                None
            }
            Admission::Refuse(refusal) => {
                refuse(world, call, refusal);
                None
            }
        };
        for effect in effects {
            if let Some(input) = self.carry_out(world, effect) {
                self.step(world, input);
            }
        }
        if let Some(fetch) = serve {
            self.pass_on(world, call, &fetch);
        }
    }

    /// The process was found to have ended: the owner hears of it before the caller does.
    fn tell_owner(&mut self, world: &mut World, call: CallId) {
        self.ask(world, Waiting::Told(call), |caller| Input::FoundStopped { caller: Some(caller) });
        if self.memory.as_ref().is_some_and(|memory| memory.waiting.values().any(|waiting| waiting.is_told(call))) {
            world.later(self.addr, TELL_WITHIN, Private::TellWithin(call));
        }
    }

    pub(super) fn told_late(&mut self, world: &mut World, call: CallId) {
        let Some(memory) = &mut self.memory else { return };
        let before = memory.waiting.len();
        memory.waiting.retain(|_, waiting| !waiting.is_told(call));
        if memory.waiting.len() < before {
            refuse(world, call, Refusal::Gone);
        }
    }

    /// The fence has let it through. What the runtime shows does not matter any more: if the process runs, it gets it.
    pub(super) fn pass_on(&mut self, world: &mut World, call: CallId, fetch: &Fetch) {
        // Also if the object breaks over this, the request is on its way.
        self.step(world, Input::TrafficBegan);
        if world.platform.is_running(self.container) {
            let kind = world.platform.kind(self.container);
            world.oracle.served(world.now, self.container, kind, fetch);
            if let Some(memory) = &mut self.memory {
                memory.unanswered.insert(call);
                let most = if self.luck.chance(world, Purpose::Answer, 0.01) { 20_000 } else { 30 };
                let delay = self.luck.between(world, Purpose::Answer, 1, most);
                world.later(self.addr, delay, Private::Responds(call));
            }
        } else {
            self.not_answered(world, call);
        }
    }

    /// The process has answered, if it lived so long.
    pub(super) fn responds(&mut self, world: &mut World, call: CallId) {
        let Some(memory) = &mut self.memory else { return };
        if !memory.unanswered.remove(&call) {
            return;
        }
        if !world.platform.is_running(self.container) {
            return self.not_answered(world, call);
        }
        world.answer(call, Response::Fetched(Fetched::Served));
        if self.luck.chance(world, Purpose::Answer, 0.03) {
            // A stream.
            let delay = self.luck.between(world, Purpose::Answer, 1_000, 120_000);
            world.later(self.addr, delay, Private::TrafficEnds);
        } else {
            self.step(world, Input::TrafficEnded);
        }
    }

    fn not_answered(&mut self, world: &mut World, call: CallId) {
        self.look(world);
        if self.memory.is_some() {
            world.answer(call, Response::Fetched(Fetched::Failed));
            self.step(world, Input::TrafficEnded);
        }
    }
}

impl Waiting {
    fn is_told(&self, which: CallId) -> bool {
        matches!(self, Self::Told(call) if *call == which)
    }
}

fn refuse(world: &mut World, call: CallId, refusal: Refusal) {
    world.answer(call, Response::Fetched(Fetched::Fenced(refusal)));
}

/// How long a caller waits for the owner to hear that the container has ended.
const TELL_WITHIN: Millis = Millis::from_secs(2);
