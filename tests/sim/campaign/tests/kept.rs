//! The file of the seeds that failed once.

use std::fs;
use std::path::{Path, PathBuf};

use super::Test;
use crate::campaign::kept::{KeptError, add, file, read};

pub const TESTS: [Test; 4] = [
    ("reads_seeds_and_comments", reads_seeds_and_comments),
    ("names_the_line_that_is_no_seed", names_the_line_that_is_no_seed),
    ("adds_a_seed_once", adds_a_seed_once),
    ("the_file_of_the_repository_is_there", the_file_of_the_repository_is_there),
];

/// A file of the test's own.
fn written(test: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kept_seeds_{test}.txt"));
    fs::write(&path, text).unwrap();
    path
}

fn reads_seeds_and_comments() {
    let path = written("reads", "# what this is\n\n17 # single\n  4\n17 # again\n18446744073709551615#last\n");
    assert_eq!(read(&path).unwrap(), [17, 4, u64::MAX]);
}

fn names_the_line_that_is_no_seed() {
    let path = written("no_seed", "1\n# fine\nseed 2\n");
    let error = read(&path).unwrap_err();
    assert!(matches!(&error, KeptError::NoSeed { line: 3, text, .. } if text == "seed 2"), "{error}");
    assert!(add(&path, 5, "single").is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "1\n# fine\nseed 2\n");
    assert!(matches!(read(&path.join("missing")), Err(KeptError::Io { .. })));
}

fn adds_a_seed_once() {
    let path = written("adds", "# kept\n");
    for (seed, promise) in [(9, "sticky"), (2, "bounded"), (9, "single")] {
        add(&path, seed, promise).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "# kept\n9 # sticky\n2 # bounded\n");
}

fn the_file_of_the_repository_is_there() {
    read(&file()).unwrap();
}
