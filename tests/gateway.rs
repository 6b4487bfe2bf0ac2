//! The gateway's promise: what it remembers may be stale or forged, and still a request ends at the container of its id,
//! or nowhere. Played with the real memory, hints and way of a request, against containers with and without a fence.

// A test may panic: that is how it fails.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use cf_warm_pools::config::resolved::{BindingName, Millis, PoolName};
use cf_warm_pools::core::agent::Refusal as FenceRefusal;
use cf_warm_pools::core::coordinator::{Ask, Change, ConfigSource, Coordinator, Deployed, Effects, Input, Registry};
use cf_warm_pools::core::gateway::dispatch::MAX_SENDS;
use cf_warm_pools::core::gateway::hint::{self, Correction};
use cf_warm_pools::core::gateway::{
    DenialCode, Destination, Dispatch, Fences, Next, Replay, RouteCache, Routing, Sticky,
};
use cf_warm_pools::core::id::{ContainerId, Epoch, SessionId, ShardIndex};
use cf_warm_pools::core::outcome::{Assignment, Outcome};
use cf_warm_pools::core::sorted::Map;
use proptest::prelude::*;
use proptest::sample::select;

/// Two classes with a fence, and one without.
const CLASSES: [&str; 3] = ["AGENT", "AGENT_2", "CLASS"];

/// Objects of containers, the shard's books, one isolate, and the id cache.
struct World {
    pool: PoolName,
    /// What each object is bound to, by its binding and its name; any other object never served an id, or serves none any more.
    bound: BTreeMap<(BindingName, ContainerId), (SessionId, Epoch)>,
    /// Containers whose calls fail.
    unreachable: BTreeSet<ContainerId>,
    books: BTreeMap<SessionId, (BindingName, Sticky)>,
    /// The class that the shard starts containers of.
    starts: BindingName,
    /// The class that the isolate takes for the pool's.
    configured: BindingName,
    memory: RouteCache,
    fences: Fences,
    kv: BTreeMap<String, String>,
    next: u64,
}

struct Ended {
    served_by: Option<ContainerId>,
    denied: Option<DenialCode>,
    sends: u32,
}

/// What becomes of a request at an object.
enum Sent {
    Served,
    Fenced(FenceRefusal),
    Failed,
}

impl World {
    fn new() -> Self {
        Self {
            pool: PoolName::try_from("python".to_owned()).unwrap(),
            bound: BTreeMap::new(),
            unreachable: BTreeSet::new(),
            books: BTreeMap::new(),
            starts: Self::binding("AGENT"),
            configured: Self::binding("AGENT"),
            memory: RouteCache::default(),
            fences: Fences::default(),
            kv: BTreeMap::new(),
            next: 1,
        }
    }

    fn id(name: &str) -> SessionId {
        SessionId::try_from(name.to_owned()).unwrap()
    }

    fn binding(name: &str) -> BindingName {
        BindingName::try_from(name.to_owned()).unwrap()
    }

    fn has_fence(binding: &BindingName) -> bool {
        binding.as_str() != "CLASS"
    }

    fn new_isolate(&mut self) {
        self.memory = RouteCache::default();
        self.fences = Fences::default();
    }

    /// The container that an id has on the books.
    fn own(&self, id: &SessionId) -> Option<ContainerId> {
        self.books.get(id).map(|(_, sticky)| sticky.container)
    }

    fn hint(&mut self, id: &SessionId, sticky: Sticky) {
        self.kv.insert(hint::key(&self.pool, id), hint::value(sticky));
    }

    fn hinted(&self, id: &SessionId) -> Option<Sticky> {
        self.kv.get(&hint::key(&self.pool, id)).and_then(|text| hint::parse(text))
    }

    /// The shard's answer: the id's container, a new one if it has none.
    fn acquire(&mut self, id: &SessionId) -> Assignment {
        let known = self.books.get(id).cloned();
        let outcome = if known.is_some() { Outcome::Sticky } else { Outcome::Warm };
        let (binding, sticky) = known.unwrap_or_else(|| {
            let sticky = Sticky { container: ContainerId::from_random(self.next.into()), epoch: Epoch(self.next) };
            self.next += 1;
            self.books.insert(id.clone(), (self.starts.clone(), sticky));
            self.bound.insert((self.starts.clone(), sticky.container), (id.clone(), sticky.epoch));
            (self.starts.clone(), sticky)
        });
        let fenced = Self::has_fence(&binding);
        self.fences.note(&binding, fenced);
        let Sticky { container, epoch } = sticky;
        Assignment { container, epoch, fenced, outcome, reason: None, shard: ShardIndex(0), binding: Some(binding) }
    }

    /// The id loses its container, which ends.
    fn lose(&mut self, id: &SessionId) {
        if let Some((binding, Sticky { container, .. })) = self.books.remove(id) {
            self.bound.remove(&(binding, container));
        }
    }

    /// Sends a request to an object. Of a class without a fence each serves whoever comes, and starts a container for it.
    fn send(&self, id: &SessionId, to: &Destination) -> Sent {
        if self.unreachable.contains(&to.container) {
            return Sent::Failed;
        }
        let binding = to.binding(&self.configured);
        match self.bound.get(&(binding.clone(), to.container)) {
            Some((bound_to, epoch)) if bound_to == id && (!Self::has_fence(binding) || to.fence == Some(*epoch)) => {
                Sent::Served
            }
            object => {
                assert!(Self::has_fence(binding), "{} started a container of its own, behind {binding}", to.container);
                Sent::Fenced(if object.is_some() { FenceRefusal::NotYours } else { FenceRefusal::Gone })
            }
        }
    }

    fn request(&mut self, id: &SessionId, replay: Replay) -> Ended {
        let mut ended = Ended { served_by: None, denied: None, sends: 0 };
        let known = self.memory.get(&self.pool, &self.configured, id);
        let (mut way, mut next) = Dispatch::new(replay, known);
        let may_hint = known.is_none() && self.fences.has(&self.configured);
        let mut hint = self.hinted(id).filter(|_| may_hint);
        let mut tried = None;
        loop {
            next = match next {
                Next::Ask { .. } => match hint.take().and_then(|hint| way.hinted(hint).map(|next| (hint, next))) {
                    Some((hint, next)) => {
                        tried = Some(hint);
                        next
                    }
                    None => {
                        let assignment = self.acquire(id);
                        let sticky = Destination::from(&assignment).sticky(&self.configured);
                        let correction = match tried.take() {
                            Some(tried) => hint::correction(tried, sticky),
                            None => sticky.map(Correction::Write),
                        };
                        match correction {
                            Some(Correction::Write(sticky)) => self.hint(id, sticky),
                            Some(Correction::Forget) => drop(self.kv.remove(&hint::key(&self.pool, id))),
                            None => {}
                        }
                        way.assigned(&assignment)
                    }
                },
                Next::Send(to) => {
                    ended.sends += 1;
                    match self.send(id, &to) {
                        Sent::Served => {
                            if let Some(sticky) = to.sticky(&self.configured) {
                                self.memory.put(&self.pool, &self.configured, id, sticky);
                            }
                            ended.served_by = Some(to.container);
                            return ended;
                        }
                        Sent::Fenced(why) => {
                            self.memory.forget(&self.pool, id, to.container);
                            way.fenced(why)
                        }
                        Sent::Failed => {
                            self.memory.forget(&self.pool, id, to.container);
                            way.unreachable()
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
    world.bound.insert((world.configured.clone(), former), (bob, Epoch(99)));
    let ended = world.request(&alice, Replay::IfUnsent);
    assert_ne!(ended.served_by, Some(former));
    assert_eq!((ended.served_by, ended.sends), (world.own(&alice), 2));
}

#[test]
fn after_a_change_of_class_no_memory_leads_to_an_object_of_the_new_one() {
    let mut world = World::new();
    let (alice, bob) = (World::id("alice"), World::id("bob"));
    let first = world.request(&alice, Replay::Anytime).served_by;
    // The pool changes to a class without a fence, of which the isolate hears first.
    world.configured = World::binding("CLASS");
    let again = world.request(&alice, Replay::Anytime);
    assert_eq!((again.served_by, again.sends), (first, 1), "it keeps its container of the former class");
    world.starts = World::binding("CLASS");
    assert_eq!(world.request(&bob, Replay::Anytime).served_by, world.own(&bob));
    // An isolate that has not heard of it is told by the shard.
    world.configured = World::binding("AGENT");
    assert_eq!(world.request(&bob, Replay::Anytime).served_by, world.own(&bob));
}

#[test]
fn a_forged_hint_costs_one_send_and_never_shows_anothers_container() {
    let mut world = World::new();
    let (alice, bob) = (World::id("alice"), World::id("bob"));
    world.request(&bob, Replay::Anytime);
    let (_, of_bob) = world.books.get(&bob).cloned().unwrap();
    world.hint(&alice, of_bob);
    let ended = world.request(&alice, Replay::Anytime);
    assert_eq!((ended.served_by, ended.sends), (world.own(&alice), 2));
    assert_ne!(ended.served_by, Some(of_bob.container));
}

#[test]
fn who_finds_a_hint_wrong_mends_it() {
    let mut world = World::new();
    let (alice, bob) = (World::id("alice"), World::id("bob"));
    world.request(&bob, Replay::Anytime);
    let (_, of_bob) = world.books.get(&bob).cloned().unwrap();
    world.hint(&alice, of_bob);
    world.request(&alice, Replay::Anytime);
    assert_eq!(world.hinted(&alice), world.books.get(&alice).map(|(_, sticky)| *sticky));
    // And one for an id whose container no hint may name.
    let carol = World::id("carol");
    world.starts = World::binding("AGENT_2");
    world.hint(&carol, of_bob);
    world.request(&carol, Replay::Anytime);
    assert_eq!(world.hinted(&carol), None);
}

#[test]
fn a_hint_is_followed_only_to_a_class_that_is_known_to_have_a_fence() {
    let mut world = World::new();
    let alice = World::id("alice");
    let first = world.request(&alice, Replay::Anytime).served_by;
    for configured in ["CLASS", "AGENT"] {
        world.new_isolate();
        world.configured = World::binding(configured);
        let ended = world.request(&alice, Replay::Anytime);
        assert_eq!((ended.served_by, ended.sends), (first, 1), "{configured}");
    }
    // Another id's answer has said what class that is: the hint serves without the shard.
    world.new_isolate();
    world.request(&World::id("bob"), Replay::Anytime);
    world.books.clear();
    assert_eq!(world.request(&alice, Replay::Anytime).served_by, first);
}

#[test]
fn a_hint_to_nobody_ends_no_request_that_cannot_be_repeated() {
    for replay in [Replay::Anytime, Replay::IfUnsent, Replay::Never] {
        let mut world = World::new();
        let alice = World::id("alice");
        world.request(&World::id("bob"), Replay::Anytime);
        let nobody = ContainerId::from_random(u128::MAX);
        world.unreachable.insert(nobody);
        world.hint(&alice, Sticky { container: nobody, epoch: Epoch(1) });
        let ended = world.request(&alice, replay);
        assert_eq!((ended.denied, ended.served_by), (None, world.own(&alice)), "{replay:?}");
    }
}

#[test]
fn a_router_that_tells_a_shard_a_plan_tells_it_the_coordinators() {
    let config = |shards: u32| {
        let text = format!(
            r#"{{"pools": {{
                "python": {{"container": "AGENT", "shards": {shards}, "warm_target": 9, "max_instances": 40}},
                "ruby": {{"container": "AGENT", "shards": 3}},
                "go": {{"container": "CLASS", "shards": 2}}
            }}}}"#
        );
        cf_warm_pools::config::parse_json(&text).unwrap()
    };
    let mut coordinator = Coordinator::load(Registry::default(), Map::new(), Map::new());
    let deployed = Deployed { stamp: 100, source: ConfigSource::Bundled, config: config(1) };
    let mut routing = Routing::carried(Rc::new(config(1)), ConfigSource::Bundled, 100);
    let change = |ask| Input::Change(Box::new(Change::of(ask)));
    for input in [Input::Deployed(Box::new(deployed)), change(Ask::Put(config(4))), change(Ask::Drop)] {
        coordinator.step(Millis(1_000), input, &mut Effects::default());
        assert!(routing.adopt(coordinator.in_force()));
        for shard in coordinator.shards() {
            // Its share of the stock is a matter of demand, of which the coordinator tells it besides.
            let plan = coordinator.plan_of(&shard).map(|plan| plan.of_sibling(shard.index));
            assert_eq!(routing.plan_for(&shard.pool, shard.index), plan, "{shard}");
        }
    }
    assert!(!coordinator.moving_from().is_empty(), "else the test says nothing of migrations");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_remembered_a_request_ends_at_the_container_of_its_id(
        steps in proptest::collection::vec((0u8..9, 0usize..4, 0usize..4), 1..60),
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
                    if let Some((_, sticky)) = world.books.get(another).cloned() {
                        world.hint(id, sticky);
                    }
                }
                2 => {
                    // A memory as wrong as can be.
                    let sticky = Sticky { container: ContainerId::from_random(one as u128), epoch: Epoch(u64::MAX) };
                    let binding = world.configured.clone();
                    if World::has_fence(&binding) {
                        world.memory.put(&world.pool, &binding, id, sticky);
                    }
                }
                3 => world.new_isolate(),
                4 => world.starts = World::binding(CLASSES[one % CLASSES.len()]),
                5 => world.configured = World::binding(CLASSES[one % CLASSES.len()]),
                _ => {
                    let ended = world.request(id, replay);
                    prop_assert!(ended.sends <= MAX_SENDS);
                    prop_assert_eq!(ended.denied, None);
                    prop_assert_eq!(ended.served_by, world.own(id));
                    if replay == Replay::Never {
                        prop_assert_eq!(ended.sends, 1);
                    }
                }
            }
        }
    }
}
