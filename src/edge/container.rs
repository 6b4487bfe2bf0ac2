//! `ctx.container`, bound by hand.
//!
//! The `worker` crate's binding (0.8.7) passes start options that the runtime reads as empty, and lacks what is newer.
//! What was measured about the runtime and is relied upon here (workerd 2026-07-30, with a local Docker engine):
//!
//! - `start` returns before anything has started; `running` is true from then on, and a failure shows as the end of
//!   `monitor`, for example `Container failed to start` for an image that is missing.
//! - `running` turns false when `monitor` ends, whatever the cause, and stays so for this object: `monitor` and `signal` throw then, and
//!   `destroy` does nothing. Only an object that is built anew sees whether the process runs.
//! - `monitor` rejects with an `exitCode` for an exit code other than 0. Docker then starts the process again.
//! - Without `setInactivityTimeout` a local container is deleted with its object, also when that is thrown away by `abort`.

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::Request;
use worker::State;

use super::js;
use crate::config::resolved::{Millis, Start};

#[wasm_bindgen]
extern "C" {
    /// `ctx.container`.
    #[derive(Clone)]
    type RawContainer;

    #[wasm_bindgen(method, getter)]
    fn running(this: &RawContainer) -> bool;

    #[wasm_bindgen(method, catch)]
    fn start(this: &RawContainer, options: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch)]
    fn monitor(this: &RawContainer) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn destroy(this: &RawContainer) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn signal(this: &RawContainer, number: i32) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = getTcpPort)]
    fn tcp_port(this: &RawContainer, port: u16) -> Result<TcpPort, JsValue>;

    type TcpPort;

    #[wasm_bindgen(method, catch)]
    fn fetch(this: &TcpPort, request: &Request, init: &JsValue) -> Result<Promise, JsValue>;
}

/// The container of this Durable Object.
#[derive(Clone)]
pub struct Container(RawContainer);

/// How a monitored process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MonitorEnd {
    /// With this exit code.
    Exited(i32),
    /// It is not known whether it did; this is what the runtime said.
    Lost(String),
}

impl Container {
    /// The object's container; none when its class has none in `wrangler.jsonc`.
    pub fn of(state: &State) -> Option<Self> {
        let state: &JsValue = state.as_raw().as_ref();
        let container = js::get(state, "container");
        container.is_object().then(|| Self(container.unchecked_into()))
    }

    /// Whether the process runs, as far as this object has seen.
    pub fn running(&self) -> bool {
        self.0.running()
    }

    /// Starts the process.
    ///
    /// # Errors
    ///
    /// Only for options that the runtime refuses; whether it starts is told by [`monitor`](Self::monitor).
    pub fn start(&self, start: &Start) -> Result<(), JsValue> {
        let options = Object::new();
        let set = |key: &str, value: &JsValue| Reflect::set(&options, &JsValue::from_str(key), value);
        set("enableInternet", &JsValue::from_bool(start.enable_internet))?;
        set("env", &js::to_js(&start.env)?)?;
        if let Some(entrypoint) = &start.entrypoint {
            set("entrypoint", &js::to_js(entrypoint)?)?;
        }
        if !start.labels.is_empty() {
            set("labels", &js::to_js(&start.labels)?)?;
        }
        self.0.start(&options)
    }

    /// Waits for the end of the process.
    pub async fn monitor(&self) -> MonitorEnd {
        let ended = match self.0.monitor() {
            Ok(promise) => JsFuture::from(promise).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(_) => MonitorEnd::Exited(0),
            Err(error) => match js::get(&error, "exitCode").as_f64() {
                Some(code) => MonitorEnd::Exited(code as i32),
                None => MonitorEnd::Lost(js::error_text(&error)),
            },
        }
    }

    /// Ends the process and waits until it has ended.
    ///
    /// # Errors
    ///
    /// When the runtime could not.
    pub async fn destroy(&self) -> Result<(), JsValue> {
        JsFuture::from(self.0.destroy()?).await.map(|_| ())
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// When no process is known to run.
    pub fn signal(&self, number: i32) -> Result<(), JsValue> {
        self.0.signal(number)
    }

    /// Passes a request on to a port. The promise is of a `Response`, whose body is as the container sent it: compressed
    /// where it was.
    ///
    /// # Errors
    ///
    /// When the request cannot be sent.
    pub fn fetch(&self, port: u16, request: &Request) -> Result<Promise, JsValue> {
        let port = self.0.tcp_port(port)?;
        let init = Object::new();
        Reflect::set(&init, &"encodeResponseBody".into(), &"manual".into())?;
        let url = request.url();
        match url.strip_prefix("https:") {
            // Ports speak plain HTTP; the runtime refuses anything else, though no network is crossed.
            Some(rest) => {
                // A request serves as its own description.
                let request = Request::new_with_str_and_init(&format!("http:{rest}"), request.unchecked_ref())?;
                port.fetch(&request, &init)
            }
            None => port.fetch(request, &init),
        }
    }

    /// Lets the container outlive its object by so long, where the runtime can do that.
    pub async fn set_inactivity_timeout(&self, timeout: Millis) {
        let Ok(set) = js::get(&self.0, "setInactivityTimeout").dyn_into::<Function>() else { return };
        let set = match set.call1(&self.0, &JsValue::from_f64(timeout.0 as f64)) {
            Ok(promise) => JsFuture::from(Promise::resolve(&promise)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = set {
            tracing::warn!(error = js::error_text(&error), "the container will not outlive its object");
        }
    }
}
