//! One shard over scripted containers, in virtual time.

use std::collections::{BTreeMap, BTreeSet};

use cf_warm_pools::config::parse_json;
use cf_warm_pools::config::resolved::{Millis, Pool};
use cf_warm_pools::core::failure::{FailureClass, StartFailure};
use cf_warm_pools::core::id::{ContainerId, SessionId, ShardId, ShardIndex};
use cf_warm_pools::core::journal::Ended;
use cf_warm_pools::core::outcome::{Assignment, Outcome, Refusal};
use cf_warm_pools::core::plan::{Plan, PlanVersion};
use cf_warm_pools::core::shard::{
    Action, Call, ContainerKind, Effects, Entropy, Event, Finding, Input, Rows, Shard, State, WaiterId, Write,
};
use cf_warm_pools::core::stats::{ByState, ShardStats};

/// How long every call takes, unless a script says otherwise.
pub const LATENCY: Millis = Millis(5);

/// How a container behaves.
#[derive(Clone, Debug)]
pub struct Script {
    pub kind: ContainerKind,
    /// From the call to readiness.
    pub boot: Millis,
    /// Instead of readiness.
    pub fails: Option<StartFailure>,
    pub ignores_sigterm: bool,
    /// Calls to it get no answer, and do nothing.
    pub unreachable: bool,
    /// How long such a call takes to fail.
    pub error_after: Millis,
    /// A stop only begins to stop it: it says so, serves nobody, and goes on until it is destroyed.
    pub lingers: bool,
    /// The Worker has no binding for its class.
    pub unbound: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            kind: ContainerKind::Agent,
            boot: Millis(3_000),
            fails: None,
            ignores_sigterm: false,
            unreachable: false,
            error_after: Millis::from_secs(10),
            lingers: false,
            unbound: false,
        }
    }
}

#[derive(Debug)]
pub struct Container {
    pub script: Script,
    pub running: bool,
    /// It has begun to stop.
    pub stopping: bool,
}

/// A shard, its rows, and the containers it has asked for.
pub struct World {
    pub now: Millis,
    pub shard: Shard,
    pub rows: Rows,
    pub containers: BTreeMap<ContainerId, Container>,
    /// What containers started from now on do.
    pub script: Script,
    pub answers: BTreeMap<WaiterId, Result<Assignment, Refusal>>,
    pub events: Vec<Event>,
    pub reports: usize,
    /// What the coordinator was told of what has happened.
    pub told: Vec<serde_json::Map<String, serde_json::Value>>,
    /// Checks of each container so far.
    pub checks: BTreeMap<ContainerId, u32>,
    /// Writes of the last step.
    pub last_writes: Vec<Write>,
    inbox: BTreeMap<(Millis, u64), Input>,
    arrivals: u64,
    waiters: u64,
    random: Random,
    served: BTreeMap<ContainerId, SessionId>,
    once_used: BTreeSet<ContainerId>,
    last_count: u32,
    lost_until: Millis,
    /// How long containers were in each state, together, as the rows say, up to the last step.
    lived: ByState<u64>,
    last_step: Millis,
    /// What the shard has told of itself last.
    last_stats: Option<ShardStats>,
}

struct Random(u64);

impl Entropy for Random {
    fn unique(&mut self) -> u128 {
        self.0 += 1;
        u128::from(self.0) << 64
    }

    fn jitter(&mut self, below: u64) -> u64 {
        self.0 += 1;
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).checked_rem(below).unwrap_or(0)
    }
}

pub fn id(text: &str) -> SessionId {
    SessionId::try_from(text.to_owned()).unwrap()
}

/// A pool `p` of one shard with these keys besides `container`.
pub fn pool(keys: &str) -> Pool {
    let keys = if keys.is_empty() { String::new() } else { format!(", {keys}") };
    let config = parse_json(&format!(r#"{{"pools": {{"p": {{"container": "C"{keys}}}}}}}"#)).unwrap();
    config.pools.into_values().next().unwrap()
}

pub fn failure(class: FailureClass) -> Option<StartFailure> {
    Some(StartFailure::new(class, "scripted"))
}

fn lived(stats: &ShardStats) -> ByState<u64> {
    stats.detail.as_ref().unwrap().container_millis
}

impl World {
    /// A shard that has just got its first plan.
    pub fn new(keys: &str) -> Self {
        Self::with(keys, Script::default())
    }

    pub fn with(keys: &str, script: Script) -> Self {
        let mut world = Self { script, ..Self::unconfigured() };
        world.configure(1, keys);
        world
    }

    /// A shard that has no plan.
    pub fn unconfigured() -> Self {
        let shard = ShardId { pool: "p".to_owned().try_into().unwrap(), index: ShardIndex(0) };
        let now = Millis(1_000_000);
        Self {
            now,
            shard: Shard::load(shard, Rows::default(), now),
            rows: Rows::default(),
            containers: BTreeMap::new(),
            script: Script::default(),
            answers: BTreeMap::new(),
            events: Vec::new(),
            reports: 0,
            told: Vec::new(),
            checks: BTreeMap::new(),
            last_writes: Vec::new(),
            inbox: BTreeMap::new(),
            arrivals: 0,
            waiters: 0,
            random: Random(1),
            served: BTreeMap::new(),
            once_used: BTreeSet::new(),
            last_count: 0,
            lost_until: Millis(0),
            lived: ByState::default(),
            last_step: now,
            last_stats: None,
        }
    }

    /// A world whose stock is full.
    pub fn warm(keys: &str) -> Self {
        let mut world = Self::new(keys);
        world.run_for(Millis::from_secs(20));
        let target = world.shard.plan().unwrap().share.warm_target;
        assert_eq!(world.counts().1, target, "the stock is full");
        world
    }

    pub fn configure(&mut self, version: u64, keys: &str) {
        let version = PlanVersion { version, stamp: version };
        let pool = pool(keys);
        let limit = pool.max_instances;
        self.step(Input::Configured(Box::new(Plan::fixed(version, pool, limit, ShardIndex(0)))));
    }

    /// Asks for a container; the answer comes into `answers`.
    pub fn ask(&mut self, session: &str) -> WaiterId {
        self.ask_with(session, None)
    }

    pub fn ask_with(&mut self, session: &str, suspect: Option<ContainerId>) -> WaiterId {
        self.waiters += 1;
        let waiter = WaiterId(self.waiters);
        self.step(Input::Acquire { waiter, id: id(session), shards: Some(1), suspect });
        waiter
    }

    /// Asks for a container and waits for it.
    pub fn get(&mut self, session: &str) -> Assignment {
        let waiter = self.ask(session);
        self.answer(waiter).unwrap()
    }

    /// Waits for an answer, which comes at the latest when the caller's time is up.
    pub fn answer(&mut self, waiter: WaiterId) -> Result<Assignment, Refusal> {
        let end = self.now + Millis::from_secs(600);
        while !self.answers.contains_key(&waiter) && self.now < end {
            self.advance(end);
        }
        self.answers.get(&waiter).cloned().expect("every caller is answered")
    }

    pub fn step(&mut self, input: Input) {
        self.live();
        let mut random = std::mem::replace(&mut self.random, Random(0));
        let mut fx = Effects::new(&mut random);
        self.shard.step(self.now, input, &mut fx);
        let Effects { writes, actions, events, .. } = fx;
        self.random = random;
        for write in &writes {
            self.rows.apply(write.clone());
        }
        assert_eq!(self.rows, self.shard.rows(), "what is durable is what the machine holds");
        self.last_writes = writes;
        for event in events {
            if let Event::Assigned(_, assignment) = &event {
                assert!(self.once_used.insert(assignment.container), "a container is assigned once in its life");
            }
            self.events.push(event);
        }
        for action in actions {
            self.perform(action);
        }
        self.check();
    }

    /// The shard is asked for its numbers.
    pub fn tell(&mut self) -> ShardStats {
        self.step(Input::Tell);
        let told = self.shard.stats(self.now);
        self.check_told(&told);
        self.last_stats = Some(told.clone());
        told
    }

    fn live(&mut self) {
        let passed = (self.now - self.last_step).0;
        self.last_step = self.now;
        for row in self.rows.containers.values() {
            let lived = match row.state {
                State::Starting => &mut self.lived.starting,
                State::Warm { .. } => &mut self.lived.warm,
                State::Assigned { .. } => &mut self.lived.assigned,
                State::Draining { .. } => &mut self.lived.draining,
                State::Moving { .. } => &mut self.lived.moving,
            };
            *lived += passed;
        }
    }

    /// What is told is never less than what was told before.
    fn check_told(&self, now: &ShardStats) {
        let Some(before) = &self.last_stats else { return };
        for (outcome, count) in &before.counters.outcomes {
            assert!(now.counters.outcomes.get(outcome) >= Some(count), "{outcome:?} went back from {count}");
        }
        for (code, count) in &before.counters.refusals {
            assert!(now.counters.refusals.get(code) >= Some(count), "{code:?} went back from {count}");
        }
        assert!(now.counters.starts_ready >= before.counters.starts_ready, "starts went back");
        let (before, now) = (lived(before), lived(now));
        let all = |by: ByState<u64>| [by.starting, by.warm, by.assigned, by.draining, by.moving];
        assert!(all(before).iter().zip(all(now)).all(|(&before, now)| now >= before), "{now:?} after {before:?}");
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Millis) {
        let end = self.now + duration;
        while self.now < end {
            self.advance(end);
        }
    }

    /// The object is evicted, and loaded again from its rows; calls under way have no one to answer to.
    pub fn restart(&mut self) {
        self.shard = Shard::load(self.shard.id().clone(), self.rows.clone(), self.now);
        self.inbox.clear();
        // Of the time since the row the shard knows only how many containers there are now.
        self.lived = lived(&self.shard.stats(self.now));
        self.last_step = self.now;
        self.check_told(&self.shard.stats(self.now));
        self.step(Input::Woken);
    }

    /// Calls under way have no one to answer to.
    pub fn forget_calls(&mut self) {
        self.inbox.clear();
    }

    /// Answers of calls made from now on, for so long, never come: the futures that waited for them are gone.
    pub fn lose_answers(&mut self, duration: Millis) {
        self.lost_until = self.now + duration;
    }

    /// The container's process ends by itself, unnoticed so far.
    pub fn kill(&mut self, container: ContainerId) {
        self.containers.get_mut(&container).unwrap().running = false;
    }

    pub fn lookup(&self, session: &str) -> Option<Assignment> {
        self.shard.lookup(&id(session))
    }

    /// Starting, warm, assigned, draining.
    pub fn counts(&self) -> (u32, u32, u32, u32) {
        let counts = self.shard.stats(self.now).counts;
        (counts.starting, counts.warm, counts.assigned, counts.draining)
    }

    pub fn running(&self) -> usize {
        self.containers.values().filter(|container| container.running).count()
    }

    /// Goes on to the next thing that happens, at the latest to `end`.
    fn advance(&mut self, end: Millis) {
        let message = self.inbox.first_key_value().map(|(&(at, _), _)| at);
        let timer = self.shard.next_timeout().map(|at| at.max(self.now));
        let next = [message, timer].into_iter().flatten().min().unwrap_or(end).min(end);
        self.now = next;
        if message == Some(next) {
            let (_, input) = self.inbox.pop_first().unwrap();
            self.step(input);
        } else if timer == Some(next) {
            self.step(Input::Woken);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Reply(waiter, answer) => {
                if let Ok(Assignment { container, outcome: Outcome::Warm | Outcome::Cold, .. }) = &answer {
                    assert!(self.containers[container].running, "a container that is handed out runs");
                }
                assert!(self.answers.insert(waiter, answer).is_none(), "a caller is answered once");
            }
            Action::Report => self.reports += 1,
            Action::Record(batch) => {
                self.send(LATENCY, Input::Recorded { number: batch.number, ended: Ended::Answered(batch.number) });
                self.told.extend(batch.events);
            }
            Action::Located(..) | Action::Borrow { .. } | Action::Pull { .. } | Action::Deliver { .. } => {
                panic!("a shard without siblings asks them: {action:?}")
            }
            Action::Call { container, call, .. } => {
                assert!(self.rows.containers.contains_key(&container), "written before it is acted on");
                if call == Call::Check {
                    *self.checks.entry(container).or_default() += 1;
                }
                if let Some((delay, input)) = self.call(container, call) {
                    self.send(delay, input);
                }
            }
        }
    }

    fn send(&mut self, delay: Millis, input: Input) {
        if self.now < self.lost_until {
            return;
        }
        self.arrivals += 1;
        self.inbox.insert((self.now + delay, self.arrivals), input);
    }

    fn call(&mut self, container: ContainerId, call: Call) -> Option<(Millis, Input)> {
        let script = self.script.clone();
        let it = self.containers.entry(container).or_insert(Container { script, running: false, stopping: false });
        let lost = it.script.unreachable;
        let late = it.script.error_after;
        match call {
            Call::Start(_) if it.script.unbound => {
                let failure = StartFailure::new(FailureClass::Permanent, "no binding");
                Some((Millis(1), Input::StartUnsent { container, failure }))
            }
            Call::Stop | Call::Destroy | Call::Check if it.script.unbound => match call {
                Call::Stop => Some((Millis(1), Input::StopDone(container, false))),
                Call::Destroy => Some((Millis(1), Input::DestroyDone(container, false))),
                _ => Some((Millis(1), Input::CheckDone(container, Finding::Unknown))),
            },
            Call::Start(_) if lost => {
                let result = Err(StartFailure::new(FailureClass::Unknown, "no answer"));
                Some((late, Input::StartDone { container, result }))
            }
            Call::Start(_) => {
                it.running = true;
                let result = it.script.fails.clone().map_or(Ok(it.script.kind), Err);
                Some((it.script.boot, Input::StartDone { container, result }))
            }
            Call::Stop if lost => Some((late, Input::StopDone(container, false))),
            Call::Stop if it.script.lingers => {
                it.stopping = true;
                Some((LATENCY, Input::StopDone(container, true)))
            }
            Call::Stop => {
                if !it.script.ignores_sigterm && it.running {
                    it.running = false;
                    if it.script.kind == ContainerKind::Agent {
                        self.send(Millis(LATENCY.0 * 2), Input::Stopped(container));
                    }
                }
                Some((LATENCY, Input::StopDone(container, true)))
            }
            Call::Destroy if lost => Some((late, Input::DestroyDone(container, false))),
            Call::Destroy => {
                it.running = false;
                Some((LATENCY, Input::DestroyDone(container, true)))
            }
            Call::Check if lost => Some((late, Input::CheckDone(container, Finding::Unknown))),
            Call::Check => {
                let finding = match (it.running, it.stopping) {
                    (true, false) => Finding::Running,
                    (true, true) => Finding::Stopping,
                    (false, _) => Finding::Stopped,
                };
                Some((LATENCY, Input::CheckDone(container, finding)))
            }
            Call::Renew => None,
        }
    }

    /// What holds after every step.
    fn check(&mut self) {
        assert_eq!(lived(&self.shard.stats(self.now)), self.lived, "containers' time is counted as the rows say");
        let mut ids = BTreeSet::new();
        for row in self.shard.containers() {
            if let State::Assigned { id, .. } = &row.state {
                assert!(ids.insert(id.clone()), "single: {id:?} has two containers");
                let served = self.served.entry(row.container).or_insert_with(|| id.clone());
                assert_eq!(served, id, "exclusive: {} served two ids", row.container);
            } else if matches!(row.state, State::Starting | State::Warm { .. }) {
                assert!(!self.served.contains_key(&row.container), "exclusive: {} is stock again", row.container);
            }
        }
        let max = self.shard.plan().and_then(|plan| plan.share.max_instances).unwrap_or(u32::MAX);
        let count = u32::try_from(self.rows.containers.len()).unwrap();
        let grew = count > self.last_count;
        assert!(!grew || count <= max, "bounded: {count} of {max}");
        self.last_count = count;
        for (container, state) in &self.containers {
            let on_books = self.rows.containers.contains_key(container);
            assert!(on_books || !state.running, "accounted: {container} runs untracked");
        }
    }
}
