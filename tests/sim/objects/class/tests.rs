//! The class behaves as its library does, where that is not what one would wish.

use cf_warm_pools::wire::agent::Status;
use libtest_mimic::Trial;

use super::ClassObject;
use crate::faults::{Fault, Rates};
use crate::objects::agent::tests::stage::{Stage, container, fetch, start};
use crate::world::message::{Answer, CallError, Fetched, Request, Response};
use crate::world::platform::Kind;

/// All tests of a class's object.
pub fn trials() -> Vec<Trial> {
    let tests: [(&str, fn()); 8] = [
        ("one_that_was_only_asked_keeps_a_status_and_an_alarm", one_that_was_only_asked_keeps_a_status_and_an_alarm),
        ("it_serves_anybody", it_serves_anybody),
        ("it_says_that_it_is_healthy_while_it_is_dead", it_says_that_it_is_healthy_while_it_is_dead),
        ("a_request_brings_a_dead_one_back", a_request_brings_a_dead_one_back),
        ("a_start_that_gives_up_leaves_the_process_running", a_start_that_gives_up_leaves_the_process_running),
        ("a_stop_only_signals", a_stop_only_signals),
        ("a_refused_start_throws_the_platforms_words", a_refused_start_throws_the_platforms_words),
        ("one_that_is_idle_stops_itself", one_that_is_idle_stops_itself),
    ];
    tests
        .into_iter()
        .map(|(name, test)| {
            Trial::test(format!("class::{name}"), move || {
                test();
                Ok(())
            })
        })
        .collect()
}

fn stage(rates: Rates) -> Stage<ClassObject> {
    Stage::new(Kind::Class, ClassObject::new(container()), ClassObject::process_ended, rates)
}

fn healthy(rates: Rates) -> Stage<ClassObject> {
    let mut stage = stage(rates);
    assert!(is_done(&stage.call(start())));
    assert_eq!(stage.state(), Status::Healthy);
    stage
}

fn is_done(answer: &Answer) -> bool {
    matches!(answer, Ok(Response::Nothing))
}

fn is_served(answer: &Answer) -> bool {
    matches!(answer, Ok(Response::Fetched(Fetched::Served)))
}

fn one_that_was_only_asked_keeps_a_status_and_an_alarm() {
    let mut stage = stage(Rates::none());
    assert_eq!(stage.state(), Status::Stopped);
    stage.pass(600_000);
    assert_eq!((stage.alarms, stage.reports), (1, 0));
}

fn it_serves_anybody() {
    let mut stage = healthy(Rates::none());
    assert!(is_served(&stage.call(fetch("alice"))));
    assert!(is_served(&stage.call(fetch("bob"))));
    assert_eq!(stage.leases, 0);
}

fn it_says_that_it_is_healthy_while_it_is_dead() {
    let mut stage = healthy(Rates::none());
    // Nobody listens to the monitor of an object that is not in memory.
    stage.forget();
    stage.kill();
    assert_eq!(stage.state(), Status::Healthy);
    stage.pass(5_000);
    assert_eq!((stage.state(), stage.reports), (Status::Stopped, 1), "its alarm has looked");
}

fn a_request_brings_a_dead_one_back() {
    let mut stage = healthy(Rates::none());
    stage.kill();
    stage.pass(10_000);
    assert_eq!((stage.state(), stage.reports, stage.runs()), (Status::Stopped, 1, false));
    assert!(is_served(&stage.call(fetch("alice"))));
    assert!(stage.runs());
}

fn a_start_that_gives_up_leaves_the_process_running() {
    let mut stage = stage(Rates::none().with(Fault::NeverReady, 1.0));
    assert!(matches!(stage.call(start()), Err(CallError::Threw(_))));
    assert_eq!((stage.state(), stage.runs()), (Status::Running, true));
}

fn a_stop_only_signals() {
    let mut stage = healthy(Rates::none().with(Fault::IgnoresSigterm, 1.0));
    assert!(is_done(&stage.call(Request::Stop)));
    stage.pass(60_000);
    assert_eq!((stage.state(), stage.runs()), (Status::Healthy, true));
    assert!(is_done(&stage.call(Request::Destroy)));
    assert!(!stage.runs());
    stage.pass(10_000);
    assert_eq!((stage.state(), stage.reports), (Status::Stopped, 1));
}

fn a_refused_start_throws_the_platforms_words() {
    let mut stage = stage(Rates::none().with(Fault::Capacity, 1.0));
    let answer = stage.call(start());
    let Err(CallError::Threw(message)) = answer else { panic!("it started: {answer:?}") };
    assert_eq!(message, "Maximum number of running container instances exceeded");
    assert_eq!(stage.state(), Status::Stopped);
}

fn one_that_is_idle_stops_itself() {
    let mut stage = healthy(Rates::none());
    stage.pass(200_000);
    assert!(is_done(&stage.call(Request::Renew)));
    stage.pass(200_000);
    assert!(stage.runs(), "it was renewed");
    stage.pass(200_000);
    assert!(!stage.runs());
    assert_eq!((stage.state(), stage.reports), (Status::Stopped, 1));
}
