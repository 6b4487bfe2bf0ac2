//! What shards of a pool ask each other, and what the coordinator allots: both ends of it.
//!
//! Each answer is given only when what it says is written down. A call that fails proves nothing; the machine repeats what
//! must arrive.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use super::WarmPool;
use super::driver::{Driver, PEER_DEADLINE};
use crate::config::resolved::Millis;
use crate::core::id::{SessionId, ShardId, ShardIndex};
use crate::core::plan::Plan;
use crate::core::shard::{Answer, Delivery, Input};
use crate::edge::js;
use crate::edge::rpc::ShardClient;
use crate::wire::coordinator::Allotment;
use crate::wire::shard::{BorrowRequest, PullRequest};

/// How long a sibling may take to say whether it lends: an id waits, and the machine gives up after as long.
const BORROW_DEADLINE: Millis = Millis::from_secs(1);

#[wasm_bindgen]
impl WarmPool {
    /// [`BorrowRequest`] -> [`BorrowReply`](crate::core::shard::BorrowReply): a sibling asks for a warm container.
    pub fn borrow(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let BorrowRequest { to } = js::from_js(request)?;
        match self.answer(Input::Lend { to })? {
            Some(Answer::Borrow(reply)) => js::to_js(&reply),
            Some(Answer::Pull(_) | Answer::Received(_)) | None => Err(unanswered()),
        }
    }

    /// [`PullRequest`] -> [`PullReply`](crate::core::shard::PullReply): a sibling asks for all there is of an id that it owns by
    /// now.
    pub fn pull(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let PullRequest { id, to, plan } = js::from_js(request)?;
        match self.answer(Input::PullAsked { id, to, plan: Box::new(plan) })? {
            Some(Answer::Pull(reply)) => js::to_js(&reply),
            Some(Answer::Borrow(_) | Answer::Received(_)) | None => Err(unanswered()),
        }
    }

    /// [`Delivery`] -> [`Receipt`](crate::core::shard::Receipt): a sibling hands containers over.
    pub fn receive(&self, delivery: JsValue) -> Result<JsValue, JsValue> {
        let delivery: Delivery = js::from_js(delivery)?;
        match self.answer(Input::Receive(Box::new(delivery)))? {
            Some(Answer::Received(receipt)) => js::to_js(&receipt),
            Some(Answer::Borrow(_) | Answer::Pull(_)) | None => Err(unanswered()),
        }
    }

    /// [`Allotment`] -> [`ShardReport`](crate::core::allotment::ShardReport): the coordinator allots, and hears how the shard
    /// stands then.
    pub fn allot(&self, allotment: JsValue) -> Result<JsValue, JsValue> {
        let allotment: Allotment = js::from_js(allotment)?;
        self.answer(Input::Allotted(Box::new(allotment)))?;
        js::to_js(&self.driver.with(|shard| shard.report(js::now()))?)
    }

    fn answer(&self, input: Input) -> Result<Option<Answer>, JsValue> {
        self.driver.drive(input).map(|driven| driven.answer).map_err(|error| js::js_error(&error))
    }
}

impl Driver {
    /// Asks a sibling for a warm container.
    pub(super) async fn borrow(self: &Rc<Self>, me: &ShardId, from: ShardIndex) {
        let request = BorrowRequest { to: me.index };
        let asked = self.sibling(me, from).within(BORROW_DEADLINE).borrow(&request).await;
        let reply = asked
            .inspect_err(
                |error| tracing::debug!(pool = me.pool.as_str(), shard = from.0, %error, "a sibling did not lend"),
            )
            .ok();
        self.drive_logged(Input::Borrowed { from, reply });
    }

    /// Asks a sibling for all there is of an id.
    pub(super) async fn pull(self: &Rc<Self>, me: &ShardId, from: ShardIndex, id: SessionId, plan: Plan) {
        let request = PullRequest { id, to: me.index, plan };
        let asked = self.sibling(me, from).within(PEER_DEADLINE).pull(&request).await;
        let reply = asked
            .inspect_err(|error| tracing::warn!(pool = me.pool.as_str(), shard = from.0, %error, "the former owner of an id did not answer"))
            .ok();
        self.drive_logged(Input::Pulled { from, id: request.id, reply });
    }

    /// Hands containers over to a sibling.
    pub(super) async fn deliver(self: &Rc<Self>, me: &ShardId, to: ShardIndex, delivery: Delivery) {
        let sent = self.sibling(me, to).within(PEER_DEADLINE).receive(&delivery).await;
        let receipt = sent
            .inspect_err(|error| tracing::warn!(pool = me.pool.as_str(), shard = to.0, %error, "a delivery to a sibling was not confirmed"))
            .ok();
        self.drive_logged(Input::Delivered { to, receipt });
    }

    pub(super) fn sibling(&self, me: &ShardId, index: ShardIndex) -> ShardClient<'_> {
        ShardClient::new(&self.env, ShardId { pool: me.pool.clone(), index })
    }
}

fn unanswered() -> JsValue {
    js::js_error("the shard has no answer for its sibling; this is a fault of the pool's code")
}
