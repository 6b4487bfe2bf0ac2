//! What a step of the agent wants done, and how that ends.

use cf_warm_pools::config::resolved::{Millis, Setup};
use cf_warm_pools::core::agent::{Caller, Destruction, Effect, Input, ProbeResult, Refusal, Reply, SetupResult};
use cf_warm_pools::wire::agent::{LeaseRequest, StartReply};
use cf_warm_pools::wire::shard::Forwarded;

use super::process::Purpose;
use super::{AgentObject, CONNECTION_LOST, Monitor, MonitorEnd, Outlook, SettingUp, Sight, Target, Waiting};
use crate::faults::Fault;
use crate::world::message::{Addr, Fetched, Request, Response, Then};
use crate::world::{Private, World};

/// How long a call to the owner may take.
const OWNER_DEADLINE: Millis = Millis::from_secs(10);

impl AgentObject {
    /// Does it, or begins to. What can be told at once is returned.
    pub(super) fn carry_out(&mut self, world: &mut World, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Start(_) => return self.start(world).err().map(Input::StartThrew),
            Effect::Monitor => self.monitor(world),
            Effect::Probe { after, within, .. } => self.probe(world, after, within),
            Effect::SetUp { setup, .. } => self.send_setup(world, &setup),
            Effect::Terminate => {
                // Of what it does not see it is told that it does not run.
                if self.sees_process(world) {
                    world.terminate_process(self.container);
                }
            }
            Effect::Destroy => self.destroy(world),
            Effect::Rebuild => {
                if let Some(memory) = &mut self.memory
                    && memory.outlook == Outlook::Alive
                {
                    memory.outlook = Outlook::Ending;
                    let delay = self.luck.between(world, Purpose::Rebuild, 1, 10);
                    world.later(self.addr, delay, Private::Rebuild);
                }
            }
            Effect::Report { owner, container } => {
                let request = Request::ReportStopped { container, forwarded: Some(Forwarded::ToOwner) };
                world.call(self.addr, Addr::of_shard(&owner), request, OWNER_DEADLINE, Then::OwnerTold);
            }
            Effect::AskLease { owner, container, key, asked_at } => {
                let question = LeaseRequest { container, session: key.session.clone(), epoch: key.epoch };
                let then = Then::Lease { key, asked_at };
                world.call(self.addr, Addr::of_shard(&owner), Request::ConfirmLease(question), OWNER_DEADLINE, then);
            }
            Effect::Reply { caller, reply } => self.reply(world, caller, reply),
        }
        None
    }

    fn start(&mut self, world: &mut World) -> Result<(), String> {
        if self.stored.is_none() {
            let what = format!("{} is started before that is written down", self.container);
            world.oracle.broken(world.now, "accounted", what);
        }
        let sight = match world.start_process(self.container) {
            Ok(()) => Sight::Process,
            Err(text) if self.luck.chance(world, Purpose::Refusal, 0.5) => Sight::Refused(text),
            Err(text) => return Err(text.to_owned()),
        };
        if let Some(memory) = &mut self.memory {
            memory.sight = sight;
        }
        Ok(())
    }

    fn monitor(&mut self, world: &mut World) {
        let sees_process = self.sees_process(world);
        let Some(memory) = &mut self.memory else { return };
        memory.monitor = match memory.sight {
            Sight::Process if sees_process => {
                if self.luck.chance(world, Purpose::Monitor, LOST_WHILE_RUNNING)
                    && self.luck.strikes(world, Purpose::Monitor, Fault::LostAfter)
                {
                    let delay = self.luck.between(world, Purpose::Monitor, 1, 120_000);
                    world.later(self.addr, delay, Private::MonitorLost);
                }
                Monitor::Watches
            }
            Sight::Refused(text) => {
                let delay = self.luck.between(world, Purpose::Refusal, 1, 400);
                world.later(self.addr, delay, Private::Exited);
                Monitor::Ends(MonitorEnd::Lost(text))
            }
            Sight::Process | Sight::Nothing => {
                world.later(self.addr, Millis(1), Private::Exited);
                Monitor::Ends(MonitorEnd::Lost("monitor() cannot be called on a container that is not running."))
            }
        };
    }

    /// What the monitor noticed it now says.
    pub(super) fn monitor_ended(&mut self, world: &mut World) {
        let Some(memory) = &mut self.memory else { return };
        let input = match &memory.monitor {
            Monitor::Ends(MonitorEnd::Exited(code)) => Input::Exited { code: Some(*code), message: None },
            Monitor::Ends(MonitorEnd::Lost(text)) => Input::MonitorLost((*text).to_owned()),
            Monitor::None | Monitor::Watches => return,
        };
        self.sees_no_more(world, input);
    }

    /// The monitor is lost, and the process runs.
    pub(super) fn monitor_lost(&mut self, world: &mut World) {
        if self.memory.as_ref().is_some_and(|memory| matches!(memory.monitor, Monitor::Watches)) {
            self.sees_no_more(world, Input::MonitorLost(CONNECTION_LOST.to_owned()));
        }
    }

    /// The monitor has ended, and with it all the object knows of its process; those who wait for it are let go.
    fn sees_no_more(&mut self, world: &mut World, input: Input) {
        let Some(memory) = &mut self.memory else { return };
        memory.monitor = Monitor::None;
        memory.sight = Sight::Nothing;
        let unanswered = std::mem::take(&mut memory.unanswered);
        self.step(world, input);
        for call in unanswered {
            world.answer(call, Response::Fetched(Fetched::Failed));
            self.step(world, Input::TrafficEnded);
        }
    }

    fn probe(&mut self, world: &mut World, after: Millis, within: Millis) {
        let never_answers = world.platform.process(self.container).is_some_and(|process| process.nature.boot.is_none());
        // A port that takes connections and says nothing, or one that refuses them.
        let takes = if never_answers && self.luck.chance(world, Purpose::Probe, 0.5) {
            within
        } else {
            self.luck.between(world, Purpose::Probe, 1, 5).min(within)
        };
        world.later(self.addr, after + takes, Private::Probed);
    }

    pub(super) fn probed(&mut self, world: &mut World) {
        let Some(memory) = &self.memory else { return };
        let asks_for_health = memory
            .agent
            .record()
            .and_then(|record| record.orders.as_ref())
            .is_some_and(|orders| orders.start.ready.path.is_some());
        let found = if !self.sees_process(world) {
            ProbeResult::NotRunning
        } else if world.listens(self.container) {
            ProbeResult::Status(200)
        } else if asks_for_health && self.luck.chance(world, Purpose::Probe, 0.2) {
            // It listens, and is not well yet.
            ProbeResult::Status(503)
        } else {
            ProbeResult::NoAnswer
        };
        self.step(world, Input::Probed(found));
    }

    fn send_setup(&mut self, world: &mut World, setup: &Setup) {
        let answer = if !self.luck.strikes(world, Purpose::Setup, Fault::NeverReady) {
            SettingUp::Status(setup.expect)
        } else if self.luck.chance(world, Purpose::Setup, 0.5) {
            SettingUp::Status(500)
        } else {
            SettingUp::Hangs
        };
        let takes = match answer {
            SettingUp::Hangs => setup.timeout,
            SettingUp::Nothing | SettingUp::Status(_) => {
                self.luck.between(world, Purpose::Setup, 5, 500).min(setup.timeout)
            }
        };
        if let Some(memory) = &mut self.memory {
            memory.setting_up = answer;
            world.later(self.addr, takes, Private::SetUp);
        }
    }

    pub(super) fn set_up(&mut self, world: &mut World) {
        let Some(memory) = &mut self.memory else { return };
        let answer = std::mem::replace(&mut memory.setting_up, SettingUp::Nothing);
        let result = match answer {
            _ if !world.platform.is_running(self.container) => SetupResult::Failed(CONNECTION_LOST.to_owned()),
            SettingUp::Status(status) => SetupResult::Status(status),
            SettingUp::Hangs => SetupResult::TimedOut,
            SettingUp::Nothing => return,
        };
        self.step(world, Input::SetUp(result));
    }

    fn destroy(&mut self, world: &mut World) {
        let sees_process = self.sees_process(world);
        let Some(memory) = &mut self.memory else { return };
        let target = match memory.sight {
            Sight::Process if sees_process => Some(Target::Process),
            Sight::Refused(_) => Some(Target::Refused),
            Sight::Process | Sight::Nothing => None,
        };
        match target {
            Some(target) => memory.destroying.begin(world, &mut self.luck, self.addr, target),
            None => world.later(self.addr, Millis(0), Private::FoundNothing),
        }
    }

    pub(super) fn destroyed(&mut self, world: &mut World) {
        let Some(memory) = &mut self.memory else { return };
        let Some(attempt) = memory.destroying.end(world, self.container) else { return };
        if attempt.waiting == Target::Refused && attempt.result.is_ok() {
            memory.sight = Sight::Nothing;
        }
        if attempt.killed {
            self.process_ended(world);
        }
        self.step(world, Input::Destroyed(attempt.result.map(|()| Destruction::Done)));
    }

    fn reply(&mut self, world: &mut World, caller: Caller, reply: Reply) {
        let Some(memory) = &mut self.memory else { return };
        // Who has gone away does not mind.
        let Some(waiting) = memory.waiting.remove(&caller) else { return };
        let (call, response) = match (waiting, reply) {
            (Waiting::Method(call), Reply::Started(Ok(()))) => (call, Response::Started(StartReply::Ready)),
            (Waiting::Method(call), Reply::Started(Err(failure))) => {
                (call, Response::Started(StartReply::Failed(failure)))
            }
            (Waiting::Method(call), Reply::Stopped | Reply::Destroyed(Ok(()))) => (call, Response::Nothing),
            (Waiting::Method(call), Reply::Destroyed(Err(message))) => {
                return world.throw(call, &format!("The container may still run: {message}"));
            }
            (Waiting::Admission(call, fetch), Reply::Admitted(Ok(()))) => {
                return memory.admitted.push((call, *fetch));
            }
            (Waiting::Admission(call, _), Reply::Admitted(Err(refusal))) => {
                (call, Response::Fetched(Fetched::Fenced(refusal)))
            }
            (Waiting::Told(call), Reply::Told) => (call, Response::Fetched(Fetched::Fenced(Refusal::Gone))),
            (waiting, reply) => panic!("{waiting:?} was answered {reply:?}"),
        };
        world.answer(call, response);
    }
}

/// Of the monitors that could be lost, how many are lost while the process runs.
const LOST_WHILE_RUNNING: f64 = 0.1;
