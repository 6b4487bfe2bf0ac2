//! A pool and the containers it has started, moved by hand.

use std::collections::{BTreeMap, BTreeSet};

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::{ContainerId, SessionId};

use super::super::{
    CAPACITY_MESSAGE, CallNo, PeerCall, PeerCaller, PeerEffect, PeerInput, PeerPool, PeerResult, PeerRows, PeerStatus,
};

pub struct Script {
    pub now: Millis,
    pub rows: PeerRows,
    pub alarm: Option<Millis>,
    /// What runs in truth.
    pub running: BTreeSet<ContainerId>,
    /// These do not end when they are told to.
    pub deaf: bool,
    /// All calls so far.
    pub calls: Vec<(ContainerId, PeerCall)>,
    pool: PeerPool,
    under_way: Vec<UnderWay>,
    replies: BTreeMap<PeerCaller, Result<Option<ContainerId>, String>>,
    next_caller: u64,
    next_unique: u128,
}

#[derive(Clone, Copy)]
struct UnderWay {
    call: CallNo,
    container: ContainerId,
    what: PeerCall,
    since: Millis,
}

impl Script {
    pub fn over(rows: PeerRows) -> Self {
        Self {
            now: Millis(1_000_000),
            alarm: rows.alarm,
            pool: PeerPool::load(rows.clone()),
            rows,
            running: BTreeSet::new(),
            deaf: false,
            calls: Vec::new(),
            under_way: Vec::new(),
            replies: BTreeMap::new(),
            next_caller: 0,
            next_unique: 0,
        }
    }

    /// One with this target and ten seconds between refreshes; nothing is warm yet.
    pub fn new(warm_target: u32) -> Self {
        let mut script = Self::over(PeerRows::default());
        script.configure(warm_target);
        script
    }

    /// One that has filled its warm list.
    pub fn filled(warm_target: u32) -> Self {
        let mut script = Self::new(warm_target);
        script.refresh();
        assert_eq!(script.rows.warm.len(), warm_target as usize);
        script
    }

    pub fn step(&mut self, input: PeerInput) {
        let mut effects = Vec::new();
        let next = &mut self.next_unique;
        let mut unique = || {
            *next += 1;
            *next
        };
        self.pool.step(self.now, input, &mut unique, &mut effects);
        for effect in effects {
            match effect {
                PeerEffect::Save(rows) => self.rows = rows,
                PeerEffect::SetAlarm(at) => self.alarm = Some(at),
                PeerEffect::Call { call, container, what } => {
                    self.calls.push((container, what));
                    self.under_way.push(UnderWay { call, container, what, since: self.now });
                    if what == PeerCall::Start {
                        self.running.insert(container);
                    }
                }
                PeerEffect::Reply { caller, result } => {
                    assert_eq!(self.replies.insert(caller, result), None, "{caller:?} is answered twice");
                }
            }
        }
    }

    pub fn configure(&mut self, warm_target: u32) {
        self.step(PeerInput::Configure { warm_target, refresh_interval: Millis::from_secs(10) });
    }

    pub fn caller(&mut self) -> PeerCaller {
        self.next_caller += 1;
        PeerCaller(self.next_caller)
    }

    pub fn get(&mut self, id: &str) -> PeerCaller {
        let caller = self.caller();
        self.step(PeerInput::GetContainer { caller, id: session(id) });
        caller
    }

    /// Calls, and lets everything end well.
    pub fn take(&mut self, id: &str) -> ContainerId {
        let caller = self.get(id);
        self.settle();
        self.container(caller)
    }

    pub fn shut_down(&mut self) -> PeerCaller {
        let caller = self.caller();
        self.step(PeerInput::ShutdownPrewarmed { caller });
        caller
    }

    pub fn container(&self, caller: PeerCaller) -> ContainerId {
        self.replies[&caller].clone().unwrap().unwrap()
    }

    pub fn error(&self, caller: PeerCaller) -> String {
        self.replies[&caller].clone().unwrap_err()
    }

    pub fn is_answered(&self, caller: PeerCaller) -> bool {
        self.replies.contains_key(&caller)
    }

    /// The alarm that is set comes.
    pub fn fire(&mut self) {
        self.now = self.now.max(self.alarm.take().unwrap());
        self.step(PeerInput::Alarm);
    }

    /// The alarm comes, and everything ends well.
    pub fn refresh(&mut self) {
        self.fire();
        self.settle();
    }

    /// The oldest call of this kind ends with what is true.
    pub fn answer(&mut self, what: PeerCall) -> ContainerId {
        let at = self.under_way.iter().position(|one| one.what == what);
        self.answer_at(at.unwrap())
    }

    fn answer_at(&mut self, at: usize) -> ContainerId {
        let UnderWay { call, container, what, .. } = self.under_way.remove(at);
        let result = match what {
            PeerCall::Start | PeerCall::Renew => PeerResult::Done,
            PeerCall::Stop => {
                if !self.deaf {
                    self.running.remove(&container);
                }
                PeerResult::Done
            }
            PeerCall::GetState if self.running.contains(&container) => PeerResult::State(PeerStatus::Healthy),
            PeerCall::GetState => PeerResult::State(PeerStatus::Stopped),
        };
        self.step(PeerInput::Ended { call, result });
        container
    }

    /// The oldest call of this kind ends with an error, which tells nothing about the container.
    pub fn fail(&mut self, what: PeerCall, message: &str) -> ContainerId {
        let at = self.under_way.iter().position(|one| one.what == what);
        let UnderWay { call, container, .. } = self.under_way.remove(at.unwrap());
        self.step(PeerInput::Ended { call, result: PeerResult::Threw(message.to_owned()) });
        container
    }

    /// The latest start is refused for want of room.
    pub fn refuse(&mut self) {
        let at = self.under_way.iter().rposition(|one| one.what == PeerCall::Start);
        let UnderWay { call, container, .. } = self.under_way.remove(at.unwrap());
        self.running.remove(&container);
        let message = format!("Error: {CAPACITY_MESSAGE}. Try again later");
        self.step(PeerInput::Ended { call, result: PeerResult::Threw(message) });
    }

    /// Everything ends well, and what follows from it.
    pub fn settle(&mut self) {
        while !self.under_way.is_empty() {
            self.answer_at(0);
        }
    }

    /// Everything ends well but the starts that are younger than `boot`.
    pub fn settle_but_boots(&mut self, boot: Millis) {
        let now = self.now;
        let has_ended = |one: &UnderWay| one.what != PeerCall::Start || one.since + boot <= now;
        while let Some(at) = self.under_way.iter().position(has_ended) {
            self.answer_at(at);
        }
    }

    /// The object is lost, and built again from what is stored.
    pub fn restart(&mut self) {
        self.under_way.clear();
        self.pool = PeerPool::load(self.rows.clone());
    }

    pub fn under_way(&self, what: PeerCall) -> usize {
        self.under_way.iter().filter(|one| one.what == what).count()
    }

    pub fn called(&self, what: PeerCall) -> usize {
        self.calls.iter().filter(|&&(_, other)| other == what).count()
    }

    /// What runs and is on no list.
    pub fn untracked(&self) -> Vec<ContainerId> {
        let listed = self.rows.containers();
        self.running.iter().copied().filter(|container| !listed.contains(container)).collect()
    }

    pub fn mapped(&self, id: &str) -> Option<ContainerId> {
        let id = session(id);
        self.rows.assigned().into_iter().find(|(other, _)| *other == id).map(|(_, container)| container)
    }
}

pub fn session(id: &str) -> SessionId {
    SessionId::try_from(id.to_owned()).unwrap()
}
