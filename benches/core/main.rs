//! How long the pure machines take, on this machine and without any runtime: `cargo bench --bench core [-- --quick] [FILTER]`.
//!
//! The medians, in ns, are then in `target/criterion/<group>/<size>/new/estimates.json` under `median.point_estimate`. What counts is
//! how they grow with the size, which is the last part of a name: everything a caller waits for has to be flat.
//!
//! Inputs are the same in each run, and each benchmark first makes sure, once, that it does what its name says.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod coordinator;
mod route;
mod shard;
#[allow(dead_code, reason = "`tests/footprint.rs` uses it too")]
mod world;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(700))
        .sample_size(30)
        .nresamples(5_000)
        .configure_from_args();
    route::all(&mut criterion);
    shard::acquiring(&mut criterion);
    shard::ticking(&mut criterion);
    shard::loading(&mut criterion);
    coordinator::all(&mut criterion);
    criterion.final_summary();
}
