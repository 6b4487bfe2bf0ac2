//! Seeds over threads.
//!
//! Seeds are begun in ascending order. So when a sweep is stopped at a seed, all before it are done too, and the lowest
//! seed of which something is true does not depend on how fast the threads are.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::progress::wall_clock;

/// What is told of a sweep.
pub enum News<T> {
    /// A seed is done.
    Done { seed: u64, result: T },
    /// Nothing for a while; these seeds have been under way for so long.
    Quiet(Vec<(u64, Duration)>),
}

/// Does `work` for each seed, on so many threads, and tells `hear` on this one. When that breaks off, seeds which were begun
/// are still done and told.
pub fn sweep<T: Send>(
    seeds: Range<u64>,
    threads: NonZeroUsize,
    work: impl Fn(u64) -> T + Sync,
    mut hear: impl FnMut(News<T>) -> ControlFlow<()>,
) {
    let next = AtomicU64::new(seeds.start);
    let stopped = AtomicBool::new(false);
    let under_way = Mutex::new(BTreeMap::<u64, Instant>::new());
    let draw = || {
        let drawn =
            next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seed| (seed < seeds.end).then(|| seed + 1));
        drawn.ok().filter(|_| !stopped.load(Ordering::Relaxed))
    };
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads.get() {
            let sender = sender.clone();
            scope.spawn(|| {
                let sender = sender;
                while let Some(seed) = draw() {
                    lock(&under_way).insert(seed, wall_clock());
                    let result = work(seed);
                    lock(&under_way).remove(&seed);
                    if sender.send((seed, result)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        loop {
            let news = match receiver.recv_timeout(PULSE) {
                Ok((seed, result)) => News::Done { seed, result },
                Err(RecvTimeoutError::Timeout) => {
                    News::Quiet(lock(&under_way).iter().map(|(&seed, since)| (seed, since.elapsed())).collect())
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if hear(news).is_break() {
                stopped.store(true, Ordering::Relaxed);
            }
        }
    });
}

/// What is behind a lock; a thread that panicked with it did not leave it half changed.
fn lock<T>(behind: &Mutex<T>) -> MutexGuard<'_, T> {
    behind.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long nothing is told at most.
const PULSE: Duration = Duration::from_secs(2);
