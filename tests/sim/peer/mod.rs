//! The pool object of `cf-container-warm-pool` 0.1.2 as a pure state machine, so that it can live in the same world as
//! ours and be held to the same promises.
//!
//! It is a model of behaviour: what the library does between two of its RPC calls is one step, and in what order it
//! reads, calls, changes its memory and writes is followed exactly. Nothing in it is there to go wrong; the faults are
//! what that order leads to.
//!
//! What always holds: code between two awaited calls is atomic. Awaited storage lets nothing else in, so it ends in the
//! step it began in, and the one `Save` of a step comes before everything that leaves the object. Only the rows outlive
//! the object: what it had in memory and the calls it had under way are lost with it.
//!
//! | fault | how it comes about here |
//! |---|---|
//! | `reportStopped` with the object's hex id does nothing | containers are known by UUID, and texts are compared |
//! | first calls for one id start several containers | the id is written down only when its start has ended |
//! | the second caller of a dead mapping deletes a new one | after the answer it deletes whatever the id has by then |
//! | a start that fails leaves a container nobody knows | the name is dropped, and nothing is stopped |
//! | containers told to stop are handed out | they leave the warm list only after the answer |
//! | one that ignores SIGTERM runs on, unknown | an answered `stop` counts as its end |
//! | one failed `getState` ends a mapping | an error counts as "not running", the platform's call limit makes some |
//! | a restart during a refill orphans what it started | the warm list is written after the last start |
//! | a ceiling of 0 is learned and kept | the ceiling is what is listed, and starts under way are not |
//! | reading stats resets the target | each client sends its settings first, and they replace all others |
//! | at about 26,000 ids all new ones fail | the whole map is one stored value, of at most 2 MB |
//! | a pool is refilled late and slowly | only the alarm refills, one start after the other |
//!
//! Left out, as they lie outside this object: the hard-coded binding (the world wires its own), the KV cache with its
//! keys and its write limit (the client's part), and a refresh interval that is not a number (here it always is one).
//! That any name makes a pool of five is in it, but a world with fixed pool names never shows it.
//! Milder than the library: its writes of one step cannot be torn apart.
//!
//! What it asks of the world: each call of a living object ends, at least with `Threw`; a call of a lost object never
//! does; the client's part is done outside: `Configure` before each `GetContainer`, `Stats` and `ShutdownPrewarmed`.

mod alarm;
mod messages;
mod rows;
pub mod tests;

use std::collections::{BTreeMap, VecDeque};

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::{ContainerId, SessionId};

use alarm::Round;
pub use messages::{CAPACITY_MESSAGE, CallNo, PeerCall, PeerCaller, PeerEffect, PeerInput, PeerResult, PeerStatus};
pub use rows::{PeerConfig, PeerRows};

/// The pool object.
pub struct PeerPool {
    // As the library has it in memory. It may be ahead of what is stored.
    warm: Vec<ContainerId>,
    assigned: Vec<(SessionId, ContainerId)>,
    config: PeerConfig,
    ceiling: Option<usize>,
    /// A start was refused for want of room since the last alarm.
    refused: bool,

    initialised: bool,
    /// An alarm handler is under way. The platform runs one at a time.
    in_alarm: bool,
    /// What goes on when a call ends.
    tasks: BTreeMap<CallNo, Task>,
    next_call: u64,
    stored: PeerRows,
    unsaved: bool,
}

/// A method that waits for a call.
enum Task {
    /// `getContainer` asks whether the id's container runs.
    Look { caller: PeerCaller, id: SessionId, container: ContainerId },
    /// `getContainer` starts one.
    Start { caller: PeerCaller, id: SessionId, container: ContainerId },
    /// `shutdownPrewarmed` stops one after the other.
    Shutdown { caller: PeerCaller, stopping: ContainerId, rest: VecDeque<ContainerId> },
    /// The alarm handler.
    Alarm(Round),
}

/// What a step has of the world.
struct Turn<'a> {
    now: Millis,
    unique: &'a mut dyn FnMut() -> u128,
    effects: &'a mut Vec<PeerEffect>,
}

impl Turn<'_> {
    fn reply(&mut self, caller: PeerCaller, result: Result<Option<ContainerId>, String>) {
        self.effects.push(PeerEffect::Reply { caller, result });
    }

    fn new_container(&mut self) -> ContainerId {
        ContainerId::from_random((self.unique)())
    }
}

impl PeerPool {
    /// The object as it comes to life over `rows`.
    pub fn load(rows: PeerRows) -> Self {
        Self {
            warm: rows.warm.clone(),
            assigned: rows.assigned.clone(),
            config: rows.config.unwrap_or_default(),
            ceiling: rows.ceiling,
            refused: false,
            initialised: false,
            in_alarm: false,
            tasks: BTreeMap::new(),
            next_call: 0,
            stored: rows,
            unsaved: false,
        }
    }

    /// Takes `input` at `now`, and appends what is to be done. `unique` gives 128 random bits.
    pub fn step(
        &mut self,
        now: Millis,
        input: PeerInput,
        unique: &mut dyn FnMut() -> u128,
        effects: &mut Vec<PeerEffect>,
    ) {
        let first = effects.len();
        let turn = &mut Turn { now, unique, effects };
        match input {
            PeerInput::Ended { call, result } => self.ended(turn, call, &result),
            PeerInput::Alarm => {
                self.stored.alarm = None;
                self.unsaved = true;
                self.initialise(turn);
                self.alarm(turn);
            }
            PeerInput::Configure { warm_target, refresh_interval } => {
                self.initialise(turn);
                self.config = PeerConfig { warm_target, refresh_interval };
                self.stored.config = Some(self.config);
                self.unsaved = true;
            }
            PeerInput::GetContainer { caller, id } => {
                self.initialise(turn);
                self.get_container(turn, caller, id);
            }
            PeerInput::ReportStopped(name) => {
                self.initialise(turn);
                if let Ok(container) = name.parse() {
                    self.remove(container);
                }
                // Nobody waits for an answer, so an error of the storage is seen by none.
                let _ = self.persist();
            }
            PeerInput::Stats { caller } => {
                self.initialise(turn);
                turn.reply(caller, Ok(None));
            }
            PeerInput::ShutdownPrewarmed { caller } => {
                self.initialise(turn);
                let warm = self.warm.iter().copied().collect();
                self.shut_down(turn, caller, warm);
            }
        }
        if std::mem::take(&mut self.unsaved) {
            effects.insert(first, PeerEffect::Save(self.stored.clone()));
        }
    }

    /// The first event of a life sets the alarm, unless one is set.
    fn initialise(&mut self, turn: &mut Turn) {
        if !std::mem::replace(&mut self.initialised, true) && self.stored.alarm.is_none() {
            self.set_alarm(turn);
        }
    }

    fn ended(&mut self, turn: &mut Turn, call: CallNo, result: &PeerResult) {
        match self.tasks.remove(&call) {
            Some(Task::Look { caller, id, container }) => {
                if is_running(result) {
                    return turn.reply(caller, Ok(Some(container)));
                }
                self.assigned.retain(|(other, _)| *other != id);
                match self.persist() {
                    Ok(()) => self.assign(turn, caller, id),
                    Err(error) => turn.reply(caller, Err(error)),
                }
            }
            Some(Task::Start { caller, id, container }) => {
                if self.started(result) {
                    self.bind(turn, caller, id, container);
                } else if self.refused {
                    turn.reply(caller, Err(self.full()));
                } else {
                    turn.reply(caller, Err("the container did not start".to_owned()));
                }
            }
            Some(Task::Shutdown { caller, stopping, rest }) => {
                if succeeded(result) {
                    self.warm.retain(|&other| other != stopping);
                }
                self.shut_down(turn, caller, rest);
            }
            Some(Task::Alarm(round)) => self.go_on(turn, round, result),
            // A renewal, which nobody waits for.
            None => {}
        }
    }

    fn get_container(&mut self, turn: &mut Turn, caller: PeerCaller, id: SessionId) {
        match self.assigned.iter().find(|(other, _)| *other == id) {
            Some(&(_, container)) => {
                let call = self.call(turn, container, PeerCall::GetState);
                self.tasks.insert(call, Task::Look { caller, id, container });
            }
            None => self.assign(turn, caller, id),
        }
    }

    fn assign(&mut self, turn: &mut Turn, caller: PeerCaller, id: SessionId) {
        if !self.warm.is_empty() {
            let container = self.warm.remove(0);
            return self.bind(turn, caller, id, container);
        }
        if self.room() == Some(0) {
            return turn.reply(caller, Err(self.full()));
        }
        let container = turn.new_container();
        let call = self.call(turn, container, PeerCall::Start);
        self.tasks.insert(call, Task::Start { caller, id, container });
    }

    fn bind(&mut self, turn: &mut Turn, caller: PeerCaller, id: SessionId, container: ContainerId) {
        match self.assigned.iter_mut().find(|(other, _)| *other == id) {
            Some((_, old)) => *old = container,
            None => self.assigned.push((id, container)),
        }
        let result = self.persist().map(|()| Some(container));
        turn.reply(caller, result);
    }

    fn shut_down(&mut self, turn: &mut Turn, caller: PeerCaller, mut rest: VecDeque<ContainerId>) {
        match rest.pop_front() {
            Some(stopping) => {
                let call = self.call(turn, stopping, PeerCall::Stop);
                self.tasks.insert(call, Task::Shutdown { caller, stopping, rest });
            }
            None => {
                let result = self.persist().map(|()| None);
                turn.reply(caller, result);
            }
        }
    }

    /// Whether a start succeeded. A refusal for want of room teaches a ceiling, which is stored at once and alone.
    fn started(&mut self, result: &PeerResult) -> bool {
        if let PeerResult::Threw(message) = result
            && message.contains(CAPACITY_MESSAGE)
        {
            self.refused = true;
            self.ceiling = Some(self.listed());
            self.stored.ceiling = self.ceiling;
            self.unsaved = true;
        }
        succeeded(result)
    }

    /// Strikes the container off the warm list and off the first id that has it. True when it was there.
    fn remove(&mut self, container: ContainerId) -> bool {
        let warm = self.warm.iter().position(|&other| other == container).map(|at| self.warm.remove(at));
        let assigned = self.assigned.iter().position(|&(_, other)| other == container);
        let assigned = assigned.map(|at| self.assigned.remove(at));
        warm.is_some() || assigned.is_some()
    }

    fn listed(&self) -> usize {
        self.warm.len() + self.assigned.len()
    }

    /// How many more may be started; `None` when no ceiling is known.
    fn room(&self) -> Option<usize> {
        self.ceiling.map(|ceiling| ceiling.saturating_sub(self.listed()))
    }

    fn full(&self) -> String {
        format!("no room: {} of {} instances are in use", self.listed(), self.ceiling.unwrap_or_default())
    }

    fn persist(&mut self) -> Result<(), String> {
        self.unsaved = true;
        self.stored.write(&self.warm, &self.assigned, self.ceiling)
    }

    fn set_alarm(&mut self, turn: &mut Turn) {
        let at = turn.now + self.config.refresh_interval;
        self.stored.alarm = Some(at);
        self.unsaved = true;
        turn.effects.push(PeerEffect::SetAlarm(at));
    }

    fn call(&mut self, turn: &mut Turn, container: ContainerId, what: PeerCall) -> CallNo {
        let call = CallNo(self.next_call);
        self.next_call += 1;
        turn.effects.push(PeerEffect::Call { call, container, what });
        call
    }
}

fn is_running(result: &PeerResult) -> bool {
    match result {
        PeerResult::State(PeerStatus::Running | PeerStatus::Healthy) => true,
        PeerResult::State(PeerStatus::Stopping | PeerStatus::Stopped | PeerStatus::StoppedWithCode)
        | PeerResult::Done
        | PeerResult::Threw(_) => false,
    }
}

fn succeeded(result: &PeerResult) -> bool {
    match result {
        PeerResult::Done | PeerResult::State(_) => true,
        PeerResult::Threw(_) => false,
    }
}
