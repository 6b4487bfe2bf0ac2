//! A change of the configuration is made over what its caller has seen, or not at all; it is on record; and it can be foreseen.

use cf_warm_pools::config::parse_json;
use cf_warm_pools::config::resolved::{Config, Millis};
use cf_warm_pools::core::allotment::Standing;
use cf_warm_pools::core::coordinator::{
    Action, Ask, Change, ConfigSource, Coordinator, Effects, Input, Record, Registry, Stale, Write,
};
use cf_warm_pools::core::stats::Counts;
use serde_json::{Value, json};

use crate::desk::{Desk, REFRESH, pools};

fn keeping(warm_target: u32) -> Config {
    pools(&[&format!(r#""warm_target": {warm_target}"#)])
}

fn asked(ask: Ask, expected: Option<u64>) -> Input {
    let expected = expected.map(|version| vec![version]);
    Input::Change(Box::new(Change { ask, expected, by: "ada".to_owned() }))
}

fn put(config: Config) -> Input {
    asked(Ask::Put(config), None)
}

fn has(warm: u32, assigned: u32) -> Standing {
    Standing { counts: Counts { warm, assigned, ..Counts::default() }, ..Standing::default() }
}

/// What a record says beside its configuration.
fn said(record: &Record) -> (u64, Option<u64>, &str, Action, ConfigSource, Option<u64>) {
    let Record { version, from, by, action, source, restores, .. } = record;
    (*version, *from, by, *action, *source, *restores)
}

#[test]
fn of_two_changes_over_the_same_version_one_is_made() {
    let mut desk = Desk::with(keeping(1));
    let seen = desk.version().version;
    for ask in [Ask::Put(keeping(2)), Ask::RollBack(keeping(3), 1)] {
        let (expected, before) = (desk.version().version, desk.registry.clone());
        let fx = desk.step(asked(ask.clone(), Some(seen)));
        if expected == seen {
            assert_eq!((fx.stale, desk.version().version), (None, seen + 1));
        } else {
            assert_eq!(fx.stale, Some(Stale { version: expected }));
            assert!(fx.writes.is_empty() && fx.pushes.is_empty(), "nothing was changed, and nobody told");
            assert_eq!(desk.registry, before);
        }
    }
    assert_eq!(desk.machine.config(), keeping(2));
    let fx = desk.step(asked(Ask::Drop, Some(seen)));
    assert_eq!((fx.stale.is_some(), desk.machine.source()), (true, ConfigSource::Admin), "nor is it dropped");
    let several = Change { ask: Ask::Drop, expected: Some(vec![seen, seen + 1]), by: "ada".to_owned() };
    assert_eq!(desk.step(Input::Change(Box::new(several))).stale, None);
    assert_eq!(desk.machine.config(), keeping(1));
}

#[test]
fn a_migration_that_ends_makes_what_was_seen_before_stale() {
    let sharded = |shards: u32| pools(&[&format!(r#""warm_target": 0, "shards": {shards}"#)]);
    let mut desk = Desk::with(sharded(1));
    desk.step(put(sharded(2)));
    desk.settle();
    let (seen, records) = (desk.version().version, desk.records.len());
    desk.report("a/0", Standing::default());
    desk.report("a/1", Standing::default());
    assert!(desk.machine.moving_from().is_empty() && desk.version().version > seen);
    assert!(desk.step(asked(Ask::Put(sharded(3)), Some(seen))).stale.is_some());
    assert_eq!(desk.records.len(), records, "that it ended is no change of what is asked for");
}

#[test]
fn a_change_that_changes_nothing_and_names_no_version_makes_none() {
    let mut desk = Desk::with(keeping(1));
    desk.step(put(keeping(1)));
    assert_eq!(desk.machine.source(), ConfigSource::Admin, "from now on no deploy changes it: that is a change");
    desk.settle();
    for nothing in [put(keeping(1)), asked(Ask::RollBack(keeping(1), 1), None)] {
        let (version, records) = (desk.version(), desk.records.len());
        let fx = desk.step(nothing);
        assert!(fx.pushes.is_empty() && fx.writes.is_empty());
        assert_eq!((desk.version(), desk.records.len()), (version, records));
    }
    desk.step(asked(Ask::Drop, None));
    let (version, records) = (desk.version(), desk.records.len());
    let fx = desk.step(asked(Ask::Drop, None));
    assert_eq!((desk.version(), desk.records.len(), fx.writes), (version, records, Vec::new()));
}

#[test]
fn of_two_changes_over_the_same_version_one_is_made_also_when_one_changes_nothing() {
    let mut desk = Desk::with(keeping(1));
    for nothing in [Ask::Drop, Ask::Put(keeping(2)), Ask::RollBack(keeping(2), 2)] {
        if nothing != Ask::Drop {
            desk.step(put(keeping(2)));
        }
        let seen = desk.version().version;
        assert_eq!(desk.step(asked(nothing, Some(seen))).stale, None);
        assert_eq!(desk.step(asked(Ask::Put(keeping(3)), Some(seen))).stale, Some(Stale { version: seen + 1 }));
    }
}

#[test]
fn every_change_is_on_record_with_who_made_it_and_what_is_in_force_since() {
    let mut desk = Desk::new();
    desk.deploy(keeping(1));
    desk.step(put(keeping(2)));
    desk.later(Millis(5));
    desk.deploy(keeping(3));
    desk.step(asked(Ask::Drop, None));
    desk.step(asked(Ask::RollBack(keeping(2), 2), None));
    let (bundled, admin) = (ConfigSource::Bundled, ConfigSource::Admin);
    let expected = [
        ((1, None, "deploy", Action::Deployed, bundled, None), 1),
        ((2, Some(1), "ada", Action::Put, admin, None), 2),
        // What was put outranks it.
        ((3, Some(2), "deploy", Action::Deployed, admin, None), 2),
        ((4, Some(3), "ada", Action::Dropped, bundled, None), 3),
        ((5, Some(4), "ada", Action::RolledBack, admin, Some(2)), 2),
    ];
    for (record, (expected, target)) in desk.records.iter().zip(expected) {
        assert_eq!((said(record), &record.config), (expected, &keeping(target)));
    }
    assert_eq!((desk.records.len(), desk.machine.config()), (5, keeping(2)));
    assert_eq!((desk.records[1].at, desk.records[2].at), (Millis(1_000_000), Millis(1_000_005)));
}

#[test]
fn what_code_without_records_left_in_force_is_on_record_before_it_is_replaced() {
    let mut desk = Desk::with(keeping(1));
    desk.step(put(keeping(2)));
    let mut registry = serde_json::to_value(&desk.registry).unwrap();
    assert!(registry.as_object_mut().unwrap().remove("recorded").is_some());
    let registry: Registry = serde_json::from_value(registry).unwrap();
    let version = registry.version;
    let mut machine = Coordinator::load(registry, desk.acknowledged.clone(), desk.ledger.clone());
    let mut fx = Effects::default();
    machine.step(Millis(7), put(keeping(3)), &mut fx);
    let records = fx.writes.iter().filter_map(|write| match write {
        Write::PutRecord(record) => Some((said(record), record.config.clone())),
        _ => None,
    });
    let admin = ConfigSource::Admin;
    let expected = [
        ((version, None, "admin", Action::Put, admin, None), keeping(2)),
        ((version + 1, Some(version), "ada", Action::Put, admin, None), keeping(3)),
    ];
    assert_eq!(records.collect::<Vec<_>>(), expected);
    let mut fx = Effects::default();
    machine.step(Millis(8), Input::Woken, &mut fx);
    assert!(!fx.writes.iter().any(|write| matches!(write, Write::PutRecord(_))), "once");
}

/// What is foreseen of a pool, but for the changed values: `[change, start, drain, move, waits, restart]`.
fn foreseen(desk: &Desk, config: &Config, pool: &str) -> Value {
    let preview = desk.machine.preview(config);
    let pools = preview["pools"].as_array().unwrap();
    let of_pool = pools.iter().find(|each| each["pool"] == pool).unwrap();
    ["change", "start", "drain", "move", "waits", "restart"].map(|key| of_pool[key].clone()).into_iter().collect()
}

#[test]
fn a_preview_says_what_would_be_started_and_sent_away() {
    let keys = |keys: &str| pools(&[&format!(r#""shards": 2, "max_instances": 10, {keys}"#)]);
    let mut desk = Desk::with(keys(r#""warm_target": 5"#));
    desk.later(REFRESH);
    desk.report("a/0", has(3, 2));
    desk.report("a/1", has(1, 1));
    let no_move = Value::Null;
    for (config, expected) in [
        (keys(r#""warm_target": 5"#), json!(["unchanged", 0, 0, no_move, false, false])),
        (keys(r#""warm_target": 5, "acquire_timeout": "9s""#), json!(["changed", 0, 0, no_move, false, false])),
        (keys(r#""warm_target": 6"#), json!(["changed", 2, 0, no_move, false, false])),
        // Three of ten are assigned.
        (keys(r#""warm_target": 9"#), json!(["changed", 3, 0, no_move, false, false])),
        (keys(r#""warm_target": 1"#), json!(["changed", 0, 3, no_move, false, false])),
        (keys(r#""warm_target": 5, "lease_ttl": "50s""#), json!(["changed", 5, 4, no_move, false, true])),
        (keys(r#""warm_target": 5, "start": {"env": {"A": "b"}}"#), json!(["changed", 5, 4, no_move, false, true])),
        (Config::default(), json!(["removed", 0, 4, no_move, false, false])),
    ] {
        assert_eq!(foreseen(&desk, &config, "a"), expected);
    }
    let added = pools(&[r#""warm_target": 5, "shards": 2, "max_instances": 10"#, r#""warm_target": 3"#]);
    assert_eq!(foreseen(&desk, &added, "b"), json!(["added", 3, 0, null, false, false]));
}

#[test]
fn a_preview_takes_a_shard_that_was_not_heard_of_to_keep_its_share() {
    let desk = Desk::with(keeping(5));
    assert_eq!(foreseen(&desk, &keeping(7), "a"), json!(["changed", 2, 0, null, false, false]));
}

#[test]
fn a_preview_says_which_ids_would_move_and_what_would_wait_for_those_that_do() {
    let sharded = |shards: u32| pools(&[&format!(r#""warm_target": 0, "shards": {shards}"#)]);
    let mut desk = Desk::with(sharded(2));
    let moving = |from: u32, to: u32| json!({ "from": from, "to": to });
    assert_eq!(foreseen(&desk, &sharded(4), "a"), json!(["changed", 0, 0, moving(2, 4), false, false]));
    desk.step(put(sharded(4)));
    assert_eq!(foreseen(&desk, &sharded(4), "a"), json!(["unchanged", 0, 0, null, false, false]));
    assert_eq!(foreseen(&desk, &sharded(3), "a"), json!(["changed", 0, 0, moving(4, 3), true, false]));
}

#[test]
fn a_preview_lists_every_value_that_changes_by_its_path() {
    let desk = Desk::with(pools(&[r#""warm_target": 5, "start": {"env": {"A": "1", "B": "2"}}"#]));
    let to = pools(&[r#""warm_target": 6, "max_instances": 9, "start": {"env": {"A": "1", "B": "3"}}"#]);
    let preview = desk.machine.preview(&to);
    assert_eq!(
        preview["pools"][0]["changes"],
        json!([
            { "path": "pools.a.max_instances", "from": null, "to": 9 },
            { "path": "pools.a.start.env.B", "from": "2", "to": "3" },
            { "path": "pools.a.warm_target", "from": 5, "to": 6 },
        ])
    );
    assert_eq!((&preview["routes"], &preview["prices"]), (&json!({ "changed": false }), &json!({ "changed": false })));
}

#[test]
fn a_preview_says_whether_prices_change() {
    let of = |prices: &str| parse_json(&format!(r#"{{"pools": {{}}, "prices": {{{prices}}}}}"#)).unwrap();
    let desk = Desk::with(of(r#""memory_gib_second": 1e-6"#));
    let changed = |prices| desk.machine.preview(&of(prices))["prices"]["changed"].clone();
    assert_eq!(changed(r#""memory_gib_second": 1e-6"#), json!(false));
    assert_eq!((changed(r#""memory_gib_second": 2e-6"#), changed("")), (json!(true), json!(true)));
}
