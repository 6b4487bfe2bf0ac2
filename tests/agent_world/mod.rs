//! An object for the agent to live in: its storage, its alarm and its clock, without the rest of the world.

pub mod random;

use std::collections::BTreeMap;

use cf_warm_pools::config::resolved::{Millis, PoolName, Ready, Setup, Start};
use cf_warm_pools::core::agent::{
    Admission, Agent, Caller, Effect, Input, LeaseAnswer, LeaseKey, Life, Orders, ProbeResult, Record, Save,
};
use cf_warm_pools::core::id::{ContainerId, Epoch, SessionId};

/// The agent and what outlives it.
pub struct Object {
    pub agent: Agent,
    pub now: Millis,
    /// The record as it is stored, as text.
    pub stored: Option<String>,
    /// How often the record was written.
    pub writes: u32,
    /// The effects of the last step.
    pub last: Vec<Effect>,
}

impl Object {
    pub fn new() -> Self {
        let mut object =
            Self { agent: Agent::new(None), now: Millis(1_000_000), stored: None, writes: 0, last: Vec::new() };
        object.step(Input::Awoken { running: false });
        object
    }

    /// One whose container has become ready.
    pub fn ready() -> Self {
        let mut object = Self::new();
        object.step(Input::StartAsked { caller: Caller(0), orders: orders() });
        object.step(Input::Probed(ProbeResult::Status(200)));
        assert_eq!(object.record().life, Life::Ready);
        object
    }

    /// One that serves `session` under a lease of a second.
    pub fn leased(session: &str, epoch: u64) -> Self {
        let mut object = Self::ready();
        object.admit(session, epoch, Caller(0));
        object.answer(session, epoch, LeaseAnswer::Granted(Millis(1_000)));
        object
    }

    pub fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.agent.step(self.now, input, &mut effects);
        self.save();
        self.last.clone_from(&effects);
        effects
    }

    pub fn admit(&mut self, session: &str, epoch: u64, caller: Caller) -> (Admission, Vec<Effect>) {
        self.admit_of(POOL, session, epoch, caller)
    }

    pub fn admit_of(&mut self, pool: &str, session: &str, epoch: u64, caller: Caller) -> (Admission, Vec<Effect>) {
        let pool = PoolName::try_from(pool.to_owned()).expect("a pool");
        let mut effects = Vec::new();
        let admission = self.agent.admit(self.now, &pool, key(session, epoch), caller, &mut effects);
        self.save();
        (admission, effects)
    }

    /// The owner's answer to a question that was asked now.
    pub fn answer(&mut self, session: &str, epoch: u64, answer: LeaseAnswer) -> Vec<Effect> {
        let asked_at = self.now;
        self.step(Input::LeaseAnswered { key: key(session, epoch), asked_at, answer })
    }

    /// Time passes; the alarm rings where it is due.
    pub fn pass(&mut self, by: Millis) -> Vec<Effect> {
        let until = Millis(self.now.0 + by.0);
        let mut effects = Vec::new();
        while let Some(at) = self.agent.next_alarm().filter(|&at| at <= until) {
            self.now = self.now.max(at);
            effects.extend(self.step(Input::Alarm));
        }
        self.now = until;
        effects
    }

    /// Time passes until the alarm rings.
    pub fn ring(&mut self) -> Vec<Effect> {
        let at = self.agent.next_alarm().expect("an alarm is set");
        self.now = self.now.max(at);
        self.step(Input::Alarm)
    }

    /// The object is lost and rebuilt from what is stored.
    pub fn restart(&mut self, running: bool) -> &mut Self {
        self.agent = Agent::new(self.stored.as_deref().map(|text| serde_json::from_str(text).expect("a record")));
        self.step(Input::Awoken { running });
        self
    }

    pub fn record(&self) -> &Record {
        self.agent.record().expect("a record")
    }

    /// The name of the stored life when an effect went out that is like this; none when none did.
    pub fn stored_when(&self, effects: &[Effect], like: impl Fn(&Effect) -> bool) -> Option<&'static str> {
        effects.iter().any(like).then(|| {
            let record: Record = serde_json::from_str(self.stored.as_deref().unwrap_or("null")).expect("a record");
            match record.life {
                Life::Starting { .. } => "starting",
                Life::Ready => "ready",
                Life::Stopping { .. } => "stopping",
                Life::Stopped(_) => "stopped",
            }
        })
    }

    fn save(&mut self) {
        match self.agent.unsaved() {
            None => return,
            Some(Save::Write(record)) => self.stored = Some(serde_json::to_string(record).expect("a record")),
            Some(Save::Erase) => self.stored = None,
        }
        self.writes += 1;
    }
}

/// The pool that owns the container.
pub const POOL: &str = "python";

pub fn key(session: &str, epoch: u64) -> LeaseKey {
    LeaseKey { session: SessionId::try_from(session.to_owned()).expect("an id"), epoch: Epoch(epoch) }
}

pub fn orders() -> Box<Orders> {
    Box::new(Orders {
        container: ContainerId::from_random(42),
        owner: format!("{POOL}/3").parse().expect("a shard"),
        start: Start {
            ports: vec![8080],
            env: BTreeMap::new(),
            entrypoint: None,
            enable_internet: false,
            labels: BTreeMap::new(),
            ready: Ready { path: None, timeout: Millis(20_000) },
            setup: None,
        },
        sleep_after: Millis(300_000),
        lease_ttl: Millis(60_000),
        drain_timeout: Millis(15_000),
    })
}

pub fn with_setup() -> Box<Orders> {
    let mut orders = orders();
    orders.start.setup =
        Some(Setup { method: "POST".into(), path: "/warmup".into(), expect: 200, timeout: Millis(30_000) });
    orders
}
