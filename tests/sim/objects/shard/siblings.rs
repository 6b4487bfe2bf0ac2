//! Containers that change hands: what a shard asks of its siblings, and what it does when they ask.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::{SessionId, ShardId, ShardIndex};
use cf_warm_pools::core::plan::Plan;
use cf_warm_pools::core::shard::{Answer as SiblingAnswer, BorrowReply, Delivery, Input, PullReply, Shard};
use cf_warm_pools::core::shard::{Paid, Receipt};
use cf_warm_pools::wire::shard::{BorrowRequest, PullRequest};

use super::{PEER_DEADLINE, ShardObject};
use crate::dice::Key;
use crate::faults::Fault;
use crate::objects::Object;
use crate::objects::mutants::{AdapterMutant, on};
use crate::schedule::Borrowing;
use crate::world::message::{Addr, Answer, CallId, Request, Response, Then};
use crate::world::{World, hash};

/// How long a sibling has to say whether it lends a container.
const BORROW_DEADLINE: Millis = Millis::from_secs(1);

impl ShardObject {
    pub(super) fn sibling(&self, index: ShardIndex) -> Addr {
        Addr::of_shard(&ShardId { index, ..self.id.clone() })
    }

    pub(super) fn ask_to_lend(&self, world: &mut World, from: ShardIndex) {
        let request = Request::Borrow(BorrowRequest { to: self.id.index });
        world.call(self.addr, self.sibling(from), request, BORROW_DEADLINE, Then::Borrow(from));
    }

    pub(super) fn pull(&self, world: &mut World, from: ShardIndex, id: SessionId, plan: Plan) {
        let request = Request::Pull(Box::new(PullRequest { id: id.clone(), to: self.id.index, plan }));
        world.call(self.addr, self.sibling(from), request, PEER_DEADLINE, Then::Pull(from, id));
    }

    pub(super) fn deliver(&self, world: &mut World, to: ShardIndex, mut delivery: Box<Delivery>) {
        if on(AdapterMutant::DeliverySkipsTheFirst) && delivery.parcels.len() > 1 {
            delivery.parcels.remove(0);
        }
        world.call(self.addr, self.sibling(to), Request::Receive(delivery), PEER_DEADLINE, Then::Deliver(to));
    }

    pub(super) fn asked_by_sibling(&mut self, world: &mut World, call: CallId, request: Request) {
        let input = match request {
            Request::Borrow(_) if world.habitat.borrowing == Borrowing::Off => {
                return world.throw(call, "nobody lends here");
            }
            Request::Borrow(BorrowRequest { to }) => Input::Lend { to },
            Request::Pull(request) => {
                let PullRequest { id, to, plan } = *request;
                Input::PullAsked { id, to, plan: Box::new(plan) }
            }
            Request::Receive(delivery) => Input::Receive(delivery),
            other => unreachable!("not asked by a sibling: {other:?}"),
        };
        match self.step(world, input) {
            // It was thrown away, and its callers hear of that.
            None => {}
            Some(Some(SiblingAnswer::Borrow(reply))) => world.answer(call, Response::Lent(reply)),
            Some(Some(SiblingAnswer::Pull(reply))) => world.answer(call, Response::Pulled(reply)),
            Some(Some(SiblingAnswer::Received(receipt))) => world.answer(call, Response::Received(receipt)),
            Some(None) => world.oracle.broken(world.now, "answered", format!("{} does not answer a sibling", self.id)),
        }
    }

    /// What a shard says that has nothing of an id.
    fn nothing(&self) -> PullReply {
        let plan = self.machine().and_then(Shard::plan).map(|plan| plan.version).unwrap_or_default();
        PullReply::Nothing { plan, drained: false }
    }

    /// A call to a sibling has ended. None when the shard was lost before it heard of it.
    pub(super) fn sibling_answered(&mut self, world: &mut World, then: Then, answer: Answer) -> Option<Input> {
        Some(match (then, answer) {
            (Then::Borrow(from), answer) => Input::Borrowed { from, reply: lent(answer) },
            (Then::Pull(from, id), answer) => {
                let reply = match answer {
                    Err(_) if on(AdapterMutant::ErrorIsNothing) => Some(self.nothing()),
                    answer => pulled(answer),
                };
                if let (Some(memory), None | Some(PullReply::Outdated { .. })) = (&mut self.memory, &reply) {
                    memory.unanswered.insert(id.clone(), world.now);
                }
                Input::Pulled { from, id, reply }
            }
            (Then::Deliver(to), answer) => {
                let receipt = match answer {
                    Ok(Response::Received(receipt)) => Some(receipt),
                    Ok(other) => unreachable!("not an answer to a delivery: {other:?}"),
                    Err(_) if on(AdapterMutant::ErrorIsDelivered) => {
                        Some(Receipt { up_to: u64::MAX, paid: Paid::default() })
                    }
                    Err(_) => None,
                };
                self.deliveries += 1;
                let key = HEARS.of(hash(&self.addr)).of(self.deliveries);
                if receipt.is_some() && world.faults.strikes(world.dice, Fault::TransferCut, key) {
                    self.forget(world);
                    return None;
                }
                Input::Delivered { to, receipt }
            }
            (then, _) => unreachable!("not a call to a sibling: {then:?}"),
        })
    }
}

fn lent(answer: Answer) -> Option<BorrowReply> {
    match answer {
        Ok(Response::Lent(reply)) => Some(reply),
        Ok(other) => unreachable!("not an answer to who wants to borrow: {other:?}"),
        Err(_) => None,
    }
}

fn pulled(answer: Answer) -> Option<PullReply> {
    match answer {
        Ok(Response::Pulled(reply)) => Some(reply),
        Ok(other) => unreachable!("not an answer to who pulls an id: {other:?}"),
        Err(_) => None,
    }
}

const HEARS: Key = Key::new(14);
