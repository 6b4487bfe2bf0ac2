//! The one alarm of a Durable Object.
//!
//! It is set for the earliest timer, or before: an alarm that is set already and rings earlier is left as it is, and set anew
//! when it has rung. For each change of it is written down twice, in the object and in the runtime's own list of alarms,
//! and whoever waits for the object's writes waits for both; while timers of starts and calls come and go with
//! each request. An alarm that rings for nothing costs one empty step now and then.

use std::cell::Cell;

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use worker::State;

use super::js;
use crate::config::resolved::Millis;

/// How long until an object that failed when its alarm rang looks again.
const RETRY_AFTER: Millis = Millis::from_secs(60);

#[wasm_bindgen]
extern "C" {
    /// `setAlarm` and `deleteAlarm` take effect at once; their promises only say when they are durable, which the
    /// runtime waits for anyway before it lets anything out.
    type AlarmStorage;

    #[wasm_bindgen(method, catch, js_name = setAlarm)]
    fn set_alarm(this: &AlarmStorage, at: f64) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch, js_name = deleteAlarm)]
    fn delete_alarm(this: &AlarmStorage) -> Result<Promise, JsValue>;
}

/// The alarm, and what it was last set to by this object, so that it is not set again to the same time.
pub struct Alarm {
    storage: AlarmStorage,
    set_to: Cell<SetTo>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SetTo {
    /// Whatever the object's former life left.
    Unknown,
    Nothing,
    Time(Millis),
}

impl Alarm {
    /// The object's alarm.
    pub fn of(state: &State) -> Self {
        let storage = state.storage();
        let storage: &JsValue = storage.as_raw().as_ref();
        Self { storage: storage.clone().unchecked_into(), set_to: Cell::new(SetTo::Unknown) }
    }

    /// It rang: it is not set any more.
    pub fn rang(&self) {
        self.set_to.set(SetTo::Nothing);
    }

    /// What it rang for failed: sets it to ring again in a while. A handler that fails is retried a few times and then never again.
    pub fn retry(&self) {
        self.set(Some(js::now() + RETRY_AFTER));
    }

    /// Sets it to ring at this time or before, or takes it away.
    pub fn set(&self, at: Option<Millis>) {
        let wanted = at.map_or(SetTo::Nothing, SetTo::Time);
        match (self.set_to.get(), wanted) {
            (SetTo::Nothing, SetTo::Nothing) => return,
            (SetTo::Time(earlier), SetTo::Time(at)) if earlier <= at => return,
            (SetTo::Unknown | SetTo::Nothing | SetTo::Time(_), _) => self.set_to.set(wanted),
        }
        let done = match at {
            Some(at) => self.storage.set_alarm(at.0 as f64),
            None => self.storage.delete_alarm(),
        };
        if let Err(error) = done {
            // Not set: the next step tries again.
            self.set_to.set(SetTo::Unknown);
            tracing::error!(error = js::error_text(&error), "the alarm could not be set");
        }
    }
}
