//! The `WarmPool` object: a [`Shard`] with what `src/edge/warm_pool_do` does around it.
//!
//! One step is: the machine's step, its writes in one transaction, the alarm; and only then what it wants done. A transaction
//! that fails throws the object away with all it had in memory, and nothing of the step is done.

mod calls;
mod plans;

use std::collections::BTreeMap;

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::{ContainerId, SessionId, ShardId, ShardIndex};
use cf_warm_pools::core::outcome::{Assignment, Refusal};
use cf_warm_pools::core::shard::{Action, Effects, Entropy, Finding, Input, Rows, Shard, WaiterId, Write};
use cf_warm_pools::wire::agent::{LeaseReply, LeaseRequest};
use cf_warm_pools::wire::shard::{AcquireReply, AcquireRequest};

use calls::{finding, started};
use plans::plan_of_deploy;

use super::Object;
use super::mutants::{AdapterMutant, on};
use crate::dice::{Dice, Key};
use crate::faults::Fault;
use crate::world::message::{Addr, Answer, CallId, Request, Response, Then};
use crate::world::{Private, World, hash};

/// The deadlines of `src/edge`.
const PEER_DEADLINE: Millis = Millis::from_secs(5);
/// How long until a shard whose alarm handler failed tries again.
const RETRY_AFTER: Millis = Millis::from_secs(60);

/// A shard's object.
pub struct ShardObject {
    addr: Addr,
    id: ShardId,
    rows: Rows,
    memory: Option<Memory>,
    /// How many steps it has taken, over all its lives.
    steps: u64,
    /// How many random numbers it has drawn.
    drawn: u64,
}

struct Memory {
    machine: Shard,
    /// Whether it has taken a step since it was loaded: what loading mends is written with the first.
    stepped: bool,
    waiters: BTreeMap<WaiterId, (CallId, Millis)>,
    next_waiter: u64,
    /// Calls that wait for the shard to be told its plan; none while nobody asks for it.
    planless: Option<Vec<(CallId, Request)>>,
    /// Reports of containers that siblings were asked about: how many have not answered.
    forwarded: BTreeMap<CallId, u32>,
}

impl ShardObject {
    pub fn new(id: ShardId) -> Self {
        Self { addr: Addr::of_shard(&id), id, rows: Rows::default(), memory: None, steps: 0, drawn: 0 }
    }

    pub fn id(&self) -> &ShardId {
        &self.id
    }

    /// What is durable.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The machine, if the object is in memory.
    pub fn machine(&self) -> Option<&Shard> {
        self.memory.as_ref().map(|memory| &memory.machine)
    }

    /// Since when the caller has waited that has waited longest.
    pub fn longest_waiting(&self) -> Option<Millis> {
        self.memory.as_ref()?.waiters.values().map(|&(_, since)| since).min()
    }

    /// Loads the machine from its rows, and has it take the plan that the code brings it runs under.
    /// False when what the code brings could not be written: then there is nothing in memory.
    fn load(&mut self, world: &mut World) -> bool {
        if self.memory.is_some() {
            return true;
        }
        let now = world.clock(self.addr);
        let mut machine = Shard::load(self.id.clone(), self.rows.clone(), now);
        if let Some(plan) = plan_of_deploy(&machine, world, self.addr) {
            let mut entropy = Luck::new(world.dice, self.addr, &mut self.drawn);
            let mut fx = Effects::new(&mut entropy);
            machine.adopt(plan, &mut fx);
            let Effects { writes, events, .. } = fx;
            self.steps += 1;
            if world.faults.strikes(world.dice, Fault::WriteFailed, STEP.of(hash(&self.addr)).of(self.steps)) {
                world.drop_memory(self.addr);
                return false;
            }
            self.apply(&writes);
            world.oracle.shard_stepped(world.now, self.addr, &machine, now, &writes, &events);
        }
        world.set_alarm(self.addr, machine.next_timeout());
        self.memory = Some(Memory {
            machine,
            stepped: false,
            waiters: BTreeMap::new(),
            next_waiter: 0,
            planless: None,
            forwarded: BTreeMap::new(),
        });
        true
    }

    /// The machine, loaded, and the time on its clock.
    fn memory(&mut self, world: &mut World) -> &mut Memory {
        self.load(world);
        self.memory.as_mut().unwrap()
    }

    /// One step. False when the object was thrown away.
    fn drive(&mut self, world: &mut World, input: Input) -> bool {
        self.load(world);
        let Some(mut memory) = self.memory.take() else { return false };
        self.steps += 1;
        let key = STEP.of(hash(&self.addr)).of(self.steps);
        let now = world.clock(self.addr);
        world.trace.note(world.now, || format!("{} <- {}", self.id, shown(&input)));
        let mut entropy = Luck::new(world.dice, self.addr, &mut self.drawn);
        let mut fx = Effects::new(&mut entropy);
        memory.machine.step(now, input, &mut fx);
        let Effects { writes, actions, events, .. } = fx;
        if on(AdapterMutant::ActBeforeWrite) {
            for action in actions.clone() {
                self.perform(world, &mut memory, action);
            }
        }
        if !writes.is_empty() && world.faults.strikes(world.dice, Fault::WriteFailed, key) {
            world.trace.note(world.now, || format!("{}: the transaction fails", self.id));
            if on(AdapterMutant::CarryOnAfterFailedWrite) {
                self.memory = Some(memory);
                return true;
            }
            // What it holds is ahead of what is written: it is thrown away.
            world.drop_memory(self.addr);
            return false;
        }
        self.apply(&writes);
        memory.stepped = true;
        world.oracle.shard_stepped(world.now, self.addr, &memory.machine, now, &writes, &events);
        for event in &events {
            world.trace.note(world.now, || format!("{}: {event:?}", self.id));
        }
        if !on(AdapterMutant::StepWithoutAlarm) {
            world.set_alarm(self.addr, memory.machine.next_timeout());
        }
        if !on(AdapterMutant::ActBeforeWrite) {
            for action in actions {
                self.perform(world, &mut memory, action);
            }
        }
        self.memory = Some(memory);
        true
    }

    fn apply(&mut self, writes: &[Write]) {
        writes.iter().cloned().for_each(|write| self.rows.apply(write));
    }

    fn perform(&mut self, world: &mut World, memory: &mut Memory, action: Action) {
        match action {
            Action::Reply(waiter, reply) => {
                world.oracle.shard_replied(world.now, self.addr, &reply);
                match memory.waiters.remove(&waiter) {
                    Some((call, _)) => world.answer(call, Response::Acquired(acquired(reply))),
                    None => world.oracle.answered_twice(world.now, self.addr),
                }
            }
            Action::Call { container, binding, call } => self.call(world, container, &binding, call),
            Action::Report => {
                let plan = memory.machine.plan().map(|plan| plan.version);
                self.report(world, plan, PEER_DEADLINE, Then::Report);
            }
        }
    }

    /// A caller wants a container: at once when the id has one, else it waits.
    fn acquire(&mut self, world: &mut World, call: CallId, request: AcquireRequest) {
        let AcquireRequest { id, shards, suspect } = request;
        let memory = self.memory(world);
        if suspect.is_none()
            && let Some(assignment) = memory.machine.sticky(&id)
        {
            world.oracle.shard_replied(world.now, self.addr, &Ok(assignment.clone()));
            return world.answer(call, Response::Acquired(AcquireReply::Assigned(assignment)));
        }
        if memory.machine.plan().is_none() {
            return self.wait_for_plan(world, call, Request::Acquire(AcquireRequest { id, shards, suspect }));
        }
        self.acquire_with_plan(world, call, id, shards, suspect);
    }

    fn acquire_with_plan(
        &mut self,
        world: &mut World,
        call: CallId,
        id: SessionId,
        shards: Option<u32>,
        suspect: Option<ContainerId>,
    ) {
        let now = world.now;
        let memory = self.memory(world);
        let waiter = WaiterId(memory.next_waiter);
        memory.next_waiter += 1;
        memory.waiters.insert(waiter, (call, now));
        self.drive(world, Input::Acquire { waiter, id, shards, suspect });
    }

    /// A call that takes a plan, when there is one, or certainly none.
    fn with_plan(&mut self, world: &mut World, call: CallId, request: Request) {
        match request {
            Request::Acquire(AcquireRequest { id, shards, suspect }) => {
                self.acquire_with_plan(world, call, id, shards, suspect);
            }
            Request::Lookup(id) => match self.find(world, &id) {
                Ok(_) => world.answer(call, Response::Found),
                Err(refusal) => world.answer(call, Response::Refused(refusal)),
            },
            Request::Release(id) => match self.find(world, &id) {
                Ok(_) => {
                    world.oracle.released(self.addr, &id);
                    if self.drive(world, Input::Release(id)) {
                        world.answer(call, Response::Released);
                    }
                }
                Err(refusal) => world.answer(call, Response::Refused(refusal)),
            },
            other => unreachable!("takes no plan: {other:?}"),
        }
    }

    fn find(&mut self, world: &mut World, id: &SessionId) -> Result<Option<Assignment>, Refusal> {
        let machine = &self.memory(world).machine;
        match (machine.lookup(id), machine.not_here(id, None)) {
            (None, Some(refusal)) => Err(refusal),
            (found, _) => Ok(found),
        }
    }

    /// A container is said to have stopped: ours, or a sibling's.
    fn report_stopped(&mut self, world: &mut World, call: CallId, container: ContainerId, forwarded: bool) {
        if self.memory(world).machine.binding_of(container).is_some() {
            let kind = world.platform.kind(container);
            world.oracle.said_to_have_stopped(world.now, container, kind);
            if self.drive(world, Input::Stopped(container)) {
                world.answer(call, Response::Heard(true));
            }
            return;
        }
        let shards = self.memory(world).machine.plan().map_or(0, |plan| plan.pool.shards.get());
        let siblings: Vec<u32> = (0..shards).filter(|&index| index != self.id.index.0).collect();
        if forwarded || siblings.is_empty() {
            return world.answer(call, Response::Heard(false));
        }
        self.memory(world).forwarded.insert(call, siblings.len() as u32);
        for index in siblings {
            let sibling = Addr::of_shard(&ShardId { index: ShardIndex(index), ..self.id.clone() });
            let request = Request::ReportStopped { container, forwarded: true };
            world.call(self.addr, sibling, request, PEER_DEADLINE, Then::Forward(call));
        }
    }

    fn forward_ended(&mut self, world: &mut World, call: CallId, answer: &Answer) {
        let Some(memory) = &mut self.memory else { return };
        let Some(open) = memory.forwarded.get_mut(&call) else { return };
        *open -= 1;
        let heard = matches!(answer, Ok(Response::Heard(true)));
        if heard || *open == 0 {
            memory.forwarded.remove(&call);
            world.answer(call, Response::Heard(heard));
        }
    }
}

impl Object for ShardObject {
    fn arrives(&mut self, world: &mut World, call: CallId, _from: Option<Addr>, request: Request) {
        if !self.load(world) {
            return world.throw(call, "the object is being restarted; try again");
        }
        match request {
            Request::Acquire(request) => self.acquire(world, call, request),
            request @ (Request::Lookup(_) | Request::Release(_)) => {
                if self.memory(world).machine.plan().is_some() {
                    self.with_plan(world, call, request);
                } else {
                    self.wait_for_plan(world, call, request);
                }
            }
            Request::ConfirmLease(LeaseRequest { container, session, epoch }) => {
                let now = world.clock(self.addr);
                let granted = self.memory(world).machine.confirm(now, container, &session, epoch);
                if granted.is_some() {
                    world.oracle.in_touch(world.now, container);
                }
                world.answer(call, Response::Lease(granted.map_or(LeaseReply::Denied, LeaseReply::Granted)));
            }
            Request::ReportStopped { container, forwarded } => self.report_stopped(world, call, container, forwarded),
            Request::Configure(plan) => {
                if self.drive(world, Input::Configured(plan)) {
                    let version = self.machine().and_then(Shard::plan).map(|plan| plan.version);
                    world.answer(call, Response::Configured(version.unwrap_or_default()));
                }
            }
            Request::GetPlan => {
                let plan = self.machine().and_then(Shard::plan).cloned();
                world.answer(call, Response::ShardPlan(plan.map(Box::new)));
            }
            Request::ShutdownPrewarmed => {
                if self.drive(world, Input::ShutdownPrewarmed) {
                    world.answer(call, Response::SentAway);
                }
            }
            other => unreachable!("not a method of a shard: {other:?}"),
        }
    }

    fn ended(&mut self, world: &mut World, then: Then, answer: Answer) {
        match &then {
            Then::Check(container) => world.oracle.checked(world.now, *container, finding(&answer)),
            Then::Start(container) | Then::Stop(container) if answer.is_ok() => {
                world.oracle.in_touch(world.now, *container);
            }
            _ => {}
        }
        let input = match then {
            Then::Start(container) => Input::StartDone { container, result: started(answer) },
            Then::Stop(container) => Input::StopDone(container, answer.is_ok()),
            Then::Destroy(container) => {
                Input::DestroyDone(container, answer.is_ok() || on(AdapterMutant::ErrorIsDestroyed))
            }
            Then::Check(container) => {
                let finding = match finding(&answer) {
                    Finding::Unknown if on(AdapterMutant::ErrorIsStopped) => Finding::Stopped,
                    finding => finding,
                };
                Input::CheckDone(container, finding)
            }
            Then::Report => {
                if let Ok(response) = answer {
                    self.take_report(world, response);
                }
                return;
            }
            Then::FirstReport => return self.first_report_ended(world, answer),
            Then::SiblingPlan => return self.sibling_plan_ended(world, answer),
            Then::Forward(call) => return self.forward_ended(world, call, &answer),
            Then::Nothing => return,
            other => unreachable!("not a call of a shard: {other:?}"),
        };
        self.drive(world, input);
    }

    fn private(&mut self, _world: &mut World, what: Private) {
        unreachable!("a shard waits for nothing by itself: {what:?}");
    }

    fn alarm(&mut self, world: &mut World) {
        if !self.load(world) || !self.drive(world, Input::Woken) {
            world.set_alarm(self.addr, Some(world.clock(self.addr) + RETRY_AFTER));
        }
    }

    fn forget(&mut self, world: &mut World) {
        let Some(memory) = self.memory.take() else { return };
        if memory.stepped {
            let clock = world.clock(self.addr);
            world.oracle.shard_dropped(world.now, self.addr, &memory.machine, &self.rows, clock);
        }
        world.trace.note(world.now, || format!("{} is dropped from memory", self.id));
        world.drop_memory(self.addr);
    }
}

fn acquired(reply: Result<Assignment, Refusal>) -> AcquireReply {
    match reply {
        Ok(assignment) => AcquireReply::Assigned(assignment),
        Err(refusal) => AcquireReply::Refused(refusal),
    }
}

/// An input for the trace: of a plan only the version.
fn shown(input: &Input) -> String {
    match input {
        Input::Configured(plan) => {
            format!("Configured({:?}, active {}, {:?})", plan.version, plan.active, plan.share)
        }
        other => format!("{other:?}"),
    }
}

/// A shard's randomness.
struct Luck<'a> {
    dice: Dice,
    key: Key,
    drawn: &'a mut u64,
}

impl<'a> Luck<'a> {
    fn new(dice: Dice, addr: Addr, drawn: &'a mut u64) -> Self {
        Self { dice, key: LUCK.of(hash(&addr)), drawn }
    }
}

impl Entropy for Luck<'_> {
    fn unique(&mut self) -> u128 {
        *self.drawn += 1;
        let key = self.key.of(*self.drawn);
        u128::from(self.dice.draw(key)) << 64 | u128::from(self.dice.draw(key.of(1)))
    }

    fn jitter(&mut self, below: u64) -> u64 {
        *self.drawn += 1;
        self.dice.below(self.key.of(*self.drawn), below)
    }
}

const STEP: Key = Key::new(10);
const LUCK: Key = Key::new(11);
