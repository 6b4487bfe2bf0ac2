//! A later configuration wins; an older deploy never flips it back; nothing changes by halves.

use cf_warm_pools::config::parse_json;
use cf_warm_pools::config::resolved::{Config, Millis};
use cf_warm_pools::core::allotment::{CreditReport, ShardReport, Standing};
use cf_warm_pools::core::coordinator::{
    Ask, Change, ConfigSource, Coordinator, Deployed, Effects, HEAR_FOR, Input, Registry, Write,
};
use cf_warm_pools::core::id::ShardId;
use cf_warm_pools::core::plan::{CodeVersion, Fingerprint, Plan, PlanVersion};
use cf_warm_pools::core::shard::{Effects as ShardEffects, Entropy, Input as ShardInput, Rows, Shard};
use cf_warm_pools::core::sorted::Map;

use crate::desk::Desk;
use crate::world::{World, pool};

const NOW: Millis = Millis(1_000);

fn config(warm_target: u32, shards: u32) -> Config {
    parse_json(&format!(
        r#"{{"pools": {{"p": {{"container": "C", "warm_target": {warm_target}, "shards": {shards}}}}}}}"#
    ))
    .unwrap()
}

fn deployed(stamp: u64, warm_target: u32, shards: u32) -> Input {
    let config = config(warm_target, shards);
    Input::Deployed(Box::new(Deployed { stamp, source: ConfigSource::Bundled, config }))
}

fn put(warm_target: u32, shards: u32) -> Input {
    Input::Change(Box::new(Change::of(Ask::Put(config(warm_target, shards)))))
}

fn drop_override() -> Input {
    Input::Change(Box::new(Change::of(Ask::Drop)))
}

fn step(machine: &mut Coordinator, input: Input) -> Effects {
    let mut fx = Effects::default();
    machine.step(NOW, input, &mut fx);
    fx
}

fn target(machine: &Coordinator) -> u32 {
    machine.config().pools.values().next().unwrap().warm_target
}

#[test]
fn a_later_deploy_wins_and_an_older_one_that_still_runs_changes_nothing() {
    let mut machine = Coordinator::load(Registry::default(), Map::new(), Map::new());
    step(&mut machine, deployed(100, 3, 1));
    step(&mut machine, deployed(200, 7, 1));
    let version = machine.version();
    for _ in 0..3 {
        let fx = step(&mut machine, deployed(100, 3, 1));
        assert!(fx.writes.is_empty());
        step(&mut machine, deployed(200, 7, 1));
    }
    assert_eq!((target(&machine), machine.version()), (7, version));
}

#[test]
fn the_admin_override_outranks_deploys_until_it_is_dropped() {
    let mut machine = Coordinator::load(Registry::default(), Map::new(), Map::new());
    step(&mut machine, deployed(100, 3, 1));
    step(&mut machine, put(9, 1));
    step(&mut machine, deployed(200, 7, 1));
    assert_eq!((target(&machine), machine.source()), (9, ConfigSource::Admin));
    step(&mut machine, drop_override());
    assert_eq!((target(&machine), machine.source()), (7, ConfigSource::Bundled));
}

#[test]
fn versions_only_grow_and_survive_a_restart() {
    let mut machine = Coordinator::load(Registry::default(), Map::new(), Map::new());
    let mut last = machine.version();
    for input in [deployed(100, 3, 1), put(9, 1), drop_override(), deployed(200, 1, 1)] {
        let fx = step(&mut machine, input);
        assert!(machine.version() > last);
        last = machine.version();
        let registry = fx.writes.into_iter().find_map(|write| match write {
            Write::PutRegistry(registry) => Some(*registry),
            _ => None,
        });
        machine = Coordinator::load(registry.unwrap(), Map::new(), Map::new());
        assert_eq!(machine.version(), last);
    }
}

#[test]
fn pushes_that_were_lost_with_the_object_are_taken_up() {
    let mut machine = Coordinator::load(Registry::default(), Map::new(), Map::new());
    let fx = step(&mut machine, deployed(100, 10, 2));
    assert!(machine.next_timeout().is_some(), "an alarm is set while pushes are under way");
    let registry = fx.writes.into_iter().find_map(|write| match write {
        Write::PutRegistry(registry) => Some(*registry),
        _ => None,
    });
    let mut machine = Coordinator::load(registry.unwrap(), Map::new(), Map::new());
    let at = machine.next_timeout().expect("there is something to do");
    let mut fx = Effects::default();
    machine.step(at.max(NOW), Input::Woken, &mut fx);
    assert_eq!(fx.pushes.len(), 2);
}

#[test]
fn a_pool_configured_by_code_takes_other_options_and_survives_its_removal_from_the_file() {
    let by_code = |keys: &str, stamp| {
        let version = cf_warm_pools::core::plan::PlanVersion { version: 0, stamp };
        cf_warm_pools::core::plan::Plan::fixed(
            version,
            crate::world::pool(keys),
            None,
            cf_warm_pools::core::id::ShardIndex(0),
        )
    };
    let (old, new) = (by_code(r#""warm_target": 3"#, 7), by_code(r#""warm_target": 9"#, 7));
    assert!(new.supersedes(&old) && !old.supersedes(&old));
    let world = World::new(r#""warm_target": 2"#);
    let of_file = world.shard.plan().unwrap();
    assert!(!by_code("", 7).supersedes(of_file), "the coordinator's word outranks code");
    assert!(by_code("", 7).supersedes(&of_file.clone().retired(of_file.version)));
}

#[test]
fn every_shard_is_told_until_it_acknowledges() {
    let mut machine = Coordinator::load(Registry::default(), Map::new(), Map::new());
    let fx = step(&mut machine, deployed(100, 10, 4));
    let targets: Vec<u32> = fx.pushes.iter().map(|(_, plan)| plan.share.warm_target).collect();
    assert_eq!(targets.iter().sum::<u32>(), 10);
    let version = machine.version();
    let shards: Vec<ShardId> = fx.pushes.into_iter().map(|(shard, _)| shard).collect();
    for shard in &shards[1..] {
        let fx = step(&mut machine, Input::Acknowledged(shard.clone(), version));
        assert!(fx.pushes.is_empty());
    }
    step(&mut machine, Input::PushFailed(shards[0].clone()));
    let at = machine.next_timeout().expect("a failed push is timed");
    let mut fx = Effects::default();
    machine.step(at, Input::Woken, &mut fx);
    assert_eq!(fx.pushes.iter().map(|(shard, _)| shard).collect::<Vec<_>>(), [&shards[0]]);
    step(&mut machine, Input::Acknowledged(shards[0].clone(), version));
    for shard in shards {
        let warm_target = machine.allotment_of(&shard).unwrap().warm_target;
        let standing = Some(Standing { warm_target, ..Standing::default() });
        let report = ShardReport { shard, plan: Some(version), standing };
        step(&mut machine, Input::Answered(Box::new(report)));
    }
    assert_eq!(machine.next_timeout(), None);
}

#[test]
fn a_shard_takes_what_a_newer_deploy_bundles_but_not_its_shard_count() {
    let world = World::new(r#""warm_target": 2"#);
    let plan = world.shard.plan().unwrap();
    let bundled = config(9, 8).pools.into_values().next().unwrap();
    assert_eq!(
        plan.deployed(Some((&bundled, None)), plan.version.stamp, world.shard.id().index),
        None,
        "the same deploy"
    );
    let newer = plan.deployed(Some((&bundled, None)), plan.version.stamp + 1, world.shard.id().index).unwrap();
    assert_eq!((newer.pool.warm_target, newer.pool.shards.get(), newer.share.warm_target), (9, 1, 9));
    let pinned = cf_warm_pools::core::plan::Plan { pinned: true, ..plan.clone() };
    assert_eq!(
        pinned.deployed(Some((&bundled, None)), u64::MAX, world.shard.id().index),
        None,
        "the admin API outranks it"
    );
}

fn by_code(world: &World, stamp: u64, keys: &str) -> Plan {
    let code = CodeVersion { stamp, fingerprint: Fingerprint::of(keys) };
    Plan::by_code(code, pool(keys), world.shard.id().index)
}

#[test]
fn settings_by_code_are_told_where_they_are_not_known() {
    let mut world = World::unconfigured();
    let (first, other) = (by_code(&world, 1, r#""warm_target": 1"#), by_code(&world, 1, r#""warm_target": 2"#));
    let version = |plan: &Plan| CodeVersion { stamp: 1, fingerprint: plan.fingerprint.clone().unwrap() };
    assert!(world.shard.not_told(&version(&first)).is_some(), "it knows nothing");
    world.step(ShardInput::Configured(Box::new(first.clone())));
    assert_eq!(world.shard.not_told(&version(&first)), None);
    assert!(world.shard.not_told(&version(&other)).is_some());
    world.restart();
    assert_eq!(world.shard.not_told(&version(&first)), None, "it has written them down");
    world.step(ShardInput::Configured(Box::new(other.clone())));
    world.step(ShardInput::Configured(Box::new(first.clone())));
    assert_eq!(world.shard.plan(), Some(&first), "of one deploy, who came last");
}

#[test]
fn by_code_alone_the_shard_count_stays() {
    let mut world = World::unconfigured();
    world.step(ShardInput::Configured(Box::new(by_code(&world, 1, r#""warm_target": 4"#))));
    let more = by_code(&world, 2, r#""warm_target": 8, "shards": 4"#);
    world.step(ShardInput::Configured(Box::new(more.clone())));
    let plan = world.shard.plan().unwrap().clone();
    assert_eq!((plan.pool.shards.get(), plan.share.warm_target), (1, 8), "nobody would move the ids");
    assert_eq!(plan.fingerprint, more.fingerprint);
    let written = world.rows.clone();
    world.step(ShardInput::Configured(Box::new(more)));
    assert_eq!(world.shard.plan(), Some(&plan), "it is not taken again and again");
    assert_eq!(world.rows, written);
    let from_coordinator =
        Plan { version: PlanVersion { version: 1, stamp: 2 }, ..by_code(&world, 2, r#""shards": 4"#) };
    world.step(ShardInput::Configured(Box::new(from_coordinator)));
    assert_eq!(world.shard.plan().unwrap().pool.shards.get(), 4);
}

#[test]
fn an_older_plan_is_ignored() {
    let mut world = World::new(r#""warm_target": 2"#);
    world.configure(5, r#""warm_target": 3"#);
    world.configure(4, r#""warm_target": 9"#);
    assert_eq!(world.shard.plan().unwrap().share.warm_target, 3);
}

#[test]
fn a_plan_that_older_code_wrote_down_is_asked_for_and_taken_anew() {
    let mut world = World::new(r#""warm_target": 0, "max_instances": 3"#);
    let complete = world.shard.plan().unwrap().clone();
    // Code that knew neither of credits nor of moving ids took the same plan, and kept what it knew.
    let older = Plan { from: None, credits: None, format: 0, ..complete.clone() };
    let rows = Rows { plan: Some(older), credits: None, ..world.rows.clone() };
    world.rows = rows;
    world.restart();
    assert_eq!(world.shard.report(world.now).plan, None);
    assert_eq!(world.shard.stats(world.now).max_instances, Some(3), "its part of the limit holds meanwhile");
    world.step(ShardInput::Configured(Box::new(complete.clone())));
    assert_eq!(world.shard.report(world.now).plan, Some(complete.version));
    assert_eq!(world.shard.plan(), Some(&complete));
}

struct NoRandomness;

impl Entropy for NoRandomness {
    fn unique(&mut self) -> u128 {
        0
    }

    fn jitter(&mut self, _: u64) -> u64 {
        0
    }
}

#[test]
fn what_a_deploy_has_changed_is_due_at_a_time_for_which_an_alarm_can_be_set() {
    let world = World::warm(r#""warm_target": 1"#);
    let mut shard = Shard::load(world.shard.id().clone(), world.rows.clone(), world.now);
    let plan = world.shard.plan().unwrap();
    let bundled = pool(r#""warm_target": 2"#);
    let plan = plan.deployed(Some((&bundled, None)), plan.version.stamp + 1, world.shard.id().index).unwrap();
    let mut entropy = NoRandomness;
    shard.adopt(world.now, plan, &mut ShardEffects::new(&mut entropy));
    // The runtime refuses to set one for 0.
    assert_eq!(shard.next_timeout(), Some(world.now));
}

/// What a shard with five credits of generation 3 says that works by this version, over `shards` shards.
fn works_by(name: &str, version: u64, shards: u32, from: Option<u32>) -> Input {
    let count = |count: u32| count.try_into().unwrap();
    let credits = CreditReport { generation: 3, given: 0, returned: 0, spare: 5 };
    let standing =
        Standing { shards: Some(count(shards)), from: from.map(count), credits: Some(credits), ..Standing::default() };
    let plan = Some(PlanVersion { version, stamp: 1 });
    Input::Reported(Box::new(ShardReport { shard: name.parse().unwrap(), plan, standing: Some(standing) }))
}

#[test]
fn a_coordinator_that_has_lost_its_rows_puts_nothing_in_force_below_what_shards_have_had() {
    let config = |shards: u32| {
        let keys = format!(r#""container": "C", "warm_target": 0, "max_instances": 10, "shards": {shards}"#);
        parse_json(&format!(r#"{{"pools": {{"p": {{{keys}}}, "q": {{{keys}}}}}}}"#)).unwrap()
    };
    let mut desk = Desk::new();
    desk.deploy(config(2));
    // What was pushed does not get far: shards have had later ones, and by those other shard counts.
    desk.step(works_by("p/0", 7, 2, None));
    let fx = desk.step(works_by("q/0", 9, 4, None));
    assert!(fx.pushes.is_empty() && desk.version().version == 1, "nothing is told that could be taken for theirs");
    desk.restart();
    desk.step(Input::Woken);
    assert!(desk.machine.next_timeout().is_some(), "what is amiss is not forgotten");
    desk.step(works_by("q/0", 9, 4, None));
    desk.step(works_by("q/1", 6, 2, None));
    desk.step(works_by("p/0", 9, 3, Some(2)));
    let change = Change::of(Ask::Put(config(2)));
    assert!(desk.step(Input::Change(Box::new(change))).pushes.is_empty(), "it waits as well");
    desk.later(HEAR_FOR);
    let fx = desk.step(Input::Woken);
    let version = desk.version().version;
    assert_eq!(version, 10);
    let plan = |name: &str| desk.machine.plan_of(&name.parse().unwrap()).unwrap();
    let counts = |plan: &Plan| (plan.pool.shards.get(), plan.from.map(|from| from.get()));
    assert_eq!(counts(&plan("p/0")), (3, Some(2)), "what was moving goes on first");
    assert_eq!(counts(&plan("q/0")), (2, Some(4)), "ids are where they were");
    assert_eq!(plan("q/0").credits.unwrap().generation, version, "a beginning that shards take");
    assert!(fx.pushes.iter().all(|(_, plan)| plan.version.version == version) && fx.pushes.len() > 5);
}
