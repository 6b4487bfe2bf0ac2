//! The end of a process, as the object comes to know of it, and as the pool does.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::{ShardId, ShardIndex};
use cf_warm_pools::wire::agent::Status;

use super::super::agent::process::Purpose;
use super::{ClassObject, Monitor};
use crate::faults::Fault;
use crate::world::World;
use crate::world::message::{Addr, Answer, CallError, CallId, Fetch, Fetched, Request, Response, Then};

/// An `onStop` under way.
pub(super) struct OnStop {
    /// The change of the status before it.
    change: u64,
    then: Next,
}

/// What waits for the pool to know of an end, if there is one it does not know of.
pub(super) enum Next {
    Start(CallId),
    Stop(CallId),
    Fetch(CallId, Box<Fetch>),
    Alarm,
}

impl ClassObject {
    /// Delivers an end that `onStop` has not heard of, and goes on.
    pub(super) fn sync(&mut self, world: &mut World, then: Next) {
        let stored = self.status();
        let unheard = match stored.status {
            Status::Running | Status::Healthy | Status::StoppedWithCode => !world.platform.is_running(self.container),
            Status::Stopping | Status::Stopped => false,
        };
        let Some(memory) = &mut self.memory else { return };
        // One that is under way is not waited for.
        if !unheard || memory.on_stop.is_some() {
            return self.go_on(world, then, Ok(()));
        }
        let Some(owner) = self.owner.clone() else {
            // Nobody ever used it, so that nothing ran.
            self.store(Status::Stopped);
            return self.go_on(world, then, Ok(()));
        };
        memory.on_stop = Some(OnStop { change: stored.change, then });
        let shard = if self.luck.chance(world, Purpose::Shard, 0.6) {
            owner
        } else {
            let index = self.luck.below(world, Purpose::Shard, SHARDS) as u32;
            ShardId { index: ShardIndex(index), ..owner }
        };
        let report = Request::ReportStopped { container: self.container, forwarded: None };
        world.call(self.addr, Addr::of_shard(&shard), report, REPORT_DEADLINE, Then::OwnerTold);
    }

    pub(super) fn on_stop_ended(&mut self, world: &mut World, answer: Answer) {
        let Some(OnStop { change, then }) = self.memory.as_mut().and_then(|memory| memory.on_stop.take()) else {
            return;
        };
        let result = match answer {
            Ok(_) => Ok(()),
            Err(CallError::Threw(text)) => Err(text),
            Err(CallError::Late) => Err("the pool did not answer".to_owned()),
        };
        if result.is_ok() && self.status().change == change {
            self.store(Status::Stopped);
        }
        self.go_on(world, then, result);
    }

    fn go_on(&mut self, world: &mut World, then: Next, result: Result<(), String>) {
        match (then, result) {
            (Next::Start(call), Ok(())) => self.start(world, call, None),
            (Next::Fetch(call, fetch), Ok(())) => self.start(world, call, Some(fetch)),
            (Next::Stop(call), Ok(())) => world.answer(call, Response::Nothing),
            (Next::Start(call) | Next::Stop(call), Err(text)) => world.throw(call, &text),
            (Next::Fetch(call, _), Err(_)) => world.answer(call, Response::Fetched(Fetched::Failed)),
            (Next::Alarm, Ok(())) => self.arm(world, None),
            // The platform tries the handler again.
            (Next::Alarm, Err(_)) => self.arm(world, Some(world.clock(self.addr) + ALARM_RETRY)),
        }
    }

    /// The monitor has ended.
    pub(super) fn notice(&mut self, world: &mut World) {
        let Some(memory) = &mut self.memory else { return };
        if memory.monitor != Monitor::Ends {
            // Another process runs by now.
            return;
        }
        memory.monitor = Monitor::Unheard;
        let code_is_lost = self.luck.strikes(world, Purpose::Notice, Fault::LostAfter);
        self.store(if code_is_lost { Status::Stopped } else { Status::StoppedWithCode });
        // The alarm's handler slept for as long as the process ran.
        let delay = self.luck.between(world, Purpose::Notice, 0, 1_000);
        self.arm(world, Some(world.clock(self.addr) + delay));
    }

    pub(super) fn alarm_rings(&mut self, world: &mut World) {
        if !world.platform.is_running(self.container) {
            return self.sync(world, Next::Alarm);
        }
        let now = world.clock(self.addr);
        let Some(memory) = &self.memory else { return };
        let (in_flight, sleep_at) = (memory.in_flight, memory.sleep_at);
        if in_flight == 0 && sleep_at <= now {
            world.terminate_process(self.container);
            self.renew(world);
        } else if in_flight > 0 {
            self.renew(world);
        }
        let sleep_at = self.memory.as_ref().map_or(now, |memory| memory.sleep_at);
        self.arm(world, Some(sleep_at.min(now + LONGEST_SLEEP)));
    }
}

/// A class that does not know its owner tells any of so many shards.
const SHARDS: u64 = 4;
const REPORT_DEADLINE: Millis = Millis::from_secs(10);
const ALARM_RETRY: Millis = Millis::from_secs(2);
const LONGEST_SLEEP: Millis = Millis::from_secs(180);
