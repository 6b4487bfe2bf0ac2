//! The health checks of a step, in as few crossings of the border to JavaScript as will do.

use std::rc::{Rc, Weak};

use js_sys::{Array, JsString, Promise};
use wasm_bindgen::prelude::*;
use worker::{Env, State};

use super::driver::Driver;
use crate::config::resolved::{BindingName, Millis};
use crate::core::id::ContainerId;
use crate::core::shard::{Finding, Input};
use crate::core::sorted::Map;
use crate::edge::js;
use crate::wire::agent::Status;

#[wasm_bindgen(module = "/src/edge/warm_pool_do/checks.mjs")]
extern "C" {
    #[wasm_bindgen(catch, js_name = checkAll)]
    fn check_all(namespace: &JsValue, names: &Array, millis: f64, tell: &JsValue) -> Result<Promise, JsValue>;
}

/// How long a container has to say how it is.
const DEADLINE: Millis = Millis::from_secs(10);

/// Takes in what each check has found. One for all checks of an object, which it ends with: an answer that comes later is an error
/// of JavaScript's that nobody sees.
pub(super) struct Listener(Closure<dyn Fn(String, Option<String>)>);

impl Listener {
    pub fn new(driver: Weak<Driver>) -> Self {
        Self(Closure::new(move |container: String, status: Option<String>| {
            let (Some(driver), Ok(container)) = (driver.upgrade(), container.parse()) else { return };
            driver.drive_logged(Input::CheckDone(container, finding(status.as_deref())));
        }))
    }
}

/// Checks that a step wants made, by the binding of the containers' class.
pub(super) type Checks = Map<BindingName, Vec<ContainerId>>;

/// Makes them; each answer is an input.
pub(super) fn perform(driver: &Rc<Driver>, env: &Env, state: &State, listener: &Listener, checks: Checks) {
    for (binding, containers) in checks {
        let names: Array = containers.iter().map(|container| JsString::from(container.to_string())).collect();
        let asked = check_all(&js::get(env.as_ref(), binding.as_str()), &names, DEADLINE.0 as f64, listener.0.as_ref());
        // It may be cut off when the runtime ends the event; then the checks are made again.
        if let Err(error) = asked.and_then(|all| state.as_raw().wait_until(&all)) {
            tracing::warn!(error = js::error_text(&error), "containers could not be asked how they are");
            for container in containers {
                driver.drive_logged(Input::CheckDone(container, Finding::Unknown));
            }
        }
    }
}

/// What a status says. One of another version of the class proves nothing.
fn finding(status: Option<&str>) -> Finding {
    match status.and_then(Status::from_word) {
        Some(Status::Running | Status::Healthy) => Finding::Running,
        Some(Status::Stopping) => Finding::Stopping,
        Some(Status::Stopped | Status::StoppedWithCode) => Finding::Stopped,
        None => Finding::Unknown,
    }
}
