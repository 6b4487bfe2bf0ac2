//! The seeds that once broke a promise. The tests replay them for ever.
//!
//! The file has a seed a line, and after a `#` what it broke.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    #[error("{}: cannot be read or written: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
    #[error("{}:{line}: `{text}` is no seed: write a number, and a comment after `#`", path.display())]
    NoSeed { path: PathBuf, line: usize, text: String },
}

/// Where it is, in the repository.
pub fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/failing_seeds.txt")
}

/// The seeds of a file, in its order, each once.
pub fn read(path: &Path) -> Result<Vec<u64>, KeptError> {
    let text = fs::read_to_string(path).map_err(|cause| KeptError::Io { path: path.to_owned(), cause })?;
    let mut seeds = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let text = line.split('#').next().unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        let no_seed = |_| KeptError::NoSeed { path: path.to_owned(), line: index + 1, text: text.to_owned() };
        let seed = text.parse().map_err(no_seed)?;
        if !seeds.contains(&seed) {
            seeds.push(seed);
        }
    }
    Ok(seeds)
}

/// Adds a seed that broke `promise`, unless it is there.
pub fn add(path: &Path, seed: u64, promise: &str) -> Result<(), KeptError> {
    if read(path)?.contains(&seed) {
        return Ok(());
    }
    OpenOptions::new()
        .append(true)
        .open(path)
        .and_then(|mut file| writeln!(file, "{seed} # {promise}"))
        .map_err(|cause| KeptError::Io { path: path.to_owned(), cause })
}
