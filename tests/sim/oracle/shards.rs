//! What shards do, as it happens: each step, each call, each answer is held against the books.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::{ContainerId, SessionId};
use cf_warm_pools::core::outcome::{Assignment, Refusal};
use cf_warm_pools::core::shard::{Call, Event, Finding, Rows, Shard, State, Write};

use super::books::Step;
use super::{Oracle, Violation};
use crate::world::message::Addr;
use crate::world::platform::Kind;

impl Oracle {
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
        let Self { books, caps, evidence, jumped, excused, .. } = self;
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
            Write::PutPlan(_) | Write::PutCredits(_) | Write::PutTarget(_) | Write::PutChannel(..) => 0,
            Write::PutContainer(row) if matches!(row.state, State::Assigned { .. }) => 2,
            Write::PutContainer(_) | Write::DeleteContainer(_) => 1,
            Write::PutSpec(..)
            | Write::DeleteSpec(_)
            | Write::PutEpochCeiling(_)
            | Write::PutGate(_)
            | Write::PutCounters(_) => 3,
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
                Write::PutSpec(..)
                | Write::DeleteSpec(_)
                | Write::PutEpochCeiling(_)
                | Write::PutGate(_)
                | Write::PutCounters(_) => {}
                Write::PutChannel(sibling, channel) => caps.put_channel(shard, sibling.0, *channel),
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
            if starts && caps.is_excused(pool) {
                *excused.entry("a start while a former limit still counted").or_default() += 1;
            }
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
                    let Rows { plan, gate, epoch_ceiling, specs, containers: _, channels, credits, target, counters } =
                        rows;
                    let (plan, specs) = (plan.as_ref().map(|plan| plan.version), specs.keys().collect::<Vec<_>>());
                    format!(
                        "{plan:?}, {gate:?}, {epoch_ceiling}, {specs:?}, {channels:?}, {credits:?}, {target:?}, {counters:?}"
                    )
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
}

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
