//! What the test runners print is counted right.

// The program itself cannot be compiled for tests: it includes the crate's `config`, whose tests need more crates.
#[path = "../src/test/counts.rs"]
mod counts;

use counts::Counts;

#[test]
fn a_result_line_of_cargo_is_counted() {
    let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.01s";
    assert_eq!(Counts::of_cargo_line(line), Some(Counts { passed: 12, failed: 3, skipped: 1 }));
}

#[test]
fn other_lines_of_cargo_are_not() {
    for line in ["running 3 tests", "test config::tests::a ... ok", "test result: ok", ""] {
        assert_eq!(Counts::of_cargo_line(line), None, "{line}");
    }
}

#[test]
fn a_mutant_that_survives_is_a_failure() {
    assert_eq!(Counts::of_mutants_line("mutants=21 killed=20"), Some(Counts { passed: 20, failed: 1, skipped: 0 }));
    for line in ["mutants=21", "mutants=2 killed=3", "killed=many mutants=1", "exclusive killed 3 mutants", ""] {
        assert_eq!(Counts::of_mutants_line(line), None, "{line}");
    }
}

#[test]
fn a_report_of_node_is_counted_by_its_last_lines() {
    let report = "TAP version 13\n# pass 99\nok 1 - a\n1..3\n# tests 4\n# suites 0\n# pass 2\n# fail 1\n# cancelled 1\n# skipped 1\n# todo 0\n# duration_ms 5\n";
    assert_eq!(Counts::of_tap(report), Some(Counts { passed: 2, failed: 2, skipped: 1 }));
}

#[test]
fn a_report_that_was_cut_off_has_no_counts() {
    assert_eq!(Counts::of_tap("TAP version 13\nok 1 - a\n"), None);
}
