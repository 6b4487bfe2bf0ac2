//! Reports of containers that have stopped, whichever shard has them.

use std::rc::Rc;

use crate::edge::join::any;
use wasm_bindgen::JsValue;

use super::driver::{Driver, PEER_DEADLINE};
use crate::core::id::{ContainerId, ShardId, ShardIndex};
use crate::core::plan::Plan;
use crate::core::shard::Input;
use crate::edge::container_rpc;
use crate::edge::js::{self, CallError};
use crate::wire::shard::Forwarded;

/// The length of a Durable Object id as text.
const HEX_ID_LEN: usize = 64;

impl Driver {
    /// Takes a report of a container on the books of this shard; false when it is not.
    pub fn report_stopped(self: &Rc<Self>, name: &str) -> Result<bool, String> {
        let Some(container) = self.container_named(name)? else { return Ok(false) };
        self.drive(Input::Stopped(container))?;
        Ok(true)
    }

    /// The sibling to which a container is being handed over, if it is.
    pub fn handed_to(&self, name: &str) -> Option<ShardIndex> {
        let container: ContainerId = name.parse().ok()?;
        self.loaded().ok()?.machine.try_borrow().ok()?.handed_to(container)
    }

    /// Tells the sibling to which the container is being handed over. Fails while it has not arrived there, so that it is
    /// reported again.
    pub async fn tell_receiver(&self, to: ShardIndex, name: String) -> Result<bool, JsValue> {
        let me = self.with(|shard| shard.id().clone())?;
        match self.pass_on(&me, to, &name).await {
            Ok(true) => Ok(true),
            Ok(false) => Err(js::js_error("the container is on its way to another shard; report it again")),
            Err(error) => Err(js::js_error(&error.to_string())),
        }
    }

    /// The container on the books whose UUID or hex object id is `name`.
    fn container_named(&self, name: &str) -> Result<Option<ContainerId>, String> {
        let machine = self.loaded()?.machine.try_borrow().map_err(|error| error.to_string())?;
        if let Ok(container) = name.parse::<ContainerId>() {
            return Ok(machine.binding_of(container).map(|_| container));
        }
        if name.len() != HEX_ID_LEN || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("{name:?} is neither a container's UUID nor a Durable Object id"));
        }
        let mut hex_ids = self.hex_ids.try_borrow_mut().map_err(|error| error.to_string())?;
        if let Some(&container) = hex_ids.get(name) {
            return Ok(machine.binding_of(container).map(|_| container));
        }
        hex_ids.clear();
        for row in machine.containers() {
            let Some(binding) = machine.binding_of(row.container) else { continue };
            if let Ok(hex) = container_rpc::hex_id(&self.env, row.container, binding) {
                hex_ids.insert(hex, row.container);
            }
        }
        Ok(hex_ids.get(name).copied())
    }

    /// Asks all siblings at once whose container it is; while ids move, those of before as well.
    pub async fn forward_stopped(&self, name: String) -> Result<bool, JsValue> {
        let (me, shards) = self.with(|shard| (shard.id().clone(), shard.plan().map_or(0, Plan::taking_part)))?;
        let siblings = (0..shards).map(ShardIndex).filter(|&index| index != me.index);
        Ok(any(siblings.map(|index| self.report_to(&me, index, &name))).await)
    }

    async fn pass_on(&self, me: &ShardId, to: ShardIndex, name: &str) -> Result<bool, CallError> {
        self.sibling(me, to).within(PEER_DEADLINE).pass_on_stopped(name, Forwarded::BySibling).await
    }

    async fn report_to(&self, me: &ShardId, to: ShardIndex, name: &str) -> bool {
        match self.pass_on(me, to, name).await {
            Ok(taken) => taken,
            Err(error) => {
                // The sibling's health checks will find out.
                tracing::warn!(pool = me.pool.as_str(), shard = to.0, %error, "a stopped container could not be reported");
                false
            }
        }
    }
}
