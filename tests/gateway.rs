//! The gateway's promise: what it remembers may be stale or forged, and still a request ends at the container of its id,
//! or nowhere. Played with the real memory, hints and way of a request, against containers with a fence.

// A test may panic: that is how it fails.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use cf_warm_pools::config::resolved::PoolName;
use cf_warm_pools::core::agent::Refusal as FenceRefusal;
use cf_warm_pools::core::gateway::dispatch::MAX_SENDS;
use cf_warm_pools::core::gateway::{DenialCode, Destination, Dispatch, Next, Replay, RouteCache, Sticky, hint};
use cf_warm_pools::core::id::{ContainerId, Epoch, SessionId, ShardIndex};
use cf_warm_pools::core::outcome::{Assignment, Outcome};
use proptest::prelude::*;
use proptest::sample::select;

/// Containers with a fence, the shard's books, one isolate's memory, and the id cache.
struct World {
    pool: PoolName,
    /// What each container is bound to; one that is not here is gone.
    bound: BTreeMap<ContainerId, (SessionId, Epoch)>,
    books: BTreeMap<SessionId, Sticky>,
    memory: RouteCache,
    kv: BTreeMap<String, String>,
    next: u64,
}

struct Ended {
    served_by: Option<ContainerId>,
    denied: Option<DenialCode>,
    sends: u32,
}

impl World {
    fn new() -> Self {
        Self {
            pool: PoolName::try_from("python".to_owned()).unwrap(),
            bound: BTreeMap::new(),
            books: BTreeMap::new(),
            memory: RouteCache::default(),
            kv: BTreeMap::new(),
            next: 1,
        }
    }

    fn id(name: &str) -> SessionId {
        SessionId::try_from(name.to_owned()).unwrap()
    }

    /// The shard's answer: the id's container, a new one if it has none.
    fn acquire(&mut self, id: &SessionId) -> Assignment {
        let known = self.books.get(id).copied();
        let sticky = known.unwrap_or_else(|| {
            let sticky = Sticky { container: ContainerId::from_random(self.next.into()), epoch: Epoch(self.next) };
            self.next += 1;
            self.books.insert(id.clone(), sticky);
            self.bound.insert(sticky.container, (id.clone(), sticky.epoch));
            sticky
        });
        let outcome = if known.is_some() { Outcome::Sticky } else { Outcome::Warm };
        let Sticky { container, epoch } = sticky;
        Assignment { container, epoch, fenced: true, outcome, reason: None, shard: ShardIndex(0), binding: None }
    }

    /// The id loses its container, which ends, or (a zombie) lives on until its lease is over.
    fn lose(&mut self, id: &SessionId) {
        if let Some(Sticky { container, .. }) = self.books.remove(id) {
            self.bound.remove(&container);
        }
    }

    /// A fence: who is served is whom the container is bound to.
    fn fence(&self, id: &SessionId, to: &Destination) -> Result<(), FenceRefusal> {
        let Some((bound_to, epoch)) = self.bound.get(&to.container) else { return Err(FenceRefusal::Gone) };
        if bound_to == id && Some(*epoch) == to.fence { Ok(()) } else { Err(FenceRefusal::NotYours) }
    }

    fn request(&mut self, id: &SessionId, replay: Replay) -> Ended {
        let mut ended = Ended { served_by: None, denied: None, sends: 0 };
        let known = self.memory.get(&self.pool, id);
        let (mut way, mut next) = Dispatch::new(replay, known);
        let mut hint = known.is_none().then(|| self.kv.get(&hint::key(&self.pool, id)).cloned()).flatten();
        loop {
            next = match next {
                Next::Ask { .. } => match hint.take().and_then(|text| hint::parse(&text)) {
                    Some(known) => way.hinted(known).unwrap_or(Next::Ask { suspect: None }),
                    None => way.assigned(&self.acquire(id)),
                },
                Next::Send(to) => {
                    ended.sends += 1;
                    match self.fence(id, &to) {
                        Ok(()) => {
                            if let Some(sticky) = to.sticky() {
                                self.memory.put(&self.pool, id, sticky);
                                self.kv.insert(hint::key(&self.pool, id), hint::value(sticky));
                            }
                            ended.served_by = Some(to.container);
                            return ended;
                        }
                        Err(why) => {
                            self.memory.forget(&self.pool, id, to.container);
                            way.fenced(why)
                        }
                    }
                }
                Next::Refuse(denial) => {
                    ended.denied = Some(denial.code);
                    return ended;
                }
            };
        }
    }
}

#[test]
fn a_known_id_is_served_with_one_send_and_no_question() {
    let mut world = World::new();
    let alice = World::id("alice");
    let first = world.request(&alice, Replay::Anytime);
    // The books are closed: who asks now would get another container.
    world.books.clear();
    let again = world.request(&alice, Replay::Anytime);
    assert_eq!((again.served_by, again.sends), (first.served_by, 1));
}

#[test]
fn a_stale_memory_costs_one_send_and_never_shows_anothers_container() {
    let mut world = World::new();
    let (alice, bob) = (World::id("alice"), World::id("bob"));
    let former = world.request(&alice, Replay::IfUnsent).served_by.unwrap();
    world.lose(&alice);
    // By the name of the container that alice had, somebody else is served now.
    world.bound.insert(former, (bob, Epoch(99)));
    let ended = world.request(&alice, Replay::IfUnsent);
    assert_ne!(ended.served_by, Some(former));
    assert_eq!((ended.served_by, ended.sends), (world.books.get(&alice).map(|sticky| sticky.container), 2));
}

#[test]
fn a_forged_hint_costs_one_send_and_never_shows_anothers_container() {
    let mut world = World::new();
    let (alice, bob) = (World::id("alice"), World::id("bob"));
    world.request(&bob, Replay::Anytime);
    let of_bob = *world.books.get(&bob).unwrap();
    world.kv.insert(hint::key(&world.pool, &alice), hint::value(of_bob));
    let ended = world.request(&alice, Replay::Anytime);
    assert_eq!((ended.served_by, ended.sends), (world.books.get(&alice).map(|sticky| sticky.container), 2));
    assert_ne!(ended.served_by, Some(of_bob.container));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_remembered_a_request_ends_at_the_container_of_its_id(
        steps in proptest::collection::vec((0u8..6, 0usize..4, 0usize..4), 1..60),
        replay in select(vec![Replay::Anytime, Replay::IfUnsent, Replay::Never]),
    ) {
        let ids = ["alice", "bob", "carol", "dave"].map(World::id);
        let mut world = World::new();
        for (what, one, other) in steps {
            let (id, another) = (&ids[one], &ids[other]);
            match what {
                0 => world.lose(id),
                1 => {
                    // A forged hint: another's container, perhaps at its true epoch.
                    if let Some(sticky) = world.books.get(another).copied() {
                        world.kv.insert(hint::key(&world.pool, id), hint::value(sticky));
                    }
                }
                2 => {
                    // A memory as wrong as can be.
                    let sticky = Sticky { container: ContainerId::from_random(one as u128), epoch: Epoch(u64::MAX) };
                    world.memory.put(&world.pool, id, sticky);
                }
                3 => world.memory = RouteCache::default(),
                _ => {
                    let ended = world.request(id, replay);
                    prop_assert!(ended.sends <= MAX_SENDS);
                    prop_assert_eq!(ended.denied, None);
                    let own = world.books.get(id).map(|sticky| sticky.container);
                    prop_assert_eq!(ended.served_by, own);
                    if replay == Replay::Never {
                        prop_assert_eq!(ended.sends, 1);
                    }
                }
            }
        }
    }
}
