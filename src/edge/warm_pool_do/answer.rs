//! The answer to a sticky call, made with one crossing of the border to JavaScript.

use js_sys::JsString;
use wasm_bindgen::prelude::*;

use crate::core::id::ContainerId;
use crate::core::outcome::Assignment;
use crate::edge::intern::intern;
use crate::edge::js;

#[wasm_bindgen(module = "/src/edge/warm_pool_do/answer.mjs")]
extern "C" {
    fn assignment(
        container: &str,
        epoch: f64,
        fenced: bool,
        outcome: &JsString,
        shard: u32,
        binding: &JsString,
    ) -> JsValue;
}

/// An assignment as JavaScript sees it: what [`js::to_js`] makes of it, in less time when the id had its container already.
pub fn of(assigned: &Assignment) -> Result<JsValue, JsValue> {
    let Assignment { container, epoch, fenced, outcome, reason, shard, binding } = assigned;
    let (None, Some(binding)) = (reason, binding) else { return js::to_js(assigned) };
    let mut buffer = [0; ContainerId::TEXT_LENGTH];
    let container = container.encode(&mut buffer);
    // Exact: epochs are below 2^53.
    Ok(assignment(container, epoch.0 as f64, *fenced, &intern(outcome.as_str()), shard.0, &intern(binding.as_str())))
}
