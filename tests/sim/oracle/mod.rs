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

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use cf_warm_pools::config::Config;
use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::{ContainerId, SessionId};
use cf_warm_pools::core::outcome::{Assignment, Outcome, Refusal};
use cf_warm_pools::core::plan::PlanVersion;
use cf_warm_pools::core::shard::{Call, Event, Finding, Rows, Shard, State, Write};

use crate::world::message::{Addr, Fetch, RequestNo, pool_number};
use crate::world::platform::Kind;
pub use books::Census;
use books::{Books, Step};
use caps::Caps;
use changes::Changes;
pub use changes::InForce;
use evidence::Evidence;
pub use moves::Move;
use peer::PeerTruth;
pub use requests::Fate;
use requests::Requests;

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

    // --- Shards

    /// A shard has taken a step, and what it wrote is durable.
    pub fn shard_stepped(
        &mut self,
        now: Millis,
        shard: Addr,
        machine: &Shard,
        clock: Millis,
        writes: &[Write],
        events: &[Event],
    ) {
        let mut broken = Vec::new();
        let Self { books, caps, evidence, jumped, .. } = self;
        let mut step = Step {
            now,
            shard,
            machine,
            evidence,
            jumped,
            broken: &mut broken,
            received: Vec::new(),
            started: 0,
            moves: false,
        };
        let mut revived = 0;
        // One transaction: that a container loses its id comes before that another gets it, and a plan before what is done by
        // it, in whatever order they are written.
        let turn = |write: &&Write| match write {
            Write::PutPlan(_) | Write::PutCredits(_) | Write::PutTarget(_) => 0,
            Write::PutContainer(row) if matches!(row.state, State::Assigned { .. }) => 2,
            Write::PutContainer(_) | Write::DeleteContainer(_) => 1,
            Write::PutSpec(..) | Write::DeleteSpec(_) | Write::PutEpochCeiling(_) | Write::PutGate(_) => 3,
            Write::PutChannel(..) => 3,
        };
        let mut in_turn: Vec<&Write> = writes.iter().collect();
        in_turn.sort_by_key(turn);
        for write in in_turn {
            match write {
                Write::PutContainer(row) => books.put(&mut step, row),
                Write::DeleteContainer(container) => {
                    let runs = self.running.contains(container);
                    let was_revived = runs && self.revived.contains(container) && books.has_at(shard, *container);
                    revived += u32::from(was_revived);
                    books.delete(&mut step, *container, runs && !was_revived);
                }
                Write::PutPlan(plan) => {
                    books.put_plan(&mut step, plan);
                    if let Addr::Shard { pool, .. } = shard {
                        caps.plan_taken(plan, pool);
                    }
                }
                Write::PutCredits(credits) => caps.put_credits(shard, credits.clone()),
                Write::PutTarget(target) => books.put_target(shard, *target),
                Write::PutSpec(..) | Write::DeleteSpec(_) | Write::PutEpochCeiling(_) | Write::PutGate(_) => {}
                Write::PutChannel(..) => {}
            }
        }
        books.in_order(&mut step);
        let starts = step.started > 0 || events.iter().any(|event| matches!(event, Event::Starting(_)));
        if starts {
            books.needed(&mut step);
            caps.started(shard, books, &mut broken);
        }
        if let Addr::Shard { pool, .. } = shard
            && !writes.is_empty()
        {
            caps.check(pool, books, &mut broken);
        }
        for _ in 0..revived {
            self.excuse("class called back to life while it was destroyed");
        }
        let busy = machine.waiting() > 0 || machine.containers().next().is_some();
        match machine.next_timeout() {
            None if busy => broken.push(("unwedgeable", format!("{shard:?} has something to do, and no timer"))),
            Some(at) if at > clock + LONGEST_PAUSE => {
                broken.push(("unwedgeable", format!("{shard:?} sleeps until {at:?}, and it is {clock:?}")));
            }
            Some(_) | None => {}
        }
        for (promise, what) in broken {
            self.broken(now, promise, what);
        }
    }

    /// A shard's object is about to be dropped: loaded from its rows it must be the same.
    pub fn shard_dropped(&mut self, now: Millis, shard: Addr, machine: &Shard, rows: &Rows, clock: Millis) {
        if machine.rows() != *rows {
            let (held, written) = (machine.rows(), rows);
            let what = if held.containers != written.containers {
                format!("containers {:?}, written {:?}", held.containers, written.containers)
            } else {
                let told = |rows: &Rows| {
                    let Rows { plan, gate, epoch_ceiling, specs, containers: _, channels, credits, target } = rows;
                    let (plan, specs) = (plan.as_ref().map(|plan| plan.version), specs.keys());
                    format!("{plan:?}, {gate:?}, {epoch_ceiling}, {specs:?}, {channels:?}, {credits:?}, {target:?}")
                };
                format!("{}; written {}", told(&held), told(written))
            };
            return self.broken(now, "durable", format!("{shard:?} holds what it has not written: {what}"));
        }
        let loaded = Shard::load(machine.id().clone(), rows.clone(), clock);
        let (was, is) = (machine.stats(clock), loaded.stats(clock));
        if was.counts != is.counts {
            self.broken(now, "durable", format!("{shard:?} counts {:?}, and loaded {:?}", was.counts, is.counts));
        }
        for id in self.books.ids_of(shard) {
            let container = |machine: &Shard| machine.lookup(id).map(|found| (found.container, found.epoch));
            if container(machine) != container(&loaded) {
                let what =
                    format!("{shard:?} gives {id:?} {:?}, and loaded {:?}", container(machine), container(&loaded));
                self.violations.push(Violation { promise: "durable", at: now, what });
            }
        }
    }

    /// A shard calls a container. Only one that is its own; but what it had in mind in the step in which it hands one over may still
    /// be done where it does no harm: a question, or an end that has begun.
    pub fn container_called(&mut self, now: Millis, shard: Addr, container: ContainerId, call: &Call) {
        let is_harmless = |was: &State| match call {
            Call::Check | Call::Renew => true,
            Call::Stop | Call::Destroy => matches!(was, State::Draining { .. }),
            Call::Start(_) => false,
        };
        let gift = self.books.moves().at(container, shard).filter(|gift| gift.since == now);
        if !self.books.has_at(shard, container) && !gift.is_some_and(|gift| is_harmless(&gift.was)) {
            let what = format!("{container} is called ({}), and is not on the books of {shard:?}", name_of(call));
            self.broken(now, "accounted", what);
        }
    }

    /// A shard has asked a container whether it runs. What one hears that has handed it over since, its new owner does not know.
    pub fn checked(&mut self, now: Millis, shard: Addr, container: ContainerId, finding: Finding) {
        if self.books.has_at(shard, container) {
            self.evidence.entry(container).or_default().checked(now, finding);
        }
    }

    /// A container has answered its shard, or asked it for a lease.
    pub fn in_touch(&mut self, now: Millis, shard: Addr, container: ContainerId) {
        if self.books.has_at(shard, container) {
            self.evidence.entry(container).or_default().contact(now);
        }
    }

    /// A container on a shard's books is said, by itself, to have stopped.
    pub fn said_to_have_stopped(&mut self, now: Millis, container: ContainerId, kind: Kind) {
        if kind == Kind::Agent && self.running.contains(&container) {
            self.broken(now, "accounted", format!("{container} reports its end and runs"));
        }
        self.evidence.entry(container).or_default().said_stopped = true;
    }

    /// Somebody gives an id up.
    pub fn released(&mut self, shard: Addr, session: &SessionId) {
        let Addr::Shard { pool, .. } = shard else { return };
        if let Some(container) = self.books.container_of(&(pool, session.clone())) {
            self.evidence.entry(container).or_default().released = true;
        }
    }

    /// A shard answers a caller.
    pub fn shard_replied(&mut self, now: Millis, shard: Addr, reply: &Result<Assignment, Refusal>) {
        let Ok(assignment) = reply else { return };
        *self.outcomes.entry(assignment.outcome).or_default() += 1;
        if !self.books.is_assigned(shard, assignment.container, assignment.epoch) {
            self.broken(now, "sticky", format!("{shard:?} hands out {assignment:?}, which is not what it wrote"));
        }
    }

    /// A shard tells a caller which container an id has.
    pub fn found(&mut self, now: Millis, shard: Addr, session: &SessionId, found: Option<ContainerId>) {
        let has = self.container_of(shard, session);
        if has != found {
            self.broken(now, "sticky", format!("{shard:?} says that {session:?} has {found:?}, and it has {has:?}"));
        }
    }

    /// A shard tells a caller that an id has given up the container that it had. It may have another already.
    pub fn given_up(&mut self, now: Millis, shard: Addr, session: &SessionId, had: Option<ContainerId>) {
        let has = self.container_of(shard, session);
        if has.is_some() && has == had {
            self.broken(now, "sticky", format!("{shard:?} says that {session:?} is released, and it has {has:?}"));
        }
    }

    /// The container that an id of a shard's pool has, at whichever shard.
    pub fn container_of(&self, shard: Addr, session: &SessionId) -> Option<ContainerId> {
        let Addr::Shard { pool, .. } = shard else { return None };
        self.books.container_of(&(pool, session.clone()))
    }

    /// A shard answers a caller that it has answered before, or that it never had.
    pub fn answered_twice(&mut self, now: Millis, shard: Addr) {
        self.broken(now, "answered", format!("{shard:?} answers a caller twice"));
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
/// No timer may be further away: the longest a pool can be told to do nothing for is its refresh interval.
const LONGEST_PAUSE: Millis = Millis::from_secs(3_600);

fn name_of(call: &Call) -> &'static str {
    match call {
        Call::Start(_) => "start",
        Call::Stop => "stop",
        Call::Destroy => "destroy",
        Call::Check => "check",
        Call::Renew => "renew",
    }
}
