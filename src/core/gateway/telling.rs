//! Which pools configured by code have told their shards what they are.
//!
//! A pool counts as told only when every shard has heard it. While that is under way no other call repeats it; one that
//! was cut off with the event it ran in is repeated after [`GIVEN_UP_AFTER`].

use std::collections::BTreeMap;

use crate::config::resolved::{Millis, PoolName};

/// After how long a telling that neither succeeded nor failed is taken for lost.
pub const GIVEN_UP_AFTER: Millis = Millis::from_secs(20);

/// What was told by one isolate.
#[derive(Debug, Default)]
pub struct Telling {
    pools: BTreeMap<PoolName, Told>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    UnderWay { since: Millis },
    Done,
}

impl Telling {
    /// Whether the caller has to tell the shards of `pool`; if so, [`Self::ended`] is to follow.
    pub fn begin(&mut self, now: Millis, pool: &PoolName) -> bool {
        match self.pools.get(pool) {
            Some(Told::Done) => return false,
            Some(Told::UnderWay { since }) if now.0 < since.0.saturating_add(GIVEN_UP_AFTER.0) => return false,
            Some(Told::UnderWay { .. }) | None => {}
        }
        self.pools.insert(pool.clone(), Told::UnderWay { since: now });
        true
    }

    /// The telling ended: every shard has heard it, or the next call is to tell them again.
    pub fn ended<E>(&mut self, pool: &PoolName, result: Result<(), E>) {
        match result {
            Ok(()) => {
                self.pools.insert(pool.clone(), Told::Done);
            }
            Err(_) if self.pools.get(pool) == Some(&Told::Done) => {}
            Err(_) => {
                self.pools.remove(pool);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(name: &str) -> PoolName {
        PoolName::try_from(name.to_owned()).unwrap()
    }

    #[test]
    fn shards_are_told_once_by_one_call_at_a_time() {
        let (mut telling, p) = (Telling::default(), pool("p"));
        assert!(telling.begin(Millis(0), &p));
        assert!(!telling.begin(Millis(1), &p), "it is under way");
        assert!(telling.begin(Millis(1), &pool("q")));
        telling.ended(&p, Ok::<(), ()>(()));
        assert!(!telling.begin(Millis(u64::MAX), &p), "it is done");
    }

    #[test]
    fn what_failed_is_told_again_by_the_next_call() {
        let (mut telling, p) = (Telling::default(), pool("p"));
        assert!(telling.begin(Millis(0), &p));
        telling.ended(&p, Err(()));
        assert!(telling.begin(Millis(1), &p));
        telling.ended(&p, Ok::<(), ()>(()));
        telling.ended(&p, Err("one that was taken for lost"));
        assert!(!telling.begin(Millis(2), &p));
    }

    #[test]
    fn what_was_cut_off_is_told_again_in_time() {
        let (mut telling, p) = (Telling::default(), pool("p"));
        assert!(telling.begin(Millis(5), &p));
        assert!(!telling.begin(Millis(GIVEN_UP_AFTER.0 + 4), &p));
        assert!(telling.begin(Millis(GIVEN_UP_AFTER.0 + 5), &p));
    }
}
