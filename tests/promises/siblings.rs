//! The shards of a pool over a network that loses what a test wants lost, in virtual time. Containers start, run and end as
//! they are told.

use std::collections::{BTreeMap, BTreeSet};

use cf_warm_pools::config::resolved::{Millis, ShardCount};
use cf_warm_pools::core::allotment::{Allotment, Grant, Stocked};
use cf_warm_pools::core::id::{ContainerId, Epoch, SessionId, ShardId, ShardIndex};
use cf_warm_pools::core::journal::Ended;
use cf_warm_pools::core::outcome::{Assignment, Refusal};
use cf_warm_pools::core::plan::{Plan, PlanVersion};
use cf_warm_pools::core::shard::{
    Action, Answer, Call, ContainerKind, Effects, Entropy, Finding, Input, Rows, Shard, State, WaiterId,
};

use super::world::{id, pool};

const LATENCY: Millis = Millis(5);
const BOOT: Millis = Millis(3_000);

struct Random(u64);

impl Random {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Entropy for Random {
    fn unique(&mut self) -> u128 {
        u128::from(self.draw()) << 64 | u128::from(self.draw())
    }

    fn jitter(&mut self, below: u64) -> u64 {
        self.draw().checked_rem(below).unwrap_or(0)
    }
}

/// A message on its way.
#[derive(Clone, Debug)]
enum Message {
    /// The end of a call to a container, for the life of the shard that made it.
    Told(u32, u32, Input),
    /// A sibling asks.
    Asked { from: u32, life: u32, to: u32, input: Input },
    /// And is answered.
    Answered { to: u32, life: u32, input: Input },
}

struct Object {
    machine: Shard,
    rows: Rows,
    /// Counts how often it was loaded.
    life: u32,
}

/// The shards of a pool.
pub struct Siblings {
    pub now: Millis,
    keys: String,
    version: u64,
    shards: BTreeMap<u32, Object>,
    inbox: BTreeMap<(Millis, u64), Message>,
    sent: u64,
    random: Random,
    waiters: u64,
    pub answers: BTreeMap<WaiterId, Result<Assignment, Refusal>>,
    pub located: BTreeMap<WaiterId, Result<Option<Assignment>, Refusal>>,
    pub running: BTreeSet<ContainerId>,
    /// Of 1,000 messages between siblings so many are lost, and so many objects are dropped after a step.
    pub lost: u64,
    pub dropped: u64,
    /// Each id's container and epoch, as last assigned.
    pub mapping: BTreeMap<SessionId, (ContainerId, Epoch)>,
    pub plan_of: Plan,
    /// What holds besides, after each step: the most containers on all books together.
    pub limit: Option<usize>,
    pub reports: BTreeMap<u32, u32>,
    /// What the coordinator says that it has heard of the returns of whomever it allots something.
    pub heard_returned: u64,
    /// Whether it calls credits back because the limit was lowered.
    pub over: bool,
    /// The most containers in one delivery.
    pub largest_delivery: usize,
    /// Questions for ids to former owners.
    pub pulls: usize,
}

impl Siblings {
    /// A pool with these keys besides `container`; its shards come to life as they are called.
    pub fn new(shards: u32, keys: &str) -> Self {
        let settings = pool(keys).with_shards(ShardCount::try_from(shards).unwrap()).unwrap();
        let limit = settings.max_instances;
        let plan = Plan::fixed(PlanVersion { version: 1, stamp: 1 }, settings, limit, ShardIndex(0));
        let mut siblings = Self {
            now: Millis(1_000_000),
            keys: keys.to_owned(),
            version: 1,
            shards: BTreeMap::new(),
            inbox: BTreeMap::new(),
            sent: 0,
            random: Random(7),
            waiters: 0,
            answers: BTreeMap::new(),
            located: BTreeMap::new(),
            running: BTreeSet::new(),
            lost: 0,
            dropped: 0,
            mapping: BTreeMap::new(),
            plan_of: plan,
            limit: limit.map(|limit| limit as usize),
            reports: BTreeMap::new(),
            heard_returned: 0,
            over: false,
            largest_delivery: 0,
            pulls: 0,
        };
        (0..shards).for_each(|index| siblings.configure(index));
        siblings
    }

    pub fn seeded(mut self, seed: u64) -> Self {
        self.random = Random(seed);
        self
    }

    /// Puts another shard count in force; the shards hear of it one by one, as the test tells them.
    pub fn reshard(&mut self, shards: u32) {
        self.version += 1;
        let settings = pool(&self.keys).with_shards(ShardCount::try_from(shards).unwrap()).unwrap();
        let version = PlanVersion { version: self.version, stamp: 1 };
        let from = Some(self.plan_of.pool.shards);
        let credits = self.plan_of.credits;
        let fixed = Plan::fixed(version, settings, None, ShardIndex(0));
        self.plan_of = Plan { from, credits, ..fixed };
    }

    /// Ends the change of the shard count, for all shards.
    pub fn close(&mut self) {
        self.version += 1;
        let version = PlanVersion { version: self.version, stamp: 1 };
        self.plan_of = Plan { version, from: None, ..self.plan_of.clone() };
        let all: Vec<u32> = self.shards.keys().copied().collect();
        all.into_iter().for_each(|index| self.configure(index));
    }

    /// Tells a shard the plan in force.
    pub fn configure(&mut self, index: u32) {
        let plan = self.plan_of.of_sibling(ShardIndex(index));
        self.step(index, Input::Configured(Box::new(plan)));
    }

    /// Tells a shard what its siblings have, and gives it so many credits in all.
    pub fn allot(&mut self, index: u32, warm_target: u32, given: u64, recall: Millis) {
        let stocked = self.shards.iter().map(|(&index, object)| {
            let counts = object.machine.stats(self.now).counts;
            Stocked { shard: ShardIndex(index), warm: counts.warm, target: counts.warm }
        });
        let generation = self.plan_of.credits.map_or(0, |terms| terms.generation);
        let allotment = Allotment {
            plan: self.plan_of.version,
            warm_target,
            credits: Some(Grant { generation, given, returned: self.heard_returned }),
            recall,
            over: self.over,
            excess: 0,
            hold: Millis(0),
            stocked: stocked.collect(),
        };
        self.step(index, Input::Allotted(Box::new(allotment)));
    }

    pub fn owner(&self, session: &str) -> u32 {
        self.plan_of.owner_of(&"p".to_owned().try_into().unwrap(), &id(session)).0
    }

    /// An id that a shard owns.
    pub fn id_of(&self, shard: u32, nth: usize) -> String {
        let ids = (0..).map(|n| format!("user-{n}"));
        ids.filter(|name| self.owner(name) == shard).nth(nth).unwrap()
    }

    pub fn ask(&mut self, session: &str) -> WaiterId {
        let owner = self.owner(session);
        self.ask_at(owner, session)
    }

    pub fn ask_at(&mut self, shard: u32, session: &str) -> WaiterId {
        self.waiters += 1;
        let waiter = WaiterId(self.waiters);
        self.step(shard, Input::Acquire { waiter, id: id(session), shards: None, suspect: None });
        waiter
    }

    pub fn locate(&mut self, session: &str) -> WaiterId {
        self.waiters += 1;
        let waiter = WaiterId(self.waiters);
        self.step(self.owner(session), Input::Locate { waiter, id: id(session) });
        waiter
    }

    pub fn get(&mut self, session: &str) -> Assignment {
        let waiter = self.ask(session);
        let end = self.now + Millis::from_secs(120);
        while !self.answers.contains_key(&waiter) && self.now < end {
            self.advance(end);
        }
        self.answers.get(&waiter).cloned().expect("every caller is answered").expect("and gets a container")
    }

    pub fn release(&mut self, session: &str) {
        self.step(self.owner(session), Input::Release(id(session)));
    }

    pub fn shard(&self, index: u32) -> &Shard {
        &self.shards[&index].machine
    }

    pub fn rows(&self, index: u32) -> &Rows {
        &self.shards[&index].rows
    }

    pub fn indexes(&self) -> Vec<u32> {
        self.shards.keys().copied().collect()
    }

    /// Containers that some shard has in this state.
    pub fn count(&self, is: fn(&State) -> bool) -> usize {
        self.shards.values().flat_map(|object| object.machine.containers()).filter(|row| is(&row.state)).count()
    }

    pub fn to_move(&self) -> u32 {
        let standing = |object: &Object| object.machine.report(self.now).standing;
        self.shards.values().filter_map(standing).map(|standing| standing.to_move).sum()
    }

    pub fn run_for(&mut self, duration: Millis) {
        let end = self.now + duration;
        while self.now < end {
            self.advance(end);
        }
    }

    /// The object is evicted: what waits for it is lost.
    pub fn restart(&mut self, index: u32) {
        let now = self.now;
        let Some(object) = self.shards.get_mut(&index) else { return };
        object.machine = Shard::load(object.machine.id().clone(), object.rows.clone(), now);
        object.life += 1;
    }

    pub fn advance(&mut self, end: Millis) {
        let message = self.inbox.first_key_value().map(|(&(at, _), _)| at);
        let timers = self.shards.iter().filter_map(|(&index, object)| Some((object.machine.next_timeout()?, index)));
        let timer = timers.min().map(|(at, index)| (at.max(self.now), index));
        let next = [message, timer.map(|(at, _)| at)].into_iter().flatten().min().unwrap_or(end).min(end);
        self.now = next;
        if message == Some(next) {
            let (_, message) = self.inbox.pop_first().unwrap();
            self.deliver(message);
        } else if let Some((at, index)) = timer
            && at == next
        {
            self.step(index, Input::Woken);
        }
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Told(to, life, input) | Message::Answered { to, life, input } => {
                if self.shards.get(&to).is_some_and(|object| object.life == life) {
                    self.step(to, input);
                }
            }
            Message::Asked { from, life, to, input } => {
                let question = input.clone();
                let answer = self.step(to, input);
                let lost = self.random.jitter(1_000) < self.lost;
                if let Some(answer) = answer.filter(|_| !lost) {
                    let input = match (answer, question) {
                        (Answer::Borrow(reply), _) => Input::Borrowed { from: ShardIndex(to), reply: Some(reply) },
                        (Answer::Pull(reply), Input::PullAsked { id, .. }) => {
                            Input::Pulled { from: ShardIndex(to), id, reply: Some(reply) }
                        }
                        (Answer::Received(receipt), _) => {
                            Input::Delivered { to: ShardIndex(to), receipt: Some(receipt) }
                        }
                        (answer, question) => panic!("{answer:?} to {question:?}"),
                    };
                    self.send(LATENCY, Message::Answered { to: from, life, input });
                }
            }
        }
    }

    fn send(&mut self, after: Millis, message: Message) {
        self.sent += 1;
        self.inbox.insert((self.now + after, self.sent), message);
    }

    fn step(&mut self, index: u32, input: Input) -> Option<Answer> {
        let now = self.now;
        let object = self.shards.entry(index).or_insert_with(|| {
            let me = ShardId { pool: "p".to_owned().try_into().unwrap(), index: ShardIndex(index) };
            Object { machine: Shard::load(me, Rows::default(), now), rows: Rows::default(), life: 0 }
        });
        let mut fx = Effects::new(&mut self.random);
        object.machine.step(now, input, &mut fx);
        let Effects { writes, actions, answer, .. } = fx;
        for write in writes {
            object.rows.apply(write);
        }
        assert_eq!(object.rows, object.machine.rows(), "what is durable is what the machine holds");
        let life = object.life;
        for action in actions {
            self.perform(index, life, action);
        }
        self.check();
        if self.random.jitter(1_000) < self.dropped {
            self.restart(index);
            return None;
        }
        answer
    }

    fn perform(&mut self, from: u32, life: u32, action: Action) {
        match action {
            Action::Reply(waiter, answer) => {
                if let Ok(assignment) = &answer {
                    assert!(self.running.contains(&assignment.container), "a container that is handed out runs");
                }
                assert!(self.answers.insert(waiter, answer).is_none(), "a caller is answered once");
            }
            Action::Located(waiter, answer) => {
                assert!(self.located.insert(waiter, answer).is_none(), "a caller is answered once");
            }
            Action::Record(batch) => {
                let input = Input::Recorded { number: batch.number, ended: Ended::Answered(batch.number) };
                self.send(LATENCY, Message::Told(from, life, input));
            }
            Action::Report => *self.reports.entry(from).or_default() += 1,
            Action::Call { container, call, .. } => self.call(from, life, container, &call),
            Action::Borrow { from: to } => {
                let input = Input::Lend { to: ShardIndex(from) };
                let failed = Input::Borrowed { from: to, reply: None };
                self.question(from, life, to, input, Millis(1_000), failed);
            }
            Action::Pull { from: to, id, plan } => {
                self.pulls += 1;
                let input = Input::PullAsked { id: id.clone(), to: ShardIndex(from), plan };
                self.question(from, life, to, input, Millis(5_000), Input::Pulled { from: to, id, reply: None });
            }
            Action::Deliver { to, delivery } => {
                self.largest_delivery = self.largest_delivery.max(delivery.parcels.len());
                let failed = Input::Delivered { to, receipt: None };
                self.question(from, life, to, Input::Receive(delivery), Millis(5_000), failed);
            }
        }
    }

    /// A call to a sibling, which may be lost; then it fails after its deadline. An answer may be lost, too, and then nobody ever
    /// says how it ended.
    fn question(&mut self, from: u32, life: u32, to: ShardIndex, input: Input, deadline: Millis, failed: Input) {
        if self.random.jitter(1_000) < self.lost {
            self.send(deadline, Message::Answered { to: from, life, input: failed });
        } else {
            let after = Millis(LATENCY.0 + self.random.jitter(5));
            self.send(after, Message::Asked { from, life, to: to.0, input });
        }
    }

    fn call(&mut self, from: u32, life: u32, container: ContainerId, call: &Call) {
        let is_running = self.running.contains(&container);
        let (after, input) = match call {
            Call::Start(_) => {
                self.running.insert(container);
                let after = if is_running { LATENCY } else { BOOT };
                (after, Input::StartDone { container, result: Ok(ContainerKind::Agent) })
            }
            Call::Stop => {
                self.running.remove(&container);
                self.send(LATENCY, Message::Told(from, life, Input::Stopped(container)));
                (LATENCY, Input::StopDone(container, true))
            }
            Call::Destroy => {
                self.running.remove(&container);
                (LATENCY, Input::DestroyDone(container, true))
            }
            Call::Check => {
                let finding = if is_running { Finding::Running } else { Finding::Stopped };
                (LATENCY, Input::CheckDone(container, finding))
            }
            Call::Renew => return,
        };
        self.send(after, Message::Told(from, life, input));
    }

    /// What holds after every step, over all shards.
    fn check(&mut self) {
        let mut own: BTreeMap<ContainerId, u32> = BTreeMap::new();
        // Given away, and not known to have arrived: it may have gone on from there, and ended.
        let mut moving: BTreeSet<ContainerId> = BTreeSet::new();
        let mut ids: BTreeMap<SessionId, (ContainerId, Epoch)> = BTreeMap::new();
        for (&index, object) in &self.shards {
            for row in object.rows.containers.values() {
                match &row.state {
                    State::Moving { .. } => drop(moving.insert(row.container)),
                    state => {
                        let other = own.insert(row.container, index);
                        assert!(other.is_none(), "exclusive: {} is of {other:?} and {index}", row.container);
                        if let State::Assigned { id, epoch, .. } = state {
                            let other = ids.insert(id.clone(), (row.container, *epoch));
                            assert!(other.is_none(), "single: {id:?} has {other:?} and {}", row.container);
                        }
                    }
                }
            }
        }
        for (id, (container, epoch)) in &ids {
            if let Some((before, at)) = self.mapping.insert(id.clone(), (*container, *epoch)) {
                let same = before == *container && at == *epoch;
                let lives = moving.contains(&before) || own.contains_key(&before);
                assert!(
                    same || (at < *epoch && before != *container),
                    "sticky: {id:?} had {before} at {at:?}, and has {container} at {epoch:?}, the former lives: {lives}"
                );
            }
        }
        for container in &self.running {
            assert!(own.contains_key(container) || moving.contains(container), "accounted: {container}");
        }
        let all: BTreeSet<&ContainerId> = own.keys().chain(&moving).collect();
        assert!(self.limit.is_none_or(|limit| all.len() <= limit), "bounded: {} of {:?}", all.len(), self.limit);
    }
}
