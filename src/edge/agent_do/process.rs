//! What a process can do: the same for one in a container and for its emulation.

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use web_sys::Request;
use worker::{Env, State};

use super::super::container::{Container, MonitorEnd};
use super::super::js;
use super::emulated::Emulated;
use super::storage::{Storage, StorageError};
use crate::config::resolved::Millis;
use crate::core::agent::{Destruction, Orders};

/// The process behind the agent.
#[derive(Clone)]
pub enum Process {
    /// In the object's container.
    Real(Container),
    /// A stand-in within the object.
    Emulated(Emulated),
    /// The object's class has no container.
    Missing,
}

impl Process {
    /// The process of this object: emulated where the Worker's variable `WARM_POOL_CONTAINERS` is `emulated`, which no
    /// deployed Worker has by default.
    ///
    /// # Errors
    ///
    /// When the stored state of an emulated one cannot be read.
    pub fn of(state: &State, env: &Env, storage: &Storage) -> Result<Self, StorageError> {
        if js::get(env, "WARM_POOL_CONTAINERS").as_string().as_deref() == Some("emulated") {
            return Emulated::load(storage.clone()).map(Self::Emulated);
        }
        Ok(Container::of(state).map_or(Self::Missing, Self::Real))
    }

    /// Whether it runs, as far as this object can see.
    pub fn running(&self) -> bool {
        match self {
            Self::Real(container) => container.running(),
            Self::Emulated(emulated) => emulated.running(),
            Self::Missing => false,
        }
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// The message of what went wrong.
    pub fn start(&self, orders: &Orders) -> Result<(), String> {
        match self {
            Self::Real(container) => container.start(&orders.start).map_err(|error| js::error_text(&error)),
            Self::Emulated(emulated) => emulated.start(orders),
            // Says what `FailureClass` reads as permanent: no retry will help.
            Self::Missing => {
                Err("no such image: the object's class has no container; list the class under `containers` in \
                                  wrangler.jsonc, or set the variable WARM_POOL_CONTAINERS to \"emulated\""
                    .to_owned())
            }
        }
    }

    /// Waits for its end.
    pub async fn monitor(&self) -> MonitorEnd {
        match self {
            Self::Real(container) => container.monitor().await,
            Self::Emulated(emulated) => emulated.monitor().await,
            Self::Missing => MonitorEnd::Lost("the object's class has no container".to_owned()),
        }
    }

    /// Ends it, and waits until it has ended.
    ///
    /// # Errors
    ///
    /// The message of what went wrong.
    pub async fn destroy(&self) -> Result<Destruction, String> {
        if !self.running() {
            return Ok(Destruction::NothingToDo);
        }
        match self {
            Self::Real(container) => container.destroy().await.map_err(|error| js::error_text(&error))?,
            Self::Emulated(emulated) => emulated.destroy()?,
            Self::Missing => {}
        }
        Ok(Destruction::Done)
    }

    /// Sends SIGTERM. A process that has ended needs none.
    pub fn terminate(&self) {
        let sent = match self {
            Self::Real(container) => container.signal(SIGTERM).map_err(|error| js::error_text(&error)),
            Self::Emulated(emulated) => emulated.terminate(),
            Self::Missing => Ok(()),
        };
        if let Err(error) = sent {
            tracing::warn!(error, "SIGTERM could not be sent");
        }
    }

    /// Passes a request on to a port. The promise is of a `Response`.
    ///
    /// # Errors
    ///
    /// When the request cannot be sent.
    pub fn fetch(&self, port: u16, request: &Request) -> Result<Promise, JsValue> {
        match self {
            Self::Real(container) => container.fetch(port, request),
            Self::Emulated(emulated) => Ok(emulated.fetch(port, request)),
            Self::Missing => Err(js::js_error("the object's class has no container")),
        }
    }

    /// Lets it outlive the object by so long.
    pub async fn outlive(&self, timeout: Millis) {
        match self {
            Self::Real(container) => container.set_inactivity_timeout(timeout).await,
            // What is stored outlives the object anyway.
            Self::Emulated(_) | Self::Missing => {}
        }
    }
}

const SIGTERM: i32 = 15;
