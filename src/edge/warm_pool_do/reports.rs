//! Reports of containers that have stopped, whichever shard has them.

use std::rc::Rc;

use futures::stream::{FuturesUnordered, StreamExt};
use wasm_bindgen::JsValue;

use super::driver::{Driver, PEER_DEADLINE};
use crate::core::id::{ContainerId, ShardId, ShardIndex};
use crate::core::shard::Input;
use crate::edge::container_rpc;
use crate::edge::rpc::ShardClient;

/// The length of a Durable Object id as text.
const HEX_ID_LEN: usize = 64;

impl Driver {
    /// Takes a report of a container on the books of this shard; false when it is not.
    pub fn report_stopped(self: &Rc<Self>, name: &str) -> Result<bool, String> {
        let Some(container) = self.container_named(name)? else { return Ok(false) };
        self.drive(Input::Stopped(container))?;
        Ok(true)
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

    /// Asks all siblings at once whose container it is.
    pub async fn forward_stopped(&self, name: String) -> Result<bool, JsValue> {
        let (me, shards) = self.with(|shard| {
            let shards = shard.plan().map_or(0, |plan| plan.pool.shards.get());
            (shard.id().clone(), shards)
        })?;
        let siblings = (0..shards).map(ShardIndex).filter(|&index| index != me.index);
        let asked: FuturesUnordered<_> =
            siblings.map(|index| self.report_to(ShardId { pool: me.pool.clone(), index }, &name)).collect();
        Ok(asked.any(|taken| async move { taken }).await)
    }

    async fn report_to(&self, sibling: ShardId, name: &str) -> bool {
        match ShardClient::new(&self.env, sibling.clone()).within(PEER_DEADLINE).has_stopped(name).await {
            Ok(taken) => taken,
            Err(error) => {
                // The sibling's health checks will find out.
                tracing::warn!(shard = %sibling, %error, "a stopped container could not be reported");
                false
            }
        }
    }
}
