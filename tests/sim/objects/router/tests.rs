//! A router alone, among shards and containers that say what a test has them say.

use std::rc::Rc;

use cf_warm_pools::config::resolved::{BindingName, Millis, ShardCount};
use cf_warm_pools::config::{Config, parse_json};
use cf_warm_pools::core::agent::Refusal as FenceRefusal;
use cf_warm_pools::core::coordinator::ConfigSource;
use cf_warm_pools::core::gateway::owner::MAX_ROUNDS;
use cf_warm_pools::core::gateway::{REFRESH_EVERY, Replay, Sticky, hint};
use cf_warm_pools::core::id::{ContainerId, Epoch, SessionId, ShardIndex};
use cf_warm_pools::core::outcome::{Assignment, Outcome, Refusal, RefusalCode};
use cf_warm_pools::core::plan::{Plan, PlanVersion};
use cf_warm_pools::core::route::shard_of;
use cf_warm_pools::core::sorted::Map;
use cf_warm_pools::wire::coordinator::{ConfigView, PlanReply};
use cf_warm_pools::wire::shard::{AcquireReply, AcquireRequest};
use libtest_mimic::Trial;

use super::{FOUND_WITHIN, RouterObject};
use crate::faults::Rates;
use crate::objects::Object;
use crate::schedule::Schedule;
use crate::trace::Trace;
use crate::world::message::{Addr, Fetched, Request, RequestNo, Response, pool_name};
use crate::world::{Deploy, Happening, Private, World};

/// All tests of a router.
pub fn trials() -> Vec<Trial> {
    let tests: [(&str, fn()); 21] = [
        ("a_known_id_goes_straight_to_its_container", a_known_id_goes_straight_to_its_container),
        ("a_stale_memory_costs_one_question", a_stale_memory_costs_one_question),
        ("nothing_is_remembered_of_containers_without_a_fence", nothing_is_remembered_of_containers_without_a_fence),
        ("a_wrong_shard_count_is_corrected_for_good", a_wrong_shard_count_is_corrected_for_good),
        ("shards_that_disagree_for_ever_are_given_up", shards_that_disagree_for_ever_are_given_up),
        ("a_shard_that_is_behind_is_handed_the_plan", a_shard_that_is_behind_is_handed_the_plan),
        ("a_plan_that_a_shard_told_of_is_fetched_there", a_plan_that_a_shard_told_of_is_fetched_there),
        ("a_call_that_throws_is_repeated_once", a_call_that_throws_is_repeated_once),
        ("a_lookup_and_a_release_that_throw_are_repeated_once", a_lookup_and_a_release_that_throw_are_repeated_once),
        ("a_hint_serves_before_the_shard_has_answered", a_hint_serves_before_the_shard_has_answered),
        ("a_wrong_hint_waits_for_the_shard", a_wrong_hint_waits_for_the_shard),
        ("a_wrong_hint_makes_way_for_the_shards_answer", a_wrong_hint_makes_way_for_the_shards_answer),
        ("a_hint_waits_for_word_of_a_fence", a_hint_waits_for_word_of_a_fence),
        ("a_hint_is_not_for_what_cannot_be_repeated", a_hint_is_not_for_what_cannot_be_repeated),
        ("a_container_behind_another_binding_is_reached_by_it", a_container_behind_another_binding_is_reached_by_it),
        ("nothing_is_remembered_beyond_a_change_of_class", nothing_is_remembered_beyond_a_change_of_class),
        ("an_unknown_pool_is_sought_at_the_coordinator", an_unknown_pool_is_sought_at_the_coordinator),
        ("a_new_pool_is_found_by_all_who_come_after_a_pause", a_new_pool_is_found_by_all_who_come_after_a_pause),
        ("a_pool_that_is_nowhere_is_not_found", a_pool_that_is_nowhere_is_not_found),
        ("a_coordinator_that_is_silent_is_not_waited_for_long", a_coordinator_that_is_silent_is_not_waited_for_long),
        ("what_is_under_way_is_lost_with_the_isolate", what_is_under_way_is_lost_with_the_isolate),
    ];
    tests
        .into_iter()
        .map(|(name, test)| {
            Trial::test(format!("router::{name}"), move || {
                test();
                Ok(())
            })
        })
        .collect()
}

fn a_known_id_goes_straight_to_its_container() {
    let mut stage = Stage::new();
    stage.request(1, Replay::Anytime);
    assert_eq!(stage.play(|request| assigns(request, 1)), ["acquire", "fetch 1"]);
    stage.request(2, Replay::Anytime);
    assert_eq!(stage.play(|request| assigns(request, 1)), ["fetch 1"]);
    stage.expect(&[(1, "Served"), (2, "Served")]);
}

fn a_stale_memory_costs_one_question() {
    let mut stage = Stage::new();
    stage.request(1, Replay::IfUnsent);
    stage.play(|request| assigns(request, 1));
    stage.request(2, Replay::IfUnsent);
    let calls = stage.play(|request| match fetched(request) {
        Some(to) if to == container(1) => Some(Response::Fetched(Fetched::Fenced(FenceRefusal::NotYours))),
        _ => assigns(request, 2),
    });
    assert_eq!(calls, ["fetch 1", "acquire", "fetch 2"]);
    stage.expect(&[(1, "Served"), (2, "Served")]);
}

fn nothing_is_remembered_of_containers_without_a_fence() {
    let mut stage = Stage::new();
    for number in [1, 2] {
        stage.request(number, Replay::Anytime);
        let calls = stage.play(|(_, request)| {
            Some(match request {
                Request::Acquire(_) => Response::Acquired(AcquireReply::Assigned(assignment(1, false))),
                _ => Response::Fetched(Fetched::Served),
            })
        });
        assert_eq!(calls, ["acquire", "fetch 1"]);
    }
    assert_eq!(stage.world.kv_read(&key()), Ok(None));
}

fn a_wrong_shard_count_is_corrected_for_good() {
    let mut stage = Stage::new();
    let in_force = |call: (Addr, &Request)| match call.1 {
        Request::Acquire(AcquireRequest { shards: Some(2), .. }) => assigns(call, 1),
        Request::Acquire(_) => Some(wrong_shard(1, 2)),
        _ => assigns(call, 1),
    };
    stage.router.get_container(&mut stage.world, RequestNo(1), 0, &id());
    assert_eq!(stage.play(in_force), ["acquire", "acquire", "fetch 1"]);
    stage.router.get_container(&mut stage.world, RequestNo(2), 0, &id());
    assert_eq!(stage.play(in_force), ["acquire", "fetch 1"]);
    stage.expect(&[(1, "Done"), (2, "Done")]);
}

fn shards_that_disagree_for_ever_are_given_up() {
    let mut stage = Stage::new();
    let mut version = 0;
    stage.router.get_container(&mut stage.world, RequestNo(1), 0, &id());
    let calls = stage.play(|(_, request)| match request {
        Request::Acquire(AcquireRequest { shards, .. }) => {
            version += 1;
            Some(wrong_shard(version, if *shards == Some(2) { 3 } else { 2 }))
        }
        _ => None,
    });
    assert_eq!(calls, vec!["acquire"; MAX_ROUNDS as usize + 1]);
    stage.expect(&[(1, "Refused(WrongShard)")]);
}

fn a_shard_that_is_behind_is_handed_the_plan() {
    let mut stage = Stage::new();
    stage.coordinator = Coordinator::Changed(config("AGENT", &["p0"]));
    stage.router.lookup(&mut stage.world, RequestNo(1), 0, &id());
    assert_eq!(stage.play(|_| Some(Response::Found)), ["lookup"]);
    let mut works_by = 0;
    stage.request(2, Replay::Anytime);
    let calls = stage.play(|call| match call.1 {
        Request::Configure(plan) => {
            works_by = plan.version.version;
            assert_eq!((works_by, plan.pool.shards.get()), (1, 4));
            Some(Response::Configured(plan.version))
        }
        Request::Acquire(_) if works_by == 0 => Some(wrong_shard(0, 3)),
        _ => assigns(call, 1),
    });
    assert_eq!(calls, ["acquire", "configure", "acquire", "fetch 1"]);
    stage.expect(&[(1, "Done"), (2, "Served")]);
}

fn a_plan_that_a_shard_told_of_is_fetched_there() {
    let mut stage = Stage::new();
    let first = shard_of(&pool_name(0), &id(), ShardCount::try_from(4).unwrap());
    let newest = PlanVersion { version: 7, stamp: 1 };
    let settings = config("AGENT", &["p0"]).pools.into_values().next().unwrap();
    let settings = settings.with_shards(ShardCount::try_from(OTHER_COUNT).unwrap()).unwrap();
    let plan = Plan::fixed(newest, settings, None, first);
    let second = plan.owner_of(&pool_name(0), &id());
    assert_ne!(first, second);
    let mut handed = false;
    stage.request(1, Replay::Anytime);
    let calls = stage.play(|call| match (call.0, call.1) {
        (_, Request::GetPlan) => Some(Response::ShardPlan(Some(Box::new(plan.clone())))),
        (_, Request::Configure(plan)) => {
            handed = true;
            Some(Response::Configured(plan.version))
        }
        (Addr::Shard { index, .. }, Request::Acquire(_)) if index == first.0 => Some(wrong_shard(7, OTHER_COUNT)),
        (_, Request::Acquire(_)) if !handed => Some(wrong_shard(3, 4)),
        _ => assigns(call, 1),
    });
    assert_eq!(calls, ["acquire", "acquire", "plan", "configure", "acquire", "fetch 1"]);
    stage.expect(&[(1, "Served")]);
}

fn a_call_that_throws_is_repeated_once() {
    let mut stage = Stage::new();
    stage.request(1, Replay::Anytime);
    assert_eq!(stage.play(|_| Some(Response::Nothing)), ["acquire", "acquire"]);
    stage.expect(&[(1, "Unreachable")]);
}

fn a_lookup_and_a_release_that_throw_are_repeated_once() {
    type Ask = fn(&mut RouterObject, &mut World, RequestNo, u32, &SessionId);
    let asks: [(Ask, &str, Response); 2] =
        [(RouterObject::lookup, "lookup", Response::Found), (RouterObject::release, "release", Response::Released)];
    for (ask, name, answer) in asks {
        let mut stage = Stage::new();
        let mut throws = 1;
        ask(&mut stage.router, &mut stage.world, RequestNo(1), 0, &id());
        let calls = stage.play(|_| {
            throws -= 1;
            Some(if throws >= 0 { Response::Nothing } else { answer.clone() })
        });
        assert_eq!(calls, [name, name]);
        ask(&mut stage.router, &mut stage.world, RequestNo(2), 0, &id());
        assert_eq!(stage.play(|_| Some(Response::Nothing)), [name, name]);
        stage.expect(&[(1, "Done"), (2, "Unreachable")]);
    }
}

fn a_hint_serves_before_the_shard_has_answered() {
    let mut stage = Stage::new();
    stage.hint(1);
    stage.learn_fence();
    stage.request(1, Replay::Anytime);
    let calls = stage.play(|call| match call.1 {
        Request::Acquire(_) => None,
        _ => assigns(call, 1),
    });
    assert_eq!(calls, ["acquire", "fetch 1"]);
    // The question has ended in the background, and a request that follows does without.
    stage.request(2, Replay::Anytime);
    assert_eq!(stage.play(|request| assigns(request, 1)), ["fetch 1"]);
    stage.expect(&[(1, "Served"), (2, "Served")]);
}

fn a_wrong_hint_waits_for_the_shard() {
    let mut stage = Stage::new();
    stage.hint(1);
    stage.learn_fence();
    stage.request(1, Replay::Anytime);
    let calls = stage.play(|call| match (call.1, fetched(call)) {
        (Request::Acquire(_), _) => None,
        (_, Some(to)) if to == container(1) => Some(Response::Fetched(Fetched::Fenced(FenceRefusal::NotYours))),
        _ => assigns(call, 2),
    });
    assert_eq!(calls, ["acquire", "fetch 1"], "the one question that is open is waited for");
    stage.expect(&[(1, "Unreachable")]);
}

fn a_wrong_hint_makes_way_for_the_shards_answer() {
    let mut stage = Stage::new();
    stage.hint(1);
    stage.learn_fence();
    stage.shard = Pace::Slow;
    stage.request(1, Replay::Anytime);
    let calls = stage.play(|call| match fetched(call) {
        Some(to) if to == container(1) => Some(Response::Fetched(Fetched::Fenced(FenceRefusal::NotYours))),
        _ => assigns(call, 2),
    });
    assert_eq!(calls, ["acquire", "fetch 1", "fetch 2"]);
    assert_eq!(stage.world.kv_read(&key()).unwrap(), Some(hint::value(sticky(2))));
    stage.expect(&[(1, "Served")]);
}

fn a_hint_waits_for_word_of_a_fence() {
    let mut stage = Stage::new();
    stage.hint(2);
    stage.shard = Pace::Slow;
    stage.request(1, Replay::Anytime);
    assert_eq!(stage.play(|request| assigns(request, 1)), ["acquire", "fetch 1"]);
    stage.expect(&[(1, "Served")]);
}

fn a_hint_is_not_for_what_cannot_be_repeated() {
    let mut stage = Stage::new();
    stage.hint(2);
    stage.learn_fence();
    stage.shard = Pace::Slow;
    stage.request(1, Replay::IfUnsent);
    assert_eq!(stage.play(|request| assigns(request, 1)), ["acquire", "fetch 1"]);
    stage.expect(&[(1, "Served")]);
}

fn a_container_behind_another_binding_is_reached_by_it() {
    let mut stage = Stage::new();
    let other = BindingName::try_from("AGENT_2".to_owned()).unwrap();
    stage.world.platform.addressed_by(container(1), &other);
    // A shard of older code does not tell it: then the wrong object turns the request away.
    let tells = |binding: Option<BindingName>| {
        move |(to, request): (Addr, &Request)| match request {
            Request::Acquire(_) => {
                let assignment = Assignment { binding: binding.clone(), ..assignment(1, true) };
                Some(Response::Acquired(AcquireReply::Assigned(assignment)))
            }
            _ => assigns((to, request), 1),
        }
    };
    stage.request(1, Replay::Anytime);
    assert_eq!(stage.play(tells(None)), ["acquire", "acquire"]);
    for number in [2, 3] {
        stage.request(number, Replay::Anytime);
        assert_eq!(stage.play(tells(Some(other.clone()))), ["acquire", "fetch 1"], "it is not remembered");
    }
    stage.expect(&[(1, "Denied(ContainerChanged)"), (2, "Served"), (3, "Served")]);
}

fn nothing_is_remembered_beyond_a_change_of_class() {
    let mut stage = Stage::new();
    let agent = BindingName::try_from("AGENT".to_owned()).unwrap();
    stage.world.platform.addressed_by(container(1), &agent);
    stage.request(1, Replay::Anytime);
    assert_eq!(stage.play(|request| assigns(request, 1)), ["acquire", "fetch 1"]);
    // Of the new class, any object that is asked starts a container: this would be reported.
    stage.coordinator = Coordinator::Changed(config("CLASS", &["p0"]));
    stage.request(2, Replay::Anytime);
    stage.play(|request| assigns(request, 1));
    stage.request(3, Replay::Anytime);
    assert_eq!(stage.play(|request| assigns(request, 1)), ["acquire", "fetch 1"]);
    assert_eq!(stage.world.oracle.violations().len(), 0);
    stage.expect(&[(1, "Served"), (2, "Served"), (3, "Served")]);
}

fn an_unknown_pool_is_sought_at_the_coordinator() {
    let mut stage = Stage::new();
    stage.coordinator = Coordinator::Changed(config("AGENT", &["p0", "p1"]));
    stage.router.request(&mut stage.world, RequestNo(1), 1, &id(), Replay::Anytime);
    assert_eq!(stage.play(|request| assigns(request, 1)), ["acquire", "fetch 1"]);
    stage.expect(&[(1, "Served")]);
}

fn a_new_pool_is_found_by_all_who_come_after_a_pause() {
    let mut stage = Stage::new();
    stage.request(1, Replay::Anytime);
    assert_eq!(stage.play(|request| assigns(request, 1)), ["acquire", "fetch 1"], "and the coordinator is heard");
    stage.coordinator = Coordinator::Changed(config("AGENT", &["p0", "p1"]));
    stage.world.now = stage.world.now + REFRESH_EVERY;
    for (number, pool) in [(2, 0), (3, 1), (4, 1)] {
        stage.router.request(&mut stage.world, RequestNo(number), pool, &id(), Replay::Anytime);
    }
    stage.play(|request| assigns(request, 1));
    stage.expect(&[(1, "Served"), (2, "Served"), (3, "Served"), (4, "Served")]);
}

fn a_pool_that_is_nowhere_is_not_found() {
    let mut stage = Stage::new();
    for number in [1, 2] {
        stage.router.get_container(&mut stage.world, RequestNo(number), 1, &id());
    }
    assert_eq!(stage.play(|request| assigns(request, 1)), [""; 0]);
    stage.expect(&[(1, "NoPool"), (2, "NoPool")]);
}

fn a_coordinator_that_is_silent_is_not_waited_for_long() {
    let mut stage = Stage::new();
    stage.coordinator = Coordinator::Silent;
    let asked_at = stage.world.now;
    stage.router.lookup(&mut stage.world, RequestNo(1), 1, &id());
    assert_eq!(stage.play(|request| assigns(request, 1)), [""; 0]);
    assert_eq!(stage.world.now - asked_at, FOUND_WITHIN);
    stage.expect(&[(1, "NoPool")]);
}

fn what_is_under_way_is_lost_with_the_isolate() {
    let mut stage = Stage::new();
    stage.request(1, Replay::Anytime);
    stage.router.forget(&mut stage.world);
    assert_eq!(stage.play(|request| assigns(request, 1)), ["acquire"]);
    stage.expect(&[(1, "Lost")]);
}

/// A router, and whatever it calls.
struct Stage {
    world: World,
    router: RouterObject,
    coordinator: Coordinator,
    shard: Pace,
}

/// What the coordinator says of the configuration.
enum Coordinator {
    Current,
    Changed(Config),
    Silent,
}

/// How fast shards answer.
#[derive(PartialEq, Eq)]
enum Pace {
    Quick,
    /// Later than the id cache, and than any container.
    Slow,
}

impl Stage {
    fn new() -> Self {
        let schedule = Schedule { rates: Rates::none(), ..Schedule::of_seed(1) };
        let mut world = World::new(&schedule, Trace::readable());
        world.deploys.made.push(Deploy { stamp: 1, config: Rc::new(config("AGENT", &["p0"])) });
        Self { world, router: RouterObject::new(0), coordinator: Coordinator::Current, shard: Pace::Quick }
    }

    /// The id cache has this container.
    fn hint(&mut self, number: u128) {
        self.world.kv_write(&key(), Some(hint::value(sticky(number)))).unwrap();
    }

    /// Another id gets a container, and with it the router learns that the pool's class has a fence.
    fn learn_fence(&mut self) {
        let bob = SessionId::try_from("bob".to_owned()).unwrap();
        self.router.get_container(&mut self.world, RequestNo(100), 0, &bob);
        assert_eq!(self.play(|request| assigns(request, 2)), ["acquire", "fetch 2"]);
    }

    fn request(&mut self, number: u64, replay: Replay) {
        self.router.request(&mut self.world, RequestNo(number), 0, &id(), replay);
    }

    /// Lets all happen that is to happen. [`Response::Nothing`] stands for an error, and none for silence. Returns the calls
    /// that have reached somebody, but for those of the coordinator.
    fn play(&mut self, mut answer: impl FnMut((Addr, &Request)) -> Option<Response>) -> Vec<String> {
        let mut calls = Vec::new();
        let mut held_back = Vec::new();
        while let Some(happening) = self.world.next() {
            let ended = match happening {
                Happening::Arrives(call) => {
                    let Some(arrival) = self.world.arrives(call) else { continue };
                    let answer = match &arrival.request {
                        Request::Plan(_) => self.coordinator.answer(),
                        request => {
                            calls.push(named(arrival.to, request));
                            answer((arrival.to, request))
                        }
                    };
                    match answer {
                        None => {}
                        Some(response) if self.shard == Pace::Slow && matches!(response, Response::Acquired(_)) => {
                            held_back.push((call, response));
                            self.world.later(self.router.addr, SLOW, Private::KvRead(NOBODYS));
                        }
                        Some(Response::Nothing) => self.world.throw(call, "Network connection lost."),
                        Some(response) => self.world.answer(call, response),
                    }
                    None
                }
                Happening::Answered(call) => self.world.answered(call),
                Happening::Expires(call) => self.world.expires(call),
                Happening::Private { what: Private::KvRead(NOBODYS), .. } => {
                    for (call, response) in held_back.drain(..) {
                        self.world.answer(call, response);
                    }
                    None
                }
                Happening::Private { addr, life, what } => {
                    if self.world.life(addr) == life {
                        self.router.private(&mut self.world, what);
                    }
                    None
                }
                other => panic!("not of a router: {other:?}"),
            };
            if let Some(ended) = ended {
                self.router.ended(&mut self.world, ended.then, ended.answer);
            }
        }
        assert!(self.router.tasks.is_empty(), "something of a request goes on for ever");
        assert!(self.router.seekers.is_empty(), "a request waits for the coordinator for ever");
        calls
    }

    /// Each of these requests has had this answer, and no other.
    fn expect(self, fates: &[(u64, &str)]) {
        let lines = self.world.trace.lines();
        for (number, fate) in fates {
            let of_request = |line: &&String| {
                let answers = ["Served", "Done", "NoPool", "Refused", "Denied", "Unreachable", "Lost"];
                let told =
                    line.rsplit_once(": ").is_some_and(|(_, told)| answers.iter().any(|fate| told.starts_with(fate)));
                told && [" ", ":"].iter().any(|end| line.contains(&format!("request {number}{end}")))
            };
            let told: Vec<&String> = lines.iter().filter(of_request).collect();
            assert_eq!(told.len(), 1, "request {number}: {told:?}");
            assert!(told[0].contains(&format!(": {fate}")), "{told:?}");
        }
    }
}

impl Coordinator {
    fn answer(&self) -> Option<Response> {
        let reply = match self {
            Self::Current => PlanReply::Current,
            Self::Changed(config) => PlanReply::Changed(Box::new(ConfigView {
                version: PlanVersion { version: 1, stamp: 1 },
                source: ConfigSource::Admin,
                config: config.clone(),
                moving_from: Map::new(),
                credits: Map::new(),
            })),
            Self::Silent => return None,
        };
        Some(Response::RoutePlan(reply))
    }
}

/// What happens when a shard assigns this container, which serves.
fn assigns((_, request): (Addr, &Request), number: u128) -> Option<Response> {
    Some(match request {
        Request::Acquire(_) => Response::Acquired(AcquireReply::Assigned(assignment(number, true))),
        Request::Fetch(_) => Response::Fetched(Fetched::Served),
        other => panic!("not called here: {other:?}"),
    })
}

/// A shard says that by this version there are so many shards, and that another has the id.
fn wrong_shard(version: u64, shards: u32) -> Response {
    let (plan, shards) = (Some(PlanVersion { version, stamp: 1 }), Some(shards));
    let refusal =
        Refusal { code: RefusalCode::WrongShard, message: String::new(), retry_after_millis: None, plan, shards };
    Response::Acquired(AcquireReply::Refused(refusal))
}

fn assignment(number: u128, fenced: bool) -> Assignment {
    Assignment {
        container: container(number),
        epoch: Epoch(1),
        fenced,
        outcome: Outcome::Warm,
        reason: None,
        shard: ShardIndex(0),
        binding: BindingName::try_from("AGENT".to_owned()).ok(),
    }
}

/// As an assignment of this container is remembered.
fn sticky(number: u128) -> Sticky {
    Sticky { container: container(number), epoch: Epoch(1) }
}

/// These pools, all of one class.
fn config(class: &str, pools: &[&str]) -> Config {
    let pool = |name| format!(r#"{name:?}: {{"container": {class:?}, "shards": 4, "id_cache": "KV"}}"#);
    let pools: Vec<String> = pools.iter().map(pool).collect();
    parse_json(&format!(r#"{{"pools": {{{}}}}}"#, pools.join(", "))).unwrap()
}

/// The container that a request is sent to.
fn fetched((to, request): (Addr, &Request)) -> Option<ContainerId> {
    match (to, request) {
        (Addr::Container(container), Request::Fetch(_)) => Some(container),
        (_, _) => None,
    }
}

fn named(to: Addr, request: &Request) -> String {
    match (fetched((to, request)), request) {
        (Some(to), _) => format!("fetch {}", if to == container(1) { 1 } else { 2 }),
        (None, Request::Lookup(_)) => "lookup".to_owned(),
        (None, Request::Release(_)) => "release".to_owned(),
        (None, Request::Configure(_)) => "configure".to_owned(),
        (None, Request::GetPlan) => "plan".to_owned(),
        (None, _) => "acquire".to_owned(),
    }
}

fn container(number: u128) -> ContainerId {
    ContainerId::from_random(number)
}

fn id() -> SessionId {
    SessionId::try_from("alice".to_owned()).unwrap()
}

fn key() -> String {
    hint::key(&pool_name(0), &id())
}

/// A shard count by which another shard has the id than of four.
const OTHER_COUNT: u32 = 16;
/// How late a slow shard answers.
const SLOW: Millis = Millis::from_secs(1);
/// A read of the id cache that nobody began: it wakes the stage, to give the answers that were held back.
const NOBODYS: RequestNo = RequestNo(u64::MAX);
