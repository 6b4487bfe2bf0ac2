//! The world around an object in random schedules: a process that may die, an owner that may not answer, effects that
//! end late, badly or never, and an object that may be lost at any moment.

use std::collections::{BTreeMap, BTreeSet};

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::agent::{
    Admission, Caller, Destruction, Effect, Input, LeaseAnswer, LeaseKey, Orders, ProbeResult, Reply, SetupResult,
};
use cf_warm_pools::core::id::{ShardId, ShardIndex};
use proptest::prelude::*;

use super::{Object, key, orders, with_setup};

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Event {
    Start,
    StartWithSetup,
    Stop,
    Destroy,
    Renew,
    /// A request of one of a few ids, at one of a few epochs.
    Request(u8, u64),
    /// A request sees that the process does not run.
    FindStopped,
    /// The container changes hands; the agent hears of it from the one or the other.
    Move(u32),
    /// An effect that is under way ends.
    End(usize, Outcome),
    /// An effect that is under way never ends.
    Lose(usize),
    Pass(u64),
    /// The object is lost with all it had under way, and rebuilt.
    Restart,
    /// The process dies; the monitor, if one is under way, says so when it ends. Then it may be started again by its
    /// engine, unseen by the object.
    Die(Engine),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Engine {
    LeavesIt,
    RestartsIt,
}

#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    Good,
    Bad,
}

pub fn schedule() -> impl Strategy<Value = Vec<Event>> {
    let outcome = prop_oneof![3 => Just(Outcome::Good), 1 => Just(Outcome::Bad)];
    let event = prop_oneof![
        2 => Just(Event::Start),
        1 => Just(Event::StartWithSetup),
        1 => Just(Event::Stop),
        1 => Just(Event::Destroy),
        1 => Just(Event::Renew),
        6 => (0..3u8, 1..4u64).prop_map(|(id, epoch)| Event::Request(id, epoch)),
        1 => Just(Event::FindStopped),
        2 => (0..5u32).prop_map(Event::Move),
        12 => (0..8usize, outcome).prop_map(|(at, outcome)| Event::End(at, outcome)),
        1 => (0..8usize).prop_map(Event::Lose),
        4 => prop_oneof![0..100u64, 1_000..20_000u64, 60_000..400_000u64].prop_map(Event::Pass),
        1 => Just(Event::Restart),
        1 => prop_oneof![Just(Engine::LeavesIt), Just(Engine::RestartsIt)].prop_map(Event::Die),
    ];
    // A world in which most containers become ready, so that the rest gets its turn.
    let begin = Just(vec![Event::Start, Event::End(2, Outcome::Good)]);
    (begin, proptest::collection::vec(event, 0..120)).prop_map(|(mut begin, rest)| {
        begin.extend(rest);
        begin
    })
}

pub fn run(schedule: &[Event]) {
    let mut world = World::new();
    for event in schedule {
        world.happen(event);
        world.check();
    }
    world.heal();
}

struct World {
    object: Object,
    /// What the object can see of the process: once it saw it end, it does not see it start again.
    seen: bool,
    /// Whether it runs.
    running: bool,
    /// Whether the object must be rebuilt.
    rebuild: bool,
    starts: u32,
    under_way: Vec<Effect>,
    waiting: BTreeSet<Caller>,
    next_caller: u64,
    /// What the owner granted: for whom, and when that ends at the latest.
    granted: Vec<(LeaseKey, Millis)>,
    /// The owner's books: it gave the container to the first id that it was asked about.
    assigned: Option<LeaseKey>,
    /// The shard that has it on its books.
    owner: ShardIndex,
    /// To whom each shard that had it before gave it last.
    given: BTreeMap<ShardIndex, ShardIndex>,
    served: BTreeSet<String>,
    told_to_end: bool,
    owner_knows: bool,
}

impl World {
    fn new() -> Self {
        Self {
            object: Object::new(),
            seen: false,
            running: false,
            rebuild: false,
            starts: 0,
            under_way: Vec::new(),
            waiting: BTreeSet::new(),
            next_caller: 0,
            granted: Vec::new(),
            assigned: None,
            owner: orders().owner.index,
            given: BTreeMap::new(),
            served: BTreeSet::new(),
            told_to_end: false,
            owner_knows: false,
        }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Start => {
                let caller = self.caller();
                let orders = self.by_owner(orders());
                self.step(Input::StartAsked { caller, orders });
            }
            Event::StartWithSetup => {
                let caller = self.caller();
                let orders = self.by_owner(with_setup());
                self.step(Input::StartAsked { caller, orders });
            }
            Event::Stop => {
                let caller = self.caller();
                self.told_to_end = true;
                self.step(Input::StopAsked { caller });
            }
            Event::Destroy => {
                let caller = self.caller();
                self.told_to_end = true;
                self.step(Input::DestroyAsked { caller });
            }
            Event::Renew => self.step(Input::RenewAsked),
            Event::Request(id, epoch) => self.request(&format!("user-{id}"), *epoch),
            Event::FindStopped if !self.seen && self.object.agent.expects_process() => {
                let caller = self.caller();
                self.step(Input::FoundStopped { caller: Some(caller) });
            }
            Event::FindStopped => {}
            Event::Move(to) => {
                let to = ShardIndex(*to);
                self.given.insert(self.owner, to);
                self.given.remove(&to);
                self.owner = to;
            }
            Event::End(at, outcome) if !self.under_way.is_empty() => {
                let effect = self.under_way.remove(at % self.under_way.len());
                self.end(effect, *outcome);
            }
            Event::End(..) => {}
            Event::Lose(at) if !self.under_way.is_empty() => {
                // Only what has a deadline of its own may get lost: a monitor or a probe ends with the object.
                let at = at % self.under_way.len();
                if matches!(self.under_way[at], Effect::Destroy | Effect::Report { .. }) {
                    self.under_way.remove(at);
                }
            }
            Event::Lose(_) => {}
            Event::Pass(millis) => {
                let until = Millis(self.object.now.0 + millis);
                self.pass(until);
            }
            Event::Restart => self.restart(),
            Event::Die(engine) if self.seen => {
                self.seen = false;
                self.running = *engine == Engine::RestartsIt;
            }
            Event::Die(_) => {}
        }
    }

    fn request(&mut self, id: &str, epoch: u64) {
        let caller = self.caller();
        let (admission, effects) = self.object.admit(id, epoch, caller);
        if admission == Admission::Serve {
            self.serve(&key(id, epoch));
        }
        if admission != Admission::Wait {
            self.waiting.remove(&caller);
        }
        self.carry_out(effects);
    }

    fn serve(&mut self, key: &LeaseKey) {
        let now = self.object.now;
        assert!(!self.told_to_end, "served after it was told to end");
        assert!(
            self.granted.iter().any(|(granted, until)| granted == key && now < *until),
            "served {key:?} at {now:?} without a lease: {:?}",
            self.granted
        );
        self.served.insert(key.session.as_str().to_owned());
        assert!(self.served.len() <= 1, "served {:?}", self.served);
        self.step(Input::TrafficBegan);
        self.step(Input::TrafficEnded);
    }

    fn end(&mut self, effect: Effect, outcome: Outcome) {
        let input = match (effect, outcome) {
            (Effect::Monitor, Outcome::Bad) => {
                self.seen = false;
                Input::MonitorLost("lost".into())
            }
            // A monitor does not end while the process runs.
            (effect @ Effect::Monitor, Outcome::Good) if self.seen => {
                self.under_way.push(effect);
                return;
            }
            (Effect::Monitor, Outcome::Good) => Input::Exited { code: Some(1), message: None },
            (Effect::Probe { .. }, _) if !self.seen => Input::Probed(ProbeResult::NotRunning),
            (Effect::Probe { .. }, Outcome::Good) => Input::Probed(ProbeResult::Status(200)),
            (Effect::Probe { .. }, Outcome::Bad) => Input::Probed(ProbeResult::NoAnswer),
            (Effect::SetUp { .. }, Outcome::Good) if self.seen => Input::SetUp(SetupResult::Status(200)),
            (Effect::SetUp { .. }, _) => Input::SetUp(SetupResult::Status(500)),
            (Effect::Destroy, Outcome::Good) => {
                // The runtime does nothing for an object that sees no process.
                let destruction = if self.seen { Destruction::Done } else { Destruction::NothingToDo };
                self.running = self.running && !self.seen;
                self.seen = false;
                Input::Destroyed(Ok(destruction))
            }
            (Effect::Destroy, Outcome::Bad) => Input::Destroyed(Err("engine busy".into())),
            (Effect::Report { .. }, Outcome::Good) => {
                assert!(!self.seen, "reported gone while it runs");
                self.owner_knows = true;
                Input::Reported(Ok(()))
            }
            (Effect::Report { .. }, Outcome::Bad) => Input::Reported(Err("unreachable".into())),
            (Effect::AskLease { key, asked_at, .. }, Outcome::Bad) => {
                Input::LeaseAnswered { key, asked_at, answer: LeaseAnswer::Failed }
            }
            (Effect::AskLease { owner, key, asked_at, .. }, Outcome::Good) => match self.given.get(&owner.index) {
                Some(&index) => {
                    let answer = LeaseAnswer::Elsewhere(ShardId { index, ..owner });
                    Input::LeaseAnswered { key, asked_at, answer }
                }
                None => {
                    assert_eq!(owner.index, self.owner, "asked a shard that never had it");
                    self.owner_answers(key, asked_at)
                }
            },
            (effect, _) => panic!("not an effect that ends: {effect:?}"),
        };
        self.step(input);
    }

    fn by_owner(&self, orders: Box<Orders>) -> Box<Orders> {
        let owner = ShardId { index: self.owner, ..orders.owner };
        Box::new(Orders { owner, ..*orders })
    }

    /// The owner's rule: one id in the container's life, at an epoch that only rises.
    fn owner_answers(&mut self, key: LeaseKey, asked_at: Millis) -> Input {
        let ttl = Millis(30_000);
        let may = self.assigned.as_ref().is_none_or(|has| has.session == key.session && has.epoch <= key.epoch);
        let answer = if may && !self.told_to_end {
            self.assigned = Some(key.clone());
            self.granted.push((key.clone(), Millis(asked_at.0 + ttl.0)));
            LeaseAnswer::Granted(ttl)
        } else {
            LeaseAnswer::Denied
        };
        Input::LeaseAnswered { key, asked_at, answer }
    }

    fn restart(&mut self) {
        self.under_way.clear();
        self.waiting.clear();
        self.seen = self.running;
        let effects = self.object.restart(self.seen).last.clone();
        self.carry_out(effects);
    }

    fn step(&mut self, input: Input) {
        let effects = self.object.step(input);
        self.carry_out(effects);
        if std::mem::take(&mut self.rebuild) {
            self.restart();
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Start(_) => {
                    self.starts += 1;
                    assert!(self.starts <= 1, "started twice");
                    assert!(!self.told_to_end, "started after it was told to end");
                    assert!(self.object.stored.is_some(), "started before it was written down");
                    self.running = true;
                    self.seen = true;
                }
                // This process heeds it as soon as it is asked.
                Effect::Terminate => {
                    self.running = self.running && !self.seen;
                    self.seen = false;
                }
                Effect::Rebuild => self.rebuild = true,
                Effect::Reply { caller, reply } => {
                    assert!(self.waiting.remove(&caller), "answered twice, or nobody: {caller:?} {reply:?}");
                    if reply == Reply::Destroyed(Ok(())) {
                        assert!(!self.seen, "said to be destroyed while it runs");
                    }
                }
                Effect::Monitor
                | Effect::Probe { .. }
                | Effect::SetUp { .. }
                | Effect::Destroy
                | Effect::Report { .. }
                | Effect::AskLease { .. } => self.under_way.push(effect),
            }
        }
    }

    fn pass(&mut self, until: Millis) {
        while let Some(at) = self.object.agent.next_alarm().filter(|&at| at <= until) {
            self.object.now = self.object.now.max(at);
            self.step(Input::Alarm);
            self.forget();
        }
        self.object.now = until;
    }

    /// Once it is forgotten the object is as new, and may be used for another container.
    fn forget(&mut self) {
        if self.object.stored.is_none() {
            assert!(!self.running, "forgotten while it runs");
            *self = Self {
                object: Object { now: self.object.now, ..Object::new() },
                next_caller: self.next_caller,
                ..Self::new()
            };
        }
    }

    fn caller(&mut self) -> Caller {
        self.next_caller += 1;
        let caller = Caller(self.next_caller);
        self.waiting.insert(caller);
        caller
    }

    fn check(&self) {
        let alarm = self.object.agent.next_alarm();
        if self.object.stored.is_some() {
            assert!(alarm.is_some(), "nothing will ever wake {:?}", self.object.agent.record());
        } else {
            assert_eq!(alarm, None, "nothing stored, and an alarm is set");
        }
    }

    /// No more faults: everything under way ends well, time passes.
    fn heal(&mut self) {
        for _ in 0..10_000 {
            if self.object.stored.is_none() {
                break;
            }
            // Those that can end, end; what is left waits for the process.
            let before = self.under_way.len();
            for _ in 0..before {
                // An object that is rebuilt meanwhile has less under way than before.
                if self.under_way.is_empty() {
                    break;
                }
                let effect = self.under_way.remove(0);
                self.end(effect, Outcome::Good);
            }
            if self.under_way.iter().all(|effect| matches!(effect, Effect::Monitor)) {
                let Some(at) = self.object.agent.next_alarm() else { break };
                self.object.now = self.object.now.max(at);
                self.step(Input::Alarm);
            }
        }
        assert_eq!(self.object.stored, None, "never settled");
        assert_eq!(self.object.agent.next_alarm(), None);
        assert!(!self.running, "left running");
        assert!(self.waiting.is_empty(), "left waiting: {:?}", self.waiting);
        assert!(self.starts == 0 || self.owner_knows, "the owner was never told");
    }
}
