//! The shard count changes by one migration at a time, which ends when nothing is left to move, and always does end.

use std::collections::{BTreeMap, BTreeSet};

use cf_warm_pools::config::resolved::{Config, Millis, ShardCount};
use cf_warm_pools::core::allotment::{ShardReport, Standing};
use cf_warm_pools::core::coordinator::{ASK_AGAIN, Coordinator, Effects, Input, MAX_ALLOT_RETRY, Registry};
use cf_warm_pools::core::id::ShardId;
use cf_warm_pools::core::plan::{Plan, PlanVersion};
use cf_warm_pools::core::sorted::Map;
use proptest::prelude::*;

use crate::desk::{Desk, pool, pools, shard, told};

fn sharded(shards: u32) -> Config {
    pools(&[&format!(r#""warm_target": 10, "shards": {shards}"#)])
}

fn count(shards: u32) -> ShardCount {
    ShardCount::try_from(shards).unwrap()
}

fn to_move(to_move: u32) -> Standing {
    Standing { to_move, ..Standing::default() }
}

fn shards_in_force(desk: &Desk) -> u32 {
    desk.machine.config().pools[&pool("a")].shards.get()
}

#[test]
fn a_change_of_the_shard_count_is_told_with_the_former_count() {
    for (from, to) in [(1, 4), (4, 1), (16, 3)] {
        let mut desk = Desk::with(sharded(from));
        desk.deploy(sharded(to));
        assert_eq!(shards_in_force(&desk), to);
        assert_eq!(desk.machine.moving_from(), Map::from([(pool("a"), count(from))]));
        let all: Vec<ShardId> = desk.machine.shards().collect();
        assert_eq!(all.len() as u32, from.max(to), "those that were before take part");
        for shard in all {
            let plan = desk.machine.plan_of(&shard).unwrap();
            assert_eq!((plan.pool.shards, plan.from), (count(to), Some(count(from))));
            assert!(shard.index.0 < to || plan.share.warm_target == 0, "{shard} is to keep nothing warm");
        }
    }
}

#[test]
fn it_ends_when_every_shard_of_both_counts_has_nothing_left_and_not_before() {
    let mut desk = Desk::with(sharded(4));
    desk.deploy(sharded(2));
    desk.settle();
    let version = desk.version();
    desk.report("a/0", to_move(0));
    desk.report("a/3", to_move(7));
    desk.report("a/1", to_move(0));
    desk.report("a/2", to_move(0));
    let migration = desk.machine.migration(&pool("a")).unwrap();
    assert_eq!((migration.from, migration.to, migration.remaining, migration.open_shards), (count(4), count(2), 7, 1));
    assert_eq!(desk.version(), version);

    let (plan, _, fx) = desk.report("a/3", to_move(0));
    assert!(desk.version() > version, "a new version says that it is over");
    assert_eq!((plan.from, plan.pool.shards), (None, count(2)));
    assert_eq!((desk.machine.migration(&pool("a")), desk.machine.moving_from().len()), (None, 0));
    assert_eq!(desk.machine.shards().count(), 2);
    let pushed: BTreeSet<ShardId> = fx.pushes.into_iter().map(|(shard, _)| shard).collect();
    assert_eq!(pushed.len(), 4, "also those that are no more are told");
}

#[test]
fn shards_that_are_no_more_are_told_so_and_nothing_after() {
    let mut desk = Desk::with(sharded(4));
    desk.deploy(sharded(2));
    desk.settle();
    for name in ["a/0", "a/1", "a/2", "a/3"] {
        desk.report(name, to_move(0));
    }
    desk.restart();
    assert_eq!(desk.settle().len(), 4, "all are told of the end, by whichever coordinator");
    desk.deploy(pools(&[r#""warm_target": 12, "shards": 2"#]));
    assert_eq!(desk.settle(), BTreeSet::from([shard("a/0"), shard("a/1")]));
    desk.deploy(sharded(3));
    assert_eq!(desk.settle().len(), 3, "one that comes back is told again");
}

#[test]
fn what_was_said_by_an_earlier_plan_proves_nothing() {
    let mut desk = Desk::with(sharded(1));
    let before = desk.version();
    desk.deploy(sharded(2));
    let version = desk.version();
    for name in ["a/0", "a/1"] {
        let report = ShardReport { shard: shard(name), plan: Some(before), standing: Some(to_move(0)) };
        desk.step(Input::Reported(Box::new(report)));
    }
    assert_eq!(desk.machine.migration(&pool("a")).unwrap().open_shards, 2);
    desk.report("a/0", to_move(0));
    desk.report("a/1", to_move(0));
    assert!(desk.version() > version);
}

#[test]
fn a_shard_that_got_something_to_move_is_not_done_any_more() {
    let mut desk = Desk::with(sharded(1));
    desk.deploy(sharded(2));
    desk.settle();
    desk.report("a/0", to_move(0));
    desk.report("a/0", to_move(3));
    desk.report("a/1", to_move(0));
    assert!(desk.machine.migration(&pool("a")).is_some());
}

#[test]
fn shards_that_do_not_report_are_asked_until_they_answer() {
    let mut desk = Desk::with(sharded(2));
    desk.deploy(sharded(3));
    let version = desk.version();
    for name in ["a/0", "a/1", "a/2"] {
        let fx = desk.step(Input::Acknowledged(shard(name), version));
        assert_eq!(told(&fx), [name], "asked as soon as it has the plan");
    }
    desk.answer("a/0", to_move(0));
    desk.answer("a/1", to_move(5));
    // One is not reached, for long; one has not finished; both are asked again.
    let mut asked = BTreeMap::<String, u32>::new();
    desk.step(Input::AllotFailed(shard("a/2")));
    for _ in 0..60 {
        desk.now = desk.now.max(desk.machine.next_timeout().expect("it is not forgotten"));
        for name in told(&desk.step(Input::Woken)) {
            *asked.entry(name.clone()).or_default() += 1;
            match name.as_str() {
                "a/1" => drop(desk.answer("a/1", to_move(5))),
                _ => drop(desk.step(Input::AllotFailed(shard(&name)))),
            }
        }
    }
    assert_eq!(asked.get("a/0"), None, "it is done");
    assert!(asked["a/1"] > asked["a/2"] && asked["a/2"] >= 3, "{asked:?}: one that does not answer, more seldom");
    desk.later(MAX_ALLOT_RETRY);
    assert!(told(&desk.step(Input::Woken)).contains(&"a/2".to_owned()));
    desk.answer("a/2", to_move(0));
    desk.answer("a/1", to_move(0));
    assert!(desk.machine.migration(&pool("a")).is_none());
}

#[test]
fn nobody_is_asked_who_does_not_have_the_plan_yet() {
    let mut desk = Desk::with(sharded(2));
    let fx = desk.deploy(sharded(3));
    assert!(fx.allotments.is_empty());
    desk.later(ASK_AGAIN);
    assert!(desk.step(Input::Woken).allotments.is_empty());
}

#[test]
fn a_change_that_comes_meanwhile_waits_and_then_begins_by_itself() {
    let mut desk = Desk::with(sharded(1));
    desk.deploy(sharded(4));
    desk.deploy(pools(&[r#""warm_target": 12, "shards": 2"#]));
    let plan = desk.machine.plan_of(&shard("a/0")).unwrap();
    assert_eq!(
        (plan.pool.shards, plan.from, plan.pool.warm_target),
        (count(4), Some(count(1)), 12),
        "the rest goes on"
    );
    desk.settle();
    for name in ["a/0", "a/1", "a/2", "a/3"] {
        desk.report(name, to_move(0));
    }
    let plan = desk.machine.plan_of(&shard("a/0")).unwrap();
    assert_eq!((plan.pool.shards, plan.from), (count(2), Some(count(4))));
    // What shards said of the first says nothing of the second.
    assert_eq!(desk.machine.migration(&pool("a")).unwrap().open_shards, 4);
}

#[test]
fn a_pool_that_does_not_go_with_the_count_in_force_stays_whole_until_it_does() {
    let limited =
        |shards: u32, max: u32| pools(&[&format!(r#""warm_target": 2, "shards": {shards}, "max_instances": {max}"#)]);
    let mut desk = Desk::with(limited(1, 8));
    desk.deploy(limited(4, 8));
    desk.deploy(limited(2, 2));
    let in_force = desk.machine.config().pools[&pool("a")].clone();
    assert_eq!((in_force.shards.get(), in_force.max_instances), (4, Some(8)), "2 would not be one for each of 4");
    desk.settle();
    for name in ["a/0", "a/1", "a/2", "a/3"] {
        desk.report(name, to_move(0));
    }
    let in_force = desk.machine.config().pools[&pool("a")].clone();
    assert_eq!((in_force.shards.get(), in_force.max_instances), (2, Some(2)));
}

#[test]
fn a_restart_forgets_who_was_done_and_asks_anew() {
    let mut desk = Desk::with(sharded(1));
    desk.deploy(sharded(2));
    desk.settle();
    desk.report("a/0", to_move(0));
    desk.restart();
    assert_eq!(desk.machine.migration(&pool("a")).unwrap().open_shards, 2);
    desk.now = desk.now.max(desk.machine.next_timeout().expect("there is something to do"));
    assert_eq!(told(&desk.step(Input::Woken)), ["a/0", "a/1"]);
    desk.answer("a/1", to_move(0));
    assert!(desk.machine.migration(&pool("a")).is_some(), "what was heard before counts no more");
    desk.answer("a/0", to_move(0));
    assert!(desk.machine.migration(&pool("a")).is_none());
}

#[test]
fn a_pool_that_is_taken_out_moves_to_the_end() {
    let mut desk = Desk::with(sharded(1));
    desk.deploy(sharded(2));
    desk.deploy(pools(&[]));
    desk.settle();
    let plan = desk.machine.plan_of(&shard("a/1")).unwrap();
    assert_eq!((plan.active, plan.from), (false, Some(count(1))));
    desk.report("a/0", to_move(0));
    desk.report("a/1", to_move(0));
    assert!(desk.machine.moving_from().is_empty());
    assert_eq!(desk.machine.plan_of(&shard("a/1")).unwrap().pool.shards, count(2));
}

#[test]
fn pools_move_independently() {
    let both = |a: u32, b: u32| pools(&[&format!(r#""shards": {a}"#), &format!(r#""shards": {b}"#)]);
    let mut desk = Desk::with(both(1, 1));
    desk.deploy(both(2, 2));
    desk.settle();
    for name in ["a/0", "a/1", "b/0"] {
        desk.report(name, to_move(0));
    }
    assert_eq!(desk.machine.moving_from().keys().collect::<Vec<_>>(), [&pool("b")]);
    desk.report("b/1", to_move(0));
    assert!(desk.machine.moving_from().is_empty());
}

#[test]
fn nothing_is_due_once_all_is_told() {
    let mut desk = Desk::with(sharded(1));
    desk.deploy(sharded(2));
    desk.settle();
    desk.report("a/0", to_move(0));
    desk.report("a/1", to_move(0));
    assert!(desk.machine.next_timeout().is_some());
    desk.settle();
    desk.confirm();
    assert_eq!(desk.machine.next_timeout(), None, "no alarm at rest");
}

#[test]
fn what_older_code_has_written_is_read_and_completed() {
    let config = pools(&[r#""warm_target": 10, "shards": 4, "max_instances": 40"#]);
    let mut registry = serde_json::to_value(Desk::with(config).registry).unwrap();
    let fields = registry.as_object_mut().unwrap();
    for later in ["migrations", "removed", "terms"] {
        assert!(fields.remove(later).is_some());
    }
    let registry: Registry = serde_json::from_value(registry).unwrap();
    let mut machine = Coordinator::load(registry, Map::new(), Map::new());
    let version = machine.version();
    let mut fx = Effects::default();
    machine.step(Millis(1), Input::Woken, &mut fx);
    assert!(machine.version() > version, "plans without credits are replaced");
    let plan = machine.plan_of(&shard("a/0")).unwrap();
    assert_eq!((plan.share.max_instances, plan.credits.unwrap().total), (Some(10), 40));
    assert_eq!((0..4).map(|n| fx.pushes[n].1.share.warm_target).sum::<u32>(), 10);
}

/// What a shard of the random world knows.
#[derive(Clone, Debug, Default)]
struct Model {
    plan: Option<Plan>,
    /// Containers to hand over by that plan.
    to_move: u32,
}

impl Model {
    /// Takes a plan. By one that names a former count, a shard of either may have something to hand over.
    fn configure(&mut self, me: &ShardId, plan: Plan, to_move: u32) -> PlanVersion {
        if self.plan.as_ref().is_none_or(|has| has.version < plan.version) {
            let takes_part = me.index.0 < plan.taking_part();
            let moves = plan.from.is_some() && takes_part;
            if moves && self.since() != Some((plan.from, plan.pool.shards)) {
                self.to_move = to_move;
            }
            self.plan = Some(plan);
        }
        self.plan.as_ref().unwrap().version
    }

    fn since(&self) -> Option<(Option<ShardCount>, ShardCount)> {
        self.plan.as_ref().map(|plan| (plan.from, plan.pool.shards))
    }
}

#[derive(Clone, Debug)]
enum What {
    Deploy(u32),
    /// The pushes under way end: which of them arrive, and of which the answer is lost.
    Pushes(u64, u64),
    /// So do the allotments.
    Allotments(u64),
    Report(u32),
    Move(u32),
    Restart,
    Wait(u64),
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        2 => (1..9u32).prop_map(What::Deploy),
        4 => (any::<u64>(), any::<u64>()).prop_map(|(arrives, lost)| What::Pushes(arrives, lost)),
        4 => any::<u64>().prop_map(What::Allotments),
        4 => (0..9u32).prop_map(What::Report),
        6 => (0..9u32).prop_map(What::Move),
        1 => Just(What::Restart),
        3 => (0..8_000u64).prop_map(What::Wait),
    ]
}

/// A world of shards that lose messages.
struct Random {
    desk: Desk,
    shards: BTreeMap<ShardId, Model>,
    fx: Effects,
    /// How many containers a shard finds that it has to hand over.
    found: u32,
}

impl Random {
    fn take(&mut self, fx: Effects) {
        self.fx.pushes.extend(fx.pushes);
        self.fx.allotments.extend(fx.allotments);
        self.check();
    }

    /// Between the end of a migration and the next, nobody has anything left of it.
    fn check(&self) {
        if self.desk.machine.moving_from().is_empty() {
            for (shard, model) in &self.shards {
                assert_eq!(model.to_move, 0, "{shard} has something left, and the migration is over");
            }
        }
    }

    fn step(&mut self, input: Input) {
        let fx = self.desk.step(input);
        self.take(fx);
    }

    fn report_of(&self, shard: &ShardId) -> Box<ShardReport> {
        let Model { plan, to_move } = self.shards.get(shard).cloned().unwrap_or_default();
        let standing = plan.as_ref().map(|_| Standing { to_move, ..Standing::default() });
        Box::new(ShardReport { shard: shard.clone(), plan: plan.map(|plan| plan.version), standing })
    }

    fn end_pushes(&mut self, arrives: u64, lost: u64) {
        for (n, (shard, plan)) in std::mem::take(&mut self.fx.pushes).into_iter().enumerate() {
            self.found = (self.found * 7 + 3) % 11;
            let version = (arrives >> (n % 64) & 1 == 1).then(|| {
                let found = self.found;
                self.shards.entry(shard.clone()).or_default().configure(&shard, plan, found)
            });
            match version.filter(|_| lost >> (n % 64) & 1 == 0) {
                Some(version) => self.step(Input::Acknowledged(shard, version)),
                None => self.step(Input::PushFailed(shard)),
            }
        }
    }

    fn end_allotments(&mut self, arrives: u64) {
        for (n, (shard, _)) in std::mem::take(&mut self.fx.allotments).into_iter().enumerate() {
            let report = self.report_of(&shard);
            let arrives = arrives >> (n % 64) & 1 == 1;
            self.step(if arrives { Input::Answered(report) } else { Input::AllotFailed(shard) });
        }
    }

    fn act(&mut self, what: What) {
        let id = |index: u32| shard(&format!("a/{index}"));
        match what {
            What::Deploy(shards) => {
                let fx = self.desk.deploy(sharded(shards));
                self.take(fx);
            }
            What::Pushes(arrives, lost) => self.end_pushes(arrives, lost),
            What::Allotments(arrives) => self.end_allotments(arrives),
            What::Report(index) => self.step(Input::Reported(self.report_of(&id(index)))),
            What::Move(index) => {
                if let Some(model) = self.shards.get_mut(&id(index)) {
                    model.to_move = model.to_move.saturating_sub(3);
                }
            }
            What::Restart => {
                self.desk.restart();
                self.fx = Effects::default();
            }
            What::Wait(millis) => {
                self.desk.later(Millis(millis));
                self.step(Input::Woken);
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_lost_no_migration_ends_early_and_the_last_change_comes_true(
        all in proptest::collection::vec(what(), 1..120), last in 1..9u32,
    ) {
        let mut random =
            Random { desk: Desk::new(), shards: BTreeMap::new(), fx: Effects::default(), found: 1 };
        random.act(What::Deploy(3));
        for what in all {
            random.act(what);
        }
        // Then nothing is lost any more.
        random.act(What::Deploy(last));
        for _ in 0..60 {
            for model in random.shards.values_mut() {
                model.to_move = 0;
            }
            random.end_pushes(u64::MAX, 0);
            random.end_allotments(u64::MAX);
            if let Some(at) = random.desk.machine.next_timeout() {
                random.desk.now = random.desk.now.max(at);
                random.act(What::Wait(0));
            }
        }
        prop_assert_eq!(shards_in_force(&random.desk), last);
        prop_assert!(random.desk.machine.moving_from().is_empty());
        for (shard, model) in &random.shards {
            let knows = model.plan.as_ref().unwrap();
            if shard.index.0 < last {
                prop_assert_eq!(knows.version, random.desk.version(), "{}", shard);
            } else {
                prop_assert!(knows.pool.shards.get() <= shard.index.0, "{} does not know that it is no more", shard);
            }
        }
    }
}
