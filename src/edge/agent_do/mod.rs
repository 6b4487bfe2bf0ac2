//! The `ContainerAgent` Durable Object: one container, named by its [`ContainerId`](crate::core::id::ContainerId).
//!
//! A thin adapter over [`Agent`](crate::core::agent::Agent), which says what always holds. It learns all it needs from the
//! shard's start request, so one class serves every pool; a class per image is one line of JavaScript,
//! `export class MyContainer extends ContainerAgent {}`, because a container's image belongs to the class's name.
//!
//! RPC methods, those of a `Container` class of `@cloudflare/containers`: `getState()`, `startAndWaitForPorts(request)`, `stop()`,
//! `destroy()`, `renewActivityTimeout()`. `fetch` passes a request on to the container if the fence lets it.
//!
//! The class is exported without `worker`'s `#[durable_object]`: that would copy every request and response into the crate's own
//! types and back, and a response that is passed through must stay what it is.
//!
//! | file | part |
//! |---|---|
//! | `driver` | steps, writes, effects |
//! | `serve` | the way of a request, `relay` that of a WebSocket |
//! | `process` | what a process can do: `ctx.container`, or `emulated` |
//! | `storage` | the stored record |

mod driver;
mod emulated;
mod process;
mod relay;
mod serve;
mod storage;

use std::rc::Rc;

use wasm_bindgen::prelude::*;
use web_sys::{Request, Response};
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};

use self::driver::Driver;
use super::{js, log};
use crate::core::agent::{Input, Life, Orders, Reply};
use crate::wire::agent::{StartReply, StartRequest, StateReply, Status};

/// One container, in a Durable Object.
#[wasm_bindgen]
pub struct ContainerAgent {
    /// The driver, or why there is none: then every call fails with it.
    driver: Result<Rc<Driver>, String>,
}

#[wasm_bindgen]
impl ContainerAgent {
    /// What the runtime calls, through the JavaScript class.
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        log::init();
        Self { driver: Driver::new(State::from(state), env).map_err(|error| error.to_string()) }
    }

    /// Passes a request on to the container, or says in `x-warm-pool-fence` why not.
    pub async fn fetch(&self, request: Request) -> Result<Response, JsValue> {
        let driver = self.driver()?;
        serve::fetch(driver, request).await
    }

    /// Looks at what is due.
    pub async fn alarm(&self) -> Result<(), JsValue> {
        self.driver()?.alarm_rang();
        Ok(())
    }

    /// [`StartRequest`] -> [`StartReply`]. Starts the container and waits until it is ready; joins a start under way.
    /// Throws only for a request that is none.
    #[wasm_bindgen(js_name = startAndWaitForPorts)]
    pub async fn start_and_wait_for_ports(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let driver = self.driver()?;
        if request.is_null_or_undefined() {
            return Err(js::js_error(
                "A container agent is started by its pool, with a start request: ask the pool for a container.",
            ));
        }
        let StartRequest { container, owner, start, sleep_after, lease_ttl, drain_timeout } = js::from_js(request)?;
        let orders = Box::new(Orders { container, owner, start, sleep_after, lease_ttl, drain_timeout });
        let reply = driver.ask(|caller| Input::StartAsked { caller, orders }).await?;
        match reply {
            Reply::Started(Ok(())) => js::to_js(&StartReply::Ready),
            Reply::Started(Err(failure)) => js::to_js(&StartReply::Failed(failure)),
            other => Err(unexpected(&other)),
        }
    }

    /// Sends SIGTERM and destroys the container after its drain timeout. Answers when the signal is sent.
    pub async fn stop(&self) -> Result<(), JsValue> {
        let driver = self.driver()?;
        match driver.ask(|caller| Input::StopAsked { caller }).await? {
            Reply::Stopped => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Ends the container at once. Answers when it has ended; throws when it may still run, and goes on trying.
    pub async fn destroy(&self) -> Result<(), JsValue> {
        let driver = self.driver()?;
        match driver.ask(|caller| Input::DestroyAsked { caller }).await? {
            Reply::Destroyed(Ok(())) => Ok(()),
            Reply::Destroyed(Err(message)) => Err(js::js_error(&format!("The container may still run: {message}"))),
            other => Err(unexpected(&other)),
        }
    }

    /// A [`StateReply`]: what is true now, for the process is looked at.
    #[wasm_bindgen(js_name = getState)]
    pub fn get_state(&self) -> Result<JsValue, JsValue> {
        let driver = self.driver()?;
        driver.look();
        js::to_js(&driver.with(|agent| {
            let Some(record) = agent.record() else {
                return StateReply { status: Status::Stopped, last_change: 0, exit_code: None };
            };
            let status = match record.life {
                Life::Starting { .. } => Status::Running,
                Life::Ready => Status::Healthy,
                Life::Stopping { .. } => Status::Stopping,
                Life::Stopped(_) if record.exit_code.is_some() => Status::StoppedWithCode,
                Life::Stopped(_) => Status::Stopped,
            };
            StateReply { status, last_change: record.since.0, exit_code: record.exit_code }
        })?)
    }

    /// Keeps the container from sleeping for another `sleep_after`.
    #[wasm_bindgen(js_name = renewActivityTimeout)]
    pub fn renew_activity_timeout(&self) -> Result<(), JsValue> {
        self.driver()?.step(Input::RenewAsked);
        Ok(())
    }

    fn driver(&self) -> Result<Rc<Driver>, JsValue> {
        self.driver.clone().map_err(|error| js::js_error(&error))
    }
}

fn unexpected(reply: &Reply) -> JsValue {
    js::js_error(&format!("The agent answered another question: {reply:?}"))
}
