//! A whole deployment: all objects in their world, and a schedule that is carried out on them.
//!
//! A run has three parts. For the schedule's duration things are done and go wrong. Then nothing goes wrong any more, and
//! within [`SETTLE`] all must be well. At last users ask once more, and must be served.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::gateway::Replay;
use cf_warm_pools::core::id::{ContainerId, ShardId};
use cf_warm_pools::core::outcome::RefusalCode;
use cf_warm_pools::core::shard::State;

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
use crate::oracle::Fate;
pub use crate::oracle::Violation;
use crate::schedule::{Climate, Schedule, Target, What, session};
use crate::trace::Trace;
use crate::world::message::{Addr, Request, RequestNo, Then, pool_name, pool_number};
use crate::world::network::By;
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
}

/// How long after the last fault all must be well. The longest things take: a deploy's last object is loaded, an alarm that is
/// a minute late, a call that is given up after a minute, the pause of a minute between attempts to destroy, a lease of a
/// minute, and a few refresh intervals.
pub const SETTLE: Millis = Millis::from_secs(240);
/// How long the last requests may take.
const AFTERWARDS: Millis = Millis::from_secs(130);
/// No caller waits longer for a shard: not for two checks of a container that it doubts, and then for its own time.
const LONGEST_WAIT: Millis = Millis::from_secs(120);
/// How long after the last fault somebody looks at the pools: by then a router asks the coordinator again.
const LOOKS_AFTER: Millis = Millis::from_secs(10);
/// How often, and with which pause, it is looked at whether all is well before something is wrong.
const LOOKS: u32 = 40;
const LOOK_AGAIN: Millis = Millis(500);
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
            let all = shards.chain(containers).chain([Addr::Coordinator, addr]);
            for other in all.filter(|&other| isolate_of(other) == isolate).collect::<BTreeSet<_>>() {
                self.world.after(Millis(0), Happening::Drops(other));
            }
        }
    }

    fn forget(&mut self, addr: Addr) {
        self.world.trace.mark(&(self.world.now, 7u8, addr));
        self.with(addr, |object, world| object.forget(world));
    }

    // --- What is done from outside

    fn operate(&mut self, what: &What) {
        let now = self.world.now;
        self.world.trace.note(now, || format!("* {what:?}"));
        match *what {
            What::Request { router, pool, id, replay } => {
                let request = self.request_no();
                let session = session(id);
                if replay != Replay::Anytime {
                    self.world.oracle.at_most_once(request);
                }
                self.routers[router as usize].request(&mut self.world, request, pool, &session, replay);
            }
            What::GetContainer { router, pool, id } => {
                let request = self.request_no();
                self.routers[router as usize].get_container(&mut self.world, request, pool, &session(id));
            }
            What::Release { router, pool, id } => {
                let request = self.request_no();
                self.routers[router as usize].release(&mut self.world, request, pool, &session(id));
            }
            What::Lookup { router, pool, id } => {
                let request = self.request_no();
                self.routers[router as usize].lookup(&mut self.world, request, pool, &session(id));
            }
            What::ShutdownPrewarmed { pool, index } => {
                let shard = Addr::Shard { pool, index };
                if self.shards.contains_key(&shard) || (self.peers.is_some() && index == 0) {
                    self.admin(shard, Request::ShutdownPrewarmed);
                }
            }
            What::PutConfig(config) => {
                let config = Box::new((*self.schedule.configs[config]).clone());
                self.admin(Addr::Coordinator, Request::PutConfig(config));
            }
            What::DropOverride => self.admin(Addr::Coordinator, Request::DeleteConfig),
            What::Deploy { config, within } => self.deploy(config, within),
            What::Evict(target) => {
                if let Some(addr) = self.target(target) {
                    self.world.faults.count(Fault::Evicted);
                    self.forget(addr);
                }
            }
            What::CutOff { target, by, duration } => {
                if let Some(addr) = self.target(target) {
                    self.world.faults.count(Fault::Partition);
                    self.world.cut_off(addr, by, duration);
                }
            }
            What::CoordinatorDown { duration } => {
                self.world.faults.count(Fault::CoordinatorDown);
                self.world.cut_off(Addr::Coordinator, By::Anybody, duration);
            }
            What::Strand { router, nth, duration } => self.strand(router, nth, duration),
            What::Kill { nth } => {
                let running: Vec<ContainerId> = self.world.platform.running().collect();
                if let Some(&container) = running.get(nth as usize % running.len().max(1)) {
                    self.world.faults.count(Fault::Dies);
                    self.process_ends(container);
                }
            }
            What::Limit { room, duration } => {
                self.world.faults.count(Fault::Capacity);
                self.world.platform.limit(room, now + duration);
            }
            What::LoseImages { duration } => self.world.platform.lose_images(now + duration),
            What::ClockJump { target, by } => {
                if let Some(addr) = self.target(target) {
                    self.world.faults.count(Fault::ClockJump);
                    if by.unsigned_abs() > SMALL_JUMP {
                        self.world.oracle.clock_jumped(now, addr);
                    }
                    self.world.clock_jumps(addr, by);
                }
            }
        }
    }

    fn strand(&mut self, router: u32, nth: u32, duration: Millis) {
        let Some((container, shard, (pool, session))) = self.world.oracle.books().nth_assigned(nth) else { return };
        self.world.faults.count(Fault::Partition);
        self.world.cut_off(Addr::Container(container), By::Objects, duration);
        self.forget(shard);
        for _ in 0..3 {
            let request = self.request_no();
            let router = &mut self.routers[router as usize];
            router.request(&mut self.world, request, pool, &session, Replay::Anytime);
        }
        let request = self.request_no();
        self.routers[router as usize].release(&mut self.world, request, pool, &session);
    }

    fn request_no(&mut self) -> RequestNo {
        self.next_request += 1;
        RequestNo(self.next_request)
    }

    fn admin(&mut self, to: Addr, request: Request) {
        self.world.call(Addr::Admin, to, request, Millis::from_secs(15), Then::Nothing);
    }

    fn target(&self, target: Target) -> Option<Addr> {
        match target {
            Target::Shard { pool, index } => {
                let addr = Addr::Shard { pool, index };
                self.shards.contains_key(&addr).then_some(addr)
            }
            Target::Coordinator => Some(Addr::Coordinator),
            Target::Router(index) => Some(Addr::Router(index)),
            Target::Container { nth } => {
                let count = self.containers.len().max(1);
                self.containers.keys().nth(nth as usize % count).map(|&container| Addr::Container(container))
            }
        }
    }

    /// New code rolls out: each object is loaded anew at some time of it, with the new code or once more with the old one;
    /// at its end all run the new one.
    fn deploy(&mut self, config: usize, within: Millis) {
        let now = self.world.now;
        self.world.faults.count(Fault::Deploy);
        let newest = self.world.deploys.made.last().map_or(0, |deploy| deploy.stamp);
        let stamp = now.0.max(newest + 1);
        self.world.deploys.made.push(Deploy { stamp, config: Rc::clone(&self.schedule.configs[config]) });
        self.world.deploys.rolling_until = now + within;
        for addr in self.all() {
            let key = ROLL.of(hash(&addr)).of(self.world.deploys.made.len() as u64);
            let at = now + self.world.dice.between(key, 0, within.0);
            self.world.at(at, Happening::Drops(addr));
            self.world.at(now + within, Happening::Drops(addr));
        }
    }

    fn all(&self) -> Vec<Addr> {
        let routers = (0..self.schedule.routers).map(Addr::Router);
        let containers = self.containers.keys().map(|&container| Addr::Container(container));
        routers.chain([Addr::Coordinator]).chain(self.shards.keys().copied()).chain(containers).collect()
    }

    // --- The end

    /// Nothing goes wrong any more.
    fn heal(&mut self) {
        let now = self.world.now;
        self.world.trace.note(now, || "* all is well from here on".to_owned());
        // Whatever still runs old code is loaded anew.
        if now < self.world.deploys.rolling_until {
            self.world.deploys.rolling_until = now;
            for addr in self.all() {
                self.forget(addr);
            }
        }
        self.world.faults.heal();
        self.world.reconnect();
        self.world.platform.heal();
        self.world.after(LOOKS_AFTER, Happening::Looks);
    }

    /// Somebody looks at the pools, as somebody does.
    fn look(&mut self) {
        for pool in self.schedule.configs[0].pools.keys().map(pool_number).collect::<Vec<_>>() {
            for router in 0..self.routers.len() {
                let request = self.request_no();
                self.routers[router].lookup(&mut self.world, request, pool, &session(0));
            }
        }
    }

    /// By now all must be well; and users ask.
    fn settled(&mut self) {
        if !self.is_well() {
            return;
        }
        self.world.after(AFTERWARDS, Happening::Ends);
        let now = self.world.now;
        self.world.trace.note(now, || "* all is well, and must stay so".to_owned());
        for pool in self.world_pools() {
            for id in [0, 1, 2, 1_000, 1_001] {
                let request = self.request_no();
                let router = id as usize % self.routers.len();
                self.world.oracle.watch(request);
                self.probes.insert(request, pool);
                self.routers[router].request(&mut self.world, request, pool, &session(id), Replay::Anytime);
            }
        }
    }

    fn world_pools(&self) -> Vec<u32> {
        self.coordinator.reloaded().config().pools.keys().map(pool_number).collect()
    }

    fn end(&mut self) {
        self.over = true;
        let now = self.world.now;
        let config = self.coordinator.reloaded().config();
        // Where callers wait for less than a start may take, or for others to leave, some wait in vain.
        let hurried = |pool: u32| {
            config
                .pools
                .get(&pool_name(pool))
                .is_some_and(|pool| pool.acquire_timeout < Millis::from_secs(20) || pool.max_instances.is_some())
        };
        for (request, pool) in self.probes.clone() {
            match self.world.oracle.fate_of(request).cloned() {
                // A router may not have heard of a pool that was put in force a moment ago, but it has had minutes.
                Some(Fate::Served(_) | Fate::Refused(RefusalCode::AtCapacity)) => {}
                Some(Fate::Refused(RefusalCode::Timeout | RefusalCode::StartFailed)) if hurried(pool) => {}
                other => {
                    self.world.oracle.broken(
                        now,
                        if self.peers.is_some() { "unwedgeable" } else { "converging" },
                        format!("the last {request:?} came to {other:?}"),
                    );
                }
            }
        }
        if self.schedule.climate.serves_everybody() && self.peers.is_none() {
            self.check_service();
        }
        for shard in self.shards.values() {
            let since = shard.longest_waiting().filter(|&since| now > since + LONGEST_WAIT);
            if let Some(since) = since {
                let what = format!("a caller of {} waits for {:?}", shard.id(), now - since);
                self.world.oracle.broken(now, "answered", what);
            }
        }
        for overdue in self.world.oracle.overdue(now) {
            self.world.oracle.broken(now, "answered", format!("{overdue} was never answered"));
        }
    }

    /// Where nothing went wrong, nobody was turned away.
    fn check_service(&mut self) {
        let promise = match self.schedule.climate {
            Climate::NoCoordinator => "coordinator-free",
            Climate::Calm | Climate::Swarm => "converging",
        };
        let turned_away: Vec<String> = self
            .world
            .oracle
            .fates()
            .iter()
            .filter(|(fate, _)| !["served", "done"].contains(fate))
            .map(|(fate, count)| format!("{count} {fate}"))
            .collect();
        if !turned_away.is_empty() {
            let now = self.world.now;
            self.world.oracle.broken(now, promise, format!("requests came to {turned_away:?}"));
        }
    }

    /// Whether all is well. Containers come and go also when nothing is wrong, so that it need not be at this very moment, but
    /// soon: until then it is looked at again.
    fn is_well(&mut self) -> bool {
        let wrong = self.what_is_wrong();
        if wrong.is_empty() {
            return true;
        }
        self.looks += 1;
        if self.looks < LOOKS {
            self.world.after(LOOK_AGAIN, Happening::Settled);
            return false;
        }
        for (promise, what) in wrong {
            let now = self.world.now;
            self.world.oracle.broken(now, promise, what);
        }
        true
    }

    fn what_is_wrong(&self) -> Vec<(&'static str, String)> {
        if let Some(peers) = &self.peers {
            return self.what_is_wrong_with(peers);
        }
        let mut wrong = Vec::new();
        for container in self.world.oracle.untracked() {
            match self.world.platform.kind(container) {
                Kind::Agent => wrong.push(("accounted", format!("{container} runs and is on no books"))),
                Kind::Class => {}
            }
        }
        let coordinator = self.coordinator.reloaded();
        for shard in self.coordinator.behind() {
            wrong.push(("converging", format!("{shard} has not acknowledged {:?}", coordinator.version())));
        }
        let active = coordinator.config();
        for shard in coordinator.shards() {
            let is_active = active.pools.contains_key(&shard.pool);
            if let Err(what) = self.check_shard(&shard, is_active, &coordinator) {
                wrong.push(("converging", format!("{shard}: {what}")));
            }
        }
        wrong
    }

    fn what_is_wrong_with(&self, peers: &BTreeMap<u32, PeerObject>) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        let untracked = self.world.oracle.peer_untracked();
        if let Some(container) = untracked.first() {
            let what = format!("{container} and {} more run and are not tracked", untracked.len() - 1);
            wrong.push(("accounted", what));
        }
        for (&pool, peer) in peers {
            let deploy = self.world.deploy_of(Addr::Shard { pool, index: 0 });
            let Some(settings) = deploy.config.pools.get(&pool_name(pool)) else { continue };
            let warm =
                peer.rows().warm().iter().filter(|container| self.world.platform.is_running(**container)).count();
            if warm != settings.warm_target as usize {
                wrong.push(("converging", format!("pool {pool} has {warm} warm of {}", settings.warm_target)));
            }
        }
        wrong
    }

    /// Whether a shard has what it should have.
    fn check_shard(
        &self,
        shard: &ShardId,
        is_active: bool,
        coordinator: &cf_warm_pools::core::coordinator::Coordinator,
    ) -> Result<(), String> {
        let addr = Addr::of_shard(shard);
        let Some(object) = self.shards.get(&addr) else { return Err("it was never called".to_owned()) };
        let rows = object.rows();
        let plan = rows.plan.as_ref().ok_or("it has no plan")?;
        if plan.version < coordinator.version() {
            return Err(format!("it works by {:?}, and {:?} is in force", plan.version, coordinator.version()));
        }
        if plan.active != is_active {
            return Err(format!("it is active: {}, and should be: {is_active}", plan.active));
        }
        let now = self.world.now;
        let (mut warm, mut count) = (0, 0);
        for (row, since) in self.world.oracle.books().rows_of(addr) {
            count += 1;
            let running = self.world.platform.is_running(row.container);
            let longest = match &row.state {
                State::Starting => Some(Millis::from_secs(60)),
                State::Draining { .. } => Some(plan.pool.drain_timeout + Millis::from_secs(40)),
                State::Warm { .. } | State::Assigned { .. } => None,
            };
            if longest.is_some_and(|longest| now > since + longest) {
                return Err(format!("{} is {:?} since {:?}", row.container, row.state, now - since));
            }
            if let State::Warm { .. } = row.state {
                warm += 1;
                if !running && now > since + Millis::from_secs(30) {
                    return Err(format!("{} is warm and does not run", row.container));
                }
            }
        }
        let target = plan.share.warm_target;
        let full = plan.share.max_instances.is_some_and(|max| count >= max);
        if warm > target || (warm < target && !full) {
            return Err(format!("{warm} are warm of {target}, {count} in all, of {:?}", plan.share.max_instances));
        }
        Ok(())
    }
}

/// Objects are spread over so many isolates.
fn isolate_of(addr: Addr) -> u64 {
    hash(&addr) % 8
}

/// What two clocks may be off by during a lease, together, and the fence still holds: half of its margin each.
const SMALL_JUMP: u64 = 400;

const DROP: Key = Key::new(21);
const ROLL: Key = Key::new(22);
