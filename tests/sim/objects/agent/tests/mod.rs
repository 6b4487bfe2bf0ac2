//! The agent's object shows what the machine promises, over a runtime that may fail it.

pub mod stage;

use cf_warm_pools::core::agent::Refusal;
use cf_warm_pools::wire::agent::{StartReply, Status};
use libtest_mimic::Trial;

use self::stage::{Stage, container, fetch, start};
use super::AgentObject;
use crate::faults::{Fault, Rates};
use crate::world::message::{Answer, CallError, Fetched, Request, Response};
use crate::world::platform::Kind;

/// All tests of the agent's object.
pub fn trials() -> Vec<Trial> {
    let tests: [(&str, fn()); 9] = [
        ("one_that_was_never_started_leaves_no_trace", one_that_was_never_started_leaves_no_trace),
        ("one_lease_serves_many_requests", one_lease_serves_many_requests),
        ("a_start_goes_on_in_a_new_object", a_start_goes_on_in_a_new_object),
        ("nothing_starts_that_could_not_be_written", nothing_starts_that_could_not_be_written),
        ("an_end_is_reported_and_final", an_end_is_reported_and_final),
        ("a_request_finds_the_end_and_the_owner_knows_first", a_request_finds_the_end_and_the_owner_knows_first),
        ("a_refused_start_tells_the_platforms_words", a_refused_start_tells_the_platforms_words),
        ("one_that_ignores_sigterm_is_destroyed", one_that_ignores_sigterm_is_destroyed),
        ("a_failed_destruction_is_tried_again", a_failed_destruction_is_tried_again),
    ];
    tests
        .into_iter()
        .map(|(name, test)| {
            Trial::test(format!("agent::{name}"), move || {
                test();
                Ok(())
            })
        })
        .collect()
}

fn stage(rates: Rates) -> Stage<AgentObject> {
    Stage::new(Kind::Agent, AgentObject::new(container()), AgentObject::process_ended, rates)
}

fn ready(rates: Rates) -> Stage<AgentObject> {
    let mut stage = stage(rates);
    assert!(is_ready(&stage.call(start())));
    stage
}

fn is_ready(answer: &Answer) -> bool {
    matches!(answer, Ok(Response::Started(StartReply::Ready)))
}

fn one_that_was_never_started_leaves_no_trace() {
    let mut stage = stage(Rates::none());
    assert_eq!(stage.state(), Status::Stopped);
    assert!(matches!(stage.call(Request::Renew), Ok(Response::Nothing)));
    stage.forget();
    stage.pass(4_000_000);
    assert_eq!((stage.object.record(), stage.alarms), (None, 0));
}

fn one_lease_serves_many_requests() {
    let mut stage = ready(Rates::none());
    assert_eq!(stage.state(), Status::Healthy);
    for _ in 0..3 {
        assert!(matches!(stage.call(fetch("alice")), Ok(Response::Fetched(Fetched::Served))));
    }
    assert_eq!(stage.leases, 1);
    let refused = stage.call(fetch("bob"));
    assert!(matches!(refused, Ok(Response::Fetched(Fetched::Fenced(Refusal::NotYours)))), "{refused:?}");
}

fn a_start_goes_on_in_a_new_object() {
    let mut stage = stage(Rates::none());
    let started = stage.begin(start());
    stage.pass(20);
    assert!(stage.runs());
    stage.forget();
    stage.pass(20);
    assert!(matches!(stage.ended(started), Some(Err(CallError::Threw(_)))));
    assert!(is_ready(&stage.call(start())));
    assert!(stage.broken().is_empty());
}

fn nothing_starts_that_could_not_be_written() {
    let mut stage = stage(Rates::none().with(Fault::WriteFailed, 1.0));
    assert!(matches!(stage.call(start()), Err(CallError::Threw(_))));
    assert!(!stage.runs());
    assert_eq!(stage.object.record(), None);
    stage.world.faults.heal();
    assert!(is_ready(&stage.call(start())));
}

fn an_end_is_reported_and_final() {
    let mut stage = ready(Rates::none());
    stage.kill();
    stage.pass(1_000);
    assert_eq!((stage.state(), stage.reports), (Status::StoppedWithCode, 1));
    assert!(matches!(stage.call(start()), Ok(Response::Started(StartReply::Failed(_)))));
    assert!(!stage.runs());
    stage.pass(4_000_000);
    assert_eq!(stage.object.record(), None, "an hour later it is forgotten");
}

fn a_request_finds_the_end_and_the_owner_knows_first() {
    let mut stage = ready(Rates::none());
    stage.forget();
    stage.kill();
    let answer = stage.call(fetch("alice"));
    assert!(matches!(answer, Ok(Response::Fetched(Fetched::Fenced(Refusal::Gone)))), "{answer:?}");
    assert_eq!(stage.reports, 1);
}

fn a_refused_start_tells_the_platforms_words() {
    let mut stage = stage(Rates::none().with(Fault::Capacity, 1.0));
    let Ok(Response::Started(StartReply::Failed(failure))) = stage.call(start()) else { panic!("it started") };
    assert!(failure.message.contains("Maximum number of running container instances exceeded"), "{failure:?}");
    stage.pass(30_000);
    assert_eq!((stage.state(), stage.reports), (Status::Stopped, 1));
}

fn one_that_ignores_sigterm_is_destroyed() {
    let mut stage = ready(Rates::none().with(Fault::IgnoresSigterm, 1.0));
    assert!(matches!(stage.call(Request::Stop), Ok(Response::Nothing)));
    stage.pass(10_000);
    assert_eq!(stage.state(), Status::Stopping);
    assert!(stage.runs());
    stage.pass(10_000);
    assert!(!stage.runs());
    assert_eq!(stage.reports, 1);
}

fn a_failed_destruction_is_tried_again() {
    let mut stage = ready(Rates::none().with(Fault::DestroyFails, 1.0));
    assert!(matches!(stage.call(Request::Destroy), Err(CallError::Threw(_))));
    stage.world.faults.heal();
    stage.pass(60_000);
    assert!(!stage.runs());
    assert_eq!((stage.state(), stage.reports), (Status::Stopped, 1));
}
