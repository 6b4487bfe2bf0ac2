//! Seeds over threads, and which of them are shown.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use super::Test;
use super::double::{broken, clean};
use crate::campaign::cli::{Found, SHOWN};
use crate::campaign::sweep::{News, sweep};

pub const TESTS: [Test; 4] = [
    ("does_each_seed_once", does_each_seed_once),
    ("is_done_up_to_where_it_stops", is_done_up_to_where_it_stops),
    ("ends_at_the_last_number", ends_at_the_last_number),
    ("shows_one_violation_of_each_promise_first", shows_one_violation_of_each_promise_first),
];

const THREADS: NonZeroUsize = NonZeroUsize::new(3).unwrap();

fn does_each_seed_once() {
    let mut done = Vec::new();
    sweep(
        5..205,
        THREADS,
        |seed| seed * 2,
        |news| {
            if let News::Done { seed, result } = news {
                assert_eq!(result, seed * 2);
                done.push(seed);
            }
            ControlFlow::Continue(())
        },
    );
    done.sort_unstable();
    assert_eq!(done, (5..205).collect::<Vec<_>>());
}

fn is_done_up_to_where_it_stops() {
    let mut done = Vec::new();
    // Lower seeds take longer, so they come in after the one that stops it.
    let slow = |seed: u64| thread::sleep(Duration::from_millis(20u64.saturating_sub(seed)));
    sweep(0..1_000_000, THREADS, slow, |news| {
        if let News::Done { seed, .. } = news {
            done.push(seed);
        }
        if done.contains(&10) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(done.len() < 1_000, "it did not stop");
    assert!((0..=10).all(|seed| done.contains(&seed)), "{done:?}");
}

fn ends_at_the_last_number() {
    let mut done = 0;
    sweep(
        u64::MAX - 2..u64::MAX,
        THREADS,
        |_| (),
        |news| {
            done += u32::from(matches!(news, News::Done { .. }));
            ControlFlow::Continue(())
        },
    );
    assert_eq!(done, 2);
}

fn shows_one_violation_of_each_promise_first() {
    let mut found = Found::default();
    found.add(1, clean());
    for seed in [40, 12, 11, 13, 10] {
        found.add(seed, broken("sticky"));
    }
    found.add(90, broken("single"));
    let chosen: Vec<_> =
        found.chosen().into_iter().map(|(seed, report)| (seed, report.violations[0].promise)).collect();
    assert_eq!(chosen, [(10, "sticky"), (90, "single"), (11, "sticky")]);
    assert_eq!(chosen.len(), SHOWN);
}
