//! Calls of the Worker to the shards and the coordinator: typed, each with a deadline and a fresh stub.
//!
//! A stub is made for each call, because one that has failed stays broken; making one sends nothing.

use serde::Serialize;
use serde_json::Value;
use wasm_bindgen::JsValue;
use worker::Env;

use super::js::{self, CallError};
use crate::config::Config;
use crate::config::resolved::{BindingName, Millis, PoolName};
use crate::core::id::{SessionId, ShardId};
use crate::core::outcome::Assignment;
use crate::core::plan::{Plan, PlanVersion};
use crate::core::stats::{MergedStats, ShardStats};
use crate::wire::COORDINATOR_NAME;
use crate::wire::agent::{LeaseReply, LeaseRequest};
use crate::wire::coordinator::{
    Allotment, Batch, Change, ChangeReply, ConfigView, EventQuery, PlanQuestion, PlanReply, ReportReply, ShardReport,
};
use crate::wire::shard::{
    AcquireReply, AcquireRequest, BorrowReply, BorrowRequest, ClassPlan, ClassReply, Delivery, Forwarded, PullReply,
    PullRequest, Receipt,
};

/// The binding of the shards.
pub const WARM_POOL: &str = "WARM_POOL";
/// The binding of the coordinator.
pub const POOL_COORDINATOR: &str = "POOL_COORDINATOR";

/// How long a call may take that does not wait for a container.
pub const DEADLINE: Millis = Millis::from_secs(15);
/// How long the coordinator may take to ask all shards of all pools.
const STATS_DEADLINE: Millis = Millis::from_secs(60);
/// How much longer a caller waits than the shard lets it wait, so that the shard's reason arrives.
const ACQUIRE_MARGIN: Millis = Millis::from_secs(10);

/// How long a caller waits for a shard that lets it wait for `acquire_timeout`.
pub fn acquire_deadline(acquire_timeout: Millis) -> Millis {
    acquire_timeout + ACQUIRE_MARGIN
}

/// One shard.
pub struct ShardClient<'e> {
    env: &'e Env,
    shard: ShardId,
    deadline: Millis,
}

impl<'e> ShardClient<'e> {
    /// The client of `shard`.
    pub fn new(env: &'e Env, shard: ShardId) -> Self {
        Self { env, shard, deadline: DEADLINE }
    }

    /// The same, with another deadline for the calls that do not wait for a container.
    pub fn within(self, deadline: Millis) -> Self {
        Self { deadline, ..self }
    }

    /// The container of an id, which gets one when it has none, within `acquire_timeout`.
    pub async fn acquire(&self, request: &AcquireRequest, acquire_timeout: Millis) -> Result<AcquireReply, CallError> {
        js::ask(&self.stub()?, "acquire", request, acquire_deadline(acquire_timeout)).await
    }

    /// The container of an id, if it has one.
    pub async fn lookup(&self, id: &SessionId) -> Result<Option<Assignment>, CallError> {
        js::ask(&self.stub()?, "lookupContainer", id, self.deadline).await
    }

    /// Takes the container from an id. Returns whether it had one.
    pub async fn release(&self, id: &SessionId) -> Result<bool, CallError> {
        js::ask(&self.stub()?, "release", id, self.deadline).await
    }

    /// Hands the shard a plan, which it takes unless it has a newer one. Returns the version it works by.
    pub async fn configure(&self, plan: &Plan) -> Result<PlanVersion, CallError> {
        js::ask(&self.stub()?, "configure", plan, self.deadline).await
    }

    /// The same, where the shard is to find the binding of the container class by itself.
    pub async fn configure_class(&self, plan: &ClassPlan) -> Result<ClassReply, CallError> {
        js::ask(&self.stub()?, "configure", plan, self.deadline).await
    }

    /// The binding of the shards' Worker that leads to a class.
    pub async fn binding(&self, class: &str) -> Result<BindingName, CallError> {
        js::ask(&self.stub()?, "getBinding", &class, self.deadline).await
    }

    /// The plan it works by; none when it has none yet.
    pub async fn plan(&self) -> Result<Option<Plan>, CallError> {
        receive(js::invoke(&self.stub()?, "getPlan", &[], self.deadline).await?)
    }

    /// The shard in numbers.
    pub async fn stats(&self) -> Result<ShardStats, CallError> {
        receive(js::invoke(&self.stub()?, "getStats", &[], self.deadline).await?)
    }

    /// Replaces the shard's containers that are not assigned. Returns how many there were.
    pub async fn shutdown_prewarmed(&self) -> Result<u32, CallError> {
        receive(js::invoke(&self.stub()?, "shutdownPrewarmed", &[], self.deadline).await?)
    }

    /// Tells that a container has stopped, named by its UUID or its object's hex id, whichever shard has it. Returns whether
    /// one did.
    pub async fn report_stopped(&self, container: &str) -> Result<bool, CallError> {
        js::ask(&self.stub()?, "reportStopped", &container, self.deadline).await
    }

    /// A sibling without stock asks for a warm container, which comes by [`Self::receive`].
    pub async fn borrow(&self, request: &BorrowRequest) -> Result<BorrowReply, CallError> {
        js::ask(&self.stub()?, "borrow", request, self.deadline).await
    }

    /// A sibling asks for all there is of an id that it owns by now.
    pub async fn pull(&self, request: &PullRequest) -> Result<PullReply, CallError> {
        js::ask(&self.stub()?, "pull", request, self.deadline).await
    }

    /// A sibling hands containers over. Repeated until it says that all are there.
    pub async fn receive(&self, delivery: &Delivery) -> Result<Receipt, CallError> {
        js::ask(&self.stub()?, "receive", delivery, self.deadline).await
    }

    /// The coordinator allots; the shard says how it stands then.
    pub async fn allot(&self, allotment: &Allotment) -> Result<ShardReport, CallError> {
        js::ask(&self.stub()?, "allot", allotment, self.deadline).await
    }

    /// Whether a container of this shard may serve the id it was asked for.
    pub async fn confirm_lease(&self, question: &LeaseRequest) -> Result<LeaseReply, CallError> {
        js::ask(&self.stub()?, "confirmLease", question, self.deadline).await
    }

    /// Like [`Self::report_stopped`], where fewer are to be asked.
    pub async fn pass_on_stopped(&self, container: &str, forwarded: Forwarded) -> Result<bool, CallError> {
        let args = [JsValue::from_str(container), js::to_js(&forwarded).map_err(threw)?];
        receive(js::invoke(&self.stub()?, "reportStopped", &args, self.deadline).await?)
    }

    fn stub(&self) -> Result<JsValue, CallError> {
        stub(self.env, WARM_POOL, &self.shard.to_string())
    }
}

/// The coordinator.
pub struct CoordinatorClient<'e> {
    env: &'e Env,
}

impl<'e> CoordinatorClient<'e> {
    /// The client of the one coordinator.
    pub fn new(env: &'e Env) -> Self {
        Self { env }
    }

    /// What a shard says of itself, within `deadline`.
    pub async fn report(&self, report: &ShardReport, deadline: Millis) -> Result<ReportReply, CallError> {
        self.ask("report", report, deadline).await
    }

    /// What has happened in a shard, within `deadline`. Returns the highest number that the coordinator has of the shard's batches.
    pub async fn record(&self, batch: &Batch, deadline: Millis) -> Result<u64, CallError> {
        self.ask("record", batch, deadline).await
    }

    /// What has happened: `{events, next, dropped}`; null when there never was such a pool.
    pub async fn events(&self, query: &EventQuery) -> Result<Value, CallError> {
        self.ask("events", query, DEADLINE).await
    }

    /// Whether the configuration known is in force, and if not, which one is; within `deadline`.
    pub async fn plan(&self, known: PlanVersion, deadline: Millis) -> Result<PlanReply, CallError> {
        self.ask("plan", &PlanQuestion { known }, deadline).await
    }

    /// The configuration in force.
    pub async fn config(&self) -> Result<ConfigView, CallError> {
        receive(js::invoke(&self.stub()?, "getConfig", &[], DEADLINE).await?)
    }

    /// Changes the configuration, unless its caller has not seen the version in force.
    pub async fn change(&self, change: &Change) -> Result<ChangeReply, CallError> {
        self.ask("changeConfig", change, DEADLINE).await
    }

    /// What putting a configuration in force would do, as JSON text: `{valid, version, plan}`.
    pub async fn preview_json(&self, config: &Config) -> Result<String, CallError> {
        self.text("previewConfig", js::to_js(config).map_err(threw)?).await
    }

    /// The versions that are kept, as JSON text: `{versions: [..]}`.
    pub async fn history_json(&self) -> Result<String, CallError> {
        self.text("getHistory", JsValue::UNDEFINED).await
    }

    /// A version that is kept, with its configuration as a document; none when it is not.
    pub async fn version_record(&self, version: u64) -> Result<Option<Value>, CallError> {
        receive(js::invoke(&self.stub()?, "getRecord", &[JsValue::from(version as f64)], DEADLINE).await?)
    }

    /// The latest changes, at most so many, as JSON text: `{entries: [..]}`.
    pub async fn audit_json(&self, limit: u32) -> Result<String, CallError> {
        self.text("getAudit", JsValue::from(limit)).await
    }

    /// The statistics of one pool or of all, as JSON text: `{pools: [..]}`.
    pub async fn stats_json(&self, pool: Option<&str>) -> Result<String, CallError> {
        let answer = self.stats(pool).await?;
        js::json_text(&answer).map_err(threw)
    }

    /// The statistics of one pool, with its name and configuration; none when the coordinator has no such pool.
    pub async fn stats_of(&self, pool: &PoolName) -> Result<Option<Value>, CallError> {
        let pools = js::get(&self.stats(Some(pool.as_str())).await?, "pools");
        let first = js::get(&pools, "0");
        if first.is_undefined() { Ok(None) } else { receive(first).map(Some) }
    }

    /// The statistics of one pool; none when the coordinator has no such pool.
    pub async fn pool_stats(&self, pool: &PoolName) -> Result<Option<MergedStats>, CallError> {
        let pools = js::get(&self.stats(Some(pool.as_str())).await?, "pools");
        let first = js::get(&pools, "0");
        if first.is_undefined() { Ok(None) } else { receive(first).map(Some) }
    }

    /// Replaces a pool's containers that are not assigned. Returns how many there were.
    pub async fn shutdown_prewarmed(&self, pool: &PoolName) -> Result<u32, CallError> {
        self.ask("shutdownPrewarmed", pool, STATS_DEADLINE).await
    }

    /// Wakes every shard, so that it fills its stock.
    pub async fn prime(&self) -> Result<(), CallError> {
        js::invoke(&self.stub()?, "prime", &[], DEADLINE).await.map(drop)
    }

    async fn text(&self, method: &str, question: JsValue) -> Result<String, CallError> {
        let answer = js::invoke(&self.stub()?, method, &[question], DEADLINE).await?;
        js::json_text(&answer).map_err(threw)
    }

    async fn stats(&self, pool: Option<&str>) -> Result<JsValue, CallError> {
        let pool = pool.map_or(JsValue::NULL, JsValue::from_str);
        js::invoke(&self.stub()?, "stats", &[pool], STATS_DEADLINE).await
    }

    async fn ask<Q: Serialize, A: serde::de::DeserializeOwned>(
        &self,
        method: &str,
        question: &Q,
        deadline: Millis,
    ) -> Result<A, CallError> {
        js::ask(&self.stub()?, method, question, deadline).await
    }

    fn stub(&self) -> Result<JsValue, CallError> {
        stub(self.env, POOL_COORDINATOR, COORDINATOR_NAME)
    }
}

fn stub(env: &Env, binding: &str, name: &str) -> Result<JsValue, CallError> {
    let threw = |error: worker::Error| CallError::Threw(error.to_string());
    Ok(env.durable_object(binding).map_err(threw)?.get_by_name(name).map_err(threw)?.into_rpc())
}

fn receive<A: serde::de::DeserializeOwned>(answer: JsValue) -> Result<A, CallError> {
    js::from_js(answer).map_err(threw)
}

fn threw(error: JsValue) -> CallError {
    CallError::Threw(js::error_text(&error))
}
