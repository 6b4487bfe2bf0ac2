//! What the library does when nothing goes wrong.

use cf_warm_pools::config::resolved::Millis;

use super::super::{PeerCall, PeerInput, PeerRows};
use super::Trial;
use super::script::Script;

pub const TRIALS: &[Trial] = &[
    ("peer: an id keeps its container", an_id_keeps_its_container),
    ("peer: warm ones are given out first, the oldest first", warm_ones_are_given_out_first),
    ("peer: the alarm refills and renews", the_alarm_refills_and_renews),
    ("peer: the alarm scales down", the_alarm_scales_down),
    ("peer: an object that was never configured keeps five", an_object_that_was_never_configured_keeps_five),
    ("peer: a restart does not put the alarm off", a_restart_does_not_put_the_alarm_off),
    ("peer: an alarm during an alarm changes nothing", an_alarm_during_an_alarm_changes_nothing),
    ("peer: the alarm strikes off what has stopped", the_alarm_strikes_off_what_has_stopped),
    ("peer: a ceiling holds until a probe succeeds", a_ceiling_holds_until_a_probe_succeeds),
    ("peer: shutdown stops the warm ones only", shutdown_stops_the_warm_ones_only),
];

fn an_id_keeps_its_container() {
    let mut script = Script::new(0);
    let alice = script.take("alice");
    let bob = script.take("bob");
    assert_ne!(alice, bob);
    script.restart();
    assert_eq!(script.take("alice"), alice);
    assert_eq!(script.take("bob"), bob);
    assert_eq!(script.called(PeerCall::Start), 2);
}

fn warm_ones_are_given_out_first() {
    let mut script = Script::filled(2);
    let warm = script.rows.containers();
    for (id, container) in ["alice", "bob"].into_iter().zip(warm) {
        let caller = script.get(id);
        assert_eq!(script.container(caller), container, "at once, without a call");
    }
    let cold = script.get("carol");
    assert!(!script.is_answered(cold));
    script.answer(PeerCall::Start);
    assert_eq!(script.mapped("carol"), Some(script.container(cold)));
}

fn the_alarm_refills_and_renews() {
    let mut script = Script::filled(3);
    script.take("alice");
    script.refresh();
    assert_eq!(script.rows.warm.len(), 3);
    assert_eq!(script.running.len(), 4);
    assert_eq!(script.called(PeerCall::Renew), 6, "three in each round, the assigned one in none");
    assert_eq!(script.alarm, Some(script.now + Millis::from_secs(10)));
}

fn the_alarm_scales_down() {
    let mut script = Script::filled(3);
    let warm = script.rows.containers();
    script.configure(1);
    script.refresh();
    assert_eq!(script.rows.containers(), warm[2..], "the oldest go");
    assert_eq!(script.running.len(), 1);
}

fn an_object_that_was_never_configured_keeps_five() {
    let mut script = Script::over(PeerRows::default());
    let caller = script.caller();
    script.step(PeerInput::Stats { caller });
    assert!(script.is_answered(caller));
    script.refresh();
    assert_eq!(script.rows.containers().len(), 5);
}

fn a_restart_does_not_put_the_alarm_off() {
    let mut script = Script::filled(1);
    let due = script.alarm;
    script.now = script.now + Millis::from_secs(9);
    script.restart();
    script.take("alice");
    assert_eq!(script.alarm, due);

    script.fire();
    script.restart();
    script.alarm = None;
    script.take("alice");
    assert_eq!(script.alarm, Some(script.now + Millis::from_secs(10)), "one that was lost is set again");
}

fn an_alarm_during_an_alarm_changes_nothing() {
    let mut script = Script::new(2);
    script.fire();
    script.step(PeerInput::Alarm);
    assert_eq!(script.under_way(PeerCall::Start), 1);
    script.settle();
    assert_eq!(script.rows.warm.len(), 2);
    assert!(script.alarm.is_some());
}

fn the_alarm_strikes_off_what_has_stopped() {
    let mut script = Script::filled(2);
    let alice = script.take("alice");
    let warm = script.rows.warm[0];
    script.running.clear();
    script.refresh();
    assert!(!script.rows.containers().contains(&alice));
    assert!(!script.rows.containers().contains(&warm));
    assert_eq!(script.rows.warm.len(), 2);
}

fn a_ceiling_holds_until_a_probe_succeeds() {
    let mut script = Script::filled(2);
    script.configure(4);
    script.fire();
    script.answer(PeerCall::GetState);
    script.answer(PeerCall::GetState);
    script.refuse();
    script.settle();
    assert_eq!(script.rows.ceiling, Some(2));
    assert_eq!(script.rows.warm.len(), 2, "the first refusal ends the refill");

    script.take("alice");
    script.take("bob");
    let carol = script.get("carol");
    assert_eq!(script.error(carol), "no room: 2 of 2 instances are in use");

    script.refresh();
    assert_eq!(script.rows.ceiling, None);
    assert_eq!(script.rows.warm.len(), 4);
}

fn shutdown_stops_the_warm_ones_only() {
    let mut script = Script::filled(3);
    let alice = script.take("alice");
    let caller = script.shut_down();
    script.settle();
    assert!(script.is_answered(caller));
    assert_eq!(script.rows.containers(), [alice]);
    assert_eq!(script.running.iter().copied().collect::<Vec<_>>(), [alice]);
}
