//! Where a shard's plan comes from: the coordinator, else a sibling, else what this deploy bundles, else code.

use std::rc::Rc;

use wasm_bindgen::JsValue;
use worker::Env;

use super::driver::{Driver, PEER_DEADLINE};
use super::type_error;
use crate::config::parse_value;
use crate::config::resolved::{BindingName, Millis, Pool};
use crate::core::id::{ShardId, ShardIndex};
use crate::core::plan::{CodeVersion, Fingerprint, Plan, PlanVersion};
use crate::core::shard::{Input, Shard};
use crate::edge::bundled::bundled;
use crate::edge::class::{self, ClassError};
use crate::edge::js::{self, CallError};
use crate::edge::rpc::{CoordinatorClient, POOL_COORDINATOR, ShardClient};
use crate::wire::coordinator::{PlanNews, ReportReply};
use crate::wire::shard::ClassPlan;

/// How long a shard without a plan waits for the coordinator, and then for a sibling.
const FIRST_PLAN_DEADLINE: Millis = Millis::from_secs(1);
/// In force under any shard count.
const FIRST_SHARD: ShardIndex = ShardIndex(0);

/// What a newer deploy than the shard knows has bundled for its pool.
pub(super) fn plan_of_this_deploy(machine: &Shard, env: &Env) -> Option<Plan> {
    let plan = machine.plan()?;
    let bundled = bundled(env);
    let pool = bundled.pool(&machine.id().pool);
    if pool.is_none() && plan.version.version == 0 {
        // Configured by code, not by a file: no file can take it away.
        return None;
    }
    plan.deployed(pool, bundled.stamp, machine.id().index)
}

impl Driver {
    /// A shard that was never told its plan asks the coordinator once, because the shard count in force may be another
    /// than the bundled one. If there is none, or it does not answer or knows no such pool, the pool's first shard is asked, which is in
    /// force under any count. What is bundled will do when that one has no plan either, for then no id of the pool has a container.
    pub async fn ensure_plan(self: &Rc<Self>) -> Result<(), JsValue> {
        let has_plan = || self.with(|shard| shard.plan().is_some());
        if has_plan()? {
            return Ok(());
        }
        let me = self.loaded().map_err(|error| js::js_error(&error))?.id.clone();
        if self.has_coordinator() {
            match self.report(FIRST_PLAN_DEADLINE).await {
                Ok(()) if bundled(&self.env).pool(&me.pool).is_some() => return self.take_bundled_plan(None),
                // It does not know of pools that are configured by code.
                Ok(()) => {}
                Err(error) => tracing::warn!(%error, "the coordinator did not answer a shard that has no plan yet"),
            }
            if has_plan()? {
                return Ok(());
            }
        }
        if me.index == FIRST_SHARD {
            return self.take_bundled_plan(None);
        }
        let plan = self.first_shard(me).within(FIRST_PLAN_DEADLINE).plan().await;
        self.take_bundled_plan(plan.map_err(|error| js::js_error(&error.to_string()))?)
    }

    /// The pool's first shard.
    fn first_shard(&self, me: ShardId) -> ShardClient<'_> {
        ShardClient::new(&self.env, ShardId { index: FIRST_SHARD, ..me })
    }

    /// Takes a plan by code, for which it has to hear of the shard count in force first. That is the one which the pool's first shard
    /// has taken first: where that has no plan, it is told this one, so that of callers with several counts one prevails everywhere.
    pub async fn take_after_first(self: &Rc<Self>, plan: Plan) -> Result<PlanVersion, JsValue> {
        self.ensure_plan().await?;
        if self.must_hear_count(&plan)? {
            let unheard = |error: CallError| js::js_error(&error.to_string());
            let me = self.with(|shard| shard.id().clone())?;
            // Not a moment: without its answer the caller gets none.
            let first = self.first_shard(me).within(PEER_DEADLINE);
            first.configure(&plan.of_sibling(FIRST_SHARD)).await.map_err(unheard)?;
            self.take_bundled_plan(first.plan().await.map_err(unheard)?)?;
        }
        self.take(plan)
    }

    /// Takes what is bundled, or the plan of a sibling, unless the shard has got one meanwhile.
    fn take_bundled_plan(self: &Rc<Self>, sibling: Option<Plan>) -> Result<(), JsValue> {
        let id = self.loaded().map_err(|error| js::js_error(&error))?.id.clone();
        let bundled = bundled(&self.env);
        let of_bundle = || {
            let (pool, limit) = bundled.pool(&id.pool)?;
            Some(Plan::fixed(PlanVersion { version: 0, stamp: bundled.stamp }, pool.clone(), limit, id.index))
        };
        let of_sibling = sibling.map(|plan| plan.of_sibling(id.index));
        if self.with(|shard| shard.plan().is_none())?
            && let Some(plan) = of_sibling.or_else(of_bundle)
        {
            self.drive(Input::Configured(Box::new(plan))).map_err(|error| js::js_error(&error))?;
        }
        Ok(())
    }

    /// Takes a plan unless the shard has a newer one. Returns the version it works by.
    pub fn take(self: &Rc<Self>, plan: Plan) -> Result<PlanVersion, JsValue> {
        self.drive(Input::Configured(Box::new(plan))).map_err(|error| js::js_error(&error))?;
        Ok(self.with(|shard| shard.plan().map(|plan| plan.version))?.unwrap_or_default())
    }

    /// A plan with the binding of this Worker that leads to the class.
    pub fn plan_of_class(&self, ClassPlan { plan, class, named }: ClassPlan) -> Result<Plan, ClassError> {
        let guess = &plan.pool.container;
        let container = self.binding_of(&class, named.then_some(guess))?;
        Ok(Plan { pool: Pool { container, ..plan.pool }, ..plan })
    }

    /// The binding of this Worker that leads to a class.
    pub fn binding_of(&self, class: &str, named: Option<&BindingName>) -> Result<BindingName, ClassError> {
        class::binding_of(&self.env, class, named)
    }

    /// The plan of a pool that is configured by code alone.
    pub fn plan_of_settings(&self, settings: &JsValue) -> Result<Plan, JsValue> {
        let id = self.loaded().map_err(|error| js::js_error(&error))?.id.clone();
        let by_file = |plan: &Plan| plan.active && plan.version.version > 0;
        if self.with(|shard| shard.plan().is_some_and(by_file))? {
            let message = format!("pool {} has its settings from a configuration; change them there", id.pool);
            return Err(js::js_error(&message));
        }
        // Leaves out what is undefined, as JSON does.
        let text = js::json_text(settings)?;
        let settings: serde_json::Value = serde_json::from_str(&text).map_err(|error| type_error(&error))?;
        let document = serde_json::json!({ "pools": { id.pool.as_str(): settings } });
        let config = parse_value(&document).map_err(|errors| type_error(&errors))?;
        let pool = config.pools.into_values().next().ok_or_else(|| js::js_error("the settings name no pool"))?;
        let code = CodeVersion { stamp: bundled(&self.env).stamp, fingerprint: Fingerprint::of(&text) };
        Ok(Plan::by_code(code, pool, id.index))
    }

    fn has_coordinator(&self) -> bool {
        self.env.durable_object(POOL_COORDINATOR).is_ok()
    }

    /// Whether the shard has to hear of the shard count in force before it may take a plan by code.
    pub fn must_hear_count(&self, plan: &Plan) -> Result<bool, JsValue> {
        let is_new = self.with(|shard| shard.plan().is_none() && shard.id().index != FIRST_SHARD)?;
        Ok(is_new && plan.version.version == 0)
    }

    /// Tells the coordinator how the shard stands, and takes a newer plan and what it is allotted.
    pub async fn report(self: &Rc<Self>, deadline: Millis) -> Result<(), CallError> {
        if !self.has_coordinator() {
            // The shards work by static shares.
            return Ok(());
        }
        let report =
            self.with(|shard| shard.report(js::now())).map_err(|error| CallError::Threw(js::error_text(&error)))?;
        let ReportReply { plan, allotment } = CoordinatorClient::new(&self.env).report(&report, deadline).await?;
        match plan {
            PlanNews::Current | PlanNews::UnknownPool => {}
            PlanNews::Changed(plan) => self.drive_logged(Input::Configured(plan)),
        }
        // After the plan, for it is worked out for the one in force.
        if let Some(allotment) = allotment {
            self.drive_logged(Input::Allotted(Box::new(allotment)));
        }
        Ok(())
    }
}
