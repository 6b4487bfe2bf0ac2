//! A shard with many assigned containers, and what the world does for it between two measured steps.

use std::time::{Duration, Instant};

use cf_warm_pools::config::parse_json;
use cf_warm_pools::config::resolved::{Millis, Pool};
use cf_warm_pools::core::id::{ContainerId, Epoch, SessionId, ShardId, ShardIndex};
use cf_warm_pools::core::plan::{Plan, PlanVersion};
use cf_warm_pools::core::shard::{
    Action, Call, ContainerKind, ContainerRow, Effects, Entropy, Event, Finding, Input, Rows, Shard, Spec, State,
    WaiterId, Write,
};

pub const SIZES: [u64; 4] = [100, 1_000, 10_000, 100_000];
pub const START: Millis = Millis(1_790_000_000_000);

/// The same numbers in each run: SplitMix64.
pub struct Dice(u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }
}

fn mixed(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Entropy for Dice {
    fn unique(&mut self) -> u128 {
        u128::from(self.roll()) << 64 | u128::from(self.roll())
    }

    fn jitter(&mut self, below: u64) -> u64 {
        self.roll().checked_rem(below).unwrap_or(0)
    }
}

/// The `n`th of many ids, which look like UUIDs and come in no order.
pub fn session(n: u64) -> SessionId {
    let (a, b) = (mixed(2 * n + 1), mixed(2 * n + 2));
    let (p, q, r, s) = (a >> 32, (a >> 16) & 0xffff, a & 0xffff, b >> 48);
    SessionId::try_from(format!("{p:08x}-{q:04x}-{r:04x}-{s:04x}-{:012x}", b & 0xffff_ffff_ffff)).unwrap()
}

pub fn pool(warm_target: u64) -> Pool {
    let keys =
        format!(r#""container": "PYTHON", "warm_target": {warm_target}, "start": {{"env": {{"MODE": "prod"}}}}"#);
    let config = parse_json(&format!(r#"{{"pools": {{"python": {{{keys}}}}}}}"#)).unwrap();
    config.pools.into_values().next().unwrap()
}

pub fn name() -> ShardId {
    "python/0".parse().unwrap()
}

/// The rows of a shard that has given `assigned` containers to the first ids, and keeps `warm` more.
pub fn rows(assigned: u64, warm: u64) -> Rows {
    let mut dice = Dice(7);
    let pool = pool(warm);
    let spec = Spec::of(&pool);
    let id = spec.id();
    let version = PlanVersion { version: 1, stamp: 5 };
    let mut rows = Rows {
        plan: Some(Plan::fixed(version, pool, None, ShardIndex(0))),
        epoch_ceiling: assigned + 1,
        specs: [(id, spec)].into(),
        ..Rows::default()
    };
    let assigned = (0..assigned).map(|n| State::Assigned { id: session(n), epoch: Epoch(n + 1), since: START });
    let warm = (0..warm).map(|_| State::Warm { since: START });
    for state in assigned.chain(warm) {
        let container = ContainerId::from_random(dice.unique());
        let kind = Some(ContainerKind::Agent);
        rows.containers.insert(container, ContainerRow { container, spec: id, created: START, kind, state });
    }
    rows
}

pub struct World {
    pub shard: Shard,
    pub now: Millis,
    dice: Dice,
    /// The next id that nobody has asked for.
    fresh: u64,
}

/// What a step brought about.
pub struct Outcome {
    pub took: Duration,
    pub writes: Vec<Write>,
    pub actions: Vec<Action>,
    pub events: Vec<Event>,
}

impl World {
    /// A shard that was just loaded: its first refresh is due.
    pub fn new(assigned: u64, warm: u64) -> Self {
        let shard = Shard::load(name(), rows(assigned, warm), START);
        Self { shard, now: START, dice: Dice(11), fresh: assigned }
    }

    pub fn step(&mut self, input: Input) -> Outcome {
        let began = Instant::now();
        let mut fx = Effects::new(&mut self.dice);
        self.shard.step(self.now, input, &mut fx);
        let took = began.elapsed();
        let Effects { writes, mut actions, events, .. } = fx;
        // Nobody answers them here: then the rest waits, and what is too much is dropped.
        actions.retain(|action| !matches!(action, Action::Record(_)));
        Outcome { took, writes, actions, events }
    }

    /// The refresh that is due, and the answers to its checks: every container runs. Returns the step of the refresh, and
    /// how long those that take the answers took together.
    pub fn settle_refresh(&mut self) -> (Outcome, Duration) {
        self.now = self.now.max(self.shard.next_timeout().unwrap());
        let tick = self.step(Input::Woken);
        let answers = checked(&tick.actions).map(|container| Input::CheckDone(container, Finding::Running));
        let took = answers.map(|answer| self.step(answer).took).sum();
        (tick, took)
    }

    /// An id that has none asks for a container.
    pub fn acquire_new(&mut self) -> (SessionId, Outcome) {
        let id = session(self.fresh);
        self.fresh += 1;
        let input = Input::Acquire { waiter: WaiterId(1), id: id.clone(), shards: Some(1), suspect: None };
        (id, self.step(input))
    }

    /// An id that has none gets a container, and keeps it.
    pub fn assign_new(&mut self) {
        let (_, acquired) = self.acquire_new();
        self.ready(&acquired.actions);
    }

    /// Whatever was started is ready.
    fn ready(&mut self, actions: &[Action]) -> Duration {
        let started = called(actions, |call| matches!(call, Call::Start(_))).into_iter();
        let ready = started.map(|container| Input::StartDone { container, result: Ok(ContainerKind::Agent) });
        ready.map(|input| self.step(input).took).sum()
    }

    /// Whatever was started is ready, and the id is done with its container: all is as before it asked.
    pub fn undo(&mut self, id: SessionId, acquired: &Outcome) -> Duration {
        let mut took = self.ready(&acquired.actions);
        let mut take = |world: &mut Self, input| {
            let outcome = world.step(input);
            took += outcome.took;
            outcome
        };
        let released = take(self, Input::Release(id));
        for container in called(&released.actions, |call| *call == Call::Stop) {
            take(self, Input::StopDone(container, true));
            take(self, Input::Stopped(container));
            take(self, Input::DestroyDone(container, true));
        }
        took
    }
}

pub fn checked(actions: &[Action]) -> impl Iterator<Item = ContainerId> {
    called(actions, |call| *call == Call::Check).into_iter()
}

pub fn called(actions: &[Action], which: impl Fn(&Call) -> bool) -> Vec<ContainerId> {
    let called = |action: &Action| match action {
        Action::Call { container, call, .. } if which(call) => Some(*container),
        _ => None,
    };
    actions.iter().filter_map(called).collect()
}
