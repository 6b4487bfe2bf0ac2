//! Which shards are to be sent an allotment, and which are being sent one.
//!
//! What is in it is worked out when it is sent. One at a time goes to a shard; credits that ids wait for have a lane of their own,
//! so that they do not queue behind questions to shards that do not answer. What fails is tried again, for ever, more and more seldom.

use std::collections::VecDeque;

use crate::config::resolved::Millis;
use crate::core::id::ShardId;
use crate::core::sorted::Map;

/// How many allotments are under way at once in a lane.
pub const CONCURRENT_ALLOTMENTS: usize = 16;
/// How long until an allotment that failed is tried again; each further failure doubles it.
pub const ALLOT_RETRY: Millis = Millis::from_secs(1);
/// The longest such pause.
pub const MAX_ALLOT_RETRY: Millis = Millis::from_secs(30);

/// What is urgent about an allotment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Somebody waits for what it brings.
    Grant,
    /// All else.
    Ask,
}

/// Allotments that are to be sent, or are being sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queues: Map<Lane, VecDeque<ShardId>>,
    queued: Map<ShardId, Lane>,
    under_way: Map<ShardId, Lane>,
    /// Shards that were not reached the last time.
    failing: Map<ShardId, Failing>,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    times: u32,
    /// When it is tried again; none when it is queued again already.
    retry_at: Option<Millis>,
}

impl Outbox {
    /// A shard is to be sent an allotment; one that does not answer, when it is its turn again.
    pub fn want(&mut self, shard: ShardId, lane: Lane) {
        let waits = self.failing.get(&shard).is_some_and(|failing| failing.retry_at.is_some());
        if waits || self.queued.get(&shard).is_some_and(|&has| has <= lane) {
            return;
        }
        self.queued.insert(shard.clone(), lane);
        self.queues.entry(lane).or_default().push_back(shard);
    }

    /// Whether a shard is being sent an allotment, or is to be.
    pub fn is_busy(&self, shard: &ShardId) -> bool {
        self.queued.contains_key(shard) || self.under_way.contains_key(shard) || self.failing.contains_key(shard)
    }

    /// The answer to an allotment came.
    pub fn answered(&mut self, shard: &ShardId) {
        self.under_way.remove(shard);
        self.failing.remove(shard);
    }

    /// A shard reports by itself: it is told by the reply what it would have been sent, and what becomes of an allotment that
    /// is under way does not matter any more.
    pub fn replied(&mut self, shard: &ShardId) {
        self.queued.remove(shard);
        self.answered(shard);
    }

    /// An allotment did not arrive, or whether it did is not known.
    pub fn failed(&mut self, shard: ShardId, now: Millis) {
        if self.under_way.remove(&shard).is_none() {
            return;
        }
        self.queued.remove(&shard);
        let failing = self.failing.entry(shard).or_insert(Failing { times: 0, retry_at: None });
        failing.retry_at = Some(now + ALLOT_RETRY.doubled(failing.times, MAX_ALLOT_RETRY));
        failing.times = failing.times.saturating_add(1);
    }

    /// Queues what is due to be tried again.
    pub fn retry(&mut self, now: Millis) {
        let mut due = Vec::new();
        for (shard, failing) in &mut self.failing {
            // The clock may have gone back.
            failing.retry_at = failing.retry_at.map(|at| at.min(now + MAX_ALLOT_RETRY));
            if failing.retry_at.is_some_and(|at| at <= now) {
                failing.retry_at = None;
                due.push(shard.clone());
            }
        }
        for shard in due {
            self.want(shard, Lane::Ask);
        }
    }

    /// When something is to be tried again.
    pub fn next_retry(&self) -> Option<Millis> {
        self.failing.values().filter_map(|failing| failing.retry_at).min()
    }

    /// Takes those that are to be sent now; each ends with [`Self::answered`] or [`Self::failed`].
    pub fn take_due(&mut self) -> Vec<ShardId> {
        let mut due = Vec::new();
        for (&lane, queue) in &mut self.queues {
            let mut free = CONCURRENT_ALLOTMENTS
                .saturating_sub(self.under_way.values().filter(|&&under_way| under_way == lane).count());
            let mut later = VecDeque::new();
            while free > 0
                && let Some(shard) = queue.pop_front()
            {
                if self.queued.get(&shard) != Some(&lane) {
                    // It has been told meanwhile, or goes by the other lane.
                } else if self.under_way.contains_key(&shard) {
                    later.push_back(shard);
                } else {
                    self.queued.remove(&shard);
                    self.under_way.insert(shard.clone(), lane);
                    due.push(shard);
                    free -= 1;
                }
            }
            later.append(queue);
            *queue = later;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(index: u32) -> ShardId {
        format!("p/{index}").parse().unwrap()
    }

    #[test]
    fn a_shard_is_sent_one_at_a_time_and_what_it_is_owed_meanwhile_goes_next() {
        let mut outbox = Outbox::default();
        outbox.want(shard(0), Lane::Ask);
        assert_eq!(outbox.take_due(), [shard(0)]);
        outbox.want(shard(0), Lane::Grant);
        assert!(outbox.take_due().is_empty());
        outbox.answered(&shard(0));
        assert_eq!(outbox.take_due(), [shard(0)]);
        outbox.answered(&shard(0));
        assert!(outbox.take_due().is_empty() && !outbox.is_busy(&shard(0)));
    }

    #[test]
    fn no_more_are_under_way_than_allowed_and_grants_do_not_queue_behind_questions() {
        let mut outbox = Outbox::default();
        for index in 0..40 {
            outbox.want(shard(index), Lane::Ask);
        }
        assert_eq!(outbox.take_due().len(), CONCURRENT_ALLOTMENTS);
        outbox.want(shard(39), Lane::Grant);
        assert_eq!(outbox.take_due(), [shard(39)]);
        for index in 0..40 {
            outbox.answered(&shard(index));
        }
        assert_eq!(outbox.take_due().len(), CONCURRENT_ALLOTMENTS);
        for index in 0..40 {
            outbox.answered(&shard(index));
        }
        let rest = outbox.take_due();
        assert_eq!((rest.len(), rest.contains(&shard(39))), (7, false), "nobody is sent the same twice");
    }

    #[test]
    fn failures_are_retried_for_ever_more_and_more_seldom() {
        let mut outbox = Outbox::default();
        outbox.want(shard(0), Lane::Grant);
        let (mut now, mut pauses) = (Millis(0), Vec::new());
        for _ in 0..8 {
            assert_eq!(outbox.take_due(), [shard(0)]);
            outbox.failed(shard(0), now);
            outbox.want(shard(0), Lane::Grant);
            assert!(outbox.take_due().is_empty(), "not before its time");
            let at = outbox.next_retry().unwrap();
            pauses.push((at - now).0);
            now = at;
            outbox.retry(now);
        }
        assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        outbox.replied(&shard(0));
        assert!(outbox.take_due().is_empty() && outbox.next_retry().is_none());
    }

    #[test]
    fn a_clock_that_goes_back_puts_no_retry_off() {
        let mut outbox = Outbox::default();
        outbox.want(shard(0), Lane::Ask);
        outbox.take_due();
        outbox.failed(shard(0), Millis::from_secs(100_000));
        outbox.retry(Millis(0));
        assert!(outbox.next_retry().unwrap() <= MAX_ALLOT_RETRY);
    }
}
