//! The `PoolCoordinator` object: a [`Coordinator`] with what `src/edge/coordinator_do` does around it.

use std::collections::BTreeMap;

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::coordinator::{
    Ask, Change, ConfigSource, Coordinator, Deployed, Effects, Input, LedgerRow, Registry, Write,
};
use cf_warm_pools::core::id::ShardId;
use cf_warm_pools::core::journal::{self, Archive, Page, PageKey};
use cf_warm_pools::core::plan::PlanVersion;
use cf_warm_pools::core::sorted::Map;
use cf_warm_pools::wire::coordinator::{Allotment, PlanNews, PlanQuestion, PlanReply, ReportReply, ShardReport};

use super::Object;
use crate::dice::Key;
use crate::faults::Fault;
use crate::oracle::InForce;
use crate::schedule::Borrowing;
use crate::world::message::{Addr, Answer, CallId, Request, Response, Then};
use crate::world::{Private, World};

/// How long a shard has to take a plan, or what it is allotted.
const PUSH_DEADLINE: Millis = Millis::from_secs(10);

/// How long until the platform calls an alarm handler again that has thrown.
const ALARM_RETRY: Millis = Millis::from_secs(2);

/// The coordinator's object.
#[derive(Default)]
pub struct CoordinatorObject {
    registry: Registry,
    acknowledged: Map<ShardId, PlanVersion>,
    ledger: Map<ShardId, LedgerRow>,
    pages: BTreeMap<PageKey, Page>,
    memory: Option<Memory>,
    steps: u64,
}

struct Memory {
    machine: Coordinator,
    /// Whether the machine knows what this deploy brings.
    told: bool,
}

impl CoordinatorObject {
    /// The machine as it would be loaded now.
    pub fn reloaded(&self) -> Coordinator {
        Coordinator::load(self.registry.clone(), self.acknowledged.clone(), self.ledger.clone())
    }

    /// What is written down of what has happened.
    fn archive(&self) -> Archive {
        Archive::load(self.pages.iter().map(|((pool, _), page)| (pool.clone(), page.clone())))
    }

    /// What is written down of what is in force.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What is written down of the credits of each shard.
    pub fn ledger(&self) -> &Map<ShardId, LedgerRow> {
        &self.ledger
    }

    /// Every shard that has not acknowledged the version in force.
    pub fn behind(&self) -> Vec<ShardId> {
        let machine = self.reloaded();
        let version = machine.version();
        machine.shards().filter(|shard| self.acknowledged.get(shard).is_none_or(|has| *has < version)).collect()
    }

    fn load(&mut self, world: &mut World) {
        if self.memory.is_none() {
            let machine = self.reloaded().with_archive(self.archive());
            if let Some(at) = machine.next_timeout() {
                world.set_alarm(Addr::Coordinator, Some(at));
            }
            self.memory = Some(Memory { machine, told: false });
        }
    }

    /// Tells the machine what this deploy brings, once in its life. False when the object was thrown away.
    fn deploy(&mut self, world: &mut World) -> bool {
        self.load(world);
        if self.memory.as_ref().is_some_and(|memory| memory.told) {
            return true;
        }
        let deploy = world.deploy_of(Addr::Coordinator);
        let config = (*deploy.config).clone();
        let deployed = Deployed { stamp: deploy.stamp, source: ConfigSource::Bundled, config };
        let lives = self.drive(world, Input::Deployed(Box::new(deployed)));
        if let Some(memory) = &mut self.memory {
            memory.told = true;
        }
        lives
    }

    /// One step. False when the object was thrown away.
    fn drive(&mut self, world: &mut World, input: Input) -> bool {
        self.load(world);
        self.steps += 1;
        let Some(memory) = &mut self.memory else { return false };
        let before = memory.machine.version();
        let drops_override = input == change(Ask::Drop);
        let mut fx = Effects::default();
        memory.machine.step(world.clock(Addr::Coordinator), input, &mut fx);
        let key = STEP.of(self.steps);
        if !fx.writes.is_empty() && world.faults.strikes(world.dice, Fault::WriteFailed, key) {
            self.memory = None;
            world.drop_memory(Addr::Coordinator);
            return false;
        }
        let cut = !fx.writes.is_empty() && world.faults.strikes(world.dice, Fault::ChangeCut, key);
        let version = memory.machine.version();
        let (config, moving_from) = (memory.machine.config(), memory.machine.moving_from());
        world.set_alarm(Addr::Coordinator, memory.machine.next_timeout());
        let events = fx.writes.iter().filter_map(|write| match write {
            Write::Events(change) => Some(change),
            Write::PutRegistry(_) | Write::PutAcknowledged(..) | Write::PutLedger(..) | Write::PutRecord(_) => None,
        });
        world.oracle.events_stored(world.now, &events.collect::<Vec<_>>());
        for write in fx.writes {
            match write {
                Write::Events(journal::Change::Put(pool, page)) => drop(self.pages.insert((pool, page.first), *page)),
                Write::Events(journal::Change::Drop(key)) => drop(self.pages.remove(&key)),
                Write::PutRegistry(registry) => self.registry = *registry,
                Write::PutAcknowledged(shard, version) => drop(self.acknowledged.insert(shard, version)),
                Write::PutLedger(shard, row) => drop(self.ledger.insert(shard, row)),
                // Only people read it.
                Write::PutRecord(_) => {}
            }
        }
        let in_force =
            InForce { before, version, registry: &self.registry, config: &config, moving_from: &moving_from };
        world.oracle.coordinator_stepped(world.now, &in_force, drops_override);
        if version != before {
            let counts: Vec<_> = config.pools.iter().map(|(name, pool)| (name.as_str(), pool.shards.get())).collect();
            world.trace.note(world.now, || {
                format!("coordinator: {version:?} is in force, shards {counts:?}, moving from {moving_from:?}")
            });
        }
        if cut {
            self.forget(world);
            return false;
        }
        for (shard, plan) in fx.pushes {
            let to = Addr::of_shard(&shard);
            let then = Then::Push(shard);
            world.call(Addr::Coordinator, to, Request::Configure(Box::new(plan)), PUSH_DEADLINE, then);
        }
        for (shard, allotment) in fx.allotments {
            let (to, allotment) = (Addr::of_shard(&shard), Box::new(sent(world, allotment)));
            world.call(Addr::Coordinator, to, Request::Allot(allotment), PUSH_DEADLINE, Then::Allot(shard));
        }
        true
    }

    fn machine(&self) -> &Coordinator {
        &self.memory.as_ref().unwrap().machine
    }
}

impl Object for CoordinatorObject {
    fn arrives(&mut self, world: &mut World, call: CallId, _from: Option<Addr>, request: Request) {
        if !self.deploy(world) {
            return;
        }
        match request {
            Request::Report(report) => {
                let ShardReport { shard, plan, .. } = (*report).clone();
                world.trace.note(world.now, || format!("coordinator <- {report:?}"));
                if !self.drive(world, Input::Reported(report)) {
                    return;
                }
                let machine = self.machine();
                let news = match machine.plan_of(&shard) {
                    None => PlanNews::UnknownPool,
                    Some(in_force) if plan.is_some_and(|has| has >= in_force.version) => PlanNews::Current,
                    Some(in_force) => PlanNews::Changed(Box::new(in_force)),
                };
                let allotment = machine.allotment_of(&shard).map(|allotment| sent(world, allotment));
                world.answer(call, Response::Reported(Box::new(ReportReply { plan: news, allotment })));
            }
            Request::Record(batch) => {
                let shard = batch.shard.clone();
                if self.drive(world, Input::Record(batch)) {
                    let has = self.machine().recorded(&shard);
                    world.answer(call, Response::Recorded(has));
                }
            }
            Request::Plan(PlanQuestion { known }) => {
                let current = known >= self.machine().version();
                let reply =
                    if current { PlanReply::Current } else { PlanReply::Changed(Box::new(self.machine().in_force())) };
                world.answer(call, Response::RoutePlan(reply));
            }
            Request::PutConfig(config) => {
                if self.drive(world, change(Ask::Put(*config))) {
                    world.answer(call, Response::Put);
                }
            }
            Request::DeleteConfig => {
                if self.drive(world, change(Ask::Drop)) {
                    world.answer(call, Response::View);
                }
            }
            other => unreachable!("not a method of the coordinator: {other:?}"),
        }
    }

    fn ended(&mut self, world: &mut World, then: Then, answer: Answer) {
        if let Ok(Response::Standing(report)) = &answer {
            world.trace.note(world.now, || format!("coordinator <- {report:?}, asked for it"));
        }
        let input = match (then, answer) {
            (Then::Push(shard), Ok(Response::Configured(version))) => Input::Acknowledged(shard, version),
            (Then::Push(shard), Err(_)) => Input::PushFailed(shard),
            (Then::Allot(_), Ok(Response::Standing(report))) => Input::Answered(report),
            (Then::Allot(shard), Err(_)) => Input::AllotFailed(shard),
            (then, answer) => unreachable!("{then:?} ends with {answer:?}"),
        };
        self.drive(world, input);
    }

    fn private(&mut self, _world: &mut World, what: Private) {
        unreachable!("the coordinator waits for nothing by itself: {what:?}");
    }

    fn alarm(&mut self, world: &mut World) {
        self.load(world);
        if !self.drive(world, Input::Woken) {
            // The handler throws, and the platform tries again.
            world.set_alarm(Addr::Coordinator, Some(world.clock(Addr::Coordinator) + ALARM_RETRY));
        }
    }

    fn forget(&mut self, world: &mut World) {
        if let Some(Memory { machine, .. }) = self.memory.take() {
            let loaded = self.reloaded().with_archive(self.archive());
            let all = machine.shards().all(|shard| {
                if machine.recorded(&shard) != loaded.recorded(&shard) {
                    return false;
                }
                let grant =
                    |machine: &Coordinator| machine.allotment_of(&shard).and_then(|allotment| allotment.credits);
                machine.plan_of(&shard) == loaded.plan_of(&shard) && grant(&machine) == grant(&loaded)
            });
            let same = machine.version() == loaded.version()
                && machine.source() == loaded.source()
                && machine.config() == loaded.config()
                && machine.moving_from() == loaded.moving_from()
                && all;
            if !same {
                let what = "the coordinator holds what it has not written".to_owned();
                world.oracle.broken(world.now, "durable", what);
            }
            world.drop_memory(Addr::Coordinator);
        }
    }
}

fn change(ask: Ask) -> Input {
    Input::Change(Box::new(Change::of(ask)))
}

/// An allotment as it is sent: without hints where nobody lends.
fn sent(world: &World, allotment: Allotment) -> Allotment {
    match world.habitat.borrowing {
        Borrowing::On => allotment,
        Borrowing::Off => Allotment { stocked: Vec::new(), ..allotment },
    }
}

const STEP: Key = Key::new(12);
