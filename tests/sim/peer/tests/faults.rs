//! Each fault of the library, by the shortest script that leads to it.

use cf_warm_pools::config::resolved::Millis;
use cf_warm_pools::core::id::ContainerId;

use super::super::{PeerCall, PeerConfig, PeerInput, PeerRows};
use super::Trial;
use super::script::{Script, session};

pub const TRIALS: &[Trial] = &[
    ("peer: a stop reported by hex id is not understood", a_stop_reported_by_hex_id_is_not_understood),
    ("peer: concurrent first calls orphan a container", concurrent_first_calls_orphan_a_container),
    ("peer: the second caller of a dead mapping deletes the new one", the_second_caller_deletes_the_new_mapping),
    ("peer: failed starts run on, forgotten", failed_starts_run_on_forgotten),
    ("peer: scale-down hands out what it has stopped", scale_down_hands_out_what_it_has_stopped),
    ("peer: shutdown hands out what it is stopping", shutdown_hands_out_what_it_is_stopping),
    ("peer: shutdown stops what was assigned meanwhile", shutdown_stops_what_was_assigned_meanwhile),
    ("peer: one that ignores SIGTERM is forgotten", one_that_ignores_sigterm_is_forgotten),
    ("peer: one failed check ends a mapping", one_failed_check_ends_a_mapping),
    ("peer: past the call limit live mappings end", past_the_call_limit_live_mappings_end),
    ("peer: a restart during a refill orphans it", a_restart_during_a_refill_orphans_it),
    ("peer: a ceiling of zero is learned and kept", a_ceiling_of_zero_is_learned_and_kept),
    ("peer: a client without settings resets the target", a_client_without_settings_resets_the_target),
    ("peer: a full map refuses every new id", a_full_map_refuses_every_new_id),
    ("peer: only the alarm refills, one by one", only_the_alarm_refills_one_by_one),
    ("peer: a fifth of the calls is warm under steady load", a_fifth_of_the_calls_is_warm_under_steady_load),
];

/// Fault 1.
fn a_stop_reported_by_hex_id_is_not_understood() {
    let mut script = Script::filled(1);
    let alice = script.take("alice");
    script.step(PeerInput::ReportStopped("8f".repeat(32)));
    assert_eq!(script.mapped("alice"), Some(alice));
    script.step(PeerInput::ReportStopped(alice.to_string()));
    assert_eq!(script.mapped("alice"), None);
}

/// Fault 2.
fn concurrent_first_calls_orphan_a_container() {
    let mut script = Script::new(0);
    let callers = [script.get("alice"), script.get("alice"), script.get("alice")];
    assert_eq!(script.under_way(PeerCall::Start), 3);
    script.settle();
    let [first, second, third] = callers.map(|caller| script.container(caller));
    assert_eq!(script.rows.containers(), [third]);
    assert_eq!(script.untracked(), [first, second]);
}

/// Fault 3.
fn the_second_caller_deletes_the_new_mapping() {
    let mut script = Script::filled(3);
    let dead = script.take("alice");
    script.running.remove(&dead);
    let callers = [script.get("alice"), script.get("alice")];
    script.answer(PeerCall::GetState);
    let first = script.container(callers[0]);
    assert_eq!(script.mapped("alice"), Some(first));
    script.answer(PeerCall::GetState);
    let second = script.container(callers[1]);
    assert_ne!(first, second);
    assert_eq!(script.mapped("alice"), Some(second));
    assert_eq!(script.untracked(), [first]);
}

/// Fault 4.
fn failed_starts_run_on_forgotten() {
    let mut script = Script::new(5);
    for _ in 0..4 {
        script.fire();
        for _ in 0..5 {
            script.fail(PeerCall::Start, "the port did not answer in time");
        }
    }
    assert_eq!(script.running.len(), 20);
    assert_eq!(script.rows.containers(), []);
    assert_eq!(script.called(PeerCall::Stop), 0);

    let caller = script.get("alice");
    script.fail(PeerCall::Start, "the port did not answer in time");
    assert_eq!(script.error(caller), "the container did not start");
    assert_eq!(script.untracked().len(), 21);
}

/// Fault 5, first half.
fn scale_down_hands_out_what_it_has_stopped() {
    let mut script = Script::filled(2);
    script.configure(0);
    script.fire();
    script.answer(PeerCall::GetState);
    script.answer(PeerCall::GetState);
    let stopped = script.answer(PeerCall::Stop);
    let caller = script.get("alice");
    assert_eq!(script.container(caller), stopped);
    assert!(!script.running.contains(&stopped));
    script.settle();
    assert_eq!(script.mapped("alice"), Some(stopped), "the end of the handler leaves the mapping");
}

/// Fault 5, second half.
fn shutdown_hands_out_what_it_is_stopping() {
    let mut script = Script::filled(1);
    script.shut_down();
    let caller = script.get("alice");
    let stopped = script.answer(PeerCall::Stop);
    assert_eq!(script.container(caller), stopped);
    assert_eq!(script.mapped("alice"), Some(stopped));
    assert!(!script.running.contains(&stopped));
}

/// Fault 5, the other way round: the list of what to stop is made once.
fn shutdown_stops_what_was_assigned_meanwhile() {
    let mut script = Script::filled(2);
    script.shut_down();
    script.get("alice");
    let caller = script.get("bob");
    let bob = script.container(caller);
    assert!(!script.calls.contains(&(bob, PeerCall::Stop)), "nothing is wrong with it yet");
    script.settle();
    assert_eq!(script.mapped("bob"), Some(bob));
    assert!(!script.running.contains(&bob));
}

/// Fault 6.
fn one_that_ignores_sigterm_is_forgotten() {
    let mut script = Script::filled(2);
    script.deaf = true;
    script.configure(1);
    script.refresh();
    assert_eq!(script.untracked().len(), 1);
    script.shut_down();
    script.settle();
    assert_eq!(script.untracked().len(), 2);
}

/// Fault 7, first half.
fn one_failed_check_ends_a_mapping() {
    let mut script = Script::filled(2);
    let before = script.take("alice");
    let caller = script.get("alice");
    script.fail(PeerCall::GetState, "Network connection lost.");
    assert_ne!(script.container(caller), before);
    assert_eq!(script.untracked(), [before]);

    let mut script = Script::new(0);
    let before = script.take("alice");
    script.fire();
    script.fail(PeerCall::GetState, "Network connection lost.");
    assert_eq!(script.mapped("alice"), None);
    assert_eq!(script.untracked(), [before]);
}

/// Fault 7, second half.
fn past_the_call_limit_live_mappings_end() {
    let assigned = (0..10_003_u32).map(|n| (session(&format!("user-{n}")), ContainerId::from_random(n.into())));
    let rows = PeerRows {
        assigned: assigned.collect(),
        config: Some(PeerConfig { warm_target: 0, refresh_interval: Millis::from_secs(10) }),
        alarm: Some(Millis(1_000_000)),
        ..PeerRows::default()
    };
    let mut script = Script::over(rows);
    script.running = script.rows.containers().into_iter().collect();
    script.refresh();
    assert_eq!(script.rows.assigned().len(), 10_000);
    assert_eq!(script.mapped("user-10000"), None);
    assert_eq!(script.running.len(), 10_003);
}

/// Fault 8.
fn a_restart_during_a_refill_orphans_it() {
    let mut script = Script::new(5);
    script.fire();
    script.answer(PeerCall::Start);
    script.answer(PeerCall::Start);
    script.restart();
    assert_eq!(script.rows.containers(), []);
    assert_eq!(script.running.len(), 3, "two that were started, one that was starting");
    script.now = script.now + Millis::from_secs(1);
    script.step(PeerInput::Alarm);
    script.settle();
    assert_eq!(script.rows.containers().len(), 5);
    assert_eq!(script.untracked().len(), 3);
}

/// Fault 9.
fn a_ceiling_of_zero_is_learned_and_kept() {
    let mut script = Script::new(0);
    let (alice, bob) = (script.get("alice"), script.get("bob"));
    script.refuse();
    assert_eq!(script.error(bob), "no room: 0 of 0 instances are in use");
    assert_eq!(script.rows.ceiling, Some(0), "stored, while one was starting");
    script.answer(PeerCall::Start);
    let container = script.container(alice);

    script.running.clear();
    script.step(PeerInput::ReportStopped(container.to_string()));
    for _ in 0..10 {
        script.refresh();
        script.restart();
        let carol = script.get("carol");
        assert_eq!(script.error(carol), "no room: 0 of 0 instances are in use", "though nothing runs");
    }
}

/// Fault 12.
fn a_client_without_settings_resets_the_target() {
    let mut script = Script::filled(1);
    let PeerConfig { warm_target, refresh_interval } = PeerConfig::default();
    script.step(PeerInput::Configure { warm_target, refresh_interval });
    let caller = script.caller();
    script.step(PeerInput::Stats { caller });
    script.refresh();
    assert_eq!(script.rows.containers().len(), 5);
}

/// Fault 13.
fn a_full_map_refuses_every_new_id() {
    // A UUID as id makes 76 bytes an entry, of 2,000,000. The numbers are clear of those the script gives to new ones.
    let id = |n: u32| session(&ContainerId::from_random(u128::from(n) << 80).to_string());
    let assigned = (0..26_315_u32).map(|n| (id(n), ContainerId::from_random(u128::from(n) + 1_000_000)));
    let mut script = Script::over(PeerRows { assigned: assigned.collect(), ..PeerRows::default() });
    let caller = script.get(id(30_000).as_str());
    script.settle();
    assert_eq!(script.error(caller), "the stored value has 2000016 bytes, more than 2000000");
    assert_eq!(script.rows.assigned().len(), 26_315);
    assert_eq!(script.untracked().len(), 1);
}

/// Fault 15: how.
fn only_the_alarm_refills_one_by_one() {
    let mut script = Script::filled(3);
    let before = script.called(PeerCall::Start);
    for id in ["alice", "bob", "carol"] {
        script.take(id);
    }
    assert_eq!(script.called(PeerCall::Start), before);
    script.fire();
    for _ in 0..3 {
        script.answer(PeerCall::GetState);
    }
    for _ in 0..3 {
        assert_eq!(script.under_way(PeerCall::Start), 1);
        script.answer(PeerCall::Start);
    }
    assert_eq!(script.rows.warm.len(), 3);
}

/// Fault 15: how much. A new id a second, five warm, three seconds to boot; the library was measured to serve a fifth
/// of them warm.
fn a_fifth_of_the_calls_is_warm_under_steady_load() {
    let mut script = Script::filled(5);
    let begin = script.now;
    let boot = Millis::from_secs(3);
    let mut warm = 0;
    for second in 1..=500_u64 {
        script.now = begin + Millis::from_secs(second);
        script.settle_but_boots(boot);
        if script.alarm.is_some_and(|at| at <= script.now) {
            script.fire();
            script.settle_but_boots(boot);
        }
        let caller = script.get(&format!("user-{second}"));
        warm += u32::from(script.is_answered(caller));
    }
    assert!((90..=115).contains(&warm), "{warm} of 500 were warm");
}
