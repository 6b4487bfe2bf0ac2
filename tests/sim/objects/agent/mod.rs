//! The `ContainerAgent` object: an [`Agent`] with what `src/edge/agent_do` does around it.
//!
//! One step is: the machine's step, the record as JSON text, the alarm; and only then what it wants done. A write that fails
//! throws the object away with all it had in memory, and nothing of the step is done; an alarm that rang for it is set
//! again. An object that was never asked anything leaves no trace.
//!
//! What its runtime shows it is not what is true:
//!
//! - It sees no process once its monitor has ended, whatever the cause, until it is built anew; then it cannot end what still
//!   runs either (`destroy` finds nothing to do).
//! - Half of the starts that the platform refuses throw; the others seem to work, and their monitor ends with the text.
//! - A monitor may be lost ([`Fault::LostAfter`]) in place of telling of an exit, or while the process runs.
//! - It sees that a process has ended a little before its monitor says so.
//! - A port that never answers refuses, or takes a connection and says nothing.
//!
//! Left out: engines that start again what has exited, and the time after which a runtime ends the container of an object
//! that sleeps.
//!
//! | file | part |
//! |---|---|
//! | [`effects`] | what a step wants done, and how that ends |
//! | [`requests`] | the way of a request |
//! | [`process`] | luck, and what is the same for a JavaScript class |

mod effects;
pub mod process;
mod requests;
pub mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::agent::{Agent, Caller, Destruction, Input, LeaseAnswer, Life, Orders, Record, Save};
use cf_warm_pools::core::id::ContainerId;
use cf_warm_pools::wire::agent::{LeaseReply, StartRequest, Status};

use self::process::{Attempts, Luck, Purpose};
use super::Object;
use crate::faults::Fault;
use crate::world::message::{Addr, Answer, CallError, CallId, Fetch, Request, Response, Then};
use crate::world::{Private, World};

/// A container's object with a fence.
pub struct AgentObject {
    container: ContainerId,
    addr: Addr,
    /// The record, as it is stored.
    stored: Option<String>,
    luck: Luck,
    memory: Option<Memory>,
}

struct Memory {
    agent: Agent,
    sight: Sight,
    monitor: Monitor,
    outlook: Outlook,
    waiting: BTreeMap<Caller, Waiting>,
    next_caller: u64,
    /// Requests that the fence has let through in this step.
    admitted: Vec<(CallId, Fetch)>,
    /// Requests that the process has not answered yet.
    unanswered: BTreeSet<CallId>,
    destroying: Attempts<Target>,
    setting_up: SettingUp,
}

/// What the runtime shows of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    /// None.
    Nothing,
    /// The one there is, while it runs.
    Process,
    /// One that seems to run and was refused by the platform, with this text.
    Refused(&'static str),
}

#[derive(Clone, Debug)]
enum Monitor {
    None,
    Watches,
    /// It is about to say so.
    Ends(MonitorEnd),
}

#[derive(Clone, Debug)]
enum MonitorEnd {
    Exited(i32),
    Lost(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outlook {
    Alive,
    /// It is about to be built anew.
    Ending,
}

/// Who waits for an answer of the machine.
#[derive(Clone, Debug)]
enum Waiting {
    Method(CallId),
    Admission(CallId, Box<Fetch>),
    Told(CallId),
}

/// What an attempt to destroy is made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// What the platform refused to start: there is nothing to end.
    Refused,
    Process,
}

/// What the setup request will be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SettingUp {
    Nothing,
    Status(u16),
    Hangs,
}

impl AgentObject {
    pub fn new(container: ContainerId) -> Self {
        let luck = Luck::new(container);
        Self { container, addr: Addr::Container(container), stored: None, luck, memory: None }
    }

    /// What is stored.
    pub fn record(&self) -> Option<Record> {
        self.stored.as_deref().map(|text| serde_json::from_str(text).unwrap())
    }

    /// The process has ended, by whatever cause: a monitor notices.
    pub fn process_ended(&mut self, world: &mut World) {
        let Some(memory) = &mut self.memory else { return };
        if !matches!(memory.monitor, Monitor::Watches) {
            return;
        }
        let end = if self.luck.strikes(world, Purpose::End, Fault::LostAfter) {
            MonitorEnd::Lost(CONNECTION_LOST)
        } else {
            let codes = [0, 1, 137, 143];
            MonitorEnd::Exited(codes[self.luck.below(world, Purpose::End, codes.len() as u64) as usize])
        };
        memory.monitor = Monitor::Ends(end);
        let delay = self.luck.between(world, Purpose::End, 1, 20);
        world.later(self.addr, delay, Private::Exited);
    }

    /// Builds the machine from what is stored, and has it take up what was under way.
    fn load(&mut self, world: &mut World) {
        if self.memory.is_some() {
            return;
        }
        let running = world.platform.is_running(self.container);
        self.memory = Some(Memory {
            agent: Agent::new(self.record()),
            sight: if running { Sight::Process } else { Sight::Nothing },
            monitor: Monitor::None,
            outlook: Outlook::Alive,
            waiting: BTreeMap::new(),
            next_caller: 0,
            admitted: Vec::new(),
            unanswered: BTreeSet::new(),
            destroying: Attempts::new(),
            setting_up: SettingUp::Nothing,
        });
        self.step(world, Input::Awoken { running });
    }

    /// Takes in what happened, and carries out what follows. Afterwards the object may be gone.
    fn step(&mut self, world: &mut World, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(memory) = &mut self.memory else { return };
            world.trace.note(world.now, || format!("{} <- {input:?}", self.container));
            let mut effects = Vec::new();
            memory.agent.step(world.clock(self.addr), input, &mut effects);
            if self.save(world).is_err() {
                world.trace.note(world.now, || format!("{}: the write fails", self.container));
                return self.lose(world);
            }
            inputs.extend(effects.into_iter().filter_map(|effect| self.carry_out(world, effect)));
        }
        let admitted = self.memory.as_mut().map(|memory| std::mem::take(&mut memory.admitted));
        for (call, fetch) in admitted.into_iter().flatten() {
            self.pass_on(world, call, &fetch);
        }
    }

    /// Writes what changed, and sets the alarm.
    fn save(&mut self, world: &mut World) -> Result<(), ()> {
        let Some(memory) = &mut self.memory else { return Err(()) };
        let untouched = memory.agent.record().is_none() && memory.agent.next_alarm().is_none();
        let unsaved = memory.agent.unsaved().map(|save| match save {
            Save::Write(record) => Some(serde_json::to_string(record).unwrap()),
            Save::Erase => None,
        });
        match unsaved {
            None if untouched => return Ok(()),
            None => {}
            Some(text) => {
                if self.luck.strikes(world, Purpose::Write, Fault::WriteFailed) {
                    return Err(());
                }
                world.trace.mark(&(self.container, &text));
                self.stored = text;
            }
        }
        world.set_alarm(self.addr, memory.agent.next_alarm());
        Ok(())
    }

    /// Drops what is in memory, whatever it is.
    fn lose(&mut self, world: &mut World) {
        if self.memory.take().is_some() {
            world.drop_memory(self.addr);
        }
    }

    /// Puts a question to the machine for somebody who waits.
    fn ask(&mut self, world: &mut World, waiting: Waiting, question: impl FnOnce(Caller) -> Input) {
        if let Some(memory) = &mut self.memory {
            let caller = memory.wait(waiting);
            self.step(world, question(caller));
        }
    }

    /// Notices a process that has ended without anybody saying so.
    fn look(&mut self, world: &mut World) {
        if self.is_missing(world) {
            self.step(world, Input::FoundStopped { caller: None });
        }
    }

    /// Whether a process should run, and does not.
    fn is_missing(&self, world: &World) -> bool {
        self.memory.as_ref().is_some_and(|memory| {
            memory.outlook == Outlook::Alive && memory.agent.expects_process() && !self.sees_process(world)
        })
    }

    /// What the runtime says.
    fn sees_process(&self, world: &World) -> bool {
        match self.memory.as_ref().map(|memory| memory.sight) {
            Some(Sight::Process) => world.platform.is_running(self.container),
            Some(Sight::Refused(_)) => true,
            Some(Sight::Nothing) | None => false,
        }
    }

    fn state(&self) -> Option<Status> {
        let Some(record) = self.memory.as_ref()?.agent.record() else { return Some(Status::Stopped) };
        Some(match record.life {
            Life::Starting { .. } => Status::Running,
            Life::Ready => Status::Healthy,
            Life::Stopping { .. } => Status::Stopping,
            Life::Stopped(_) if record.exit_code.is_some() => Status::StoppedWithCode,
            Life::Stopped(_) => Status::Stopped,
        })
    }
}

impl Memory {
    fn wait(&mut self, waiting: Waiting) -> Caller {
        let caller = self.caller();
        self.waiting.insert(caller, waiting);
        caller
    }

    fn caller(&mut self) -> Caller {
        self.next_caller += 1;
        Caller(self.next_caller)
    }
}

impl Object for AgentObject {
    fn arrives(&mut self, world: &mut World, call: CallId, _from: Option<Addr>, request: Request) {
        self.load(world);
        match request {
            Request::Start(request) => {
                let StartRequest { container, owner, start, sleep_after, lease_ttl, drain_timeout } = *request;
                let orders = Box::new(Orders { container, owner, start, sleep_after, lease_ttl, drain_timeout });
                self.ask(world, Waiting::Method(call), |caller| Input::StartAsked { caller, orders });
            }
            Request::Stop => self.ask(world, Waiting::Method(call), |caller| Input::StopAsked { caller }),
            Request::Destroy => self.ask(world, Waiting::Method(call), |caller| Input::DestroyAsked { caller }),
            Request::GetState => {
                self.look(world);
                if let Some(status) = self.state() {
                    world.answer(call, Response::State(status));
                }
            }
            Request::Renew => {
                self.step(world, Input::RenewAsked);
                if self.memory.is_some() {
                    world.answer(call, Response::Nothing);
                }
            }
            Request::Fetch(fetch) => self.fetch(world, call, fetch),
            other => panic!("a container has no such method: {other:?}"),
        }
    }

    fn ended(&mut self, world: &mut World, then: Then, answer: Answer) {
        let input = match then {
            Then::Lease { key, asked_at } => {
                let answer = match answer {
                    Ok(Response::Lease(LeaseReply::Granted(ttl))) => LeaseAnswer::Granted(ttl),
                    Ok(Response::Lease(LeaseReply::Denied)) => LeaseAnswer::Denied,
                    Ok(Response::Lease(LeaseReply::Elsewhere(shard))) => LeaseAnswer::Elsewhere(shard),
                    Ok(_) | Err(_) => LeaseAnswer::Failed,
                };
                Input::LeaseAnswered { key, asked_at, answer }
            }
            Then::OwnerTold => Input::Reported(match answer {
                Ok(Response::Heard(_)) => Ok(()),
                Ok(other) => Err(format!("{other:?}")),
                Err(CallError::Threw(message)) => Err(message),
                Err(CallError::Late) => Err("no answer within 10000 ms".to_owned()),
            }),
            other => panic!("a container makes no such call: {other:?}"),
        };
        self.step(world, input);
    }

    fn private(&mut self, world: &mut World, what: Private) {
        match what {
            Private::Probed => self.probed(world),
            Private::SetUp => self.set_up(world),
            Private::Exited => self.monitor_ended(world),
            Private::MonitorLost => self.monitor_lost(world),
            Private::Destroyed => self.destroyed(world),
            Private::FoundNothing => self.step(world, Input::Destroyed(Ok(Destruction::NothingToDo))),
            Private::Rebuild => self.forget(world),
            Private::TellWithin(call) => self.told_late(world, call),
            Private::Responds(call) => self.responds(world, call),
            Private::TrafficEnds => self.step(world, Input::TrafficEnded),
            other => panic!("an agent waits for no such thing: {other:?}"),
        }
    }

    fn alarm(&mut self, world: &mut World) {
        self.load(world);
        self.look(world);
        self.step(world, Input::Alarm);
        if self.memory.is_none() {
            // What it was to do at its alarm is not done, and nothing is set to do it.
            world.set_alarm(self.addr, Some(world.clock(self.addr) + RETRY_AFTER));
        }
    }

    fn forget(&mut self, world: &mut World) {
        if let Some(memory) = &self.memory {
            let (held, stored) = (memory.agent.record(), self.record());
            if held != stored.as_ref() {
                let what = format!("{} holds {held:?} and has written {stored:?}", self.container);
                world.oracle.broken(world.now, "durable", what);
            }
        }
        self.lose(world);
    }
}

/// How long until an agent whose alarm handler failed tries again.
const RETRY_AFTER: Millis = Millis::from_secs(60);
const CONNECTION_LOST: &str = "Network connection lost.";
