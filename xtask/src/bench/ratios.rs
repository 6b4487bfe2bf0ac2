//! The numbers that the project promises to keep to, and what was measured of each.

use anyhow::Result;
use serde::Serialize;

use super::agent::Agent;
use super::samples::Measured;

/// What a ratio is to be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
    /// Told, and no more.
    None,
}

impl Limit {
    fn is_kept_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
            Self::None => true,
        }
    }
}

/// One number.
pub struct Ratio {
    pub name: &'static str,
    /// None where it could not be measured here.
    pub value: Option<f64>,
    pub limit: Limit,
    /// For people.
    pub meaning: &'static str,
}

impl Ratio {
    /// In a word.
    pub fn verdict(&self) -> &'static str {
        match (self.value, self.limit) {
            (None, _) => "not measured",
            (Some(_), Limit::None) => "",
            (Some(value), limit) if limit.is_kept_by(value) => "kept",
            (Some(_), _) => "MISSED",
        }
    }
}

/// Every ratio, of this run.
///
/// # Errors
///
/// When something was not measured that should have been.
pub fn of(measured: &Measured, agent: &Agent) -> Result<Vec<Ratio>> {
    use Limit::{AtLeast, AtMost, None as Told};
    let pairs = |question: &str, one: &str, other: &str| -> Result<Option<f64>> {
        let ratios = measured.series(question, one)?.over(measured.series(question, other)?)?;
        Ok(Some(ratios.summary()?.median))
    };
    let median = |question: &str, series: &str| -> Result<Option<f64>> {
        Ok(Some(measured.series(question, series)?.summary()?.median))
    };
    let ratio = |name, value, limit, meaning| Ratio { name, value, limit, meaning };
    Ok(vec![
        ratio(
            "sticky_vs_noop",
            pairs("lookup", "ours", "no_op")?,
            AtMost(1.3),
            "a call of the shard for an id that has a container: its time over that of a call that does nothing",
        ),
        ratio(
            "sticky_vs_peer",
            pairs("lookup", "peer_client", "ours")?,
            AtLeast(4.0),
            "the time of the peer's getContainer over that of this call",
        ),
        ratio(
            "client_vs_noop",
            pairs("lookup", "ours_client", "no_op")?,
            Told,
            "createWarmPool and getContainer of the npm package over a call that does nothing",
        ),
        ratio(
            "client_vs_peer",
            pairs("lookup", "peer_client", "ours_client")?,
            Told,
            "the time of the peer's createWarmPool and getContainer over that of ours",
        ),
        ratio(
            "gateway_vs_bare",
            pairs("gateway_throughput_8", "ours", "bare")?,
            AtLeast(0.83),
            "requests a second for known ids over 8 connections, over those of a bare Worker",
        ),
        ratio(
            "gateway_vs_peer",
            pairs("gateway_throughput_8", "ours", "peer")?,
            AtLeast(2.0),
            "the same over those of a Worker with the peer",
        ),
        ratio(
            "assign_100k_vs_100",
            pairs("assign", "ours_100000", "ours_100")?,
            AtMost(1.2),
            "a first assignment in a pool with 100,000 over one in a pool with 100",
        ),
        ratio(
            "assign_10k_vs_peer",
            pairs("assign", "peer_10000", "ours_10000")?,
            AtLeast(10.0),
            "the time of the peer's first assignment in a pool with 10,000 over that of ours",
        ),
        ratio(
            "assign_vs_least",
            pairs("assign", "ours_100", "least")?,
            Told,
            "a first assignment over what two rows in a transaction and the start of a container take",
        ),
        ratio(
            "assign_least_vs_peer",
            pairs("assign", "peer_10000", "least")?,
            Told,
            "the time of the peer's first assignment in a pool with 10,000 over that of this least",
        ),
        ratio(
            "rows_per_assign",
            Some(measured.count("assign_ours", "rowsWritten")?),
            AtMost(2.0),
            "rows written for a first assignment, the start in its container's place among them",
        ),
        ratio(
            "rows_per_sticky",
            Some(measured.count("lookup_ours", "rowsWritten")?),
            AtMost(0.0),
            "rows written for an id that has a container",
        ),
        ratio(
            "tick_millis",
            median("tick", "10000")?,
            AtMost(1.0),
            "ms of the processor that a refresh takes of an idle pool with 10,000, its health checks included",
        ),
        ratio("tick_10k_vs_100", pairs("tick", "10000", "100")?, Told, "such a refresh over one in a pool with 100"),
        ratio(
            "refill_in_starts",
            median("refill", "ours")?,
            AtMost(2.0),
            "until a drained pool of 20 has 20 again, in times that a start takes",
        ),
        ratio("refill_of_peer_in_starts", median("refill", "peer")?, Told, "the same of the peer"),
        ratio(
            "burst_100_vs_peer",
            pairs("bursts", "ours_100", "peer_100")?,
            Told,
            "until 100 ids that come at once to an empty pool have their containers, over the peer's time",
        ),
        ratio(
            "agent_vs_container_class",
            agent.ratio()?,
            AtMost(0.5),
            "from the start of a real container to the first byte, over that of the Container class",
        ),
        ratio(
            "agent_after_open_vs_class",
            agent.after_open_ratio()?,
            Told,
            "the same from the moment the container's port is open: what either class can do anything about",
        ),
        ratio("wasm_kib_gz", Some(measured.facts.wasm_kib_gz), AtMost(250.0), "the wasm, in KiB gzipped"),
        ratio(
            "memory_per_assignment",
            Some(measured.facts.memory.bytes),
            AtMost(300.0),
            "bytes of wasm memory that an assignment takes of a shard, in a shard with 100,000",
        ),
    ])
}
