//! What is true, and whether every promise is kept.
//!
//! The oracle sees what no object sees: which processes run, which of them got whose request, what every shard has written
//! down, what each caller was told and when. Each thing that happens is held against the promises at once; the first that is
//! broken ends the run.

mod books;
mod caps;
mod changes;
mod evidence;
mod moves;
mod peer;
mod requests;
mod shards;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use cf_warm_pools::config::Config;
use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::{ContainerId, SessionId};
use cf_warm_pools::core::journal::Change;
use cf_warm_pools::core::outcome::Outcome;
use cf_warm_pools::core::plan::PlanVersion;

use crate::world::message::{Addr, Fetch, RequestNo, pool_number};
use crate::world::platform::Kind;
use books::Books;
pub use books::Census;
use caps::Caps;
use changes::Changes;
pub use changes::InForce;
use evidence::Evidence;
pub use moves::Move;
use peer::PeerTruth;
pub use requests::Fate;
use requests::Requests;
use told::Told;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub promise: &'static str,
    /// When, in the world's time.
    pub at: Millis,
    /// How.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at - crate::world::START;
        write!(f, "{} broken at {:.3} s: {}", self.promise, at.0 as f64 / 1_000.0, self.what)
    }
}

/// The oracle.
#[derive(Debug, Default)]
pub struct Oracle {
    violations: Vec<Violation>,
    excused: BTreeMap<&'static str, u64>,
    books: Books,
    caps: Caps,
    changes: Changes,
    outcomes: BTreeMap<Outcome, u64>,
    evidence: BTreeMap<ContainerId, Evidence>,
    running: BTreeSet<ContainerId>,
    /// When the process of each container ended last.
    ended: BTreeMap<ContainerId, Millis>,
    /// Containers whose process was ever started.
    started: BTreeSet<ContainerId>,
    /// Containers of a class whose process was started again: somebody called them by a stub of old.
    revived: BTreeSet<ContainerId>,
    served: BTreeMap<ContainerId, (u32, SessionId)>,
    requests: Requests,
    /// When an object's clock last jumped by more than the fence allows for.
    jumped: BTreeMap<Addr, Millis>,
    peer: PeerTruth,
    told: Told,
}

impl Oracle {
    pub fn new() -> Self {
        Self::default()
    }

    /// The promises that were broken.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// How often something happened that is not promised not to happen.
    pub fn excused(&self) -> &BTreeMap<&'static str, u64> {
        &self.excused
    }

    /// How many requests were made.
    pub fn request_count(&self) -> u64 {
        self.requests.count()
    }

    /// What became of the requests, by kind.
    pub fn fates(&self) -> &BTreeMap<&'static str, u64> {
        self.requests.fates()
    }

    /// How ids came by their containers.
    pub fn outcomes(&self) -> &BTreeMap<Outcome, u64> {
        &self.outcomes
    }

    /// Whether every promise is still kept.
    pub fn is_content(&self) -> bool {
        self.violations.is_empty()
    }

    /// A promise is broken.
    pub fn broken(&mut self, now: Millis, promise: &'static str, what: String) {
        self.violations.push(Violation { promise, at: now, what });
    }

    fn excuse(&mut self, what: &'static str) {
        *self.excused.entry(what).or_default() += 1;
    }

    // --- The platform

    /// The platform started a process.
    pub fn process_started(&mut self, now: Millis, container: ContainerId, kind: Kind) {
        self.running.insert(container);
        let again = !self.started.insert(container);
        let on_books = self.books.has(container);
        match kind {
            Kind::Agent if !on_books => {
                self.broken(now, "accounted", format!("{container} was started and is on no shard's books"));
            }
            Kind::Agent if again => {
                self.broken(now, "exclusive", format!("{container} was started a second time"));
            }
            Kind::Agent => {}
            // A class starts whenever somebody calls it.
            Kind::Class if !on_books => self.excuse("class started off the books"),
            Kind::Class if again => {
                self.revived.insert(container);
                self.excuse("class started again");
            }
            // Its start was on the way when it was destroyed, and it remembers nothing.
            Kind::Class if self.books.is_draining(container) => {
                self.revived.insert(container);
                self.excuse("class started after it was told to end");
            }
            Kind::Class => {}
        }
    }

    /// A process has ended.
    pub fn process_ended(&mut self, now: Millis, container: ContainerId) {
        self.running.remove(&container);
        self.ended.insert(container, now);
        self.peer.process_ended(container);
    }

    /// When the process of a container ended, if it does not run again.
    pub fn dead_since(&self, container: ContainerId) -> Option<Millis> {
        self.ended.get(&container).copied().filter(|_| !self.running.contains(&container))
    }

    /// Containers whose process runs and that no shard has on its books.
    pub fn untracked(&self) -> Vec<ContainerId> {
        self.running.iter().copied().filter(|&container| !self.books.has(container)).collect()
    }

    /// A process has got a request for an id.
    pub fn served(&mut self, now: Millis, container: ContainerId, kind: Kind, fetch: &Fetch) {
        if !self.requests.served(fetch.request) {
            let what = format!("{:?} is not safe to repeat, and reached a process twice", fetch.request);
            self.broken(now, "at-most-once", what);
        }
        let session = &fetch.session;
        let key = (pool_number(&fetch.pool), session.clone());
        let first = self.served.entry(container).or_insert_with(|| key.clone());
        if *first != key {
            let what = format!("{container} served {first:?} and then {key:?}");
            return self.broken(now, "exclusive", what);
        }
        match self.books.ever_assigned_to(container) {
            Some(owner) if *owner == key => {}
            // The pool of somebody else, of whose books nothing is known.
            None if self.books.is_empty() => return,
            owner => {
                let what = format!("{container} served {key:?}, and was assigned to {owner:?}");
                return self.broken(now, "exclusive", what);
            }
        }
        let current = self.books.last_container_of(&key);
        if current == Some(container) {
            return;
        }
        match kind {
            Kind::Agent if !self.has_jumped(now, container, key.0) => {
                let what = format!("{container} served {key:?}, which has {current:?} by now");
                self.broken(now, "single", what);
            }
            // A lease is as long as two clocks agree.
            Kind::Agent => self.excuse("served late after a clock had jumped"),
            Kind::Class => self.excuse("class served an id that has another container"),
        }
    }

    /// Whether the clock of a container, or of a shard of its pool, has jumped while a lease of now may have run.
    fn has_jumped(&self, now: Millis, container: ContainerId, pool: u32) -> bool {
        self.jumped.iter().any(|(addr, &at)| {
            let concerned = match *addr {
                Addr::Container(other) => other == container,
                Addr::Shard { pool: other, .. } => other == pool,
                Addr::Router(_) | Addr::Coordinator | Addr::Admin => false,
            };
            concerned && now < at + JUMP_EXCUSES
        })
    }

    /// An object's clock has jumped by more than the fence allows for.
    pub fn clock_jumped(&mut self, now: Millis, addr: Addr) {
        self.jumped.insert(addr, now);
    }

    // --- The coordinator

    /// A deploy is made.
    pub fn deployed(&mut self, stamp: u64, config: &Rc<Config>) {
        self.caps.deployed(stamp, config);
    }

    /// The coordinator has taken a step, and what it wrote is durable.
    pub fn coordinator_stepped(&mut self, now: Millis, in_force: &InForce<'_>, drops_override: bool) {
        let mut broken = Vec::new();
        self.changes.step(in_force, drops_override, &self.books, &mut broken);
        self.caps.put_in_force(in_force.version, in_force.config);
        for (promise, what) in broken {
            self.broken(now, promise, what);
        }
    }

    /// The coordinator has written what has happened.
    pub fn events_stored(&mut self, now: Millis, changes: &[&Change]) {
        if let Some(what) = self.told.stored(changes) {
            self.broken(now, "told-once", what);
        }
    }

    /// A user's request has reached an object that is still the same, and has no answer within its deadline: then it has at
    /// least reached the process.
    pub fn hung(&mut self, now: Millis, addr: Addr, request: RequestNo) {
        if !self.requests.has_reached(request) {
            self.broken(now, "answered", format!("{addr:?} has never answered {request:?}"));
        }
    }

    /// A router goes by another configuration. It never goes back to one of before.
    pub fn routes_by(&mut self, now: Millis, router: Addr, before: PlanVersion, after: PlanVersion) {
        if after <= before {
            self.broken(now, "all-or-nothing", format!("{router:?} routes by {after:?} after {before:?}"));
        }
    }

    // --- Users

    /// A user asks for something; at `by` at the latest there is an answer.
    pub fn asked(&mut self, _now: Millis, request: RequestNo, pool: u32, session: &SessionId, by: Millis) {
        self.requests.asked(request, pool, session, by);
    }

    /// The user has an answer.
    pub fn answered(&mut self, now: Millis, request: RequestNo, fate: Fate) {
        if let Err(what) = self.requests.answered(now, request, fate) {
            self.broken(now, "answered", what);
        }
    }

    /// A request that must not reach a process more than once.
    pub fn at_most_once(&mut self, request: RequestNo) {
        self.requests.at_most_once(request);
    }

    /// Remembers what becomes of a request.
    pub fn watch(&mut self, request: RequestNo) {
        self.requests.watch(request);
    }

    /// What has become of a request that is watched.
    pub fn fate_of(&self, request: RequestNo) -> Option<&Fate> {
        self.requests.fate_of(request)
    }

    /// Requests that should have been answered by now.
    pub fn overdue(&self, now: Millis) -> Vec<String> {
        self.requests.overdue(now)
    }

    /// The books, for what is asked at the end.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// The limits and credits, for what is asked at the end.
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// How many changes of a shard count have begun, and how many of them are over.
    pub fn migrations(&self) -> (u64, u64) {
        self.changes.migrations()
    }
}

/// For how long a jump is an excuse: two of the longest leases.
const JUMP_EXCUSES: Millis = Millis::from_secs(130);
