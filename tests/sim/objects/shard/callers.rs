//! Those who want a container, want to know of one, or give one up; and those who say that one has stopped.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::{ContainerId, SessionId, ShardId, ShardIndex};
use cf_warm_pools::core::outcome::{Assignment, Refusal};
use cf_warm_pools::core::plan::Plan;
use cf_warm_pools::core::shard::{Input, WaiterId};
use cf_warm_pools::wire::shard::{AcquireReply, AcquireRequest, Forwarded};

use super::{Memory, PEER_DEADLINE, ShardObject};
use crate::objects::mutants::{AdapterMutant, on};
use crate::world::World;
use crate::world::message::{Answer, CallId, Request, Response, Then};

/// How soon a sibling that did not answer is asked again: the longest pause is 5 s, and a little more for luck.
const ASKED_AGAIN_WITHIN: Millis = Millis::from_secs(15);

/// Somebody who waits for an answer of the machine.
#[derive(Clone, Debug)]
pub(super) enum Waiter {
    Acquire(CallId, SessionId),
    Lookup(CallId, SessionId),
    Release(CallId, SessionId),
}

impl Memory {
    /// A sibling that could not be asked for an id that somebody waits for is asked again, soon, where clocks and alarms are as
    /// they should be.
    pub(super) fn ask_again(&self, world: &mut World, shard: &ShardId) {
        let late = |&(_, since): &(&SessionId, &Millis)| world.now > *since + ASKED_AGAIN_WITHIN;
        let wanted = |&(id, _): &(&SessionId, &Millis)| {
            let waits = |(waiter, _): &(Waiter, Millis)| match waiter {
                Waiter::Acquire(_, of) | Waiter::Lookup(_, of) | Waiter::Release(_, of) => of == id,
            };
            self.machine.must_ask(id) && self.waiters.values().any(waits)
        };
        if let Some((id, since)) = self.unanswered.iter().find(|entry| late(entry) && wanted(entry))
            && !world.faults.distorts_time()
        {
            let what =
                format!("{shard} asks nobody for {id:?} since it was asked in vain, {:?} ago", world.now - *since);
            world.oracle.broken(world.now, "unwedgeable", what);
        }
    }
}

impl ShardObject {
    /// A caller wants a container: at once when the id has one, else it waits.
    pub(super) fn acquire(&mut self, world: &mut World, call: CallId, request: AcquireRequest) {
        let AcquireRequest { id, shards, suspect, code: _ } = request;
        let memory = self.memory(world);
        if suspect.is_none()
            && let Some(assignment) = memory.machine.sticky(&id)
        {
            world.oracle.shard_replied(world.now, self.addr, &Ok(assignment.clone()));
            return world.answer(call, Response::Acquired(AcquireReply::Assigned(assignment)));
        }
        if memory.machine.plan().is_none() {
            return self.wait_for_plan(
                world,
                call,
                Request::Acquire(AcquireRequest { id, shards, suspect, code: None }),
            );
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
        let waiter = self.wait(world, Waiter::Acquire(call, id.clone()));
        self.drive(world, Input::Acquire { waiter, id, shards, suspect });
    }

    fn wait(&mut self, world: &mut World, waiter: Waiter) -> WaiterId {
        let now = world.now;
        let memory = self.memory(world);
        let id = WaiterId(memory.next_waiter);
        memory.next_waiter += 1;
        memory.waiters.insert(id, (waiter, now));
        id
    }

    /// A call that takes a plan, when there is one, or certainly none.
    pub(super) fn with_plan(&mut self, world: &mut World, call: CallId, request: Request) {
        match request {
            Request::Acquire(AcquireRequest { id, shards, suspect, code: _ }) => {
                self.acquire_with_plan(world, call, id, shards, suspect);
            }
            Request::Lookup(id) => self.locate(world, Waiter::Lookup(call, id)),
            Request::Release(id) => self.locate(world, Waiter::Release(call, id)),
            other => unreachable!("takes no plan: {other:?}"),
        }
    }

    /// Somebody wants to know the container of an id, or to give it up: a sibling that may have it is asked first.
    fn locate(&mut self, world: &mut World, waiter: Waiter) {
        let (Waiter::Lookup(_, id) | Waiter::Release(_, id)) = &waiter else {
            unreachable!("wants a container: {waiter:?}")
        };
        let id = id.clone();
        let asks = !on(AdapterMutant::LookupWithoutAsking) && self.memory(world).machine.must_ask(&id);
        if asks {
            let waiter = self.wait(world, waiter);
            self.drive(world, Input::Locate { waiter, id });
        } else {
            self.know(world, waiter);
        }
    }

    /// All there is of the id of somebody is here, or there is nothing.
    fn know(&mut self, world: &mut World, waiter: Waiter) {
        let (Waiter::Acquire(call, id) | Waiter::Lookup(call, id) | Waiter::Release(call, id)) = &waiter;
        let call = *call;
        match (self.find(world, id), &waiter) {
            (Err(refusal), _) => world.answer(call, Response::Refused(refusal)),
            (Ok(found), Waiter::Lookup(..)) => {
                world.oracle.found(world.now, self.addr, id, found.map(|found| found.container));
                world.answer(call, Response::Found);
            }
            (Ok(_), Waiter::Acquire(..) | Waiter::Release(..)) => {
                let had = world.oracle.container_of(self.addr, id);
                world.oracle.released(self.addr, id);
                if self.drive(world, Input::Release(id.clone())) {
                    world.oracle.given_up(world.now, self.addr, id, had);
                    world.answer(call, Response::Released);
                }
            }
        }
    }

    fn find(&mut self, world: &mut World, id: &SessionId) -> Result<Option<Assignment>, Refusal> {
        let machine = &self.memory(world).machine;
        match (machine.lookup(id), machine.not_here(id, None)) {
            (None, Some(refusal)) => Err(refusal),
            (found, _) => Ok(found),
        }
    }

    /// Those who were told in the last step what there is of an id go on.
    pub(super) fn go_on_with_located(&mut self, world: &mut World) {
        while let Some((waiter, located)) = self.memory.as_mut().and_then(|memory| memory.located.pop()) {
            match (located, &waiter) {
                (Ok(()), _) => self.know(world, waiter),
                (Err(refusal), Waiter::Acquire(call, _) | Waiter::Lookup(call, _) | Waiter::Release(call, _)) => {
                    world.answer(*call, Response::Refused(refusal));
                }
            }
        }
    }

    /// A container is said to have stopped: ours, or a sibling's.
    pub(super) fn report_stopped(
        &mut self,
        world: &mut World,
        call: CallId,
        container: ContainerId,
        forwarded: Option<Forwarded>,
    ) {
        if self.memory(world).machine.binding_of(container).is_some() {
            let kind = world.platform.kind(container);
            world.oracle.said_to_have_stopped(world.now, container, kind);
            if self.drive(world, Input::Stopped(container)) {
                world.answer(call, Response::Heard(true));
            }
            return;
        }
        let request = Request::ReportStopped { container, forwarded: Some(Forwarded::BySibling) };
        match forwarded {
            Some(Forwarded::BySibling) => world.answer(call, Response::Heard(false)),
            Some(Forwarded::ToOwner) => match self.memory(world).machine.handed_to(container) {
                Some(to) => {
                    world.call(self.addr, self.sibling(to), request, PEER_DEADLINE, Then::PassOn(call));
                }
                None => world.answer(call, Response::Heard(false)),
            },
            None => {
                // While ids move there are those of before, too.
                let shards = self.memory(world).machine.plan().map_or(0, Plan::taking_part);
                let siblings: Vec<ShardIndex> =
                    (0..shards).map(ShardIndex).filter(|&index| index != self.id.index).collect();
                if siblings.is_empty() {
                    return world.answer(call, Response::Heard(false));
                }
                self.memory(world).forwarded.insert(call, siblings.len() as u32);
                for index in siblings {
                    world.call(self.addr, self.sibling(index), request.clone(), PEER_DEADLINE, Then::Forward(call));
                }
            }
        }
    }

    /// The sibling to which it is being handed over has it, or not yet: then it is to be reported again.
    pub(super) fn passed_on(&self, world: &mut World, call: CallId, answer: &Answer) {
        match answer {
            Ok(Response::Heard(true)) => world.answer(call, Response::Heard(true)),
            Ok(_) | Err(_) => world.throw(call, "the container is on its way to another shard; report it again"),
        }
    }

    pub(super) fn forward_ended(&mut self, world: &mut World, call: CallId, answer: &Answer) {
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

pub(super) fn acquired(reply: Result<Assignment, Refusal>) -> AcquireReply {
    match reply {
        Ok(assignment) => AcquireReply::Assigned(assignment),
        Err(refusal) => AcquireReply::Refused(refusal),
    }
}
