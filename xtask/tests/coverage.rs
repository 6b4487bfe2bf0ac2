//! The lines that no test reaches are read right, and what does not count is left out.

#[path = "../src/coverage/lines.rs"]
mod lines;

use std::path::Path;

use lines::{not_counted, of_lcov};

#[test]
fn lines_that_never_ran_are_ranges_over_what_does_nothing() {
    let report = "SF:/a/b.rs\nFN:1,x\nDA:1,2\nDA:2,0\nDA:3,0\nDA:5,0\nDA:6,1\nDA:9,0\nLF:6\nend_of_record\n";
    let lines = &of_lcov(report)[Path::new("/a/b.rs")];
    assert_eq!((lines.count(), lines.reached()), (6, 2));
    assert_eq!(lines.not_reached(), [2..=5, 9..=9]);
}

#[test]
fn a_file_that_is_reported_twice_has_run_as_often_as_in_both() {
    let files =
        of_lcov("SF:/a.rs\nDA:1,0\nDA:2,0\nend_of_record\nSF:/b.rs\nDA:1,1\nSF:/a.rs\nDA:1,3,checksum\nDA:2,0\n");
    assert_eq!(files[Path::new("/a.rs")].not_reached(), [2..=2]);
    assert_eq!(files[Path::new("/b.rs")].not_reached(), []);
}

#[test]
fn test_modules_do_not_count() {
    let source = "fn a() {\n    b();\n}\n\n#[cfg(test)]\nmod tests {\n    fn c() {\n    }\n}\n\nfn d() {\n}\n";
    assert_eq!(not_counted(source), [5..=9]);
    let mut lines = of_lcov("SF:/a.rs\nDA:2,1\nDA:7,0\nDA:11,0\n").remove(Path::new("/a.rs")).unwrap();
    lines.remove(&not_counted(source));
    assert_eq!((lines.count(), lines.not_reached()), (2, vec![11..=11]));
}

#[test]
fn deliberate_bugs_do_not_count() {
    let source = "\
fn a() {
    if mutants::on(Mutant::A) {
        for x in y {
            bug();
        }
    } else {
        right();
    }
    if !mutants::on(Mutant::B) {
        right();
    }
    if right || mutants::on(Mutant::C) {
        right();
    }
    match x {
        None if mutants::on(Mutant::D) => {}
        None if mutants::on(Mutant::E) => {
            bug();
        }
    }
}
";
    assert_eq!(not_counted(source), [3..=5, 18..=18]);
}
