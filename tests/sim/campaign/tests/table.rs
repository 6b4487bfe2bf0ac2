//! The sums, and how they are printed.

use std::collections::BTreeMap;

use super::Test;
use super::double::{broken, clean};
use crate::campaign::peer::Comparison;
use crate::campaign::table::{Tally, grouped, words};
use crate::faults::Fault;
use crate::simulation::Report;

pub const TESTS: [Test; 4] = [
    ("sums_up_to_the_last_line", sums_up_to_the_last_line),
    ("prints_kinds_of_faults_and_broken_promises", prints_kinds_of_faults_and_broken_promises),
    ("compares_promise_by_promise", compares_promise_by_promise),
    ("writes_numbers_and_names", writes_numbers_and_names),
];

fn tally() -> Tally {
    let faults = BTreeMap::from([(Fault::LostBefore, 2), (Fault::Dies, 1)]);
    let mut tally = Tally::default();
    tally
        .add(4, &Report { faults: faults.clone(), excused: BTreeMap::from([("class without a fence", 6)]), ..clean() });
    tally.add(5, &Report { faults, ..broken("sticky") });
    tally.add(6, &broken("sticky"));
    tally
}

fn sums_up_to_the_last_line() {
    assert_eq!(tally().last_line(), "seeds=3 steps=30 requests=15 faults=6 violations=2");
    assert_eq!(Tally::default().last_line(), "seeds=0 steps=0 requests=0 faults=0 violations=0");
}

fn prints_kinds_of_faults_and_broken_promises() {
    let print = tally().to_string();
    let row = |label: &str| {
        let line = print.lines().find(|line| line.trim_start().starts_with(label));
        line.unwrap_or_else(|| panic!("no row `{label}` in\n{print}")).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("lost before"), "lost before 4");
    assert_eq!(row("dies"), "dies 2");
    assert_eq!(row("kv stale"), "kv stale 0");
    assert_eq!(row("class without"), "class without a fence 6");
    assert_eq!(row("sticky"), "sticky 2 seeds 5, 6");
}

fn compares_promise_by_promise() {
    let mut comparison = Comparison { ours: tally(), ..Comparison::default() };
    comparison.theirs.add(4, &broken("single"));
    comparison.theirs.add(5, &clean());
    let print = comparison.to_string();
    for row in [
        "| sticky | 2 of 3 seeds | 0 of 2 seeds |",
        "| single | 0 of 3 seeds | 1 of 2 seeds |",
        "| exclusive | 0 of 3 seeds | 0 of 2 seeds |",
    ] {
        assert!(print.contains(row), "`{row}` is missing:\n{print}");
    }
}

fn writes_numbers_and_names() {
    assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    assert_eq!(words(Fault::LostAfter), "lost after");
    assert_eq!(words(Fault::Dies), "dies");
}
