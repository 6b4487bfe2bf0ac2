//! The `WarmPool` Durable Object: one shard, named `{pool}/{shard}`.
//!
//! A thin adapter over [`Shard`](crate::core::shard::Shard). For every input it does, in one synchronous function: borrow, step, write the rows in
//! one transaction, set the one alarm, release the borrow; only then it runs the effects, and the result of each comes
//! back as a new input. So no borrow crosses an await, and nothing is done before it is written (the runtime holds
//! outgoing messages until writes are durable). A write that fails throws the object away: it is loaded anew from its
//! rows, which know nothing of the step.
//!
//! RPC methods (see `src/shim/types/objects.d.ts`): `acquire`, `getContainer`, `lookupContainer`, `release`, `confirmLease`,
//! `reportStopped`, `getStats`, `getPlan`, `getBinding`, `configure`, `shutdownPrewarmed`; and, from siblings and the coordinator alone,
//! `borrow`, `pull`, `receive`, `allot`.

// The methods that the macro adds have no documentation.
#![allow(missing_docs)]

mod answer;
mod checks;
mod driver;
mod plans;
mod reports;
mod siblings;

use std::rc::Rc;

use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use driver::Driver;

use super::js::{self, future_to_promise};
use super::log;
use crate::core::id::SessionId;
use crate::core::shard::{DrainCause, Event, Input};
use crate::wire::agent::LeaseRequest;
use crate::wire::shard::{AcquireReply, AcquireRequest, ClassReply, Forwarded};

/// One shard of one pool.
#[durable_object(alarm)]
pub struct WarmPool {
    driver: Rc<Driver>,
}

impl DurableObject for WarmPool {
    fn new(state: State, env: Env) -> Self {
        log::init();
        Self { driver: Driver::new(state, env) }
    }

    async fn fetch(&self, _request: Request) -> worker::Result<Response> {
        Response::error("A WarmPool is called by RPC.", 405)
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.driver.alarm_rang();
        Response::empty()
    }
}

#[wasm_bindgen]
impl WarmPool {
    /// The container that an id has, for `acquire`; undefined when it has none, or is no id.
    pub fn sticky(&self, id: JsValue) -> Result<JsValue, JsValue> {
        let Ok(id) = session_id(&id) else { return Ok(JsValue::UNDEFINED) };
        self.driver.sticky(&id)?.map_or(Ok(JsValue::UNDEFINED), |assignment| answer::of(&assignment))
    }

    /// [`AcquireRequest`] -> [`AcquireReply`]. At once when the id has a container, else a promise.
    pub fn acquire(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let AcquireRequest { id, shards, suspect, code } = js::from_js(request)?;
        if suspect.is_none()
            && code.as_ref().is_none_or(|code| self.driver.heeds(code))
            && let Some(assignment) = self.driver.sticky(&id)?
        {
            return js::to_js(&AcquireReply::Assigned(assignment));
        }
        let driver = Rc::clone(&self.driver);
        let reply = async move {
            js::to_js(&match driver.acquire(id, shards, suspect, code.as_ref()).await? {
                Ok(assignment) => AcquireReply::Assigned(assignment),
                Err(refusal) => AcquireReply::Refused(refusal),
            })
        };
        Ok(future_to_promise(reply).into())
    }

    /// The container of an id, which gets one when it has none. Throws a refusal as an `Error` whose `code` and
    /// `retryAfterMillis` say what it is.
    #[wasm_bindgen(js_name = getContainer)]
    pub fn get_container(&self, id: JsValue) -> Result<JsValue, JsValue> {
        let id = session_id(&id)?;
        if let Some(assignment) = self.driver.sticky(&id)? {
            return answer::of(&assignment);
        }
        let driver = Rc::clone(&self.driver);
        let reply = async move {
            match driver.acquire(id, None, None, None).await? {
                Ok(assignment) => js::to_js(&assignment),
                Err(refusal) => Err(js::refusal_error(&refusal)),
            }
        };
        Ok(future_to_promise(reply).into())
    }

    /// The container of an id, or null. Gives it none. Throws a refusal when another shard owns the id.
    #[wasm_bindgen(js_name = lookupContainer)]
    pub fn lookup_container(&self, id: JsValue) -> Result<JsValue, JsValue> {
        let id = session_id(&id)?;
        self.driver.with_found(id, |_, _, found| match found {
            Some(assignment) => js::to_js(&assignment),
            None => Ok(JsValue::NULL),
        })
    }

    /// The id is done with its container, which is drained. Returns whether it had one. Throws a refusal when another shard
    /// owns the id.
    pub fn release(&self, id: JsValue) -> Result<JsValue, JsValue> {
        let id = session_id(&id)?;
        self.driver.with_found(id, |driver, id, found| {
            driver.drive(Input::Release(id.clone())).map_err(|error| js::js_error(&error))?;
            Ok(found.is_some().into())
        })
    }

    /// [`LeaseRequest`] -> [`LeaseReply`](crate::wire::agent::LeaseReply): an agent asks whether it may serve an id.
    #[wasm_bindgen(js_name = confirmLease)]
    pub fn confirm_lease(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let LeaseRequest { container, session, epoch } = js::from_js(request)?;
        js::to_js(&self.driver.with(|shard| shard.confirm(js::now(), container, &session, epoch))?)
    }

    /// A container has stopped, named by its UUID or by its object's hex id. Returns whether it was on the books of this
    /// shard, or of another that was asked; which, says [`Forwarded`].
    #[wasm_bindgen(js_name = reportStopped)]
    pub fn report_stopped(&self, container: JsValue, forwarded: JsValue) -> Result<JsValue, JsValue> {
        let name = container.as_string().ok_or_else(|| js_sys::TypeError::new("reportStopped takes a string"))?;
        // Objects that still run older code say `true`.
        let forwarded: Option<Forwarded> = match forwarded.as_bool() {
            Some(true) => Some(Forwarded::BySibling),
            Some(false) => None,
            None => js::from_js(forwarded)?,
        };
        if self.driver.report_stopped(&name).map_err(|error| js::js_error(&error))? {
            return Ok(JsValue::TRUE);
        }
        let driver = Rc::clone(&self.driver);
        match forwarded {
            Some(Forwarded::BySibling) => Ok(JsValue::FALSE),
            Some(Forwarded::ToOwner) => match driver.handed_to(&name) {
                Some(to) => {
                    Ok(future_to_promise(async move { Ok(driver.tell_receiver(to, name).await?.into()) }).into())
                }
                None => Ok(JsValue::FALSE),
            },
            None => Ok(future_to_promise(async move { Ok(driver.forward_stopped(name).await?.into()) }).into()),
        }
    }

    /// The binding that leads to the class which is told by what its namespace makes of a certain name. Throws a `TypeError` when there is
    /// none, or more than one.
    #[wasm_bindgen(js_name = getBinding)]
    pub fn get_binding(&self, class: &str) -> Result<String, JsValue> {
        Ok(self.driver.binding_of(class, None).map_err(|error| type_error(&error))?.to_string())
    }

    /// The shard in numbers.
    #[wasm_bindgen(js_name = getStats)]
    pub fn get_stats(&self) -> Result<JsValue, JsValue> {
        // What is told must be durable: the answer waits for the writes of the step.
        self.driver.drive(Input::Tell).map_err(|error| js::js_error(&error))?;
        js::to_js(&self.driver.with(|shard| shard.stats(js::now()))?)
    }

    /// The [`Plan`](crate::core::plan::Plan) that the shard works by, or null.
    #[wasm_bindgen(js_name = getPlan)]
    pub fn get_plan(&self) -> Result<JsValue, JsValue> {
        js::to_js(&self.driver.with(|shard| shard.plan().cloned())?)
    }

    /// Takes a [`Plan`](crate::core::plan::Plan) unless the shard has a newer one; returns the [`PlanVersion`](crate::core::plan::PlanVersion) it works by. A [`ClassPlan`](crate::wire::shard::ClassPlan) is
    /// answered by a [`ClassReply`]. A pool that no configuration has may be given its settings instead, with the keys that a pool has in
    /// `pools.toml`.
    pub fn configure(&self, config: JsValue) -> Result<JsValue, JsValue> {
        let is_there = |key| !js::get(&config, key).is_undefined();
        let (plan, by_class) = match (is_there("class"), is_there("version")) {
            (true, _) => match self.driver.plan_of_class(js::from_js(config)?) {
                Ok(plan) => (plan, true),
                Err(mistake) => return js::to_js(&ClassReply::Mistake(mistake.to_string())),
            },
            (false, true) => (js::from_js(config)?, false),
            (false, false) => (self.driver.plan_of_settings(&config)?, false),
        };
        let driver = Rc::clone(&self.driver);
        let reply = move |version| if by_class { js::to_js(&ClassReply::Heeded(version)) } else { js::to_js(&version) };
        if !driver.must_hear_count(&plan)? {
            return reply(driver.take(plan)?);
        }
        Ok(future_to_promise(async move { reply(driver.take_after_first(plan).await?) }).into())
    }

    /// Replaces every container that is not assigned. Returns how many were sent away.
    #[wasm_bindgen(js_name = shutdownPrewarmed)]
    pub fn shutdown_prewarmed(&self) -> Result<u32, JsValue> {
        let events = self.driver.drive(Input::ShutdownPrewarmed).map_err(|error| js::js_error(&error))?.events;
        let sent_away = |event: &&Event| matches!(event, Event::Draining(_, DrainCause::Shutdown, _));
        Ok(u32::try_from(events.iter().filter(sent_away).count()).unwrap_or(u32::MAX))
    }
}

fn session_id(id: &JsValue) -> Result<SessionId, JsValue> {
    let text = id.as_string().ok_or_else(|| js_sys::TypeError::new("an id is a string"))?;
    SessionId::from_caller(text).map_err(|error| type_error(&error))
}

fn type_error(error: &dyn std::fmt::Display) -> JsValue {
    js_sys::TypeError::new(&error.to_string()).into()
}
