//! The `WarmPool` Durable Object: one shard, named `{pool}/{shard}`.
//!
//! A thin adapter over [`Shard`]. For every input it does, in one synchronous function: borrow, step, write the rows in
//! one transaction, set the one alarm, release the borrow; only then it runs the effects, and the result of each comes
//! back as a new input. So no borrow crosses an await, and nothing is done before it is written (the runtime holds
//! outgoing messages until writes are durable). A write that fails throws the object away: it is loaded anew from its
//! rows, which know nothing of the step.
//!
//! RPC methods (see `src/shim/index.d.ts`): `acquire`, `getContainer`, `lookupContainer`, `release`, `confirmLease`,
//! `reportStopped`, `getStats`, `configure`, `shutdownPrewarmed`.

// The methods that the macro adds have no documentation.
#![allow(missing_docs)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use futures::channel::oneshot;
use futures::stream::{FuturesUnordered, StreamExt};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::abort::abort;
use super::alarm::Alarm;
use super::bundled::bundled;
use super::entropy::RuntimeEntropy;
use super::js::{self, CallError};
use super::rpc::{POOL_COORDINATOR, WARM_POOL};
use super::{container_rpc, log};
use crate::config::parse_value;
use crate::config::resolved::Millis;
use crate::core::id::{ContainerId, SessionId, ShardId, ShardIndex};
use crate::core::outcome::{Assignment, Refusal};
use crate::core::plan::{Plan, PlanVersion, Share};
use crate::core::shard::{Action, DrainCause, Effects, Event, Input, Shard, WaiterId};
use crate::store::{Database, load_shard, save_shard};
use crate::wire::COORDINATOR_NAME;
use crate::wire::agent::{LeaseReply, LeaseRequest};
use crate::wire::coordinator::{ReportReply, ShardReport};
use crate::wire::shard::{AcquireReply, AcquireRequest};

/// How long a shard without a plan waits for the coordinator before it takes the bundled one.
const FIRST_PLAN_DEADLINE: Millis = Millis::from_secs(1);
/// How long a report, or a call to a sibling, may take.
const PEER_DEADLINE: Millis = Millis::from_secs(5);
/// In force under any shard count.
const FIRST_SHARD: ShardIndex = ShardIndex(0);
/// How long until a shard that cannot be loaded looks again.
const RETRY_AFTER: Millis = Millis::from_secs(60);
/// The length of a Durable Object id as text.
const HEX_ID_LEN: usize = 64;

/// One shard of one pool.
#[durable_object(alarm)]
pub struct WarmPool {
    inner: Rc<Inner>,
}

struct Inner {
    state: State,
    env: Env,
    /// The shard, or why there is none: then every call fails with it.
    shard: Result<Loaded, String>,
    waiters: RefCell<BTreeMap<WaiterId, oneshot::Sender<Result<Assignment, Refusal>>>>,
    next_waiter: Cell<u64>,
    alarm: Alarm,
    /// Memory is ahead of the rows: the object is about to be loaded anew, and does nothing more.
    broken: Cell<bool>,
    /// The ids by which container objects know themselves, as far as they were asked for.
    hex_ids: RefCell<BTreeMap<String, ContainerId>>,
}

struct Loaded {
    id: ShardId,
    machine: RefCell<Shard>,
    database: Database,
}

impl DurableObject for WarmPool {
    fn new(state: State, env: Env) -> Self {
        log::init();
        let shard = load(&state, &env);
        let alarm = Alarm::of(&state);
        if let Ok(loaded) = &shard {
            // Whatever was under way is taken up by the first step.
            alarm.set(loaded.machine.try_borrow().ok().and_then(|machine| machine.next_timeout()));
        }
        let inner = Inner {
            state,
            env,
            shard,
            waiters: RefCell::new(BTreeMap::new()),
            next_waiter: Cell::new(0),
            alarm,
            broken: Cell::new(false),
            hex_ids: RefCell::new(BTreeMap::new()),
        };
        Self { inner: Rc::new(inner) }
    }

    async fn fetch(&self, _request: Request) -> worker::Result<Response> {
        Response::error("A WarmPool is called by RPC.", 405)
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.inner.alarm.rang();
        if let Err(error) = self.inner.drive(Input::Woken) {
            // Failing would be retried a few times and then never again.
            tracing::error!(error, "a shard could not take a step; it tries again");
            self.inner.alarm.set(Some(js::now() + RETRY_AFTER));
        }
        Response::empty()
    }
}

fn load(state: &State, env: &Env) -> Result<Loaded, String> {
    let id: ShardId = match state.id().name() {
        Some(name) => name.parse().map_err(|error| format!("{error}, not {name:?}"))?,
        None => return Err("a WarmPool object must be addressed by name, as `{pool}/{shard}`".to_owned()),
    };
    let (database, rows) = load_shard(state).map_err(|error| log::error_chain(&error))?;
    let mut machine = Shard::load(id.clone(), rows, js::now());
    if let Some(plan) = plan_of_this_deploy(&machine, env) {
        let mut entropy = RuntimeEntropy;
        let mut fx = Effects::new(&mut entropy);
        machine.adopt(plan, &mut fx);
        save_shard(&database, &fx.writes).map_err(|error| log::error_chain(&error))?;
        for event in &fx.events {
            log::shard_event(&id, event);
        }
    }
    Ok(Loaded { id, machine: RefCell::new(machine), database })
}

/// What a newer deploy than the shard knows has bundled for its pool.
fn plan_of_this_deploy(machine: &Shard, env: &Env) -> Option<Plan> {
    let plan = machine.plan()?;
    let bundled = bundled(env);
    let pool = bundled.config.pools.get(&machine.id().pool);
    if pool.is_none() && plan.version.version == 0 {
        // Configured by code, not by a file: no file can take it away.
        return None;
    }
    plan.deployed(pool, bundled.stamp, machine.id().index)
}

#[wasm_bindgen]
impl WarmPool {
    /// [`AcquireRequest`] -> [`AcquireReply`]. At once when the id has a container, else a promise.
    pub fn acquire(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let AcquireRequest { id, shards, suspect } = js::from_js(request)?;
        if suspect.is_none()
            && let Some(assignment) = self.inner.sticky(&id)?
        {
            return js::to_js(&AcquireReply::Assigned(assignment));
        }
        let inner = Rc::clone(&self.inner);
        let reply = async move {
            js::to_js(&match inner.acquire(id, shards, suspect).await? {
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
        if let Some(assignment) = self.inner.sticky(&id)? {
            return js::to_js(&assignment);
        }
        let inner = Rc::clone(&self.inner);
        let reply = async move {
            match inner.acquire(id, None, None).await? {
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
        self.inner.with_plan(move |inner| match inner.find(&id)? {
            Some(assignment) => js::to_js(&assignment),
            None => Ok(JsValue::NULL),
        })
    }

    /// The id is done with its container, which is drained. Returns whether it had one. Throws a refusal when another shard
    /// owns the id.
    pub fn release(&self, id: JsValue) -> Result<JsValue, JsValue> {
        let id = session_id(&id)?;
        self.inner.with_plan(move |inner| {
            let had_one = inner.find(&id)?.is_some();
            inner.drive(Input::Release(id)).map_err(|error| js::js_error(&error))?;
            Ok(had_one.into())
        })
    }

    /// [`LeaseRequest`] -> [`LeaseReply`]: an agent asks whether it may serve an id.
    #[wasm_bindgen(js_name = confirmLease)]
    pub fn confirm_lease(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let LeaseRequest { container, session, epoch } = js::from_js(request)?;
        let granted = self.inner.with(|shard| shard.confirm(js::now(), container, &session, epoch))?;
        js::to_js(&granted.map_or(LeaseReply::Denied, LeaseReply::Granted))
    }

    /// A container has stopped, named by its UUID or by its object's hex id. Returns whether it was on the books of this
    /// shard, or (unless `forwarded`) of a sibling.
    #[wasm_bindgen(js_name = reportStopped)]
    pub fn report_stopped(&self, container: JsValue, forwarded: JsValue) -> Result<JsValue, JsValue> {
        let name = container.as_string().ok_or_else(|| js_sys::TypeError::new("reportStopped takes a string"))?;
        if self.inner.report_stopped(&name).map_err(|error| js::js_error(&error))? {
            return Ok(JsValue::TRUE);
        }
        if forwarded.is_truthy() {
            return Ok(JsValue::FALSE);
        }
        let inner = Rc::clone(&self.inner);
        Ok(future_to_promise(async move { Ok(inner.forward_stopped(name).await?.into()) }).into())
    }

    /// The shard in numbers.
    #[wasm_bindgen(js_name = getStats)]
    pub fn get_stats(&self) -> Result<JsValue, JsValue> {
        js::to_js(&self.inner.with(|shard| shard.stats(js::now()))?)
    }

    /// The [`Plan`] that the shard works by, or null.
    #[wasm_bindgen(js_name = getPlan)]
    pub fn get_plan(&self) -> Result<JsValue, JsValue> {
        js::to_js(&self.inner.with(|shard| shard.plan().cloned())?)
    }

    /// Takes a [`Plan`] unless the shard has a newer one; returns the [`PlanVersion`] it works by. A pool that no
    /// configuration has may be given its settings instead, with the keys that a pool has in `pools.toml`.
    pub fn configure(&self, config: JsValue) -> Result<JsValue, JsValue> {
        let plan = match js::get(&config, "version") {
            version if version.is_undefined() => self.inner.plan_of_settings(&config)?,
            _ => js::from_js(config)?,
        };
        self.inner.drive(Input::Configured(Box::new(plan))).map_err(|error| js::js_error(&error))?;
        let version = self.inner.with(|shard| shard.plan().map(|plan| plan.version))?;
        js::to_js(&version.unwrap_or_default())
    }

    /// Replaces every container that is not assigned. Returns how many were sent away.
    #[wasm_bindgen(js_name = shutdownPrewarmed)]
    pub fn shutdown_prewarmed(&self) -> Result<u32, JsValue> {
        let events = self.inner.drive(Input::ShutdownPrewarmed).map_err(|error| js::js_error(&error))?;
        let sent_away = |event: &&Event| matches!(event, Event::Draining(_, DrainCause::Shutdown));
        Ok(u32::try_from(events.iter().filter(sent_away).count()).unwrap_or(u32::MAX))
    }
}

impl Inner {
    fn loaded(&self) -> Result<&Loaded, String> {
        if self.broken.get() {
            return Err("the object is being restarted; try again".to_owned());
        }
        self.shard.as_ref().map_err(Clone::clone)
    }

    /// Runs something on the machine that writes nothing.
    fn with<T>(&self, body: impl FnOnce(&mut Shard) -> T) -> Result<T, JsValue> {
        let loaded = self.loaded().map_err(|error| js::js_error(&error))?;
        let mut machine = loaded.machine.try_borrow_mut().map_err(|error| js::js_error(&error.to_string()))?;
        Ok(body(&mut machine))
    }

    /// Does something that takes a plan: at once when the shard has one, else when it was told.
    fn with_plan(
        self: &Rc<Self>,
        body: impl FnOnce(&Rc<Self>) -> Result<JsValue, JsValue> + 'static,
    ) -> Result<JsValue, JsValue> {
        if self.with(|shard| shard.plan().is_some())? {
            return body(self);
        }
        let inner = Rc::clone(self);
        let told = async move {
            inner.ensure_plan().await?;
            body(&inner)
        };
        Ok(future_to_promise(told).into())
    }

    /// The container of an id, or a refusal when it is not this shard that would know.
    fn find(&self, id: &SessionId) -> Result<Option<Assignment>, JsValue> {
        let (found, refusal) = self.with(|shard| (shard.lookup(id), shard.not_here(id, None)))?;
        match (found, refusal) {
            (None, Some(refusal)) => Err(js::refusal_error(&refusal)),
            (found, _) => Ok(found),
        }
    }

    fn sticky(&self, id: &SessionId) -> Result<Option<Assignment>, JsValue> {
        self.with(|shard| shard.sticky(id))
    }

    /// The step: see the module's documentation.
    fn drive(self: &Rc<Self>, input: Input) -> Result<Vec<Event>, String> {
        let loaded = self.loaded()?;
        let mut entropy = RuntimeEntropy;
        let mut fx = Effects::new(&mut entropy);
        {
            let mut machine = loaded.machine.try_borrow_mut().map_err(|error| error.to_string())?;
            machine.step(js::now(), input, &mut fx);
            if let Err(error) = save_shard(&loaded.database, &fx.writes) {
                let error = log::error_chain(&error);
                self.broken.set(true);
                abort(&self.state, &error);
                return Err(error);
            }
            self.alarm.set(machine.next_timeout());
        }
        let Effects { actions, events, .. } = fx;
        for event in &events {
            log::shard_event(&loaded.id, event);
        }
        for action in actions {
            self.run(&loaded.id, action);
        }
        Ok(events)
    }

    fn run(self: &Rc<Self>, owner: &ShardId, action: Action) {
        match action {
            Action::Reply(waiter, reply) => {
                let waiter = self.waiters.try_borrow_mut().ok().and_then(|mut waiters| waiters.remove(&waiter));
                if let Some(waiter) = waiter {
                    // A caller that is gone does not mind.
                    waiter.send(reply).ok();
                }
            }
            Action::Call { container, binding, call } => {
                let (inner, owner) = (Rc::clone(self), owner.clone());
                self.state.wait_until(async move {
                    let input = container_rpc::perform(&inner.env, &owner, container, &binding, call).await;
                    inner.drive_logged(input);
                });
            }
            Action::Report => {
                let inner = Rc::clone(self);
                self.state.wait_until(async move {
                    if let Err(error) = inner.report(PEER_DEADLINE).await {
                        tracing::debug!(%error, "the coordinator did not answer a report");
                    }
                });
            }
        }
    }

    fn drive_logged(self: &Rc<Self>, input: Input) {
        if let Err(error) = self.drive(input) {
            tracing::error!(error, "a shard could not take a step");
        }
    }

    async fn acquire(
        self: &Rc<Self>,
        id: SessionId,
        shards: Option<u32>,
        suspect: Option<ContainerId>,
    ) -> Result<Result<Assignment, Refusal>, JsValue> {
        self.ensure_plan().await?;
        let waiter = WaiterId(self.next_waiter.get());
        self.next_waiter.set(waiter.0 + 1);
        let (sender, receiver) = oneshot::channel();
        self.waiters.try_borrow_mut().map_err(|error| js::js_error(&error.to_string()))?.insert(waiter, sender);
        self.drive(Input::Acquire { waiter, id, shards, suspect }).map_err(|error| js::js_error(&error))?;
        receiver.await.map_err(|_| js::js_error("the shard was restarted; try again"))
    }

    /// A shard that was never told its plan asks the coordinator once, because the shard count in force may be another
    /// than the bundled one. If it does not answer, the pool's first shard is asked, which is in force under any count.
    /// What is bundled will do when that one has no plan either, for then no id of the pool has a container.
    async fn ensure_plan(self: &Rc<Self>) -> Result<(), JsValue> {
        let has_plan = || self.with(|shard| shard.plan().is_some());
        if has_plan()? {
            return Ok(());
        }
        let Err(error) = self.report(FIRST_PLAN_DEADLINE).await else { return self.take_bundled_plan(None) };
        tracing::warn!(%error, "the coordinator did not answer a shard that has no plan yet");
        if has_plan()? {
            return Ok(());
        }
        let me = self.loaded().map_err(|error| js::js_error(&error))?.id.clone();
        if me.index == FIRST_SHARD {
            return self.take_bundled_plan(None);
        }
        let first = ShardId { index: FIRST_SHARD, ..me };
        let answer = self.call_shard(&first, "getPlan", &[], FIRST_PLAN_DEADLINE).await;
        let plan: Option<Plan> = js::from_js(answer.map_err(|error| js::js_error(&error.to_string()))?)?;
        self.take_bundled_plan(plan)
    }

    /// Takes what is bundled, or the plan of a sibling, unless the shard has got one meanwhile.
    fn take_bundled_plan(self: &Rc<Self>, sibling: Option<Plan>) -> Result<(), JsValue> {
        let id = self.loaded().map_err(|error| js::js_error(&error))?.id.clone();
        let bundled = bundled(&self.env);
        let of_bundle = || {
            let pool = bundled.config.pools.get(&id.pool)?;
            Some(Plan::fixed(PlanVersion { version: 0, stamp: bundled.stamp }, pool.clone(), id.index))
        };
        let of_sibling = sibling.map(|plan| Plan { share: Share::even(&plan.pool, id.index), ..plan });
        if self.with(|shard| shard.plan().is_none())?
            && let Some(plan) = of_sibling.or_else(of_bundle)
        {
            self.drive(Input::Configured(Box::new(plan))).map_err(|error| js::js_error(&error))?;
        }
        Ok(())
    }

    /// The plan of a pool that is configured by code alone.
    fn plan_of_settings(&self, settings: &JsValue) -> Result<Plan, JsValue> {
        let id = self.loaded().map_err(|error| js::js_error(&error))?.id.clone();
        let by_file = |plan: &Plan| plan.active && plan.version.version > 0;
        if self.with(|shard| shard.plan().is_some_and(by_file))? {
            let message = format!("pool {} has its settings from a configuration; change them there", id.pool);
            return Err(js::js_error(&message));
        }
        // Leaves out what is undefined, as JSON does.
        let text = js_sys::JSON::stringify(settings)?.as_string().unwrap_or_default();
        let settings: serde_json::Value = serde_json::from_str(&text).map_err(|error| type_error(&error))?;
        let document = serde_json::json!({ "pools": { id.pool.as_str(): settings } });
        let config = parse_value(&document).map_err(|errors| type_error(&errors))?;
        let pool = config.pools.into_values().next().ok_or_else(|| js::js_error("the settings name no pool"))?;
        let version = PlanVersion { version: 0, stamp: bundled(&self.env).stamp };
        Ok(Plan::fixed(version, pool, id.index))
    }

    async fn report(self: &Rc<Self>, deadline: Millis) -> Result<(), CallError> {
        let threw = |error: worker::Error| CallError::Threw(error.to_string());
        let Ok(coordinators) = self.env.durable_object(POOL_COORDINATOR) else {
            // Without a coordinator the shards work by static shares.
            return Ok(());
        };
        let shard = self.loaded().map_err(CallError::Threw)?.id.clone();
        let plan = self.with(|shard| shard.plan().map(|plan| plan.version)).unwrap_or(None);
        let stub = coordinators.get_by_name(COORDINATOR_NAME).map_err(threw)?;
        let reply = js::ask(&stub.into_rpc(), "report", &ShardReport { shard, plan }, deadline).await?;
        match reply {
            ReportReply::Current | ReportReply::UnknownPool => {}
            ReportReply::Changed(plan) => self.drive_logged(Input::Configured(plan)),
        }
        Ok(())
    }

    /// Takes a report of a container on the books of this shard; false when it is not.
    fn report_stopped(self: &Rc<Self>, name: &str) -> Result<bool, String> {
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
    async fn forward_stopped(&self, name: String) -> Result<bool, JsValue> {
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
        let args = [JsValue::from_str(name), JsValue::TRUE];
        match self.call_shard(&sibling, "reportStopped", &args, PEER_DEADLINE).await {
            Ok(taken) => taken.is_truthy(),
            Err(error) => {
                // The sibling's health checks will find out.
                tracing::warn!(shard = %sibling, %error, "a stopped container could not be reported");
                false
            }
        }
    }

    async fn call_shard(
        &self,
        shard: &ShardId,
        method: &str,
        args: &[JsValue],
        deadline: Millis,
    ) -> Result<JsValue, CallError> {
        let threw = |error: worker::Error| CallError::Threw(error.to_string());
        let pools = self.env.durable_object(WARM_POOL).map_err(threw)?;
        let stub = pools.get_by_name(&shard.to_string()).map_err(threw)?;
        js::invoke(&stub.into_rpc(), method, args, deadline).await
    }
}

fn session_id(id: &JsValue) -> Result<SessionId, JsValue> {
    let text = id.as_string().ok_or_else(|| js_sys::TypeError::new("an id is a string"))?;
    SessionId::try_from(text).map_err(|error| type_error(&error))
}

fn type_error(error: &dyn std::fmt::Display) -> JsValue {
    js_sys::TypeError::new(&error.to_string()).into()
}
