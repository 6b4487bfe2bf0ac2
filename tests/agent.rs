//! The promises of the container agent, on the pure machine.
//!
//! The first part shows each by an example. The second runs random schedules of calls, faults and restarts against a model of
//! the process and the owner, checks the promises after every step, then heals everything and demands a settled end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod agent_world;

use agent_world::{Object, key, orders, random, with_setup};
use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::agent::{
    Admission, Caller, Destruction, Effect, End, FORGET_AFTER, Input, LeaseAnswer, Life, MAX_REDIRECTS, Orders,
    ProbeResult, Record, Refusal, Reply, Report, SetupResult,
};
use cf_warm_pools::core::failure::FailureClass;
use cf_warm_pools::core::id::ShardId;

const ME: Caller = Caller(1);
const YOU: Caller = Caller(2);

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_schedules_keep_every_promise_and_settle_once_faults_stop(schedule in random::schedule()) {
        random::run(&schedule);
    }
}

#[test]
fn a_start_is_written_down_before_the_process_is_started() {
    let mut object = Object::new();
    let effects = object.step(Input::StartAsked { caller: ME, orders: orders() });
    assert_eq!(object.stored_when(&effects, |effect| matches!(effect, Effect::Start(_))), Some("starting"));
}

#[test]
fn concurrent_and_repeated_starts_join_the_same_one() {
    let mut object = Object::new();
    object.step(Input::StartAsked { caller: ME, orders: orders() });
    let second = object.step(Input::StartAsked { caller: YOU, orders: orders() });
    assert!(!second.iter().any(|effect| matches!(effect, Effect::Start(_))));

    let ready = object.step(Input::Probed(ProbeResult::Status(200)));
    assert_eq!(replies(&ready), [(ME, Reply::Started(Ok(()))), (YOU, Reply::Started(Ok(())))]);

    let third = object.step(Input::StartAsked { caller: Caller(3), orders: orders() });
    assert_eq!(replies(&third), [(Caller(3), Reply::Started(Ok(())))]);
}

#[test]
fn probes_come_at_once_and_then_at_pauses_in_proportion_to_the_time_that_has_passed() {
    let mut object = Object::new();
    let mut effects = object.step(Input::StartAsked { caller: ME, orders: orders() });
    let mut pauses = Vec::new();
    for _ in 0..50 {
        pauses.extend(effects.iter().find_map(probe_pause));
        effects = object.step(Input::Probed(ProbeResult::NoAnswer));
    }
    assert_eq!(pauses[..4], [0, 5, 5, 5]);
    let mut passed = 0;
    for pause in &pauses {
        assert!(*pause <= 5.max(passed / 10), "{pause} ms after {passed} ms");
        passed += pause;
    }
    assert_eq!(pauses.last(), Some(&100));
}

fn probe_pause(effect: &Effect) -> Option<u64> {
    match effect {
        Effect::Probe { after, .. } => Some(after.0),
        _ => None,
    }
}

#[test]
fn a_process_that_is_not_found_gets_a_moment_for_its_exit_code() {
    let mut object = Object::new();
    object.step(Input::StartAsked { caller: ME, orders: orders() });
    let forgiven = object.step(Input::Probed(ProbeResult::NotRunning));
    assert!(forgiven.iter().find_map(probe_pause).is_some_and(|pause| pause >= 20));
    let failed = object.step(Input::Probed(ProbeResult::NotRunning));
    assert!(matches!(replies(&failed)[..], [(ME, Reply::Started(Err(_)))]));
}

#[test]
fn readiness_needs_every_port_and_health_of_the_first() {
    let mut object = Object::new();
    let mut two = orders();
    two.start.ports = vec![8080, 9090];
    two.start.ready.path = Some("/healthz".into());
    object.step(Input::StartAsked { caller: ME, orders: two });

    let unhealthy = object.step(Input::Probed(ProbeResult::Status(503)));
    assert!(unhealthy.iter().any(|e| matches!(e, Effect::Probe { port: 8080, path: Some(_), .. })));
    let healthy = object.step(Input::Probed(ProbeResult::Status(404)));
    assert!(healthy.iter().any(|e| matches!(e, Effect::Probe { port: 9090, path: None, .. })));
    let other = object.step(Input::Probed(ProbeResult::Status(500)));
    assert_eq!(replies(&other), [(ME, Reply::Started(Ok(())))]);
}

#[test]
fn a_port_that_answers_while_the_process_does_not_run_is_not_readiness() {
    let mut object = Object::new();
    object.step(Input::StartAsked { caller: ME, orders: orders() });
    object.step(Input::Probed(ProbeResult::NotRunning));
    let effects = object.step(Input::Probed(ProbeResult::NotRunning));
    assert_eq!(failure_class(&effects, ME), Some(FailureClass::Exited));
    assert!(effects.contains(&Effect::Destroy));
}

#[test]
fn a_container_counts_as_ready_only_after_its_setup() {
    let mut object = Object::new();
    object.step(Input::StartAsked { caller: ME, orders: with_setup() });
    let up = object.step(Input::Probed(ProbeResult::Status(200)));
    assert!(replies(&up).is_empty());
    assert!(up.iter().any(|effect| matches!(effect, Effect::SetUp { port: 8080, .. })));
    assert_eq!(replies(&object.step(Input::SetUp(SetupResult::Status(200)))), [(ME, Reply::Started(Ok(())))]);
}

#[test]
fn a_setup_with_another_answer_fails_the_start_and_says_which() {
    let mut object = Object::new();
    object.step(Input::StartAsked { caller: ME, orders: with_setup() });
    object.step(Input::Probed(ProbeResult::Status(200)));
    let effects = object.step(Input::SetUp(SetupResult::Status(418)));
    assert_eq!(failure_class(&effects, ME), Some(FailureClass::NotReady));
    let message = failure_message(&effects, ME);
    assert!(message.contains("418") && message.contains("200") && message.contains("/warmup"), "{message}");
    assert!(effects.contains(&Effect::Destroy));
}

#[test]
fn a_start_that_is_never_ready_is_destroyed_at_its_deadline() {
    let mut object = Object::new();
    object.step(Input::StartAsked { caller: ME, orders: orders() });
    object.step(Input::Probed(ProbeResult::NoAnswer));
    let deadline = orders().start.ready.timeout;
    assert!(object.pass(Millis(deadline.0 - 1)).is_empty());
    let effects = object.pass(Millis(1));
    assert_eq!(failure_class(&effects, ME), Some(FailureClass::NotReady));
    assert!(failure_message(&effects, ME).contains("8080"));
    assert!(effects.contains(&Effect::Destroy));
}

#[test]
fn a_failed_start_has_the_class_of_its_message_and_stays_failed() {
    for (text, class) in [
        ("Maximum number of running container instances exceeded", FailureClass::Capacity),
        ("No such image available named x", FailureClass::Permanent),
        ("there is no container instance that can be provided", FailureClass::Transient),
    ] {
        let mut object = Object::new();
        object.step(Input::StartAsked { caller: ME, orders: orders() });
        let effects = object.step(Input::StartThrew(text.into()));
        assert_eq!(failure_class(&effects, ME), Some(class));
        object.step(Input::Destroyed(Ok(Destruction::Done)));
        let again = object.restart(false).step(Input::StartAsked { caller: YOU, orders: orders() });
        assert_eq!(failure_class(&again, YOU), Some(class), "{text}");
    }
}

#[test]
fn an_image_that_only_the_monitor_misses_is_permanent() {
    let mut object = Object::new();
    object.step(Input::StartAsked { caller: ME, orders: orders() });
    let effects = object.step(Input::Exited { code: None, message: Some("No such image available".into()) });
    assert_eq!(failure_class(&effects, ME), Some(FailureClass::Permanent));
}

#[test]
fn an_exit_during_the_start_is_told_with_its_code() {
    let mut object = Object::new();
    object.step(Input::StartAsked { caller: ME, orders: orders() });
    let effects = object.step(Input::Exited { code: Some(3), message: None });
    assert_eq!(failure_class(&effects, ME), Some(FailureClass::Exited));
    assert!(failure_message(&effects, ME).contains("code 3"));
    assert_eq!(object.record().exit_code, Some(3));
}

#[test]
fn a_container_has_one_life() {
    let mut object = Object::ready();
    object.step(Input::DestroyAsked { caller: ME });
    object.step(Input::Destroyed(Ok(Destruction::Done)));
    object.step(Input::Reported(Ok(())));
    let effects = object.restart(false).step(Input::StartAsked { caller: YOU, orders: orders() });
    assert_eq!(failure_class(&effects, YOU), Some(FailureClass::Exited));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Start(_))));
}

#[test]
fn a_stop_or_destroy_before_the_start_wins_over_it() {
    for ask in [Input::StopAsked { caller: ME }, Input::DestroyAsked { caller: ME }] {
        let mut object = Object::new();
        let effects = object.step(ask);
        assert_eq!(replies(&effects).len(), 1);
        let effects = object.restart(false).step(Input::StartAsked { caller: YOU, orders: orders() });
        assert_eq!(failure_class(&effects, YOU), Some(FailureClass::Exited));
    }
}

#[test]
fn a_stray_request_starts_nothing() {
    let mut object = Object::new();
    assert_eq!(object.admit("alice", 1, ME), (Admission::Refuse(Refusal::Gone), vec![]));
    assert_eq!(object.agent.record(), None);
    assert_eq!(object.agent.next_alarm(), None);
}

#[test]
fn a_request_waits_for_one_question_and_is_then_served_without_any() {
    let mut object = Object::ready();
    let (first, asked) = object.admit("alice", 1, ME);
    assert_eq!(first, Admission::Wait);
    assert_eq!(asked.iter().filter(|e| matches!(e, Effect::AskLease { .. })).count(), 1);
    assert_eq!(object.admit("alice", 1, YOU), (Admission::Wait, vec![]));

    let granted = object.answer("alice", 1, LeaseAnswer::Granted(Millis(1_000)));
    assert_eq!(replies(&granted), [(ME, Reply::Admitted(Ok(()))), (YOU, Reply::Admitted(Ok(())))]);
    object.pass(Millis(700));
    assert_eq!(object.admit("alice", 1, Caller(3)), (Admission::Serve, vec![]));
    object.pass(Millis(300));
    assert_eq!(object.admit("alice", 1, Caller(4)).0, Admission::Wait);
}

#[test]
fn a_busy_container_renews_its_lease_before_it_runs_out() {
    let mut object = Object::leased("alice", 1);
    object.pass(Millis(800));
    let (served, effects) = object.admit("alice", 1, ME);
    assert_eq!(served, Admission::Serve);
    assert_eq!(effects.iter().filter(|e| matches!(e, Effect::AskLease { .. })).count(), 1);
    assert_eq!(object.admit("alice", 1, ME), (Admission::Serve, vec![]), "asked once");
    object.answer("alice", 1, LeaseAnswer::Granted(Millis(1_000)));
    object.pass(Millis(300));
    assert_eq!(object.admit("alice", 1, ME), (Admission::Serve, vec![]));
}

#[test]
fn a_lease_runs_from_the_moment_it_was_asked_for() {
    let mut object = Object::ready();
    let asked_at = object.now;
    object.admit("alice", 1, ME);
    object.pass(Millis(900));
    object.step(Input::LeaseAnswered { key: key("alice", 1), asked_at, answer: LeaseAnswer::Granted(Millis(1_000)) });
    object.pass(Millis(100));
    assert_eq!(object.admit("alice", 1, YOU).0, Admission::Wait);
}

#[test]
fn a_lease_that_ran_out_on_its_way_admits_nobody() {
    let mut object = Object::ready();
    let asked_at = object.now;
    object.admit("alice", 1, ME);
    object.pass(Millis(1_000));
    let answer = LeaseAnswer::Granted(Millis(1_000));
    let effects = object.step(Input::LeaseAnswered { key: key("alice", 1), asked_at, answer });
    assert_eq!(replies(&effects), [(ME, Reply::Admitted(Err(Refusal::Unconfirmed)))]);
}

#[test]
fn a_container_serves_one_id_in_its_whole_life() {
    let mut object = Object::leased("alice", 1);
    assert_eq!(object.admit("bob", 2, YOU), (Admission::Refuse(Refusal::NotYours), vec![]), "not even asked");
    let object = object.restart(true);
    assert_eq!(object.admit("bob", 2, YOU), (Admission::Refuse(Refusal::NotYours), vec![]));
    assert_eq!(object.admit("alice", 1, YOU).0, Admission::Wait);
}

#[test]
fn a_container_serves_one_pool_even_where_ids_and_epochs_are_the_same() {
    for (mut object, own) in [(Object::ready(), Admission::Wait), (Object::leased("alice", 1), Admission::Serve)] {
        let (others, asked) = object.admit_of("ruby", "alice", 1, ME);
        assert_eq!((others, asked), (Admission::Refuse(Refusal::NotYours), vec![]), "not even asked");
        assert_eq!(object.admit("alice", 1, YOU).0, own);
    }
}

#[test]
fn of_two_ids_that_race_only_the_first_granted_is_ever_served() {
    let mut object = Object::ready();
    object.admit("alice", 1, ME);
    object.admit("bob", 2, YOU);
    let alice = object.answer("alice", 1, LeaseAnswer::Granted(Millis(1_000)));
    let bob = object.answer("bob", 2, LeaseAnswer::Granted(Millis(1_000)));
    assert_eq!(replies(&alice), [(ME, Reply::Admitted(Ok(())))]);
    assert_eq!(replies(&bob), [(YOU, Reply::Admitted(Err(Refusal::NotYours)))]);
    assert_eq!(object.admit("alice", 1, ME).0, Admission::Serve);
}

#[test]
fn an_epoch_that_has_passed_is_refused_and_a_later_one_is_asked_about() {
    let mut object = Object::leased("alice", 5);
    assert_eq!(object.admit("alice", 4, ME), (Admission::Refuse(Refusal::NotYours), vec![]));
    assert_eq!(object.admit("alice", 6, ME).0, Admission::Wait);
    object.answer("alice", 6, LeaseAnswer::Granted(Millis(1_000)));
    assert_eq!(object.admit("alice", 5, ME).0, Admission::Refuse(Refusal::NotYours));
}

#[test]
fn told_no_or_unable_to_ask_it_serves_nobody() {
    for (answer, refusal) in [(LeaseAnswer::Denied, Refusal::NotYours), (LeaseAnswer::Failed, Refusal::Unconfirmed)] {
        let mut object = Object::ready();
        object.admit("alice", 1, ME);
        let effects = object.answer("alice", 1, answer);
        assert_eq!(replies(&effects), [(ME, Reply::Admitted(Err(refusal)))]);
        assert_eq!(object.record().binding, None);
        assert_eq!(object.admit("alice", 1, ME).0, Admission::Wait, "and asks again for the next");
    }
}

#[test]
fn a_container_that_changed_hands_asks_its_new_owner_and_the_requests_wait() {
    let mut object = Object::ready();
    object.admit("alice", 1, ME);
    object.admit("alice", 1, YOU);
    object.pass(Millis(400));
    let redirected = object.answer("alice", 1, LeaseAnswer::Elsewhere(shard("python/5")));
    assert_eq!(asked(&redirected), ["python/5"]);
    assert_eq!((replies(&redirected), stored_owner(&object)), (vec![], "python/5".to_owned()));
    assert_eq!(object.admit("alice", 1, Caller(3)), (Admission::Wait, vec![]), "nothing is asked twice");

    // The lease runs from when the question was asked that was granted.
    object.answer("alice", 1, LeaseAnswer::Granted(Millis(1_000)));
    object.pass(Millis(700));
    assert_eq!(object.admit("alice", 1, ME).0, Admission::Serve);
    object.pass(Millis(300));
    let (again, effects) = object.admit("alice", 1, ME);
    assert_eq!((again, asked(&effects)), (Admission::Wait, vec!["python/5".to_owned()]));
}

#[test]
fn an_end_is_reported_to_the_owner_that_the_former_one_named() {
    let mut object = Object::ready();
    object.admit("alice", 1, ME);
    object.answer("alice", 1, LeaseAnswer::Elsewhere(shard("python/5")));
    object.restart(true);
    object.step(Input::Exited { code: Some(0), message: None });
    let ended = object.step(Input::Destroyed(Ok(Destruction::NothingToDo)));
    let told = ended.iter().find_map(|effect| match effect {
        Effect::Report { owner, .. } => Some(owner.to_string()),
        _ => None,
    });
    assert_eq!(told.as_deref(), Some("python/5"));
}

#[test]
fn a_renewal_goes_on_to_the_new_owner_while_requests_are_served() {
    let mut object = Object::leased("alice", 1);
    object.pass(Millis(800));
    object.admit("alice", 1, ME);
    let redirected = object.answer("alice", 1, LeaseAnswer::Elsewhere(shard("python/5")));
    assert_eq!(asked(&redirected), ["python/5"]);
    assert_eq!(object.admit("alice", 1, ME), (Admission::Serve, vec![]), "the lease still holds");
    object.answer("alice", 1, LeaseAnswer::Granted(Millis(1_000)));
    object.pass(Millis(300));
    assert_eq!(object.admit("alice", 1, ME), (Admission::Serve, vec![]));
}

#[test]
fn shards_that_send_it_in_circles_cost_a_few_questions_and_then_the_requests() {
    let mut object = Object::ready();
    object.admit("alice", 1, ME);
    for n in 0..MAX_REDIRECTS {
        let owner = format!("python/{}", 5 + n % 2);
        let effects = object.answer("alice", 1, LeaseAnswer::Elsewhere(shard(&owner)));
        assert_eq!((asked(&effects), replies(&effects)), (vec![owner], vec![]));
    }
    let last = object.answer("alice", 1, LeaseAnswer::Elsewhere(shard("python/7")));
    assert_eq!((asked(&last), replies(&last)), (vec![], vec![(ME, Reply::Admitted(Err(Refusal::Unconfirmed)))]));
    let (next, effects) = object.admit("alice", 1, ME);
    assert_eq!((next, asked(&effects)), (Admission::Wait, vec!["python/7".to_owned()]), "the next one begins anew");
}

#[test]
fn no_shard_can_give_a_container_to_another_pool() {
    let mut object = Object::leased("alice", 1);
    object.pass(Millis(1_000));
    object.admit("alice", 1, ME);
    let effects = object.answer("alice", 1, LeaseAnswer::Elsewhere(shard("ruby/3")));
    assert_eq!(replies(&effects), [(ME, Reply::Admitted(Err(Refusal::NotYours)))]);
    assert_eq!((asked(&effects), stored_owner(&object)), (vec![], "python/3".to_owned()));
}

#[test]
fn what_a_former_owner_says_is_asked_of_the_new_one() {
    for answer in [LeaseAnswer::Denied, LeaseAnswer::Failed, LeaseAnswer::Elsewhere(shard("python/9"))] {
        let mut object = Object::ready();
        object.admit("alice", 1, ME);
        let orders = Box::new(Orders { owner: shard("python/5"), ..*orders() });
        object.step(Input::StartAsked { caller: YOU, orders });
        let effects = object.answer("alice", 1, answer.clone());
        assert_eq!((asked(&effects), replies(&effects)), (vec!["python/5".to_owned()], vec![]), "{answer:?}");
        assert_eq!(stored_owner(&object), "python/5");
    }
}

#[test]
fn a_renewal_that_is_denied_ends_the_lease_at_once() {
    let mut object = Object::leased("alice", 1);
    object.pass(Millis(800));
    object.admit("alice", 1, ME);
    object.answer("alice", 1, LeaseAnswer::Denied);
    assert_eq!(object.admit("alice", 1, ME).0, Admission::Wait);
}

#[test]
fn a_lease_does_not_outlive_the_longest_the_owner_ordered() {
    let mut object = Object::ready();
    object.admit("alice", 1, ME);
    object.answer("alice", 1, LeaseAnswer::Granted(Millis(u64::MAX)));
    object.pass(orders().lease_ttl);
    assert_eq!(object.admit("alice", 1, ME).0, Admission::Wait);
}

#[test]
fn those_who_wait_for_a_lease_are_bounded() {
    let mut object = Object::ready();
    for n in 0..1_024 {
        assert_eq!(object.admit("alice", 1, Caller(n)).0, Admission::Wait);
    }
    assert_eq!(object.admit("alice", 1, Caller(1_024)).0, Admission::Refuse(Refusal::Unconfirmed));
}

#[test]
fn nothing_is_served_once_it_was_told_to_stop() {
    let mut object = Object::leased("alice", 1);
    object.admit("alice", 2, YOU);
    let effects = object.step(Input::StopAsked { caller: ME });
    assert_eq!(replies(&effects), [(YOU, Reply::Admitted(Err(Refusal::Gone))), (ME, Reply::Stopped)]);
    assert!(effects.contains(&Effect::Terminate));
    assert_eq!(object.admit("alice", 1, YOU).0, Admission::Refuse(Refusal::Gone));
    object.answer("alice", 2, LeaseAnswer::Granted(Millis(1_000)));
    assert_eq!(object.admit("alice", 2, YOU).0, Admission::Refuse(Refusal::Gone), "a late answer changes nothing");
}

#[test]
fn what_ignores_sigterm_is_destroyed_after_the_drain_timeout_across_a_restart() {
    let mut object = Object::ready();
    object.step(Input::StopAsked { caller: ME });
    let object = object.restart(true);
    assert!(!object.pass(Millis(orders().drain_timeout.0 - 1)).contains(&Effect::Destroy));
    assert!(object.pass(Millis(1)).contains(&Effect::Destroy));
}

#[test]
fn stopping_twice_signals_once() {
    let mut object = Object::ready();
    object.step(Input::StopAsked { caller: ME });
    let again = object.step(Input::StopAsked { caller: YOU });
    assert_eq!(again, [Effect::Reply { caller: YOU, reply: Reply::Stopped }]);
}

#[test]
fn destroy_is_answered_when_the_process_is_gone_and_joined_by_others() {
    let mut object = Object::ready();
    assert!(replies(&object.step(Input::DestroyAsked { caller: ME })).is_empty());
    let second = object.step(Input::DestroyAsked { caller: YOU });
    assert_eq!(second, [], "one attempt at a time");
    let gone = object.step(Input::Destroyed(Ok(Destruction::Done)));
    assert_eq!(replies(&gone), [(ME, Reply::Destroyed(Ok(()))), (YOU, Reply::Destroyed(Ok(())))]);
    let late = object.step(Input::DestroyAsked { caller: Caller(3) });
    assert_eq!(replies(&late), [(Caller(3), Reply::Destroyed(Ok(())))]);
}

#[test]
fn a_destroy_that_fails_is_told_and_tried_again_until_it_works() {
    let mut object = Object::ready();
    object.step(Input::DestroyAsked { caller: ME });
    let failed = object.step(Input::Destroyed(Err("engine busy".into())));
    assert_eq!(replies(&failed), [(ME, Reply::Destroyed(Err("engine busy".into())))]);
    assert!(matches!(object.record().life, Life::Stopping { .. }), "not gone until it is known to be");
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let before = object.now;
        assert!(object.ring().contains(&Effect::Destroy));
        pauses.push(object.now.0 - before.0);
        object.step(Input::Destroyed(Err("engine busy".into())));
    }
    assert_eq!(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
}

#[test]
fn an_exit_destroys_the_container_and_is_then_reported() {
    let mut object = Object::leased("alice", 1);
    let exited = object.step(Input::Exited { code: Some(137), message: None });
    assert!(exited.contains(&Effect::Destroy), "an engine may restart what exited");
    assert!(!exited.iter().any(|effect| matches!(effect, Effect::Report { .. })), "not before it is gone");
    let gone = object.step(Input::Destroyed(Ok(Destruction::Done)));
    assert!(gone.iter().any(|effect| matches!(effect, Effect::Report { .. })));
    assert_eq!(object.record().exit_code, Some(137));
}

#[test]
fn a_report_is_owed_until_it_is_acknowledged_across_restarts() {
    let mut object = Object::ready();
    object.step(Input::Exited { code: Some(0), message: None });
    object.step(Input::Destroyed(Ok(Destruction::Done)));
    object.step(Input::Reported(Err("unreachable".into())));
    object.restart(false);
    assert!(object.last.iter().any(|effect| matches!(effect, Effect::Report { .. })), "a restart tries at once");
    object.step(Input::Reported(Ok(())));
    assert!(matches!(object.record().life, Life::Stopped(End { report: Report::Settled, .. })));
    object.restart(false);
    assert_eq!(object.last, [], "and is quiet once it is known");
}

#[test]
fn reports_back_off_and_end_after_a_day() {
    let mut object = Object::ready();
    object.step(Input::Exited { code: None, message: None });
    object.step(Input::Destroyed(Ok(Destruction::Done)));
    let stopped = object.now;
    let mut pauses = Vec::new();
    loop {
        object.step(Input::Reported(Err("unreachable".into())));
        if matches!(object.record().life, Life::Stopped(End { report: Report::Settled, .. })) {
            break;
        }
        let before = object.now;
        object.ring();
        pauses.push(object.now.0 - before.0);
    }
    assert_eq!(pauses.get(..8), Some(&[1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000][..]));
    assert!(object.now >= Millis(stopped.0 + 24 * 3_600_000));
}

#[test]
fn what_ended_is_forgotten_an_hour_after_the_owner_knows() {
    let mut object = Object::ready();
    object.step(Input::Exited { code: None, message: None });
    object.step(Input::Destroyed(Ok(Destruction::Done)));
    object.step(Input::Reported(Ok(())));
    assert_eq!(object.agent.next_alarm(), Some(Millis(object.now.0 + FORGET_AFTER.0)));
    object.ring();
    assert_eq!(object.stored, None);
    assert_eq!(object.agent.next_alarm(), None, "nothing due, no alarm");
}

#[test]
fn an_end_that_nobody_watched_is_found_when_the_object_is_rebuilt() {
    let mut object = Object::leased("alice", 1);
    object.restart(false);
    assert!(object.last.contains(&Effect::Destroy));
    assert_eq!(object.admit("alice", 1, ME).0, Admission::Refuse(Refusal::Gone));
    let gone = object.step(Input::Destroyed(Ok(Destruction::Done)));
    assert!(gone.iter().any(|effect| matches!(effect, Effect::Report { .. })));
}

#[test]
fn a_running_container_is_watched_again_when_the_object_is_rebuilt() {
    let mut object = Object::leased("alice", 1);
    object.restart(true);
    assert_eq!(object.last, [Effect::Monitor]);
    object.admit("alice", 1, ME);
    object.answer("alice", 1, LeaseAnswer::Granted(Millis(1_000)));
    assert_eq!(object.admit("alice", 1, ME).0, Admission::Serve);
}

#[test]
fn a_start_goes_on_when_the_object_is_rebuilt() {
    let mut object = Object::new();
    object.step(Input::StartAsked { caller: ME, orders: orders() });
    object.restart(true);
    assert!(!object.last.iter().any(|effect| matches!(effect, Effect::Start(_))));
    assert!(object.last.iter().any(|effect| matches!(effect, Effect::Probe { .. })));
    object.step(Input::StartAsked { caller: YOU, orders: orders() });
    assert_eq!(replies(&object.step(Input::Probed(ProbeResult::Status(200)))), [(YOU, Reply::Started(Ok(())))]);
}

#[test]
fn a_monitor_that_fails_proves_nothing_and_a_fresh_look_decides() {
    let mut object = Object::leased("alice", 1);
    let effects = object.step(Input::MonitorLost("internal error".into()));
    assert_eq!(effects, [Effect::Rebuild]);
    assert_eq!(object.agent.next_alarm(), Some(Millis(object.now.0 + 1_000)), "it will be woken");
    object.restart(true);
    assert_eq!(object.last, [Effect::Monitor]);
    assert_eq!(object.record().life, Life::Ready);
}

#[test]
fn a_monitor_that_fails_during_a_start_proves_nothing_either() {
    let mut object = Object::new();
    object.step(Input::StartAsked { caller: ME, orders: orders() });
    assert_eq!(object.step(Input::MonitorLost("Network connection lost.".into())), [Effect::Rebuild]);
    object.restart(true);
    object.step(Input::StartAsked { caller: YOU, orders: orders() });
    assert_eq!(replies(&object.step(Input::Probed(ProbeResult::Status(200)))), [(YOU, Reply::Started(Ok(())))]);
}

#[test]
fn a_process_that_nobody_saw_end_is_not_reported_gone_before_a_fresh_look() {
    let mut object = Object::ready();
    object.step(Input::DestroyAsked { caller: ME });
    let effects = object.step(Input::Destroyed(Ok(Destruction::NothingToDo)));
    assert!(matches!(replies(&effects)[..], [(ME, Reply::Destroyed(Err(_)))]), "{effects:?}");
    assert!(effects.contains(&Effect::Rebuild));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Report { .. })));
    object.step(Input::DestroyAsked { caller: YOU });
    let effects = object.step(Input::Destroyed(Ok(Destruction::NothingToDo)));
    assert!(matches!(replies(&effects)[..], [(YOU, Reply::Destroyed(Err(_)))]), "nor the second time: {effects:?}");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Report { .. })));
    object.restart(true);
    assert!(object.ring().contains(&Effect::Destroy), "it did run");
    let gone = object.step(Input::Destroyed(Ok(Destruction::Done)));
    assert!(gone.iter().any(|effect| matches!(effect, Effect::Report { .. })));
}

#[test]
fn a_process_that_its_engine_restarts_after_the_end_is_destroyed_all_the_same() {
    let mut object = Object::ready();
    object.step(Input::Exited { code: Some(3), message: None });
    object.step(Input::Destroyed(Ok(Destruction::NothingToDo)));
    object.step(Input::Reported(Ok(())));
    assert_eq!(object.ring(), [Effect::Rebuild], "the object that saw the end cannot see the restart");
    object.restart(true);
    assert_eq!(object.last, [Effect::Destroy]);
}

#[test]
fn a_missing_image_is_told_when_only_the_monitor_says_so() {
    let mut object = Object::new();
    object.step(Input::StartAsked { caller: ME, orders: orders() });
    let effects = object.step(Input::MonitorLost("Container failed to start".into()));
    let [(ME, Reply::Started(Err(failure)))] = &replies(&effects)[..] else { panic!("{effects:?}") };
    assert!(failure.message.contains("image"), "{failure:?}");
}

#[test]
fn a_start_that_throws_leaves_nothing_to_look_for() {
    let mut object = Object::new();
    object.step(Input::StartAsked { caller: ME, orders: orders() });
    object.step(Input::StartThrew("no such image".into()));
    let effects = object.step(Input::Destroyed(Ok(Destruction::NothingToDo)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Report { .. })), "{effects:?}");
    assert!(!effects.contains(&Effect::Rebuild));
}

#[test]
fn a_request_that_finds_it_dead_is_told_also_when_a_fresh_look_is_needed() {
    let mut object = Object::leased("alice", 1);
    object.step(Input::FoundStopped { caller: Some(ME) });
    let effects = object.step(Input::Destroyed(Ok(Destruction::NothingToDo)));
    assert_eq!(replies(&effects), [(ME, Reply::Told)]);
    assert!(effects.contains(&Effect::Rebuild));
}

#[test]
fn a_request_that_finds_it_dead_is_answered_when_the_owner_knows() {
    let mut object = Object::leased("alice", 1);
    assert!(replies(&object.step(Input::FoundStopped { caller: Some(ME) })).is_empty());
    assert!(replies(&object.step(Input::Destroyed(Ok(Destruction::Done)))).is_empty());
    assert_eq!(replies(&object.step(Input::Reported(Ok(())))), [(ME, Reply::Told)]);
    assert_eq!(replies(&object.step(Input::FoundStopped { caller: Some(YOU) })), [(YOU, Reply::Told)]);
}

#[test]
fn an_idle_container_stops_itself_after_sleep_after() {
    let mut object = Object::ready();
    assert!(!object.pass(Millis(orders().sleep_after.0 - 1)).contains(&Effect::Terminate));
    assert!(object.pass(Millis(1)).contains(&Effect::Terminate));
}

#[test]
fn traffic_and_renewals_keep_it_awake_from_their_last_moment() {
    for keep in [Input::RenewAsked, Input::TrafficBegan] {
        let mut object = Object::ready();
        let sleep_after = orders().sleep_after.0;
        // Two soon after each other: the second counts, though only the first may have been written.
        object.pass(Millis(sleep_after / 2));
        object.step(keep.clone());
        object.step(Input::TrafficEnded);
        object.pass(Millis(sleep_after / 10));
        object.step(keep);
        object.step(Input::TrafficEnded);
        assert!(!object.pass(Millis(sleep_after - 1)).contains(&Effect::Terminate));
        assert!(object.pass(Millis(1)).contains(&Effect::Terminate));
    }
}

#[test]
fn a_stream_that_is_open_is_traffic_however_long() {
    let mut object = Object::ready();
    object.step(Input::TrafficBegan);
    for _ in 0..20 {
        assert!(!object.pass(orders().sleep_after).contains(&Effect::Terminate));
    }
    object.step(Input::TrafficEnded);
    assert!(!object.pass(Millis(orders().sleep_after.0 - 1)).contains(&Effect::Terminate));
    assert!(object.pass(Millis(1)).contains(&Effect::Terminate));
}

#[test]
fn a_rebuilt_object_never_sleeps_too_early_and_at_most_a_quarter_late() {
    let mut object = Object::ready();
    let sleep_after = orders().sleep_after.0;
    object.pass(Millis(sleep_after / 5));
    object.step(Input::RenewAsked);
    let last = object.now.0;
    object.restart(true);
    while !object.ring().contains(&Effect::Terminate) {
        assert!(object.now.0 < last + 2 * sleep_after, "it never sleeps");
    }
    assert!(object.now.0 >= last + sleep_after);
    assert!(object.now.0 <= last + sleep_after + sleep_after / 4);
}

#[test]
fn traffic_is_written_a_few_times_per_sleep_after_at_most() {
    let mut object = Object::ready();
    let writes = object.writes;
    for _ in 0..1_000 {
        object.pass(Millis(orders().sleep_after.0 / 1_000));
        object.step(Input::TrafficBegan);
        object.step(Input::TrafficEnded);
    }
    assert!(object.writes - writes <= 4, "{}", object.writes - writes);
}

#[test]
fn a_container_that_changes_hands_reports_to_its_new_owner() {
    let mut object = Object::ready();
    let mut lent = orders();
    lent.owner = "python/7".parse().unwrap();
    object.step(Input::StartAsked { caller: ME, orders: lent.clone() });
    object.restart(true);
    object.step(Input::Exited { code: None, message: None });
    let gone = object.step(Input::Destroyed(Ok(Destruction::Done)));
    assert!(gone.contains(&Effect::Report { owner: lent.owner, container: lent.container }));
}

#[test]
fn a_process_that_nobody_ordered_is_destroyed() {
    let mut object = Object::new();
    object.restart(true);
    assert_eq!(object.last, [Effect::Destroy]);
    let start = object.step(Input::StartAsked { caller: ME, orders: orders() });
    assert_eq!(failure_class(&start, ME), Some(FailureClass::Transient));
    object.step(Input::Destroyed(Ok(Destruction::Done)));
    let start = object.step(Input::StartAsked { caller: YOU, orders: orders() });
    assert!(start.iter().any(|effect| matches!(effect, Effect::Start(_))));
}

fn shard(name: &str) -> ShardId {
    name.parse().unwrap()
}

/// Whom a step asks for a lease.
fn asked(effects: &[Effect]) -> Vec<String> {
    let of = |effect: &Effect| match effect {
        Effect::AskLease { owner, .. } => Some(owner.to_string()),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

/// The owner by what is stored.
fn stored_owner(object: &Object) -> String {
    let record: Record = serde_json::from_str(object.stored.as_deref().unwrap()).unwrap();
    record.orders.unwrap().owner.to_string()
}

fn replies(effects: &[Effect]) -> Vec<(Caller, Reply)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Reply { caller, reply } => Some((*caller, reply.clone())),
            _ => None,
        })
        .collect()
}

fn failure_of(effects: &[Effect], caller: Caller) -> Option<cf_warm_pools::core::failure::StartFailure> {
    replies(effects).into_iter().find_map(|(who, reply)| match reply {
        Reply::Started(Err(failure)) if who == caller => Some(failure),
        _ => None,
    })
}

fn failure_class(effects: &[Effect], caller: Caller) -> Option<FailureClass> {
    failure_of(effects, caller).map(|failure| failure.class)
}

fn failure_message(effects: &[Effect], caller: Caller) -> String {
    failure_of(effects, caller).map(|failure| failure.message).unwrap_or_default()
}
