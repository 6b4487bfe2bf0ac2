//! `startAndWaitForPorts`: the process, then a port that answers.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::wire::agent::Status;

use super::super::agent::process::Purpose;
use super::{ClassObject, Monitor};
use crate::world::message::{CallId, Fetch, Fetched, Response};
use crate::world::{Private, World};

/// A caller that waits for the port: each polls for itself.
pub(super) struct Start {
    polls_left: u32,
    /// What the platform said to the start that it joined.
    refused: Option<&'static str>,
    /// The request that made it start, if none asked for a start.
    fetch: Option<Box<Fetch>>,
}

impl ClassObject {
    pub(super) fn start(&mut self, world: &mut World, call: CallId, fetch: Option<Box<Fetch>>) {
        let joins = self.memory.as_ref().is_some_and(|memory| memory.refused.is_some());
        if !joins && !world.platform.is_running(self.container) {
            let started = world.start_process(self.container);
            // What the platform refuses seems to run for a moment.
            self.store(Status::Running);
            self.schedule_next_alarm(world);
            self.renew(world);
            if let Some(memory) = &mut self.memory {
                memory.monitor = Monitor::Unheard;
                memory.refused = started.err();
            }
        }
        let Some(memory) = &mut self.memory else { return };
        let refused = memory.refused;
        memory.starts.insert(call, Start { polls_left: POLLS, refused, fetch });
        let first = self.luck.between(world, Purpose::Poll, 1, if refused.is_some() { 400 } else { 50 });
        world.later(self.addr, first, Private::Poll(call));
    }

    pub(super) fn poll(&mut self, world: &mut World, call: CallId) {
        let Some(memory) = &mut self.memory else { return };
        let Some(mut start) = memory.starts.remove(&call) else { return };
        if let Some(text) = start.refused {
            memory.refused = None;
            self.store(Status::Stopped);
            return fail(world, call, &start, text);
        }
        if !world.platform.is_running(self.container) {
            // Noticed by the next alarm, start or stop.
            let texts = ["Network connection lost.", "The container is not running, consider calling start()"];
            let text = texts[self.luck.below(world, Purpose::Text, 2) as usize];
            return fail(world, call, &start, text);
        }
        if world.listens(self.container) {
            memory.monitor = Monitor::Watches;
            self.store(Status::Healthy);
            return match start.fetch {
                Some(fetch) => self.pass_on(world, call, &fetch),
                None => world.answer(call, Response::Nothing),
            };
        }
        start.polls_left -= 1;
        if start.polls_left == 0 {
            let texts = [
                "Failed to verify port 8080 is available after 20100ms",
                "The container is not listening in the TCP address 10.0.0.1:8080",
            ];
            let text = texts[self.luck.below(world, Purpose::Text, 2) as usize];
            return fail(world, call, &start, text);
        }
        memory.starts.insert(call, start);
        world.later(self.addr, POLL, Private::Poll(call));
    }
}

/// The start throws; a `fetch` that wanted it answers with the error in its own words.
fn fail(world: &mut World, call: CallId, start: &Start, text: &str) {
    if start.fetch.is_some() {
        world.answer(call, Response::Fetched(Fetched::Failed));
    } else {
        world.throw(call, text);
    }
}

/// 20 s of polls.
const POLLS: u32 = 67;
const POLL: Millis = Millis(300);
