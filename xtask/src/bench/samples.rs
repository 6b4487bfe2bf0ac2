//! What was measured: samples by question and series, as `xtask/bench/main.mjs` prints them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// The samples of one series, round by round. Of two series of a question, samples of one round were taken right after each other.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Samples(Vec<f64>);

/// The series of one question.
pub type Question = BTreeMap<String, Samples>;

/// All that was measured.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Measured {
    /// By question and series.
    pub questions: BTreeMap<String, Question>,
    pub facts: Facts,
}

/// What is not sampled, for it is the same each time.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Facts {
    /// By operation and library, what one does: rows that its SQL writes and reads, calls of other objects.
    pub counts: BTreeMap<String, BTreeMap<String, f64>>,
    /// KiB, gzipped.
    pub wasm_kib_gz: f64,
    pub memory: Memory,
}

/// What an assignment takes of a shard's memory.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Memory {
    pub bytes: f64,
    /// Memory grows by the page.
    pub exact_to: f64,
}

impl Measured {
    /// A series that must be there.
    pub fn series(&self, question: &str, series: &str) -> Result<&Samples> {
        let samples = self.questions.get(question).and_then(|question| question.get(series));
        samples.with_context(|| format!("nothing was measured of {series} for the question {question}"))
    }

    /// How often one operation of a library does something; 0 when it never did.
    pub fn count(&self, operation: &str, what: &str) -> Result<f64> {
        let counts = self.facts.counts.get(operation).with_context(|| format!("{operation} was not counted"))?;
        Ok(counts.get(what).copied().unwrap_or(0.0))
    }
}

/// The middle of samples, and how far they spread: half of them are from `low` to `high`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Summary {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Samples {
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    pub fn summary(&self) -> Result<Summary> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let quantile = |q: f64| {
            // Between the two samples that it falls between.
            let at = q * sorted.len().saturating_sub(1) as f64;
            let (below, above) = (sorted.get(at.floor() as usize)?, sorted.get(at.ceil() as usize)?);
            Some(below + (above - below) * at.fract())
        };
        match (quantile(0.5), quantile(0.25), quantile(0.75)) {
            (Some(median), Some(low), Some(high)) => Ok(Summary { median, low, high }),
            _ => bail!("a series has no samples"),
        }
    }

    /// This over the other, pair by pair: what slowed one of a pair down slowed the other down too.
    pub fn over(&self, other: &Self) -> Result<Self> {
        if self.0.len() != other.0.len() {
            bail!("{} samples cannot be paired with {}", self.0.len(), other.0.len());
        }
        Ok(Self(self.0.iter().zip(&other.0).map(|(one, other)| one / other).collect()))
    }
}
