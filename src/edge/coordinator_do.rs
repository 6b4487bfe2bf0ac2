//! The `PoolCoordinator` Durable Object: one, named [`COORDINATOR_NAME`](crate::wire::COORDINATOR_NAME).
//!
//! A thin adapter over [`Coordinator`], with the same order in every step as a shard's: step, write, set the alarm, and only then
//! send. The first call tells the machine what this deploy brings, so that the configuration of a new deploy is in
//! force as soon as any of its code runs.
//!
//! RPC methods (see `src/shim/types/objects.d.ts`): `report`, `record`, `plan`, `getConfig`, `stats`, `events`, `shutdownPrewarmed`, `prime`; of changes
//! (`changes.rs`) `changeConfig`, `previewConfig`, `getHistory`, `getRecord`, `getAudit`, and of former code `putConfig` and `deleteConfig`.

// The methods that the macro adds have no documentation.
#![allow(missing_docs)]

mod changes;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::edge::join::join_all;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::abort::abort;
use super::alarm::Alarm;
use super::background;
use super::bundled::bundled;
use super::js;
use super::log;
use super::rpc::ShardClient;
use crate::config::Config;
use crate::config::resolved::{Millis, Pool, PoolName, Prices};
use crate::core::coordinator::{Capacity, Coordinator, Deployed, Effects, Input, Migration, Stale};
use crate::core::id::{ShardId, ShardIndex};
use crate::core::plan::Plan;
use crate::core::stats::{Memory, Terms, merge};
use crate::store::{CoordinatorRows, Database, load_coordinator, load_events, save_coordinator};
use crate::wire::coordinator::{
    Allotment, Batch, EventQuery, PlanNews, PlanQuestion, PlanReply, ReportReply, ShardReport,
};

/// How long a shard has to take a plan, or what it is allotted.
const PUSH_DEADLINE: Millis = Millis::from_secs(10);
/// How long a shard has to answer for the stats; one that has not by then is listed as missing.
const STATS_DEADLINE: Millis = Millis::from_secs(2);

/// Config versions, shares, merged stats.
#[durable_object(alarm)]
pub struct PoolCoordinator {
    driver: Rc<Driver>,
}

struct Driver {
    state: State,
    env: Env,
    /// The machine, or why there is none: then every call fails with it.
    loaded: Result<Loaded, String>,
    alarm: Alarm,
    /// Memory is ahead of the rows: the object is about to be loaded anew, and does nothing more.
    broken: Cell<bool>,
    /// Whether the machine knows what this deploy brings.
    told: Cell<bool>,
    /// What shards have said of themselves last.
    memory: RefCell<Memory>,
}

struct Loaded {
    machine: RefCell<Coordinator>,
    database: Database,
}

impl DurableObject for PoolCoordinator {
    fn new(state: State, env: Env) -> Self {
        log::init();
        let loaded = load_coordinator(&state)
            .map(|(database, CoordinatorRows { registry, acknowledged, ledger, archive })| Loaded {
                machine: RefCell::new(Coordinator::load(registry, acknowledged, ledger).with_archive(archive)),
                database,
            })
            .map_err(|error| {
                // An instance that could not be loaded must not be kept: with the next call a new one looks again.
                let error = log::error_chain(&error);
                abort(&state, &error);
                error
            });
        let alarm = Alarm::of(&state);
        if let Some(at) = loaded.as_ref().ok().and_then(|loaded| loaded.machine.try_borrow().ok()?.next_timeout()) {
            alarm.set(Some(at));
        }
        let (broken, told, memory) = (Cell::new(false), Cell::new(false), RefCell::default());
        Self { driver: Rc::new(Driver { state, env, loaded, alarm, broken, told, memory }) }
    }

    async fn fetch(&self, _request: Request) -> worker::Result<Response> {
        Response::error("The PoolCoordinator is called by RPC.", 405)
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.driver.alarm_rang();
        Response::empty()
    }
}

#[wasm_bindgen]
impl PoolCoordinator {
    /// [`ShardReport`] -> [`ReportReply`].
    pub fn report(&self, report: JsValue) -> Result<JsValue, JsValue> {
        let report: ShardReport = js::from_js(report)?;
        self.driver.deploy()?;
        let (shard, plan) = (report.shard.clone(), report.plan);
        self.driver.drive(Input::Reported(Box::new(report))).map_err(|error| js::js_error(&error))?;
        let reply = self.driver.with(|machine| {
            let plan = match machine.plan_of(&shard) {
                None => PlanNews::UnknownPool,
                Some(in_force) if plan.is_some_and(|has| has >= in_force.version) => PlanNews::Current,
                Some(in_force) => PlanNews::Changed(Box::new(in_force)),
            };
            ReportReply { plan, allotment: machine.allotment_of(&shard) }
        })?;
        js::to_js(&reply)
    }

    /// [`Batch`] -> the highest number of the shard's batches that was taken; 0 when nothing is kept of it.
    pub fn record(&self, batch: JsValue) -> Result<JsValue, JsValue> {
        let batch: Batch = js::from_js(batch)?;
        self.driver.deploy()?;
        let shard = batch.shard.clone();
        self.driver.drive(Input::Record(Box::new(batch))).map_err(|error| js::js_error(&error))?;
        js::to_js(&self.driver.with(|machine| machine.recorded(&shard))?)
    }

    /// [`EventQuery`] -> `{events, next, dropped}`; null when there never was such a pool.
    pub fn events(&self, query: JsValue) -> Result<JsValue, JsValue> {
        let query: EventQuery = js::from_js(query)?;
        self.driver.deploy()?;
        let pages = self.driver.with(|machine| {
            let is_known = query.pool.as_ref().is_none_or(|pool| machine.has_had(pool));
            is_known.then(|| machine.archive().pages(&query))
        })?;
        let Some(pages) = pages else { return Ok(JsValue::NULL) };
        let database = &self.driver.loaded().map_err(|error| js::js_error(&error))?.database;
        let events: Result<Vec<_>, _> = pages.iter().map(|page| load_events(database, page)).collect();
        let events = events.map_err(|error| js::js_error(&log::error_chain(&error)))?.into_iter().flatten().collect();
        js::to_js(&self.driver.with(|machine| machine.archive().answer(&query, events))?)
    }

    /// [`PlanQuestion`] -> [`PlanReply`].
    pub fn plan(&self, question: JsValue) -> Result<JsValue, JsValue> {
        let PlanQuestion { known } = js::from_js(question)?;
        self.driver.deploy()?;
        let reply = self.driver.with(|machine| {
            if known >= machine.version() {
                PlanReply::Current
            } else {
                PlanReply::Changed(Box::new(machine.in_force()))
            }
        })?;
        js::to_js(&reply)
    }

    /// The [`ConfigView`](crate::wire::coordinator::ConfigView) in force.
    #[wasm_bindgen(js_name = getConfig)]
    pub fn get_config(&self) -> Result<JsValue, JsValue> {
        self.driver.deploy()?;
        js::to_js(&self.driver.with(Coordinator::in_force)?)
    }

    /// `{pools: [stats]}`, of one pool or (null) of all.
    pub fn stats(&self, pool: JsValue) -> Result<JsValue, JsValue> {
        self.driver.deploy()?;
        let wanted = pool.as_string();
        let pools: Vec<Asked> = self.driver.with(|machine| {
            let Config { pools, prices, .. } = machine.config();
            let pools = pools.into_iter();
            let wanted = pools.filter(|(name, _)| wanted.as_ref().is_none_or(|wanted| wanted == name.as_str()));
            wanted.map(|(name, pool)| Asked::of(machine, name, pool, prices)).collect()
        })?;
        let driver = Rc::clone(&self.driver);
        Ok(js::future_to_promise(async move {
            // All at once: one that is slow must not hold the others up.
            let stats = join_all(pools.iter().map(|pool| driver.pool_stats(pool))).await;
            let stats: Vec<Value> =
                stats.into_iter().collect::<Result<_, _>>().map_err(|error| js::js_error(&error))?;
            js::to_js(&json!({ "pools": stats }))
        })
        .into())
    }

    /// Has every shard of a pool replace its unassigned containers. Returns how many were sent away.
    #[wasm_bindgen(js_name = shutdownPrewarmed)]
    pub fn shutdown_prewarmed(&self, pool: JsValue) -> Result<JsValue, JsValue> {
        self.driver.deploy()?;
        let name = pool.as_string().unwrap_or_default();
        let shards: Vec<ShardId> =
            self.driver.with(|machine| machine.shards().filter(|shard| shard.pool.as_str() == name).collect())?;
        let driver = Rc::clone(&self.driver);
        Ok(js::future_to_promise(async move {
            let clients: Vec<ShardClient<'_>> =
                shards.into_iter().map(|shard| ShardClient::new(&driver.env, shard).within(PUSH_DEADLINE)).collect();
            let mut count = 0;
            for answer in join_all(clients.iter().map(ShardClient::shutdown_prewarmed)).await {
                // One that failed is told to the caller: its containers are still there.
                count += answer.map_err(|error| js::js_error(&error.to_string()))?;
            }
            Ok(JsValue::from(count))
        })
        .into())
    }

    /// Sees to it that every shard has the plan in force, and so wakes those that never ran.
    pub fn prime(&self) -> Result<(), JsValue> {
        self.driver.deploy()?;
        self.driver.drive(Input::Woken).map_err(|error| js::js_error(&error))
    }
}

impl Driver {
    fn loaded(&self) -> Result<&Loaded, String> {
        if self.broken.get() {
            return Err("the object is being restarted; try again".to_owned());
        }
        self.loaded.as_ref().map_err(Clone::clone)
    }

    fn with<T>(&self, body: impl FnOnce(&Coordinator) -> T) -> Result<T, JsValue> {
        let loaded = self.loaded().map_err(|error| js::js_error(&error))?;
        let machine = loaded.machine.try_borrow().map_err(|error| js::js_error(&error.to_string()))?;
        Ok(body(&machine))
    }

    /// Tells the machine what this deploy brings. Once: it stays the same for as long as the object is in memory.
    fn deploy(self: &Rc<Self>) -> Result<(), JsValue> {
        if self.told.get() {
            return Ok(());
        }
        let bundled = bundled(&self.env);
        let deployed = Deployed { stamp: bundled.stamp, source: bundled.source, config: bundled.config.clone() };
        self.drive(Input::Deployed(Box::new(deployed))).map_err(|error| js::js_error(&error))?;
        self.told.set(true);
        Ok(())
    }

    fn drive(self: &Rc<Self>, input: Input) -> Result<(), String> {
        self.step(input).map(drop)
    }

    /// Takes a step. Returns why it made no change, if it was to.
    fn step(self: &Rc<Self>, input: Input) -> Result<Option<Stale>, String> {
        let loaded = self.loaded()?;
        let mut fx = Effects::default();
        {
            let mut machine = loaded.machine.try_borrow_mut().map_err(|error| error.to_string())?;
            machine.step(js::now(), input, &mut fx);
            if !fx.writes.is_empty()
                && let Err(error) = save_coordinator(&loaded.database, &fx.writes)
            {
                let error = log::error_chain(&error);
                self.broken.set(true);
                abort(&self.state, &error);
                return Err(error);
            }
            self.alarm.set(machine.next_timeout());
        }
        for (shard, plan) in fx.pushes {
            let driver = Rc::clone(self);
            background::run_in(&self.state, async move { driver.push(shard, plan).await });
        }
        for (shard, allotment) in fx.allotments {
            let driver = Rc::clone(self);
            background::run_in(&self.state, async move { driver.allot(shard, allotment).await });
        }
        Ok(fx.stale)
    }

    async fn push(self: &Rc<Self>, shard: ShardId, plan: Plan) {
        let sent = ShardClient::new(&self.env, shard.clone()).within(PUSH_DEADLINE).configure(&plan).await;
        let input = match sent {
            Ok(version) => Input::Acknowledged(shard, version),
            Err(error) => {
                let (pool, index) = (shard.pool.as_str(), shard.index.0);
                tracing::warn!(pool, shard = index, %error, "a plan could not be sent to its shard");
                Input::PushFailed(shard)
            }
        };
        self.drive_logged(input);
    }

    async fn allot(self: &Rc<Self>, shard: ShardId, allotment: Allotment) {
        let sent = ShardClient::new(&self.env, shard.clone()).within(PUSH_DEADLINE).allot(&allotment).await;
        let input = match sent {
            Ok(report) if report.shard == shard => Input::Answered(Box::new(report)),
            Ok(report) => {
                let (pool, index, answered) = (shard.pool.as_str(), shard.index.0, &report.shard);
                tracing::error!(pool, shard = index, %answered, "a shard reports by another's name; its answer does not count");
                Input::AllotFailed(shard)
            }
            Err(error) => {
                let (pool, index) = (shard.pool.as_str(), shard.index.0);
                tracing::warn!(pool, shard = index, %error, "a shard could not be told what it is allotted");
                Input::AllotFailed(shard)
            }
        };
        self.drive_logged(input);
    }

    fn alarm_rang(self: &Rc<Self>) {
        self.alarm.rang();
        if !self.drive_logged(Input::Woken) {
            self.alarm.retry();
        }
    }

    /// Says whether the step was taken.
    fn drive_logged(self: &Rc<Self>, input: Input) -> bool {
        let taken = self.drive(input);
        if let Err(error) = &taken {
            tracing::error!(error, "the coordinator could not take a step");
        }
        taken.is_ok()
    }

    /// A pool's name, configuration and numbers, in the shape of `cf-container-warm-pool` with ours beside.
    async fn pool_stats(&self, pool: &Asked) -> Result<Value, String> {
        let Asked { name, pool, prices, migration, capacity, taking_part, ever } = pool;
        let busy = |error: &dyn std::fmt::Display| error.to_string();
        let to_ask: Vec<ShardIndex> = {
            let memory = self.memory.try_borrow().map_err(|error| busy(&error))?;
            let wanted = |index: &ShardIndex| index.0 < *taking_part || memory.must_ask_former(name, *index);
            (0..*ever).map(ShardIndex).filter(wanted).collect()
        };
        let asked = to_ask.into_iter().map(|index| async move {
            let shard = ShardId { pool: name.clone(), index };
            (index, ShardClient::new(&self.env, shard).within(STATS_DEADLINE).stats().await.ok())
        });
        let heard = join_all(asked).await;
        let answers =
            self.memory.try_borrow_mut().map_err(|error| busy(&error))?.gather(name, heard, *taking_part, *ever);
        let merged = merge(Terms { pool, prices }, answers);
        let mut stats = merged.document(name, pool).map_err(|error| error.to_string())?;
        stats.insert("migration".to_owned(), json!(migration));
        stats.insert("capacity".to_owned(), json!(capacity));
        Ok(stats.into())
    }
}

/// A pool that is asked for its numbers, with what only the coordinator knows of it.
struct Asked {
    name: PoolName,
    pool: Pool,
    prices: Prices,
    migration: Option<Migration>,
    capacity: Option<Capacity>,
    /// How many shards take part, and how many there have ever been.
    taking_part: u32,
    ever: u32,
}

impl Asked {
    fn of(machine: &Coordinator, name: PoolName, pool: Pool, prices: Prices) -> Self {
        let (migration, capacity) = (machine.migration(&name), machine.capacity(&name));
        let (taking_part, ever) = machine.shard_counts(&name);
        Self { name, pool, prices, migration, capacity, taking_part, ever }
    }
}
