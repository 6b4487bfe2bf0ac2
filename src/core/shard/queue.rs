//! Callers that wait for a container, first come first served, one place per id however many callers it has.
//!
//! In memory only: when the shard goes, its callers' requests fail with it.

use super::message::WaiterId;
use crate::config::resolved::Millis;
use crate::core::id::SessionId;
use crate::core::outcome::Reason;
use crate::core::sorted::{Map, Set};

/// The ids that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    by_id: Map<SessionId, Place>,
    /// Ids that may be served, in order of arrival. Held ones are not here.
    line: Map<u64, SessionId>,
    /// Those in the line that are new there: whether they could be served at once is not known yet.
    fresh: Set<u64>,
    deadlines: Set<(Millis, WaiterId, SessionId)>,
    arrivals: u64,
}

/// Somebody who is owed an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub waiter: WaiterId,
    /// Since when.
    pub since: Millis,
}

/// An id's place.
#[derive(Debug)]
struct Place {
    arrival: u64,
    since: Millis,
    /// Each with its deadline.
    callers: Vec<(Caller, Millis)>,
    why: Why,
}

/// Why an id waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Why {
    /// Why none was warm; none while the id is held.
    pub cold: Option<Reason>,
    /// Why it has lost its former container, if it had one.
    pub replaced: Option<Reason>,
}

/// An id that left the queue.
#[derive(Debug)]
pub(super) struct Left {
    pub id: SessionId,
    pub callers: Vec<Caller>,
    pub why: Why,
}

impl Queue {
    /// How many callers wait.
    pub fn callers(&self) -> usize {
        self.deadlines.len()
    }

    /// How many ids could be served now.
    pub fn ready(&self) -> usize {
        self.line.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Adds a caller to the place that its id already has. False when it has none.
    pub fn join(&mut self, id: &SessionId, caller: Caller, deadline: Millis) -> bool {
        let Some(place) = self.by_id.get_mut(id) else { return false };
        place.callers.push((caller, deadline));
        self.deadlines.insert((deadline, caller.waiter, id.clone()));
        true
    }

    /// Whether an id waits.
    pub fn contains(&self, id: &SessionId) -> bool {
        self.by_id.contains_key(id)
    }

    /// Every id that waits.
    pub fn ids(&self) -> impl Iterator<Item = &SessionId> {
        self.by_id.keys()
    }

    /// Since when the id has waited that came first, of those that may be served.
    pub fn first_arrival(&self) -> Option<Millis> {
        let (_, id) = self.line.first_key_value()?;
        self.by_id.get(id).map(|place| place.since)
    }

    /// Adds an id at the end. `held`: it may not be served until [`Self::let_go`].
    pub fn push(&mut self, now: Millis, id: SessionId, caller: Caller, deadline: Millis, why: Why, held: bool) {
        self.arrivals += 1;
        if !held {
            self.line.insert(self.arrivals, id.clone());
            self.fresh.insert(self.arrivals);
        }
        self.deadlines.insert((deadline, caller.waiter, id.clone()));
        self.by_id.insert(id, Place { arrival: self.arrivals, since: now, callers: vec![(caller, deadline)], why });
    }

    /// Keeps an id from being served until [`Self::let_go`].
    pub fn hold(&mut self, id: &SessionId) {
        if let Some(place) = self.by_id.get(id) {
            self.line.remove(&place.arrival);
            self.fresh.remove(&place.arrival);
        }
    }

    /// Takes the callers of an id.
    pub fn take(&mut self, id: &SessionId) -> Vec<Caller> {
        self.remove(id).map(|left| left.callers).unwrap_or_default()
    }

    /// Lets a held id be served, in the order it came.
    pub fn let_go(&mut self, id: &SessionId) {
        if let Some(place) = self.by_id.get(id)
            && self.line.insert(place.arrival, id.clone()).is_none()
        {
            self.fresh.insert(place.arrival);
        }
    }

    /// Notes why none was warm for the ids that are new in the line and were not served.
    pub fn mark_cold(&mut self, reason: Reason) {
        for arrival in std::mem::take(&mut self.fresh) {
            let Some(id) = self.line.get(&arrival) else { continue };
            if let Some(place) = self.by_id.get_mut(id) {
                place.why.cold = Some(reason);
            }
        }
    }

    /// Takes the id that has waited longest of those that may be served.
    pub fn pop(&mut self) -> Option<Left> {
        let (_, id) = self.line.pop_first()?;
        self.remove(&id)
    }

    fn remove(&mut self, id: &SessionId) -> Option<Left> {
        let (id, place) = self.by_id.remove_entry(id)?;
        self.line.remove(&place.arrival);
        self.fresh.remove(&place.arrival);
        for &(caller, deadline) in &place.callers {
            self.deadlines.remove(&(deadline, caller.waiter, id.clone()));
        }
        let callers = place.callers.into_iter().map(|(caller, _)| caller).collect();
        Some(Left { id, callers, why: place.why })
    }

    /// Takes every caller, held ones too.
    pub fn clear(&mut self) -> Vec<WaiterId> {
        std::mem::take(self).deadlines.into_iter().map(|(_, waiter, _)| waiter).collect()
    }

    /// When the first caller's time is up.
    pub fn next_deadline(&self) -> Option<Millis> {
        self.deadlines.first().map(|&(at, _, _)| at)
    }

    /// Takes a caller whose time is up, and whether its id was held.
    pub fn pop_late(&mut self, now: Millis) -> Option<(WaiterId, bool)> {
        if self.next_deadline()? > now {
            return None;
        }
        let (_, waiter, id) = self.deadlines.pop_first()?;
        let place = self.by_id.get_mut(&id)?;
        place.callers.retain(|&(other, _)| other.waiter != waiter);
        let arrival = place.arrival;
        let held = !self.line.contains_key(&arrival);
        if place.callers.is_empty() {
            self.by_id.remove(&id);
            self.line.remove(&arrival);
        }
        Some((waiter, held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SessionId {
        SessionId::try_from(text.to_owned()).unwrap()
    }

    fn caller(waiter: u64) -> Caller {
        Caller { waiter: WaiterId(waiter), since: Millis(0) }
    }

    const WHY: Why = Why { cold: None, replaced: None };

    #[test]
    fn ids_leave_in_order_and_a_held_one_keeps_its_place() {
        let mut queue = Queue::default();
        queue.push(Millis(0), id("a"), caller(1), Millis(10), WHY, true);
        queue.push(Millis(0), id("b"), caller(2), Millis(10), WHY, false);
        queue.push(Millis(0), id("c"), caller(3), Millis(10), WHY, false);
        assert!(queue.join(&id("b"), caller(4), Millis(12)));
        let left = queue.pop().unwrap();
        assert_eq!((left.id, left.callers), (id("b"), vec![caller(2), caller(4)]));
        queue.let_go(&id("a"));
        assert_eq!(queue.pop().unwrap().id, id("a"));
        assert_eq!(queue.pop().unwrap().id, id("c"));
        assert!(queue.is_empty() && queue.callers() == 0);
    }

    #[test]
    fn a_late_caller_leaves_the_others_waiting() {
        let mut queue = Queue::default();
        queue.push(Millis(0), id("a"), caller(1), Millis(10), WHY, false);
        queue.join(&id("a"), caller(2), Millis(20));
        assert_eq!(queue.pop_late(Millis(9)), None);
        assert_eq!(queue.pop_late(Millis(10)), Some((WaiterId(1), false)));
        assert_eq!(queue.ready(), 1);
        assert_eq!(queue.pop_late(Millis(20)), Some((WaiterId(2), false)));
        assert!(queue.is_empty() && queue.ready() == 0);
    }
}
