//! The `WarmPool` object: a [`Shard`] with what `src/edge/warm_pool_do` does around it.
//!
//! One step is: the machine's step, its writes in one transaction, the alarm; and only then what it wants done, and what a
//! sibling that asks is answered. A transaction that fails throws the object away with all it had in memory, and nothing of the
//! step is done.
//!
//! | file | part |
//! |---|---|
//! | [`callers`] | those who want a container, or to know of one |
//! | [`calls`] | calls to containers |
//! | [`plans`] | where its plan comes from; reports to the coordinator |
//! | [`siblings`] | containers that change hands |

mod callers;
mod calls;
mod plans;
mod siblings;

use std::collections::BTreeMap;

use cf_warm_pools::config::resolved::{Millis, ShardCount};
use cf_warm_pools::core::id::{ContainerId, SessionId, ShardId};
use cf_warm_pools::core::journal::Ended;
use cf_warm_pools::core::outcome::Refusal;
use cf_warm_pools::core::plan::Plan;
use cf_warm_pools::core::shard::{
    Action, Answer as SiblingAnswer, Delivery, Effects, Entropy, Finding, Input, Rows, Shard, State, WaiterId, Write,
};
use cf_warm_pools::wire::agent::LeaseRequest;

use callers::{Waiter, acquired};
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
    /// How many of its deliveries have ended.
    deliveries: u64,
}

struct Memory {
    machine: Shard,
    /// Whether it has taken a step since it was loaded: what loading mends is written with the first.
    stepped: bool,
    /// Who waits for a container, or to know of one, and since when.
    waiters: BTreeMap<WaiterId, (Waiter, Millis)>,
    next_waiter: u64,
    /// Calls that wait for the shard to be told its plan; none while nobody asks for it.
    planless: Option<Vec<(CallId, Request)>>,
    /// Reports of containers that siblings were asked about: how many have not answered.
    forwarded: BTreeMap<CallId, u32>,
    /// Ids that a sibling was asked for in vain, since when, unless it was asked again.
    unanswered: BTreeMap<SessionId, Millis>,
    /// Who has been told in this step what there is of an id, or why that is not known.
    located: Vec<(Waiter, Result<(), Refusal>)>,
}

impl ShardObject {
    pub fn new(id: ShardId) -> Self {
        Self { addr: Addr::of_shard(&id), id, rows: Rows::default(), memory: None, steps: 0, drawn: 0, deliveries: 0 }
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
            machine.adopt(now, plan, &mut fx);
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
            unanswered: BTreeMap::new(),
            located: Vec::new(),
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
        self.step(world, input).is_some()
    }

    /// One step, and what it has a sibling answered that asks. None when the object was thrown away.
    fn step(&mut self, world: &mut World, input: Input) -> Option<Option<SiblingAnswer>> {
        self.load(world);
        let mut memory = self.memory.take()?;
        self.steps += 1;
        let key = STEP.of(hash(&self.addr)).of(self.steps);
        let now = world.clock(self.addr);
        world.trace.note(world.now, || format!("{} <- {}", self.id, shown(&input)));
        let mut entropy = Luck::new(world.dice, self.addr, &mut self.drawn);
        let mut fx = Effects::new(&mut entropy);
        memory.machine.step(now, input, &mut fx);
        let Effects { writes, actions, events, answer, .. } = fx;
        if on(AdapterMutant::ActBeforeWrite) {
            for action in actions.clone() {
                self.perform(world, &mut memory, action);
            }
        }
        if !writes.is_empty() && world.faults.strikes(world.dice, Fault::WriteFailed, key) {
            world.trace.note(world.now, || format!("{}: the transaction fails", self.id));
            if on(AdapterMutant::CarryOnAfterFailedWrite) {
                self.memory = Some(memory);
                return Some(answer);
            }
            // What it holds is ahead of what is written: it is thrown away.
            world.drop_memory(self.addr);
            return if on(AdapterMutant::AnswerBeforeWrite) && answer.is_some() { Some(answer) } else { None };
        }
        let cut = self.cut_after(&writes).filter(|&fault| world.faults.strikes(world.dice, fault, key));
        self.apply(&writes);
        memory.stepped = true;
        world.oracle.shard_stepped(world.now, self.addr, &memory.machine, now, &writes, &events);
        for event in &events {
            world.trace.note(world.now, || format!("{}: {event:?}", self.id));
        }
        if !on(AdapterMutant::StepWithoutAlarm) {
            world.set_alarm(self.addr, memory.machine.next_timeout());
        }
        if cut.is_some() {
            self.memory = Some(memory);
            self.forget(world);
            return None;
        }
        if !on(AdapterMutant::ActBeforeWrite) {
            for action in actions {
                self.perform(world, &mut memory, action);
            }
        }
        memory.ask_again(world, &self.id);
        self.memory = Some(memory);
        Some(answer)
    }

    /// The fault that may drop the object once this is written.
    fn cut_after(&self, writes: &[Write]) -> Option<Fault> {
        let is_moving = |container: &ContainerId| {
            self.rows.containers.get(container).is_some_and(|row| matches!(row.state, State::Moving { .. }))
        };
        let transfers = writes.iter().any(|write| match write {
            Write::PutChannel(..) => true,
            Write::DeleteContainer(container) => is_moving(container),
            _ => false,
        });
        let changes = |write: &Write| matches!(write, Write::PutPlan(_) | Write::PutCredits(_) | Write::PutTarget(_));
        if transfers { Some(Fault::TransferCut) } else { writes.iter().any(changes).then_some(Fault::ChangeCut) }
    }

    fn apply(&mut self, writes: &[Write]) {
        writes.iter().cloned().for_each(|write| self.rows.apply(write));
    }

    fn perform(&mut self, world: &mut World, memory: &mut Memory, action: Action) {
        match action {
            Action::Reply(waiter, reply) => {
                world.oracle.shard_replied(world.now, self.addr, &reply);
                match memory.waiters.remove(&waiter) {
                    Some((Waiter::Acquire(call, _), _)) => world.answer(call, Response::Acquired(acquired(reply))),
                    Some((waiter @ (Waiter::Lookup(..) | Waiter::Release(..)), _)) => {
                        unreachable!("{waiter:?} is answered {reply:?}")
                    }
                    None => world.oracle.answered_twice(world.now, self.addr),
                }
            }
            Action::Call { container, binding, call } => self.call(world, container, &binding, call),
            Action::Report => {
                let report = memory.machine.report(world.clock(self.addr));
                self.report(world, report, PEER_DEADLINE, Then::Report);
            }
            Action::Located(waiter, located) => match memory.waiters.remove(&waiter) {
                // What is to be done about it is a step of its own.
                Some((waiter, _)) => memory.located.push((waiter, located.map(drop))),
                None => world.oracle.answered_twice(world.now, self.addr),
            },
            Action::Borrow { from } => self.ask_to_lend(world, from),
            Action::Pull { from, id, plan } => {
                memory.unanswered.remove(&id);
                self.pull(world, from, id, *plan);
            }
            Action::Deliver { to, delivery } => self.deliver(world, to, delivery),
            Action::Record(batch) => {
                let then = Then::Record(batch.number);
                world.call(self.addr, Addr::Coordinator, Request::Record(batch), PEER_DEADLINE, then);
            }
        }
    }

    fn called(&mut self, world: &mut World, call: CallId, request: Request) {
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
                let reply = self.memory(world).machine.confirm(now, container, &session, epoch);
                if reply.granted().is_some() {
                    world.oracle.in_touch(world.now, self.addr, container);
                }
                world.answer(call, Response::Lease(reply));
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
            Request::Allot(allotment) => {
                if self.drive(world, Input::Allotted(allotment)) {
                    let now = world.clock(self.addr);
                    let report = self.memory(world).machine.report(now);
                    world.answer(call, Response::Standing(Box::new(report)));
                }
            }
            request @ (Request::Borrow(_) | Request::Pull(_) | Request::Receive(_)) => {
                self.asked_by_sibling(world, call, request);
            }
            other => unreachable!("not a method of a shard: {other:?}"),
        }
    }

    fn call_ended(&mut self, world: &mut World, then: Then, answer: Answer) {
        match &then {
            Then::Check(container) => world.oracle.checked(world.now, self.addr, *container, finding(&answer)),
            Then::Start(container) | Then::Stop(container) if answer.is_ok() => {
                world.oracle.in_touch(world.now, self.addr, *container);
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
            Then::Record(number) => {
                let ended = match answer {
                    Ok(Response::Recorded(has)) => Ended::Answered(has),
                    Ok(other) => unreachable!("not an answer to a batch of events: {other:?}"),
                    Err(_) => Ended::Failed,
                };
                Input::Recorded { number, ended }
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
            Then::PassOn(call) => return self.passed_on(world, call, &answer),
            then @ (Then::Borrow(_) | Then::Pull(..) | Then::Deliver(_)) => {
                let Some(input) = self.sibling_answered(world, then, answer) else { return };
                input
            }
            Then::Nothing => return,
            other => unreachable!("not a call of a shard: {other:?}"),
        };
        self.drive(world, input);
    }
}

impl Object for ShardObject {
    fn arrives(&mut self, world: &mut World, call: CallId, _from: Option<Addr>, request: Request) {
        if !self.load(world) {
            return world.throw(call, "the object is being restarted; try again");
        }
        self.called(world, call, request);
        self.go_on_with_located(world);
    }

    fn ended(&mut self, world: &mut World, then: Then, answer: Answer) {
        self.call_ended(world, then, answer);
        self.go_on_with_located(world);
    }

    fn private(&mut self, _world: &mut World, what: Private) {
        unreachable!("a shard waits for nothing by itself: {what:?}");
    }

    fn alarm(&mut self, world: &mut World) {
        if !self.load(world) || !self.drive(world, Input::Woken) {
            world.set_alarm(self.addr, Some(world.clock(self.addr) + RETRY_AFTER));
        }
        self.go_on_with_located(world);
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

/// An input for the trace: of a plan only the version.
fn shown(input: &Input) -> String {
    match input {
        Input::Configured(plan) => {
            format!("Configured({})", plan_in_short(plan))
        }
        Input::PullAsked { id, to, plan } => format!("PullAsked({id:?}, {to:?}, {})", plan_in_short(plan)),
        Input::Receive(delivery) => {
            let Delivery { from, plan, paid: _, parcels } = &**delivery;
            let parcels: Vec<String> = parcels
                .iter()
                .map(|parcel| format!("{} {} {:?} {:?}", parcel.seq, parcel.container, parcel.state, parcel.credit))
                .collect();
            format!("Receive({from:?}, {}, {parcels:?})", plan_in_short(plan))
        }
        other => format!("{other:?}"),
    }
}

fn plan_in_short(plan: &Plan) -> String {
    let Plan { version, pool, active, pinned: _, from, credits, share, fingerprint: _, format: _ } = plan;
    let (from, shards) = (from.map(ShardCount::get), pool.shards.get());
    format!("{version:?}, active {active}, {from:?} to {shards}, {credits:?}, {share:?}")
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
