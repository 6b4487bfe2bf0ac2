//! The counters of a shard in memory, and when they are to be written.
//!
//! Always true: what the row says is never more than what memory says, and nothing has been told that a shard which is loaded from
//! the row would take back. For containers go on living while the object is not in memory: the time since the row is added by what the
//! books say then.

use super::counters::{ByState, Counters, CountersRow, Detail, LastError};
use crate::config::resolved::Millis;
use crate::core::failure::StartFailure;
use crate::core::outcome::{Outcome, Reason, RefusalCode};

/// How long the containers' time alone is no reason to write. Should the object be dropped, what comes and goes before the
/// next write is counted wrong for at most so long.
pub const KEEP: Millis = Millis::from_secs(300);

/// How many containers are in each state.
pub(in crate::core) type Sizes = [usize; 5];

/// What a shard counts.
#[derive(Debug, Default)]
pub(in crate::core) struct Tally {
    row: CountersRow,
    /// Sticky answers that are not in the row yet. So a call that gives one costs an addition.
    sticky: u64,
    /// The row as it is written.
    written: CountersRow,
    /// How many containers there were then.
    written_sizes: Sizes,
    due: Option<Due>,
}

/// Why the counters are to be written, if they have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::core) enum Due {
    /// It is time.
    Refresh,
    /// Somebody is about to be told them.
    Told,
}

impl Tally {
    /// Goes on from the row.
    pub fn load(mut row: CountersRow, now: Millis, sizes: Sizes) -> Self {
        let written = row.clone();
        // A shard without the row begins now; and a clock may have gone back.
        if row.detail.until == Millis(0) || row.detail.until > now {
            row.detail.until = now;
        }
        Self { row, written, written_sizes: sizes, ..Self::default() }
    }

    /// Time has passed, in which there were so many containers.
    pub fn pass(&mut self, now: Millis, sizes: Sizes) {
        let detail = &mut self.row.detail;
        detail.container_millis = lived(detail, now, sizes);
        detail.until = now;
    }

    /// An id that had its container was answered at once.
    pub fn sticky(&mut self) {
        self.sticky += 1;
    }

    /// A caller who has asked at `since` is answered now.
    pub fn acquired(&mut self, outcome: Outcome, reason: Option<Reason>, since: Millis) {
        let CountersRow { counters, detail } = &mut self.row;
        *counters.outcomes.entry(outcome).or_default() += 1;
        if let Some(reason) = reason {
            *counters.reasons.entry(reason).or_default() += 1;
            *detail.because.entry(outcome).or_default().entry(reason).or_default() += 1;
        }
        detail.acquire.entry(outcome).or_default().note(detail.until - since, 1);
    }

    pub fn refused(&mut self, code: RefusalCode) {
        *self.row.counters.refusals.entry(code).or_default() += 1;
    }

    pub fn started(&mut self, took: Millis) {
        self.row.counters.starts_ready += 1;
        self.row.counters.starts_ready_millis += took.0;
        self.row.detail.start.note(took, 1);
    }

    pub fn start_failed(&mut self, failure: &StartFailure) {
        let CountersRow { counters, detail } = &mut self.row;
        *counters.starts_failed.entry(failure.class).or_default() += 1;
        detail.last_errors.insert(failure.class, LastError { message: failure.message.clone(), at: detail.until });
    }

    pub fn start_retried(&mut self) {
        self.row.counters.starts_retried += 1;
    }

    pub fn lent(&mut self) {
        self.row.counters.lent += 1;
    }

    /// The counters are to be written in this step.
    pub fn due(&mut self, due: Due) {
        self.due = self.due.max(Some(due));
    }

    /// The row to write, if it is to be written and says something new.
    pub fn take_write(&mut self, sizes: Sizes) -> Option<CountersRow> {
        let due = self.due.take()?;
        let sticky = std::mem::take(&mut self.sticky);
        add_sticky(&mut self.row, sticky);
        let CountersRow { counters, detail } = &self.row;
        let happened = *counters != self.written.counters || !detail.same_events(&self.written.detail);
        let lived = detail.container_millis != self.written.detail.container_millis;
        let changed = match due {
            Due::Told => happened || lived,
            Due::Refresh => {
                let moved = sizes != self.written_sizes;
                happened || moved || (lived && detail.until - self.written.detail.until >= KEEP)
            }
        };
        changed.then(|| {
            self.written = self.row.clone();
            self.written_sizes = sizes;
            self.row.clone()
        })
    }

    /// The row as it is written.
    pub fn written(&self) -> &CountersRow {
        &self.written
    }

    /// All that is counted, with the time that has passed since the last step.
    pub fn told(&self, now: Millis, sizes: Sizes) -> (Counters, Detail) {
        let mut row = self.row.clone();
        add_sticky(&mut row, self.sticky);
        row.detail.container_millis = lived(&row.detail, now, sizes);
        row.detail.until = now;
        (row.counters, row.detail)
    }
}

fn add_sticky(row: &mut CountersRow, count: u64) {
    if count > 0 {
        *row.counters.outcomes.entry(Outcome::Sticky).or_default() += count;
        row.detail.acquire.entry(Outcome::Sticky).or_default().note(Millis(0), count);
    }
}

fn lived(detail: &Detail, now: Millis, sizes: Sizes) -> ByState<u64> {
    let passed = (now - detail.until).0;
    let [starting, warm, assigned, draining, moving] = sizes.map(|size| size as u64);
    let sizes = ByState { starting, warm, assigned, draining, moving };
    detail.container_millis.with(&sizes, |sum, size| sum + size * passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARM: Sizes = [0, 2, 0, 0, 0];

    fn warm_millis(row: &CountersRow) -> u64 {
        row.detail.container_millis.warm
    }

    #[test]
    fn what_is_told_is_written_first_and_a_reload_takes_nothing_back() {
        let mut tally = Tally::load(CountersRow::default(), Millis(1_000), WARM);
        tally.sticky();
        tally.pass(Millis(3_000), WARM);
        tally.due(Due::Told);
        let row = tally.take_write(WARM).unwrap();
        let (counters, detail) = tally.told(Millis(3_000), WARM);
        assert_eq!((&row.counters, &row.detail), (&counters, &detail));
        assert_eq!((warm_millis(&row), counters.outcomes.get(&Outcome::Sticky)), (4_000, Some(&1)));

        // Dropped, and loaded a second later.
        let mut tally = Tally::load(row, Millis(4_000), WARM);
        assert_eq!(tally.told(Millis(4_000), WARM).1.container_millis.warm, 6_000);
        tally.pass(Millis(4_000), WARM);
        tally.due(Due::Told);
        assert_eq!(tally.take_write(WARM).map(|row| warm_millis(&row)), Some(6_000));
    }

    #[test]
    fn a_refresh_writes_what_has_happened_and_the_time_alone_seldom() {
        let mut tally = Tally::load(CountersRow::default(), Millis(1_000), WARM);
        let mut refresh = |now: u64, sizes: Sizes, sticky: bool| {
            tally.pass(Millis(now), sizes);
            if sticky {
                tally.sticky();
            }
            tally.due(Due::Refresh);
            tally.take_write(sizes).is_some()
        };
        let start = 1_000 + KEEP.0;
        assert!(refresh(start, WARM, false), "the first row");
        assert!(!refresh(start + 10_000, WARM, false), "nothing has happened");
        assert!(refresh(start + 20_000, WARM, true), "a sticky answer");
        assert!(refresh(start + 30_000, [0, 1, 0, 0, 0], false), "there are fewer");
        assert!(!refresh(start + 40_000, [0, 1, 0, 0, 0], false));
        assert!(refresh(start + 30_000 + KEEP.0, [0, 1, 0, 0, 0], false), "long enough");
    }

    #[test]
    fn nothing_is_written_unless_it_is_due_nor_of_a_shard_that_has_nothing() {
        let mut tally = Tally::load(CountersRow::default(), Millis(1_000), [0; 5]);
        tally.pass(Millis(2_000), [0; 5]);
        tally.due(Due::Told);
        assert_eq!(tally.take_write([0; 5]), None, "nothing to tell");
        tally.refused(RefusalCode::Overloaded);
        assert_eq!(tally.take_write([0; 5]), None, "not due");
    }

    #[test]
    fn a_clock_that_goes_back_takes_nothing_away() {
        let mut tally = Tally::load(CountersRow::default(), Millis(10_000), WARM);
        tally.pass(Millis(12_000), WARM);
        tally.pass(Millis(5_000), WARM);
        tally.pass(Millis(6_000), WARM);
        assert_eq!(tally.told(Millis(6_000), WARM).1.container_millis.warm, 6_000);
        let (counters, detail) = tally.told(Millis(6_000), WARM);
        let loaded = Tally::load(CountersRow { counters, detail }, Millis(2_000), WARM);
        assert_eq!(loaded.told(Millis(2_000), WARM).1.container_millis.warm, 6_000);
    }
}
