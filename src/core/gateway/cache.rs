//! Which container an id had last, as far as this isolate knows.
//!
//! A container is found by its name and by the binding of its class. So all that is remembered of a pool is of one class, and
//! who asks with another binding finds nothing: a pool that changes its class is remembered anew.
//!
//! At most [`CACHE_CAPACITY`] entries in two generations: new and used ones are in the young one; when that is half the
//! capacity, it becomes the old one, and what was old and not used since is forgotten. So what is in use stays, at the
//! price of a map lookup.

use crate::config::resolved::{BindingName, PoolName};
use crate::core::id::{ContainerId, Epoch, SessionId};
use crate::core::sorted::Map;

/// The most entries. An entry is an id (at most 256 bytes) and 24 bytes, so the worst case is about 3 MB of an isolate's 128.
pub const CACHE_CAPACITY: usize = 10_000;

/// A container that has a fence, and the epoch at which an id has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// The container.
    pub container: ContainerId,
    /// The epoch of the assignment.
    pub epoch: Epoch,
}

/// The remembered containers. What is in it may be out of date; the fence finds that out.
#[derive(Debug)]
pub struct RouteCache {
    half: usize,
    young: Generation,
    old: Generation,
}

impl Default for RouteCache {
    fn default() -> Self {
        Self::with_capacity(CACHE_CAPACITY)
    }
}

impl RouteCache {
    /// A cache of at most `capacity` entries (at least 2).
    pub fn with_capacity(capacity: usize) -> Self {
        Self { half: (capacity / 2).max(1), young: Generation::default(), old: Generation::default() }
    }

    /// The container that `id` had last, if it is behind `binding`.
    pub fn get(&mut self, pool: &PoolName, binding: &BindingName, id: &SessionId) -> Option<Sticky> {
        if let Some(sticky) = self.young.get(pool, binding, id) {
            return Some(sticky);
        }
        self.old.get(pool, binding, id)?;
        let (id, sticky) = self.old.remove(pool, id)?;
        self.put_young(pool, binding, id, sticky);
        Some(sticky)
    }

    /// Remembers that `id` has `sticky`, which is behind `binding`; what was remembered of the pool behind another binding is
    /// forgotten. An entry of a later epoch is not replaced: answers may overtake each other.
    pub fn put(&mut self, pool: &PoolName, binding: &BindingName, id: &SessionId, sticky: Sticky) {
        if self.get(pool, binding, id).is_some_and(|known| known.epoch > sticky.epoch || known == sticky) {
            return;
        }
        self.young.keep_only(pool, binding);
        self.old.keep_only(pool, binding);
        self.put_young(pool, binding, id.clone(), sticky);
    }

    /// Forgets that `id` has `container`, and nothing else it may have got meanwhile.
    pub fn forget(&mut self, pool: &PoolName, id: &SessionId, container: ContainerId) {
        for generation in [&mut self.young, &mut self.old] {
            if generation.has(pool, id, container) {
                generation.remove(pool, id);
            }
        }
    }

    /// Forgets whatever `id` has.
    pub fn forget_id(&mut self, pool: &PoolName, id: &SessionId) {
        self.young.remove(pool, id);
        self.old.remove(pool, id);
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.young.len + self.old.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn put_young(&mut self, pool: &PoolName, binding: &BindingName, id: SessionId, sticky: Sticky) {
        if self.young.len >= self.half && self.young.get(pool, binding, &id).is_none() {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(pool, binding, id, sticky);
    }
}

#[derive(Debug, Default)]
struct Generation {
    // Nested, so that a lookup needs no owned key.
    pools: Map<PoolName, OfPool>,
    len: usize,
}

/// What is remembered of one pool. While a pool is in both generations, its binding is the same in both.
#[derive(Debug)]
struct OfPool {
    binding: BindingName,
    ids: Map<SessionId, Sticky>,
}

impl Generation {
    fn get(&self, pool: &PoolName, binding: &BindingName, id: &SessionId) -> Option<Sticky> {
        self.pools.get(pool).filter(|pool| pool.binding == *binding)?.ids.get(id).copied()
    }

    fn has(&self, pool: &PoolName, id: &SessionId, container: ContainerId) -> bool {
        let sticky = self.pools.get(pool).and_then(|pool| pool.ids.get(id));
        sticky.is_some_and(|sticky| sticky.container == container)
    }

    fn remove(&mut self, pool: &PoolName, id: &SessionId) -> Option<(SessionId, Sticky)> {
        let removed = self.pools.get_mut(pool)?.ids.remove_entry(id)?;
        self.len -= 1;
        Some(removed)
    }

    fn keep_only(&mut self, pool: &PoolName, binding: &BindingName) {
        if self.pools.get(pool).is_some_and(|pool| pool.binding != *binding)
            && let Some(other) = self.pools.remove(pool)
        {
            self.len -= other.ids.len();
        }
    }

    /// Only after [`Self::keep_only`], or with the binding that the pool is known to have.
    fn insert(&mut self, pool: &PoolName, binding: &BindingName, id: SessionId, sticky: Sticky) {
        let of_pool = match self.pools.get_mut(pool) {
            Some(of_pool) => of_pool,
            None => {
                let nothing = OfPool { binding: binding.clone(), ids: Map::new() };
                self.pools.entry(pool.clone()).or_insert(nothing)
            }
        };
        if of_pool.ids.insert(id, sticky).is_none() {
            self.len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pool(name: &str) -> PoolName {
        PoolName::try_from(name.to_owned()).unwrap()
    }

    fn binding(name: &str) -> BindingName {
        BindingName::try_from(name.to_owned()).unwrap()
    }

    fn id(n: u32) -> SessionId {
        SessionId::try_from(format!("id-{n}")).unwrap()
    }

    fn sticky(container: u128, epoch: u64) -> Sticky {
        Sticky { container: ContainerId::from_random(container), epoch: Epoch(epoch) }
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut cache = RouteCache::with_capacity(10);
        let (p, b) = (pool("p"), binding("B"));
        cache.put(&p, &b, &id(0), sticky(0, 1));
        for n in 1..100 {
            cache.put(&p, &b, &id(n), sticky(u128::from(n), 1));
            assert_eq!(cache.get(&p, &b, &id(0)), Some(sticky(0, 1)), "after {n}");
        }
        assert_eq!(cache.get(&p, &b, &id(99)), Some(sticky(99, 1)));
        assert_eq!(cache.get(&p, &b, &id(1)), None);
    }

    #[test]
    fn the_same_id_of_another_pool_is_another_entry() {
        let mut cache = RouteCache::default();
        let b = binding("B");
        cache.put(&pool("a"), &b, &id(1), sticky(1, 1));
        cache.put(&pool("b"), &b, &id(1), sticky(2, 1));
        assert_eq!(cache.get(&pool("a"), &b, &id(1)), Some(sticky(1, 1)));
        assert_eq!(cache.get(&pool("b"), &b, &id(1)), Some(sticky(2, 1)));
    }

    #[test]
    fn a_pool_that_changes_its_class_is_remembered_anew() {
        let mut cache = RouteCache::with_capacity(6);
        let (former, now, other) = (binding("FORMER"), binding("NOW"), binding("OTHER"));
        cache.put(&pool("q"), &other, &id(1), sticky(9, 1));
        // Enough that some are in the old generation.
        for n in 1..=4 {
            cache.put(&pool("p"), &former, &id(n), sticky(u128::from(n), 1));
        }
        assert_eq!(cache.get(&pool("p"), &now, &id(4)), None, "its name leads to another object there");
        assert_eq!(cache.get(&pool("p"), &former, &id(4)), Some(sticky(4, 1)), "who still asks as before finds it");
        cache.put(&pool("p"), &now, &id(5), sticky(5, 2));
        assert_eq!(cache.get(&pool("p"), &now, &id(5)), Some(sticky(5, 2)));
        for n in 1..=4 {
            for binding in [&former, &now] {
                assert_eq!(cache.get(&pool("p"), binding, &id(n)), None, "id-{n} behind {binding}");
            }
        }
        assert_eq!(cache.get(&pool("q"), &other, &id(1)), Some(sticky(9, 1)), "it is another pool");
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn an_answer_that_comes_late_does_not_replace_a_newer_one() {
        let mut cache = RouteCache::default();
        let (p, b) = (pool("p"), binding("B"));
        cache.put(&p, &b, &id(1), sticky(2, 2));
        cache.put(&p, &b, &id(1), sticky(1, 1));
        assert_eq!(cache.get(&p, &b, &id(1)), Some(sticky(2, 2)));
        cache.put(&p, &b, &id(1), sticky(3, 3));
        assert_eq!(cache.get(&p, &b, &id(1)), Some(sticky(3, 3)));
    }

    #[test]
    fn forgetting_a_container_spares_its_successor() {
        let mut cache = RouteCache::default();
        let (p, b) = (pool("p"), binding("B"));
        cache.put(&p, &b, &id(1), sticky(2, 2));
        cache.forget(&p, &id(1), ContainerId::from_random(1));
        assert_eq!(cache.get(&p, &b, &id(1)), Some(sticky(2, 2)));
        cache.forget(&p, &id(1), ContainerId::from_random(2));
        assert_eq!(cache.get(&p, &b, &id(1)), None);
        assert!(cache.is_empty());
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bound_and_never_invents(
            capacity in 2usize..40,
            steps in proptest::collection::vec((0u8..4, 0u32..60, 0u64..4, 0usize..8), 0..400),
        ) {
            let mut cache = RouteCache::with_capacity(capacity);
            // What each id was told to have since the pool's class last changed.
            let mut told: Map<u32, Vec<Sticky>> = Map::new();
            let p = pool("p");
            let bindings = ["A", "B"].map(binding);
            let mut current = 0;
            for (what, n, epoch, which) in steps {
                // Mostly the first one, so that there is something to be forgotten.
                let which = usize::from(which == 0);
                match what {
                    0 | 1 => {
                        let entry = sticky(u128::from(n) * 10 + u128::from(epoch), epoch);
                        cache.put(&p, &bindings[which], &id(n), entry);
                        if which != current {
                            told.clear();
                            current = which;
                        }
                        told.entry(n).or_default().push(entry);
                        prop_assert!(cache.get(&p, &bindings[which], &id(n)).is_some());
                    }
                    2 => cache.forget_id(&p, &id(n)),
                    _ => {
                        if let Some(entry) = cache.get(&p, &bindings[which], &id(n)) {
                            prop_assert_eq!(which, current);
                            prop_assert!(told.get(&n).is_some_and(|told| told.contains(&entry)));
                        }
                    }
                }
                prop_assert!(cache.len() <= capacity);
                let counted: usize =
                    [&cache.young, &cache.old].iter().flat_map(|g| g.pools.values()).map(|pool| pool.ids.len()).sum();
                prop_assert_eq!(cache.len(), counted);
            }
        }
    }
}
