//! A whole deployment: all objects in their world, and a schedule that is carried out on them.
//!
//! A run has three parts. For the schedule's duration things are done and go wrong. Then nothing goes wrong any more, and
//! within [`SETTLE`] all must be well. At last users ask once more, and must be served.

mod ending;
mod operations;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::ContainerId;
use cf_warm_pools::core::outcome::Outcome;

use crate::campaign::{NO_PANIC, catch};
use crate::dice::Key;
use crate::faults::{Fault, Strike};
use crate::objects::Object;
use crate::objects::agent::AgentObject;
use crate::objects::class::ClassObject;
use crate::objects::coordinator::CoordinatorObject;
use crate::objects::peer::PeerObject;
use crate::objects::router::RouterObject;
use crate::objects::shard::ShardObject;
use crate::oracle::Census;
pub use crate::oracle::Violation;
use crate::schedule::Schedule;
use crate::trace::Trace;
use crate::world::message::{Addr, RequestNo, Then};
use crate::world::platform::Kind;
use crate::world::{Deploy, Happening, START, World, hash};

/// What a run came to.
#[derive(Debug, Default)]
pub struct Report {
    pub steps: u64,
    pub requests: u64,
    /// What became of the requests.
    pub fates: BTreeMap<&'static str, u64>,
    /// How often what went wrong.
    pub faults: BTreeMap<Fault, u64>,
    /// What is not promised not to happen, and did.
    pub excused: BTreeMap<&'static str, u64>,
    pub violations: Vec<Violation>,
    /// The same for the same schedule.
    pub hash: u64,
    /// The faults that happened wherever they could.
    pub struck: Vec<Strike>,
    pub trace: Vec<String>,
    /// How ids came by their containers, those that had none.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Changes of a shard count that have begun.
    pub migrations: u64,
    /// Those of them that are over.
    pub migrated: u64,
    /// What was counted, each time that somebody did.
    pub counts: Vec<Census>,
}

/// How long after the last fault all must be well. The longest things take: a deploy's last object is loaded, an alarm that is
/// a minute late, a call that is given up after a minute, the pause of a minute between attempts to destroy, a lease of a
/// minute, and a few refresh intervals.
pub const SETTLE: Millis = Millis::from_secs(240);
/// More than any run takes that gets anywhere.
const MAX_STEPS: u64 = 3_000_000;

/// Carries a schedule out, up to the first promise that is broken.
pub fn run(schedule: &Schedule, trace: Trace) -> Report {
    let mut simulation = Simulation::new(schedule, trace);
    // In the Worker a panic would freeze every caller of the isolate.
    if let Err(panic) = catch(|| simulation.run()) {
        let now = simulation.world.now;
        simulation.world.oracle.broken(now, NO_PANIC, panic);
    }
    simulation.report()
}

/// The same with the pool object of `cf-container-warm-pool` in place of ours; on, whatever promise is broken.
pub fn run_peer(schedule: &Schedule, trace: Trace) -> Report {
    let schedule = schedule.for_peer();
    let mut simulation = Simulation { peers: Some(BTreeMap::new()), ..Simulation::new(&schedule, trace) };
    simulation.run();
    let mut report = simulation.report();
    let mut seen = BTreeSet::new();
    report.violations.retain(|violation| seen.insert(violation.promise));
    report
}

struct Simulation<'s> {
    schedule: &'s Schedule,
    world: World,
    shards: BTreeMap<Addr, ShardObject>,
    /// The pools of `cf-container-warm-pool`, in a run that has those.
    peers: Option<BTreeMap<u32, PeerObject>>,
    coordinator: CoordinatorObject,
    routers: Vec<RouterObject>,
    containers: BTreeMap<ContainerId, Container>,
    steps: u64,
    next_request: u64,
    /// How often each object could have been dropped.
    risks: BTreeMap<Addr, u64>,
    /// The last requests, of whom each must be served.
    probes: BTreeMap<RequestNo, u32>,
    /// How often it was looked at whether all is well.
    looks: u32,
    /// What was counted, each time that somebody did.
    counts: Vec<Census>,
    over: bool,
}

enum Container {
    Agent(Box<AgentObject>),
    Class(Box<ClassObject>),
}

impl Container {
    fn object(&mut self) -> &mut dyn Object {
        match self {
            Self::Agent(agent) => agent.as_mut(),
            Self::Class(class) => class.as_mut(),
        }
    }
}

impl<'s> Simulation<'s> {
    fn new(schedule: &'s Schedule, trace: Trace) -> Self {
        let mut world = World::new(schedule, trace);
        world.oracle.deployed(START.0, &schedule.configs[0]);
        world.deploys.made.push(Deploy { stamp: START.0, config: Rc::clone(&schedule.configs[0]) });
        for (index, operation) in schedule.operations.iter().enumerate() {
            world.at(START + operation.at, Happening::Operation(index));
        }
        let heals = START + schedule.duration;
        world.at(heals, Happening::Heals);
        world.at(heals + SETTLE, Happening::Settled);
        Self {
            schedule,
            world,
            shards: BTreeMap::new(),
            peers: None,
            coordinator: CoordinatorObject::default(),
            routers: (0..schedule.routers).map(RouterObject::new).collect(),
            containers: BTreeMap::new(),
            steps: 0,
            next_request: 0,
            risks: BTreeMap::new(),
            probes: BTreeMap::new(),
            looks: 0,
            counts: Vec::new(),
            over: false,
        }
    }

    fn run(&mut self) {
        while !self.over && (self.peers.is_some() || self.world.oracle.is_content()) {
            let Some(happening) = self.world.next() else { break };
            self.steps += 1;
            if self.steps > MAX_STEPS {
                let now = self.world.now;
                self.world.oracle.broken(now, "unwedgeable", format!("no end after {MAX_STEPS} steps"));
                break;
            }
            self.happens(happening);
        }
    }

    fn report(self) -> Report {
        let oracle = &self.world.oracle;
        Report {
            steps: self.steps,
            requests: oracle.request_count(),
            fates: oracle.fates().clone(),
            faults: self.world.faults.counts().clone(),
            excused: oracle.excused().clone(),
            violations: oracle.violations().to_vec(),
            hash: self.world.trace.hash(),
            struck: self.world.faults.struck().to_vec(),
            outcomes: oracle.outcomes().clone(),
            migrations: oracle.migrations().0,
            migrated: oracle.migrations().1,
            counts: self.counts,
            trace: self.world.trace.lines(),
        }
    }

    fn happens(&mut self, happening: Happening) {
        let now = self.world.now;
        match happening {
            Happening::Arrives(call) => {
                let Some(arrival) = self.world.arrives(call) else { return };
                self.world.trace.mark(&(now, 1u8, arrival.to, call));
                self.with(arrival.to, |object, world| object.arrives(world, call, arrival.from, arrival.request));
                self.may_be_dropped(arrival.to);
            }
            Happening::Answered(call) => {
                let Some(ended) = self.world.answered(call) else { return };
                self.call_ended(ended.by, call, ended.then, ended.answer);
            }
            Happening::Expires(call) => {
                let Some(ended) = self.world.expires(call) else { return };
                self.call_ended(ended.by, call, ended.then, ended.answer);
            }
            Happening::Alarm { addr, armed } => {
                if self.world.alarm_rings(addr, armed) {
                    self.world.trace.mark(&(now, 3u8, addr));
                    self.with(addr, |object, world| object.alarm(world));
                    self.may_be_dropped(addr);
                }
            }
            Happening::AlarmAgain(addr) => {
                self.world.trace.mark(&(now, 4u8, addr));
                self.with(addr, |object, world| object.alarm(world));
            }
            Happening::Private { addr, life, what } => {
                if self.world.life(addr) == life {
                    self.world.trace.mark(&(now, 5u8, addr));
                    self.with(addr, |object, world| object.private(world, what));
                }
            }
            Happening::ProcessEnds(container) => self.process_ends(container),
            Happening::ProcessDies(container) => {
                if !self.world.faults.is_healed() {
                    self.process_ends(container);
                }
            }
            Happening::Traps(addr) => {
                if !self.world.faults.is_healed() {
                    // Before it is dropped, so that nobody hears of it.
                    self.world.abandon_calls_to(addr);
                    self.forget(addr);
                }
            }
            Happening::Drops(addr) => {
                if !self.world.faults.is_healed() {
                    self.forget(addr);
                }
            }
            Happening::Operation(index) => self.operate(&self.schedule.operations[index].what.clone()),
            Happening::Heals => self.heal(),
            Happening::Looks => self.look(),
            Happening::Settled => self.settled(),
            Happening::Ends => self.end(),
        }
    }

    fn call_ended(
        &mut self,
        by: Addr,
        call: crate::world::message::CallId,
        then: Then,
        answer: crate::world::message::Answer,
    ) {
        self.world.trace.mark(&(self.world.now, 2u8, by, call, answer.is_ok()));
        self.with(by, |object, world| object.ended(world, then, answer));
        self.may_be_dropped(by);
    }

    fn process_ends(&mut self, container: ContainerId) {
        self.world.trace.mark(&(self.world.now, 6u8, container));
        if self.world.end_process(container) {
            match self.container(container) {
                (Container::Agent(agent), world) => agent.process_ended(world),
                (Container::Class(class), world) => class.process_ended(world),
            }
        }
    }

    /// Does something with the object of an address, which comes into being by that.
    fn with(&mut self, addr: Addr, body: impl FnOnce(&mut dyn Object, &mut World)) {
        match addr {
            Addr::Router(index) => body(&mut self.routers[index as usize], &mut self.world),
            Addr::Coordinator => body(&mut self.coordinator, &mut self.world),
            Addr::Shard { pool, .. } if let Some(peers) = &mut self.peers => {
                body(peers.entry(pool).or_insert_with(|| PeerObject::new(pool)), &mut self.world);
            }
            Addr::Shard { .. } => {
                let shard = self.shards.entry(addr).or_insert_with(|| ShardObject::new(addr.shard_id().unwrap()));
                body(shard, &mut self.world);
            }
            Addr::Container(container) => {
                let (object, world) = self.container(container);
                body(object.object(), world);
            }
            // Whoever asks administrators for something gets no answer; whatever they are told they ignore.
            Addr::Admin => {}
        }
    }

    fn container(&mut self, container: ContainerId) -> (&mut Container, &mut World) {
        let kind = self.world.platform.kind(container);
        let object = self.containers.entry(container).or_insert_with(|| match kind {
            Kind::Agent => Container::Agent(Box::new(AgentObject::new(container))),
            Kind::Class => Container::Class(Box::new(ClassObject::new(container))),
        });
        (object, &mut self.world)
    }

    /// After anything that an object does it may be dropped from memory, alone or with its isolate.
    fn may_be_dropped(&mut self, addr: Addr) {
        let world = &mut self.world;
        let count = self.risks.entry(addr).or_default();
        *count += 1;
        let key = DROP.of(hash(&addr)).of(*count);
        let soon = world.dice.between(key.of(1), 0, 30);
        if world.faults.strikes(world.dice, Fault::Evicted, key) {
            world.after(soon, Happening::Drops(addr));
        }
        if world.faults.strikes(world.dice, Fault::Trapped, key) {
            let isolate = isolate_of(addr);
            let shards = self.shards.keys().copied();
            let containers = self.containers.keys().map(|&container| Addr::Container(container));
            let routers = (0..self.schedule.routers).map(Addr::Router);
            let all = shards.chain(containers).chain(routers).chain([Addr::Coordinator]);
            for other in all.filter(|&other| isolate_of(other) == isolate).collect::<BTreeSet<_>>() {
                self.world.after(Millis(0), Happening::Traps(other));
            }
        }
    }

    fn forget(&mut self, addr: Addr) {
        self.world.trace.mark(&(self.world.now, 7u8, addr));
        self.with(addr, |object, world| object.forget(world));
    }
}

/// Objects are spread over so many isolates.
fn isolate_of(addr: Addr) -> u64 {
    hash(&addr) % 8
}

const DROP: Key = Key::new(21);
