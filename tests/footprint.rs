//! What a shard keeps in memory for each assignment, and what a sticky call allocates.
//!
//! The budget is 300 bytes for each assignment where the shard runs: in wasm, whose pointers and lengths are half as long. What is
//! measured here, on a machine of 64 bits, is therefore more than what a Worker takes. `-- --nocapture` prints the numbers.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

#[allow(dead_code, reason = "the benchmarks use it too")]
#[path = "../benches/core/world.rs"]
mod world;

use allocation_counter::{AllocationInfo, measure};
use cf_warm_pools::core::shard::{Rows, Shard};
use world::{START, World, name, rows, session};

/// In wasm, with an id of 36 bytes.
const BUDGET: u64 = 300;

fn measured<T>(make: impl FnOnce() -> T) -> (T, AllocationInfo) {
    let mut made = None;
    let info = measure(|| made = Some(make()));
    (made.unwrap(), info)
}

/// The bytes of a machine of 64 bits that an assignment takes.
fn per_assignment(info: &AllocationInfo, assigned: u64) -> u64 {
    u64::try_from(info.bytes_current).unwrap().div_ceil(assigned)
}

#[test]
fn an_assignment_takes_little_memory_however_many_there_are() {
    for assigned in [10_000, 100_000] {
        let rows: Rows = rows(assigned, 10);
        let (shard, info) = measured(|| Shard::load(name(), rows.clone(), START));
        let bytes = per_assignment(&info, assigned);
        println!("loaded with {assigned}: {bytes} bytes for each");
        assert!(bytes <= BUDGET, "{bytes} bytes for each of {assigned}");
        assert_eq!(u64::from(shard.counts().assigned), assigned);
    }
    let assigned = 10_000;
    let mut world = World::new(0, 10);
    world.settle_refresh();
    let ((), info) = measured(|| (0..assigned).for_each(|_| world.assign_new()));
    let bytes = per_assignment(&info, assigned);
    println!("grown to {assigned}: {bytes} bytes for each");
    assert!(bytes <= BUDGET, "{bytes} bytes for each");
    assert_eq!(u64::from(world.shard.counts().assigned), assigned);
}

#[test]
fn a_sticky_call_allocates_nothing_but_the_name_of_the_binding() {
    let mut world = World::new(1_000, 10);
    let id = session(500);
    world.shard.sticky(&id).unwrap();
    let (assignment, info) = measured(|| world.shard.sticky(&id).unwrap());
    let binding = assignment.binding.unwrap();
    assert_eq!((info.count_total, info.bytes_total), (1, binding.as_str().len() as u64));
}
