//! The campaign's own tests: they run it over small stand-ins for a world, of which it is known what breaks them.

mod ddmin;
mod double;
mod kept;
mod mutants;
mod once;
mod shrink;
mod sweep;
mod table;

use libtest_mimic::Trial;

/// A test: it panics when it fails.
type Test = (&'static str, fn());

/// All of them.
pub fn trials() -> Vec<Trial> {
    let files: [(&str, &[Test]); 7] = [
        ("ddmin", &ddmin::TESTS),
        ("kept", &kept::TESTS),
        ("mutants", &mutants::TESTS),
        ("once", &once::TESTS),
        ("shrink", &shrink::TESTS),
        ("sweep", &sweep::TESTS),
        ("table", &table::TESTS),
    ];
    let tests = files.into_iter().flat_map(|(file, tests)| tests.iter().map(move |test| (file, test)));
    tests
        .map(|(file, &(name, test))| {
            Trial::test(format!("campaign::{file}::{name}"), move || {
                test();
                Ok(())
            })
        })
        .collect()
}
