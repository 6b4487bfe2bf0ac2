//! One shard: acquiring, the tick, loading.

use std::hint::black_box;
use std::time::Duration;

use cf_warm_pools::core::id::{ContainerId, SessionId};
use cf_warm_pools::core::outcome::Outcome as How;
use cf_warm_pools::core::shard::{
    Action, CHECKS_PER_REFRESH, Call, Rows, Shard, State, WARM_CHECKS_PER_REFRESH, Write,
};
use criterion::{BatchSize, BenchmarkId, Criterion};

use crate::world::{Outcome, SIZES, START, World, called, name, rows, session};

/// Containers kept warm, where not stated otherwise.
const STOCK: u64 = 10;

pub fn acquiring(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sticky");
    for assigned in SIZES {
        let ids: Vec<SessionId> = (0..assigned).map(session).collect();
        let mut world = None;
        let mut next = ids.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(assigned), |bencher| {
            let World { shard, .. } = world.get_or_insert_with(|| checked_sticky(assigned, &ids));
            bencher.iter(|| shard.sticky(black_box(next.next().unwrap())));
        });
    }
    group.finish();
    // An id that has none: the step that gives it a warm container and starts the successor.
    let mut group = criterion.benchmark_group("warm_acquire");
    for assigned in SIZES {
        let mut world = None;
        group.bench_function(BenchmarkId::from_parameter(assigned), |bencher| {
            let world = world.get_or_insert_with(|| checked_warm(assigned, STOCK));
            bencher.iter_custom(|times| (0..times).map(|_| acquired(world).0).sum());
        });
    }
    group.finish();
    // That, and all steps until the container is gone.
    let mut group = criterion.benchmark_group("container_life");
    for assigned in SIZES {
        let mut world = None;
        group.bench_function(BenchmarkId::from_parameter(assigned), |bencher| {
            let world = world.get_or_insert_with(|| checked_warm(assigned, STOCK));
            bencher.iter_custom(|times| (0..times).map(|_| acquired(world)).map(|(own, rest)| own + rest).sum());
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("warm_acquire_by_stock");
    for stock in [10, 100, 1_000, 10_000] {
        let mut world = None;
        group.bench_function(BenchmarkId::from_parameter(stock), |bencher| {
            let world = world.get_or_insert_with(|| checked_warm(1_000, stock));
            bencher.iter_custom(|times| (0..times).map(|_| acquired(world).0).sum());
        });
    }
    group.finish();
}

fn acquired(world: &mut World) -> (Duration, Duration) {
    let (id, outcome) = world.acquire_new();
    (outcome.took, world.undo(id, &outcome))
}

fn checked_sticky(assigned: u64, ids: &[SessionId]) -> World {
    let mut world = World::new(assigned, STOCK);
    for id in ids {
        let assignment = world.shard.sticky(id).unwrap();
        assert_eq!((assignment.outcome, assignment.fenced), (How::Sticky, true));
    }
    world
}

fn checked_warm(assigned: u64, stock: u64) -> World {
    let mut world = World::new(assigned, stock);
    world.settle_refresh();
    for _ in 0..3 {
        let (id, outcome) = world.acquire_new();
        let Outcome { writes, actions, events, .. } = &outcome;
        let is_row = |write: &&Write| matches!(write, Write::PutContainer(_));
        // Now and then one more reserves epochs.
        assert_eq!((writes.iter().filter(is_row).count(), writes.len() <= 3), (2, true), "{writes:?}");
        assert!(matches!(&actions[0], Action::Reply(_, Ok(assignment)) if assignment.outcome == How::Warm));
        assert_eq!((actions.len(), events.len()), (2, 2), "{actions:?}");
        assert_eq!(called(actions, |call| matches!(call, Call::Start(_))).len(), 1, "the successor");
        world.undo(id, &outcome);
        let counts = world.shard.counts();
        let others = counts.starting + counts.draining + counts.moving;
        assert_eq!((u64::from(counts.assigned), u64::from(counts.warm), others), (assigned, stock, 0));
    }
    world
}

pub fn ticking(criterion: &mut Criterion) {
    // The step of a refresh that is due: nothing else has happened.
    let mut group = criterion.benchmark_group("tick");
    for assigned in SIZES {
        let mut world = None;
        group.bench_function(BenchmarkId::from_parameter(assigned), |bencher| {
            let world = world.get_or_insert_with(|| checked_tick(assigned));
            bencher.iter_custom(|times| (0..times).map(|_| world.settle_refresh().0.took).sum());
        });
    }
    group.finish();
    // That, and the steps that take the answers to its checks.
    let mut group = criterion.benchmark_group("tick_and_answers");
    for assigned in SIZES {
        let mut world = None;
        group.bench_function(BenchmarkId::from_parameter(assigned), |bencher| {
            let world = world.get_or_insert_with(|| checked_tick(assigned));
            let tick = |world: &mut World| {
                let (tick, answers) = world.settle_refresh();
                tick.took + answers
            };
            bencher.iter_custom(|times| (0..times).map(|_| tick(world)).sum());
        });
    }
    group.finish();
}

fn checked_tick(assigned: u64) -> World {
    let mut world = World::new(assigned, STOCK);
    let (tick, _) = world.settle_refresh();
    let Outcome { writes, actions, events, .. } = &tick;
    assert!(writes.is_empty() && events.is_empty(), "{writes:?} {events:?}");
    let page = assigned.min(CHECKS_PER_REFRESH as u64) + STOCK.min(WARM_CHECKS_PER_REFRESH as u64);
    let checked = called(actions, |call| *call == Call::Check).len() as u64;
    assert_eq!((checked, actions.len() as u64), (page, page + 1), "a page of checks and the report");
    assert!(actions.contains(&Action::Report));
    world
}

pub fn loading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10);
    for assigned in SIZES {
        let mut rows = None;
        group.bench_function(BenchmarkId::from_parameter(assigned), |bencher| {
            let rows = rows.get_or_insert_with(|| checked_rows(assigned));
            let load = |rows: Rows| Shard::load(name(), rows, START);
            bencher.iter_batched(|| rows.clone(), load, BatchSize::PerIteration);
        });
    }
    group.finish();
    // The part of reading a row that is not SQLite's.
    let text = "6fa459ea-ee8a-4ca4-894e-db77e160355e";
    assert_eq!(text.parse::<ContainerId>().unwrap().to_string(), text);
    criterion.bench_function("parse_container_id", |bencher| {
        bencher.iter(|| black_box(text).parse::<ContainerId>());
    });
}

fn checked_rows(assigned: u64) -> Rows {
    let rows = rows(assigned, STOCK);
    let shard = Shard::load(name(), rows.clone(), START);
    assert_eq!(shard.rows(), rows);
    let is_assigned = |state: &State| matches!(state, State::Assigned { .. });
    assert_eq!(shard.containers().filter(|row| is_assigned(&row.state)).count() as u64, assigned);
    rows
}
