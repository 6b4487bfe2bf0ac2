//! An object of a class that extends `Container` of `@cloudflare/containers` 0.3.7, as its author would write it: it tells the
//! pool of each end in `onStop`, and lets the error of that through.
//!
//! What it does follows the library's code, call by call:
//!
//! - The stored status is what `getState` answers. It says `running` or `healthy` of a process that is dead until that was
//!   noticed: by the monitor, up to seconds later and only while the object is in memory, else by the next alarm, start or stop.
//!   Nothing stores `stopping`. With [`Fault::Lies`] one answer is the opposite of the truth.
//! - `startAndWaitForPorts` first delivers an end that `onStop` has not heard of (an error of that fails the start), then starts
//!   or joins, then polls each 300 ms, 67 times; after that it throws and leaves the process running. What the platform
//!   refuses is thrown a moment later, in its words.
//! - `stop` signals and returns. `destroy` kills and leaves the status alone.
//! - `fetch` starts a container that does not run or is not `healthy`, whoever asks: there is no fence.
//! - An end whose exit code is not known ([`Fault::LostAfter`]) is stored as `stopped` at once, and `onStop` never runs.
//! - Its alarm looks every three minutes, or when it may be idle; it takes itself away when nothing runs. Being built sets it,
//!   so any call on an unused object leaves storage and an alarm.
//!
//! Decided here: `sleepAfter` is what the pool is told, ten minutes before that; of which pool it is it knows from the first call,
//! as its code would; its writes never fail; the text of a start that gave up is, half of the time, that of older versions.
//!
//! [`start`] is the way to a listening port, [`stop`] that of an end.

mod start;
mod stop;
pub mod tests;

use std::collections::{BTreeMap, BTreeSet};

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::{ContainerId, ShardId, ShardIndex};
use cf_warm_pools::wire::agent::Status;

use self::start::Start;
use self::stop::{Next, OnStop};
use super::Object;
use super::agent::process::{Attempts, Luck, Purpose};
use crate::faults::Fault;
use crate::world::message::{Addr, Answer, CallId, Fetch, Fetched, Request, Response, Then};
use crate::world::{Private, World};

/// A container's object without a fence.
pub struct ClassObject {
    container: ContainerId,
    addr: Addr,
    /// What its code says: the pool it reports to, and how long it may be idle.
    owner: Option<ShardId>,
    sleep_after: Millis,
    /// What is stored.
    status: Option<Stored>,
    alarm: Option<Millis>,
    luck: Luck,
    memory: Option<Memory>,
}

/// A status, and which change of it that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stored {
    status: Status,
    change: u64,
}

struct Memory {
    /// When it has been idle for long enough.
    sleep_at: Millis,
    in_flight: u32,
    monitor: Monitor,
    /// Why the start under way will fail.
    refused: Option<&'static str>,
    starts: BTreeMap<CallId, Start>,
    on_stop: Option<OnStop>,
    destroying: Attempts<CallId>,
    unanswered: BTreeSet<CallId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Monitor {
    /// Nobody listens to it.
    Unheard,
    Watches,
    /// The process has ended, and it will say so.
    Ends,
}

impl ClassObject {
    pub fn new(container: ContainerId) -> Self {
        Self {
            container,
            addr: Addr::Container(container),
            owner: None,
            sleep_after: Millis::from_secs(600),
            status: None,
            alarm: None,
            luck: Luck::new(container),
            memory: None,
        }
    }

    /// The process has ended, by whatever cause: the monitor will notice.
    pub fn process_ended(&mut self, world: &mut World) {
        let Some(memory) = &mut self.memory else { return };
        if memory.monitor == Monitor::Watches {
            memory.monitor = Monitor::Ends;
            let most = if self.luck.chance(world, Purpose::Notice, 0.2) { 5_000 } else { 100 };
            let delay = self.luck.between(world, Purpose::Notice, 1, most);
            world.later(self.addr, delay, Private::OnStop);
        }
    }

    /// The constructor.
    fn load(&mut self, world: &mut World) {
        if self.memory.is_some() {
            return;
        }
        let running = world.platform.is_running(self.container);
        self.memory = Some(Memory {
            sleep_at: Millis(0),
            in_flight: 0,
            monitor: if running { Monitor::Watches } else { Monitor::Unheard },
            refused: None,
            starts: BTreeMap::new(),
            on_stop: None,
            destroying: Attempts::new(),
            unanswered: BTreeSet::new(),
        });
        self.schedule_next_alarm(world);
        self.renew(world);
    }

    fn renew(&mut self, world: &World) {
        if let Some(memory) = &mut self.memory {
            memory.sleep_at = world.clock(self.addr) + self.sleep_after;
        }
    }

    /// What is stored; of an object that was never asked that is written first.
    fn status(&mut self) -> Stored {
        match self.status {
            Some(stored) => stored,
            None => self.store(Status::Stopped),
        }
    }

    fn store(&mut self, status: Status) -> Stored {
        let stored = Stored { status, change: self.status.map_or(0, |stored| stored.change) + 1 };
        self.status = Some(stored);
        stored
    }

    fn schedule_next_alarm(&mut self, world: &mut World) {
        self.arm(world, Some(world.clock(self.addr) + Millis(1_000)));
    }

    fn arm(&mut self, world: &mut World, at: Option<Millis>) {
        self.alarm = at;
        world.set_alarm(self.addr, at);
    }

    /// What `getState` answers.
    fn state(&mut self, world: &mut World) -> Status {
        let stored = self.status().status;
        let lies = self.luck.strikes(world, Purpose::State, Fault::Lies);
        match (lies, world.platform.is_running(self.container)) {
            (false, _) => stored,
            (true, true) => Status::Stopped,
            (true, false) => Status::Healthy,
        }
    }

    /// The process gets a request, if it runs.
    fn pass_on(&mut self, world: &mut World, call: CallId, fetch: &Fetch) {
        if !world.platform.is_running(self.container) {
            return world.answer(call, Response::Fetched(Fetched::Failed));
        }
        let kind = world.platform.kind(self.container);
        world.oracle.served(world.now, self.container, kind, fetch);
        self.renew(world);
        if let Some(memory) = &mut self.memory {
            memory.in_flight += 1;
            memory.unanswered.insert(call);
            let most = if self.luck.chance(world, Purpose::Answer, 0.01) { 20_000 } else { 30 };
            let delay = self.luck.between(world, Purpose::Answer, 1, most);
            world.later(self.addr, delay, Private::Responds(call));
        }
    }

    fn responds(&mut self, world: &mut World, call: CallId) {
        let Some(memory) = &mut self.memory else { return };
        if !memory.unanswered.remove(&call) {
            return;
        }
        let runs = world.platform.is_running(self.container);
        world.answer(call, Response::Fetched(if runs { Fetched::Served } else { Fetched::Failed }));
        if runs && self.luck.chance(world, Purpose::Answer, 0.03) {
            // A stream.
            let delay = self.luck.between(world, Purpose::Answer, 1_000, 120_000);
            return world.later(self.addr, delay, Private::TrafficEnds);
        }
        self.traffic_ends(world);
    }

    fn traffic_ends(&mut self, world: &World) {
        let Some(memory) = &mut self.memory else { return };
        memory.in_flight = memory.in_flight.saturating_sub(1);
        if memory.in_flight == 0 {
            self.renew(world);
        }
    }

    fn destroyed(&mut self, world: &mut World) {
        let Some(memory) = &mut self.memory else { return };
        let Some(attempt) = memory.destroying.end(world, self.container) else { return };
        if attempt.killed {
            self.process_ended(world);
        }
        match attempt.result {
            Ok(()) => world.answer(attempt.waiting, Response::Nothing),
            Err(text) => world.throw(attempt.waiting, &text),
        }
    }
}

impl Object for ClassObject {
    fn arrives(&mut self, world: &mut World, call: CallId, _from: Option<Addr>, request: Request) {
        if let Request::Start(request) = &request {
            self.owner.get_or_insert_with(|| request.owner.clone());
            self.sleep_after = request.sleep_after;
        }
        if let Request::Fetch(fetch) = &request {
            self.owner.get_or_insert_with(|| ShardId { pool: fetch.pool.clone(), index: ShardIndex(0) });
        }
        self.load(world);
        world.trace.note(world.now, || format!("{} <- {request:?} ({:?})", self.container, self.status));
        match request {
            Request::Start(_) => self.sync(world, Next::Start(call)),
            Request::Stop => {
                world.terminate_process(self.container);
                self.sync(world, Next::Stop(call));
            }
            Request::Destroy => match &mut self.memory {
                Some(memory) if world.platform.is_running(self.container) => {
                    memory.destroying.begin(world, &mut self.luck, self.addr, call);
                }
                Some(_) | None => world.answer(call, Response::Nothing),
            },
            Request::GetState => {
                let status = self.state(world);
                world.answer(call, Response::State(status));
            }
            Request::Renew => {
                self.renew(world);
                world.answer(call, Response::Nothing);
            }
            Request::Fetch(fetch) => {
                let healthy = self.status().status == Status::Healthy;
                if healthy && world.platform.is_running(self.container) {
                    self.pass_on(world, call, &fetch);
                } else {
                    self.sync(world, Next::Fetch(call, Box::new(fetch)));
                }
            }
            other => panic!("a container has no such method: {other:?}"),
        }
    }

    fn ended(&mut self, world: &mut World, then: Then, answer: Answer) {
        match then {
            Then::OwnerTold => self.on_stop_ended(world, answer),
            other => panic!("a container makes no such call: {other:?}"),
        }
    }

    fn private(&mut self, world: &mut World, what: Private) {
        match what {
            Private::Poll(call) => self.poll(world, call),
            Private::OnStop => self.notice(world),
            Private::Destroyed => self.destroyed(world),
            Private::Responds(call) => self.responds(world, call),
            Private::TrafficEnds => self.traffic_ends(world),
            other => panic!("a class waits for no such thing: {other:?}"),
        }
    }

    fn alarm(&mut self, world: &mut World) {
        self.alarm = None;
        self.load(world);
        self.alarm_rings(world);
    }

    fn forget(&mut self, world: &mut World) {
        if self.memory.take().is_none() {
            return;
        }
        world.drop_memory(self.addr);
        // An alarm handler sleeps for as long as the process runs; one that is cut off is run again.
        if self.alarm.is_some()
            && world.platform.is_running(self.container)
            && self.luck.chance(world, Purpose::Alarm, 0.5)
        {
            let delay = self.luck.between(world, Purpose::Alarm, 100, 2_000);
            self.arm(world, Some(world.clock(self.addr) + delay));
        }
    }
}
