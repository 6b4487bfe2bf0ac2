//! A shard's events that the coordinator has not stored yet.
//!
//! Always true between calls:
//! - at most [`CAPACITY`] events wait, and at most [`BATCH`] are being sent; of those that wait the oldest are dropped, and counted
//!   in the next batch;
//! - one batch at a time is being sent, under the same number until it is known what became of it; numbers rise, over all lives of the
//!   object as well, for they follow its clock: so the coordinator knows a batch that it has already;
//! - a time to send is set when, and only when, there is anything to send.
//!
//! None of it is durable. What the object had not sent when it was dropped is lost.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::entry::Entry;
use crate::config::resolved::Millis;
use crate::core::id::ShardId;

/// The most events that wait.
pub const CAPACITY: usize = 256;
/// The most events of a batch. So many are sent at once, without waiting for more.
pub const BATCH: usize = 128;
/// How long the first event waits for others to go with it.
pub const DELAY: Millis = Millis::from_secs(1);
/// The first pause after a batch that could not be sent; each further one doubles it.
const BASE_PAUSE: Millis = Millis::from_secs(2);
/// The longest such pause, and how long an answer is waited for.
pub const MAX_PAUSE: Millis = Millis::from_secs(60);

/// Events of a shard that are sent together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// Where they happened.
    pub shard: ShardId,
    /// Higher than that of each earlier batch of this shard. Below 2^53.
    pub number: u64,
    /// How many events before these were dropped since the batch before.
    #[serde(default)]
    pub dropped: u64,
    /// The events, oldest first.
    pub events: Vec<Map<String, Value>>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The coordinator answers with the highest number that it has of this shard; 0 when it keeps nothing of it.
    Answered(u64),
    /// It did not arrive, or whether it did is not known.
    Failed,
    /// There is no coordinator.
    Nobody,
}

/// A shard's events on their way to the coordinator.
#[derive(Debug, Default)]
pub struct Journal {
    waiting: VecDeque<Entry>,
    /// Events that were dropped since the last batch was made.
    dropped: u64,
    sending: Option<Batch>,
    /// When to send next: what waits, or again what is being sent.
    send_at: Option<Millis>,
    failures: u32,
    last_number: u64,
    /// Whether there is nobody to send to.
    is_closed: bool,
}

impl Journal {
    /// When [`Self::take_due`] is to be called next; none when there is nothing to send.
    pub const fn send_at(&self) -> Option<Millis> {
        self.send_at
    }

    /// Something has happened.
    pub fn note(&mut self, now: Millis, entry: Entry) {
        if self.is_closed {
            return;
        }
        if self.waiting.len() >= CAPACITY {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(entry);
        if self.sending.is_none() {
            self.send_soon(now);
        }
    }

    /// The batch that is to be sent now, if one is.
    pub fn take_due(&mut self, now: Millis, me: &ShardId) -> Option<Batch> {
        // A clock that went back must not put it off.
        let at = self.send_at?.min(now + MAX_PAUSE);
        self.send_at = Some(at);
        if now < at {
            return None;
        }
        if self.sending.is_none() {
            let count = self.waiting.len().min(BATCH);
            self.last_number = now.0.max(self.last_number + 1);
            self.sending = Some(Batch {
                shard: me.clone(),
                number: self.last_number,
                dropped: std::mem::take(&mut self.dropped),
                events: self.waiting.drain(..count).map(Entry::into_json).collect(),
            });
        }
        // Should the answer be lost, with the future that waits for it.
        self.send_at = Some(now + MAX_PAUSE);
        self.sending.clone()
    }

    /// It is known what became of a batch. After a failure it is sent again `pause(first)` later, where `first` is the usual pause.
    pub fn ended(&mut self, now: Millis, number: u64, ended: Ended, pause: impl FnOnce(Millis) -> Millis) {
        let Some(batch) = self.sending.as_mut().filter(|batch| batch.number == number) else { return };
        match ended {
            Ended::Answered(has) if has > number => {
                // Its clock is behind what it once was: it goes on from there.
                self.last_number = has + 1;
                batch.number = self.last_number;
                self.send_at = Some(now + DELAY);
            }
            Ended::Answered(_) => {
                self.sending = None;
                self.failures = 0;
                self.send_at = None;
                self.send_soon(now);
            }
            Ended::Failed => {
                let usual = BASE_PAUSE.doubled(self.failures, MAX_PAUSE);
                self.failures = self.failures.saturating_add(1);
                self.send_at = Some(pause(usual).min(now + MAX_PAUSE));
            }
            Ended::Nobody => *self = Self { is_closed: true, ..Self::default() },
        }
    }

    fn send_soon(&mut self, now: Millis) {
        match self.waiting.len() {
            0 => {}
            BATCH.. => self.send_at = Some(now),
            _ => self.send_at = self.send_at.or(Some(now + DELAY)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Kind;
    use super::*;

    fn me() -> ShardId {
        "p/3".parse().unwrap()
    }

    fn note(journal: &mut Journal, now: u64) {
        journal.note(Millis(now), Entry::new(Millis(now), Kind::Gone));
    }

    fn ended(journal: &mut Journal, now: u64, number: u64, what: Ended) {
        journal.ended(Millis(now), number, what, |usual| Millis(now) + usual);
    }

    #[test]
    fn the_first_event_waits_a_second_for_others_and_nothing_sets_no_time() {
        let mut journal = Journal::default();
        assert_eq!(journal.send_at(), None);
        note(&mut journal, 1_000);
        note(&mut journal, 1_900);
        assert_eq!(journal.send_at(), Some(Millis(2_000)));
        assert_eq!(journal.take_due(Millis(1_999), &me()), None);
        let batch = journal.take_due(Millis(2_000), &me()).unwrap();
        assert_eq!((batch.shard, batch.events.len(), batch.dropped), (me(), 2, 0));
        ended(&mut journal, 2_010, batch.number, Ended::Answered(batch.number));
        assert_eq!(journal.send_at(), None);
    }

    #[test]
    fn what_fails_is_sent_again_under_its_number_ever_later_and_what_comes_meanwhile_waits() {
        let mut journal = Journal::default();
        note(&mut journal, 0);
        let (mut now, mut pauses) = (1_000, Vec::new());
        let first = journal.take_due(Millis(now), &me()).unwrap();
        for _ in 0..7 {
            note(&mut journal, now);
            ended(&mut journal, now, first.number, Ended::Failed);
            let at = journal.send_at().unwrap().0;
            pauses.push((at - now) / 1_000);
            now = at;
            assert_eq!(journal.take_due(Millis(now), &me()), Some(first.clone()));
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60]);
        ended(&mut journal, now, first.number, Ended::Answered(first.number));
        ended(&mut journal, now, first.number, Ended::Failed);
        let second = journal.take_due(Millis(now + 1_000), &me()).unwrap();
        assert_eq!(second.events.len(), 7);
        assert!(second.number > first.number);
    }

    #[test]
    fn an_answer_that_never_comes_is_not_waited_for_for_ever() {
        let mut journal = Journal::default();
        note(&mut journal, 0);
        let batch = journal.take_due(Millis(1_000), &me()).unwrap();
        assert_eq!(journal.take_due(Millis(60_999), &me()), None);
        assert_eq!(journal.take_due(Millis(61_000), &me()), Some(batch));
    }

    #[test]
    fn many_go_at_once_and_too_many_push_the_oldest_out_which_is_told() {
        let mut journal = Journal::default();
        for n in 0..BATCH as u64 {
            note(&mut journal, n);
        }
        let now = BATCH as u64;
        let first = journal.take_due(Millis(now), &me()).unwrap();
        assert_eq!(first.events.len(), BATCH, "without waiting for more");
        for _ in 0..CAPACITY + 5 {
            note(&mut journal, now);
        }
        ended(&mut journal, now, first.number, Ended::Answered(first.number));
        let second = journal.take_due(Millis(now), &me()).unwrap();
        assert_eq!((second.events.len(), second.dropped), (BATCH, 5));
        ended(&mut journal, now, second.number, Ended::Answered(second.number));
        let third = journal.take_due(Millis(now), &me()).unwrap();
        assert_eq!((third.events.len(), third.dropped), (CAPACITY - BATCH, 0), "each is told once");
    }

    #[test]
    fn a_clock_that_went_back_neither_stops_it_nor_lets_a_number_come_twice() {
        let mut journal = Journal::default();
        note(&mut journal, 1_000_000);
        assert_eq!(journal.take_due(Millis(500), &me()), None);
        let batch = journal.take_due(Millis(60_500), &me()).unwrap();
        // A former life had a later clock.
        ended(&mut journal, 60_600, batch.number, Ended::Answered(1_000_000));
        let again = journal.take_due(Millis(61_600), &me()).unwrap();
        assert_eq!((again.number, &again.events), (1_000_001, &batch.events));
        ended(&mut journal, 61_700, again.number, Ended::Answered(again.number));
        note(&mut journal, 61_700);
        assert_eq!(journal.take_due(Millis(62_700), &me()).unwrap().number, 1_000_002);
    }

    #[test]
    fn without_a_coordinator_nothing_is_kept() {
        let mut journal = Journal::default();
        note(&mut journal, 0);
        let batch = journal.take_due(Millis(1_000), &me()).unwrap();
        ended(&mut journal, 1_000, batch.number, Ended::Nobody);
        note(&mut journal, 1_000);
        assert_eq!((journal.send_at(), journal.waiting.len()), (None, 0));
    }

    #[test]
    fn a_coordinator_that_keeps_nothing_of_the_shard_is_not_asked_again() {
        let mut journal = Journal::default();
        note(&mut journal, 0);
        let batch = journal.take_due(Millis(1_000), &me()).unwrap();
        ended(&mut journal, 1_000, batch.number, Ended::Answered(0));
        assert_eq!(journal.send_at(), None);
    }
}
