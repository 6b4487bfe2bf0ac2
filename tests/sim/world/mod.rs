//! The world that the objects live in: time, the network between them, the platform that runs processes, KV, deploys; and the
//! faults of all these.
//!
//! It knows nothing of what an object does. Objects act on it (`call`, `answer`, `set_alarm`, `later`), and it has things
//! happen to them, one at a time, each at its time: [`World::next`].

pub mod clock;
pub mod kv;
pub mod message;
pub mod network;
pub mod platform;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use cf_warm_pools::config::Config;
use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::ContainerId;
use twox_hash::XxHash64;

use super::dice::{Dice, Key};
use super::faults::{Fault, Faults};
use super::oracle::Oracle;
use super::schedule::{Habitat, Schedule};
use super::trace::Trace;
use clock::Clocks;
use kv::Kv;
use message::{Addr, CallId, RequestNo};
use network::Network;
use platform::Platform;

/// Something that happens to somebody.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A call reaches its callee.
    Arrives(CallId),
    /// A call's answer, or the news that there is none, reaches its caller.
    Answered(CallId),
    /// A call's deadline passes.
    Expires(CallId),
    /// An alarm rings, if it is still set as it was then.
    Alarm { addr: Addr, armed: u64 },
    /// The same alarm rings once more: the platform does not know that its handler ended well.
    AlarmAgain(Addr),
    /// Something that an object waits for by itself, in the life in which it began to.
    Private { addr: Addr, life: u32, what: Private },
    /// A process ends, having been told to, or because it was started in vain.
    ProcessEnds(ContainerId),
    /// A process ends by itself.
    ProcessDies(ContainerId),
    /// An object is dropped from memory.
    Drops(Addr),
    /// The isolate of an object traps.
    Traps(Addr),
    /// The operation of the schedule with this index.
    Operation(usize),
    /// The faults are over.
    Heals,
    /// Somebody looks at the pools.
    Looks,
    /// Some time after that: all must be well.
    Settled,
    /// The end.
    Ends,
}

/// What an object waits for by itself.
#[derive(Clone, Debug)]
pub enum Private {
    /// An agent's probe is over.
    Probed,
    /// An agent's setup request is over.
    SetUp,
    /// An agent's monitor is over.
    Exited,
    /// An agent's monitor is lost while the process runs.
    MonitorLost,
    /// An attempt to destroy a process is over.
    Destroyed,
    /// An agent's attempt found no process to destroy.
    FoundNothing,
    /// An agent's object is to be built anew.
    Rebuild,
    /// A JavaScript class polls its port.
    Poll(CallId),
    /// A JavaScript class notices the end of its process.
    OnStop,
    /// A request has waited long enough for the owner to be told of an end.
    TellWithin(CallId),
    /// A process answers a request.
    Responds(CallId),
    /// A stream from a process ends.
    TrafficEnds,
    /// A router's read of KV is over.
    KvRead(RequestNo),
    /// A user makes use of the container that it got earlier.
    HeldFetch(RequestNo),
}

/// Everything but the objects.
pub struct World {
    /// The true time. Objects see it through their clocks.
    pub now: Millis,
    pub dice: Dice,
    pub habitat: Habitat,
    pub faults: Faults,
    pub clocks: Clocks,
    pub network: Network,
    pub platform: Platform,
    pub kv: Kv,
    pub oracle: Oracle,
    pub trace: Trace,
    pub deploys: Deploys,
    queue: BinaryHeap<Reverse<Entry>>,
    happenings: u64,
    /// How often each object was dropped.
    lives: BTreeMap<Addr, u32>,
    alarms: BTreeMap<Addr, Alarm>,
    /// How often each object's alarm was due.
    alarm_counts: BTreeMap<Addr, u64>,
}

struct Entry {
    at: Millis,
    number: u64,
    what: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// An object's alarm: durable. It is set in the time of the object's own clock; whatever that does afterwards, the platform
/// waits for as long as it was told to.
#[derive(Clone, Copy, Debug)]
struct Alarm {
    at: Millis,
    armed: u64,
    /// Whether it has rung late already.
    is_late: bool,
}

/// What was deployed, and who runs which code.
#[derive(Clone, Debug, Default)]
pub struct Deploys {
    /// The deploys so far, the first of which was there before anything happened.
    pub made: Vec<Deploy>,
    /// Until then, objects that are loaded may still run the code before the last.
    pub rolling_until: Millis,
}

/// One deploy.
#[derive(Clone, Debug)]
pub struct Deploy {
    /// When it was made, in ms since 1970.
    pub stamp: u64,
    /// The configuration that it carries.
    pub config: Rc<Config>,
}

impl World {
    pub fn new(schedule: &Schedule, trace: Trace) -> Self {
        let dice = Dice::new(schedule.seed);
        Self {
            now: START,
            dice,
            habitat: schedule.habitat,
            faults: Faults::new(schedule.rates.clone(), schedule.only.clone()),
            clocks: Clocks::new(dice),
            network: Network::default(),
            platform: Platform::new(),
            kv: Kv::default(),
            oracle: Oracle::new(),
            trace,
            deploys: Deploys::default(),
            queue: BinaryHeap::new(),
            happenings: 0,
            lives: BTreeMap::new(),
            alarms: BTreeMap::new(),
            alarm_counts: BTreeMap::new(),
        }
    }

    /// Has something happen after a while.
    pub fn after(&mut self, delay: Millis, what: Happening) {
        self.at(self.now + delay, what);
    }

    /// Has something happen at a time.
    pub fn at(&mut self, at: Millis, what: Happening) {
        self.happenings += 1;
        self.queue.push(Reverse(Entry { at: at.max(self.now), number: self.happenings, what }));
    }

    /// Has something happen to an object, unless it is dropped before.
    pub fn later(&mut self, addr: Addr, delay: Millis, what: Private) {
        let life = self.life(addr);
        self.after(delay, Happening::Private { addr, life, what });
    }

    /// What happens next; time goes on to it.
    pub fn next(&mut self) -> Option<Happening> {
        let Reverse(Entry { at, what, .. }) = self.queue.pop()?;
        self.now = at;
        Some(what)
    }

    /// The time on an object's clock.
    pub fn clock(&self, addr: Addr) -> Millis {
        self.clocks.read(addr, self.now)
    }

    /// How often an object was dropped.
    pub fn life(&self, addr: Addr) -> u32 {
        self.lives.get(&addr).copied().unwrap_or(0)
    }

    /// An object is dropped from memory: its calls under way have no one to come back to, those to it fail. Its clock may be
    /// another machine's when it is loaded again.
    pub fn drop_memory(&mut self, addr: Addr) {
        self.fail_calls_to(addr);
        let life = self.lives.entry(addr).or_default();
        *life += 1;
        let life = *life;
        self.clocks.moved(addr, life);
    }

    /// Sets an object's one alarm, in its own time, or takes it away.
    pub fn set_alarm(&mut self, addr: Addr, at: Option<Millis>) {
        match at {
            Some(at) if self.alarms.get(&addr).is_some_and(|alarm| alarm.at == at) => {}
            Some(at) => self.arm(addr, at),
            None => {
                self.alarms.remove(&addr);
            }
        }
    }

    fn arm(&mut self, addr: Addr, at: Millis) {
        self.happenings += 1;
        let armed = self.happenings;
        self.alarms.insert(addr, Alarm { at, armed, is_late: false });
        let due = self.clocks.true_time(addr, at).max(self.now);
        let delay = self.dice.between(ALARM.of(hash(&addr)).of(at.0), 0, 20);
        self.at(due + delay, Happening::Alarm { addr, armed });
    }

    /// Whether an alarm that rings is still set as it was when it was armed, and is not late; then it is set no more.
    pub fn alarm_rings(&mut self, addr: Addr, armed: u64) -> bool {
        let Some(alarm) = self.alarms.get_mut(&addr).filter(|alarm| alarm.armed == armed) else { return false };
        let count = self.alarm_counts.entry(addr).or_default();
        *count += 1;
        let key = ALARM.of(hash(&addr)).of(*count);
        if !std::mem::replace(&mut alarm.is_late, true) && self.faults.strikes(self.dice, Fault::AlarmLate, key) {
            let late = self.dice.between(key, 1_000, 60_000);
            self.after(late, Happening::Alarm { addr, armed });
            return false;
        }
        self.alarms.remove(&addr);
        if self.faults.strikes(self.dice, Fault::AlarmTwice, key) {
            let again = self.dice.between(key.of(2), 1, 15_000);
            self.after(again, Happening::AlarmAgain(addr));
        }
        true
    }

    /// The clock of an object jumps, by so many ms.
    pub fn clock_jumps(&mut self, addr: Addr, by: i64) {
        self.clocks.jump(addr, by);
    }

    /// The code that an object runs that is loaded now.
    pub fn deploy_of(&self, addr: Addr) -> Deploy {
        let newest = self.deploys.made.len() - 1;
        let key = DEPLOY.of(hash(&addr)).of(u64::from(self.life(addr))).of(newest as u64);
        let old = newest > 0 && self.now < self.deploys.rolling_until && self.dice.chance(key, 0.5);
        self.deploys.made[if old { newest - 1 } else { newest }].clone()
    }
}

/// A number for a value, the same in every run.
pub fn hash(value: &impl Hash) -> u64 {
    let mut hasher = XxHash64::with_seed(0);
    value.hash(&mut hasher);
    hasher.finish()
}

/// When every world begins, in ms since 1970.
pub const START: Millis = Millis(1_000_000_000);

const ALARM: Key = Key::new(1);
const DEPLOY: Key = Key::new(2);
