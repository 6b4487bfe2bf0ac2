//! Where a shard's plan comes from: the coordinator, else a sibling, else what the code it runs under carries.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::{ShardId, ShardIndex};
use cf_warm_pools::core::plan::{Plan, PlanVersion};
use cf_warm_pools::core::shard::{Input, Shard};
use cf_warm_pools::core::share;
use cf_warm_pools::wire::coordinator::{PlanNews, ReportReply, ShardReport};

use super::ShardObject;
use crate::objects::mutants::{AdapterMutant, on};
use crate::world::World;
use crate::world::message::{Addr, Answer, CallId, Request, Response, Then};

const FIRST_PLAN_DEADLINE: Millis = Millis::from_secs(1);

impl ShardObject {
    pub(super) fn report(&self, world: &mut World, report: ShardReport, within: Millis, then: Then) {
        world.call(self.addr, Addr::Coordinator, Request::Report(Box::new(report)), within, then);
    }

    /// The coordinator has answered a report: first its plan, for what is allotted goes by that.
    pub(super) fn take_report(&mut self, world: &mut World, response: Response) {
        let Response::Reported(reply) = response else { unreachable!("not an answer to a report: {response:?}") };
        let ReportReply { plan, allotment } = *reply;
        let lives = match plan {
            PlanNews::Changed(plan) => self.drive(world, Input::Configured(plan)),
            PlanNews::Current | PlanNews::UnknownPool => true,
        };
        if let Some(allotment) = allotment.filter(|_| lives && !on(AdapterMutant::AllotmentDropped)) {
            self.drive(world, Input::Allotted(Box::new(allotment)));
        }
    }

    /// A call that takes a plan, and there is none: the coordinator is asked, once for all that wait.
    pub(super) fn wait_for_plan(&mut self, world: &mut World, call: CallId, request: Request) {
        let memory = self.memory(world);
        let asking = memory.planless.is_some();
        memory.planless.get_or_insert_default().push((call, request));
        if !asking {
            let report = ShardReport { shard: self.id.clone(), plan: None, standing: None };
            self.report(world, report, FIRST_PLAN_DEADLINE, Then::FirstReport);
        }
    }

    /// The coordinator has answered the first report, or not: then the first shard is asked.
    pub(super) fn first_report_ended(&mut self, world: &mut World, answer: Answer) {
        match answer {
            Ok(response) => {
                self.take_report(world, response);
                self.take_bundled(world, None);
            }
            Err(_) if self.id.index == ShardIndex(0) => self.take_bundled(world, None),
            Err(_) => {
                let first = Addr::of_shard(&ShardId { index: ShardIndex(0), ..self.id.clone() });
                world.call(self.addr, first, Request::GetPlan, FIRST_PLAN_DEADLINE, Then::SiblingPlan);
            }
        }
    }

    pub(super) fn sibling_plan_ended(&mut self, world: &mut World, answer: Answer) {
        match answer {
            Ok(Response::ShardPlan(plan)) => self.take_bundled(world, plan.map(|plan| *plan)),
            Ok(_) | Err(_) => {
                for (call, _) in self.take_planless() {
                    world.throw(call, "the pool's first shard did not answer");
                }
            }
        }
    }

    fn take_planless(&mut self) -> Vec<(CallId, Request)> {
        self.memory.as_mut().and_then(|memory| memory.planless.take()).unwrap_or_default()
    }

    /// Takes the plan of a sibling, or what is bundled, unless it has got one meanwhile; then serves those who waited.
    fn take_bundled(&mut self, world: &mut World, sibling: Option<Plan>) {
        let waiting = self.take_planless();
        if self.memory(world).machine.plan().is_none() {
            let deploy = world.deploy_of(self.addr);
            let version = PlanVersion { version: 0, stamp: deploy.stamp };
            let bundled = deploy.config.pools.get(&self.id.pool);
            let limit = share::limits(&deploy.config).get(&self.id.pool).copied();
            let of_bundle = bundled.map(|pool| Plan::fixed(version, pool.clone(), limit, self.id.index));
            let of_sibling = sibling.map(|plan| plan.of_sibling(self.id.index));
            if let Some(plan) = of_sibling.or(of_bundle)
                && !self.drive(world, Input::Configured(Box::new(plan)))
            {
                for (call, _) in waiting {
                    world.throw(call, "the object is being restarted; try again");
                }
                return;
            }
        }
        for (call, request) in waiting {
            self.with_plan(world, call, request);
        }
    }
}

/// What a newer deploy than the shard knows has bundled for its pool.
pub fn plan_of_deploy(machine: &Shard, world: &World, addr: Addr) -> Option<Plan> {
    let plan = machine.plan()?;
    let deploy = world.deploy_of(addr);
    let pool = deploy.config.pools.get(&machine.id().pool);
    if pool.is_none() && plan.version.version == 0 {
        return None;
    }
    let limit = share::limits(&deploy.config).get(&machine.id().pool).copied();
    plan.deployed(pool.map(|pool| (pool, limit)), deploy.stamp, machine.id().index)
}
