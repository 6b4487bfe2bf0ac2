//! The search for a short part of a list that fails.

use super::Test;
use crate::campaign::ddmin::{Verdict, ddmin};

pub const TESTS: [Test; 6] = [
    ("finds_the_few_that_matter", finds_the_few_that_matter),
    ("keeps_all_when_all_matter", keeps_all_when_all_matter),
    ("keeps_nothing_when_nothing_matters", keeps_nothing_when_nothing_matters),
    ("leaves_nothing_that_can_go_alone", leaves_nothing_that_can_go_alone),
    ("when_broken_off_has_a_part_that_fails", when_broken_off_has_a_part_that_fails),
    ("needs_few_tries", needs_few_tries),
];

fn verdict(fails: bool) -> Verdict {
    if fails { Verdict::Fails } else { Verdict::Holds }
}

fn whole(length: u32) -> Vec<u32> {
    (0..length).collect()
}

fn finds_the_few_that_matter() {
    let needed = [3, 57, 58, 160];
    let found = ddmin(&whole(200), |part| verdict(needed.iter().all(|item| part.contains(item))));
    assert_eq!(found, needed);
}

fn keeps_all_when_all_matter() {
    assert_eq!(ddmin(&whole(20), |part| verdict(part.len() == 20)), whole(20));
    assert_eq!(ddmin(&[7], |part| verdict(part == [7])), [7]);
}

fn keeps_nothing_when_nothing_matters() {
    let mut tries = 0;
    let found = ddmin(&whole(1_000), |_| {
        tries += 1;
        Verdict::Fails
    });
    assert_eq!((found.len(), tries), (0, 1));
    assert!(ddmin(&[0; 0], |_| panic!("there is nothing to try")).is_empty());
}

/// Also where a smaller part may hold while a yet smaller one fails.
fn leaves_nothing_that_can_go_alone() {
    let fails = |part: &[u32]| part.iter().sum::<u32>() % 7 == 2;
    let whole: Vec<u32> = (1..=37).filter(|item| item % 5 != 1).collect();
    assert!(fails(&whole), "the test needs a whole that fails, but the sum is {}", whole.iter().sum::<u32>());
    let found = ddmin(&whole, |part| verdict(fails(part)));
    assert!(fails(&found));
    for index in 0..found.len() {
        let mut without = found.clone();
        without.remove(index);
        assert!(!fails(&without), "{found:?} still fails without {}", found[index]);
    }
}

fn when_broken_off_has_a_part_that_fails() {
    let fails = |part: &[u32]| part.contains(&11) && part.contains(&90);
    for most in 0..40 {
        let mut tries = 0;
        let found = ddmin(&whole(100), |part| {
            tries += 1;
            if tries > most { Verdict::Spent } else { verdict(fails(part)) }
        });
        assert!(fails(&found), "after {most} tries: {found:?}");
        assert!(tries <= most + 1, "it goes on after it was broken off");
    }
}

fn needs_few_tries() {
    let mut tries = 0;
    let found = ddmin(&whole(1_024), |part| {
        tries += 1;
        verdict(part.contains(&700) && part.contains(&100))
    });
    assert_eq!(found, [100, 700]);
    assert!(tries <= 50, "it took {tries}");
}
