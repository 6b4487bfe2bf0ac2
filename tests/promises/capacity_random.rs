//! Whatever is lost, late, or changed meanwhile: shards never have more credits than the coordinator has written down, which it
//! never makes more than the limits; and in the end what is unused is where it is needed.

use std::collections::BTreeMap;

use cf_warm_pools::config::resolved::{Config, Millis};
use cf_warm_pools::core::allotment::{Allotment, CreditReport, ShardReport, Standing};
use cf_warm_pools::core::coordinator::{Effects, HEARD_EMPTY_FOR, Input};
use cf_warm_pools::core::id::ShardId;
use cf_warm_pools::core::plan::Plan;
use cf_warm_pools::core::shard::Credits;
use cf_warm_pools::core::stats::Counts;
use proptest::prelude::*;

use crate::desk::{Desk, REFRESH, pools, shard};

/// What a shard does with its credits.
#[derive(Debug, Default)]
struct Model {
    plan: Option<Plan>,
    credits: Credits,
    in_use: u32,
    /// Ids that wait, and since when.
    waiting: u32,
    since: Millis,
    recall_until: Millis,
}

impl Model {
    fn configure(&mut self, me: &ShardId, plan: Plan) {
        if self.plan.as_ref().is_none_or(|has| has.version < plan.version) {
            if let Some(terms) = plan.credits {
                self.credits.begin(terms, me.index);
            }
            self.plan = Some(plan);
        }
    }

    fn allotted(&mut self, now: Millis, allotment: &Allotment) {
        if let Some(grant) = allotment.credits {
            self.credits.take(grant);
        }
        self.recall_until = now + allotment.recall;
        self.in_use -= allotment.excess.min(self.in_use);
    }

    /// Starts what it may, and returns what it need not keep.
    fn settle(&mut self, me: &ShardId, now: Millis) {
        let Some(plan) = &self.plan else { return };
        let has_use = plan.active && me.index.0 < plan.pool.shards.get();
        let unused = self.credits.total().saturating_sub(self.in_use);
        let started = if has_use { self.waiting.min(unused) } else { 0 };
        self.in_use += started;
        self.waiting -= started;
        let spare = self.credits.total().saturating_sub(self.in_use);
        if self.credits.generation > 0 && (now < self.recall_until || !has_use) {
            self.credits.returned += u64::from(spare);
        }
    }

    fn report(&self, me: &ShardId, now: Millis) -> Box<ShardReport> {
        let credits = CreditReport {
            generation: self.credits.generation,
            given: self.credits.given,
            returned: self.credits.returned,
            spare: self.credits.total().saturating_sub(self.in_use),
        };
        let standing = Standing {
            counts: Counts { assigned: self.in_use, ..Counts::default() },
            waiting: self.waiting,
            waiting_for: if self.waiting > 0 { now - self.since } else { Millis(0) },
            lacking: self.waiting,
            credits: self.plan.as_ref().and_then(|plan| plan.credits).map(|_| credits),
            ..Standing::default()
        };
        let (plan, standing) = (self.plan.as_ref().map(|plan| plan.version), self.plan.as_ref().map(|_| standing));
        Box::new(ShardReport { shard: me.clone(), plan, standing })
    }
}

#[derive(Clone, Debug)]
enum What {
    /// One of the configurations is deployed.
    Deploy {
        a: Option<u32>,
        b: Option<u32>,
        shards: u32,
    },
    /// So many ids ask a shard.
    Ask(usize, u32),
    /// So many containers of a shard end.
    End(usize, u32),
    /// A container goes to a sibling.
    Move(usize, usize),
    /// Containers on their way arrive.
    Arrive,
    /// A shard reports; the report, or the reply, may be lost.
    Report(usize, Loss),
    /// One of the calls under way ends.
    Push(usize, Loss),
    Allot(usize, Loss),
    Restart,
    Wait(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Nothing,
    Request,
    Answer,
}

fn loss() -> impl Strategy<Value = Loss> {
    prop_oneof![4 => Just(Loss::Nothing), 1 => Just(Loss::Request), 1 => Just(Loss::Answer)]
}

fn what() -> impl Strategy<Value = What> {
    let limit = || proptest::option::weighted(0.8, 8..40u32);
    prop_oneof![
        1 => (limit(), limit(), 1..5u32).prop_map(|(a, b, shards)| What::Deploy { a, b, shards }),
        6 => (0..8usize, 1..20u32).prop_map(|(at, count)| What::Ask(at, count)),
        5 => (0..8usize, 1..12u32).prop_map(|(at, count)| What::End(at, count)),
        3 => (0..8usize, 0..4usize).prop_map(|(at, to)| What::Move(at, to)),
        2 => Just(What::Arrive),
        8 => (0..8usize, loss()).prop_map(|(at, loss)| What::Report(at, loss)),
        6 => (0..9usize, loss()).prop_map(|(at, loss)| What::Push(at, loss)),
        10 => (0..9usize, loss()).prop_map(|(at, loss)| What::Allot(at, loss)),
        1 => Just(What::Restart),
        3 => (0..12_000u64).prop_map(What::Wait),
    ]
}

/// Two pools of one class, of up to 4 shards.
struct Random {
    desk: Desk,
    shards: BTreeMap<ShardId, Model>,
    /// Credits that go to a shard with a container, with their generation.
    on_the_way: Vec<(ShardId, u64)>,
    fx: Effects,
}

impl Random {
    fn new(first: Config) -> Self {
        let mut random =
            Self { desk: Desk::new(), shards: BTreeMap::new(), on_the_way: Vec::new(), fx: Effects::default() };
        for pool in ["a", "b"] {
            for index in 0..4 {
                random.shards.insert(shard(&format!("{pool}/{index}")), Model::default());
            }
        }
        let fx = random.desk.deploy(first);
        random.take(fx);
        random
    }

    fn take(&mut self, fx: Effects) {
        self.fx.pushes.extend(fx.pushes);
        self.fx.allotments.extend(fx.allotments);
        self.check();
    }

    fn step(&mut self, input: Input) {
        let fx = self.desk.step(input);
        self.take(fx);
    }

    /// What the shards have is never more than what is written down, which [`Desk`] compares with the limits.
    fn check(&self) {
        let pools = self.desk.registry.pools.keys();
        for (pool, terms) in pools.filter_map(|pool| Some((pool, *self.desk.registry.terms.get(pool)?))) {
            let of_pool = || self.shards.iter().filter(|(shard, _)| shard.pool == *pool);
            let is_current = |model: &Model| model.credits.generation == terms.generation;
            let held: u32 = of_pool().filter(|(_, model)| is_current(model)).map(|(_, m)| m.credits.total()).sum();
            let on_the_way = self.on_the_way.iter().filter(|(to, of)| to.pool == *pool && *of == terms.generation);
            let on_the_way = on_the_way.count() as u32;
            let leased = self.desk.machine.capacity(pool).map(|capacity| capacity.leased);
            if let Some(leased) = leased {
                assert!(held + on_the_way <= leased, "{held} + {on_the_way} are held of {leased} in {pool}");
            }
            for (shard, model) in of_pool().filter(|(_, model)| !is_current(model) && model.credits.generation > 0) {
                let before = model.plan.as_ref().is_some_and(|plan| plan.version.version < terms.generation);
                assert!(before || model.credits.total() == 0, "{shard} keeps credits that count no more");
            }
        }
    }

    fn id(&self, at: usize) -> ShardId {
        self.shards.keys().nth(at % self.shards.len()).unwrap().clone()
    }

    fn report(&mut self, me: &ShardId, loss: Loss) {
        if loss == Loss::Request {
            return;
        }
        let now = self.desk.now;
        let report = self.shards[me].report(me, now);
        self.step(Input::Reported(report));
        let replied = self.desk.machine.plan_of(me).zip(self.desk.machine.allotment_of(me));
        if let Some((plan, allotment)) = replied.filter(|_| loss == Loss::Nothing) {
            let model = self.shards.get_mut(me).unwrap();
            model.configure(me, plan);
            model.allotted(now, &allotment);
            model.settle(me, now);
        }
    }

    fn end_push(&mut self, at: usize, loss: Loss) {
        if self.fx.pushes.is_empty() {
            return;
        }
        let at = at % self.fx.pushes.len();
        let (to, plan) = self.fx.pushes.swap_remove(at);
        let now = self.desk.now;
        let version = (loss != Loss::Request).then(|| {
            let model = self.shards.get_mut(&to).unwrap();
            model.configure(&to, plan);
            model.settle(&to, now);
            model.plan.as_ref().unwrap().version
        });
        match version.filter(|_| loss == Loss::Nothing) {
            Some(version) => self.step(Input::Acknowledged(to, version)),
            None => self.step(Input::PushFailed(to)),
        }
    }

    fn end_allotment(&mut self, at: usize, loss: Loss) {
        if self.fx.allotments.is_empty() {
            return;
        }
        let at = at % self.fx.allotments.len();
        let (to, allotment) = self.fx.allotments.swap_remove(at);
        let now = self.desk.now;
        if loss != Loss::Request {
            let model = self.shards.get_mut(&to).unwrap();
            model.allotted(now, &allotment);
            model.settle(&to, now);
        }
        let report = self.shards[&to].report(&to, now);
        self.step(if loss == Loss::Nothing { Input::Answered(report) } else { Input::AllotFailed(to) });
    }

    fn act(&mut self, what: What) {
        match what {
            What::Deploy { a, b, shards } => {
                let fx = self.desk.deploy(config(a, b, shards));
                self.take(fx);
            }
            What::Ask(at, count) => {
                let (me, now) = (self.id(at), self.desk.now);
                let model = self.shards.get_mut(&me).unwrap();
                if model.waiting == 0 {
                    model.since = now;
                }
                model.waiting += count;
                model.settle(&me, now);
            }
            What::End(at, count) => {
                let (me, now) = (self.id(at), self.desk.now);
                let model = self.shards.get_mut(&me).unwrap();
                model.in_use -= count.min(model.in_use);
                model.settle(&me, now);
            }
            What::Move(at, to) => {
                let me = self.id(at);
                let to = shard(&format!("{}/{to}", me.pool));
                let model = self.shards.get_mut(&me).unwrap();
                if to != me && model.in_use > 0 {
                    model.in_use -= 1;
                    // One that has more containers than credits gives none along.
                    if model.credits.total() > model.in_use {
                        let generation = model.credits.generation;
                        model.credits.moved(generation, -1);
                        self.on_the_way.push((to, generation));
                    }
                }
            }
            What::Arrive => {
                for (to, generation) in std::mem::take(&mut self.on_the_way) {
                    let model = self.shards.get_mut(&to).unwrap();
                    model.credits.moved(generation, 1);
                    model.in_use += 1;
                }
            }
            What::Report(at, loss) => self.report(&self.id(at), loss),
            What::Push(at, loss) => self.end_push(at, loss),
            What::Allot(at, loss) => self.end_allotment(at, loss),
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

    /// Everything that is under way arrives, and what follows from it.
    fn deliver(&mut self) {
        while !self.fx.pushes.is_empty() || !self.fx.allotments.is_empty() {
            self.end_push(0, Loss::Nothing);
            self.end_allotment(0, Loss::Nothing);
        }
    }

    /// What all shards but one use: of the pool, and of the class.
    fn used_by_others(&self, hot: &ShardId) -> (u32, u32) {
        let others = || self.shards.iter().filter(|(shard, _)| *shard != hot);
        let held = |model: &Model| model.in_use.min(model.credits.total());
        let of_pool = others().filter(|(shard, _)| shard.pool == hot.pool).map(|(_, model)| held(model)).sum();
        (of_pool, others().map(|(_, model)| held(model)).sum())
    }
}

fn config(a: Option<u32>, b: Option<u32>, shards: u32) -> Config {
    let keys = |max: Option<u32>| match max {
        Some(max) => format!(r#""warm_target": 0, "shards": {shards}, "max_instances": {max}"#),
        None => format!(r#""warm_target": 0, "shards": {shards}"#),
    };
    // A class of which no pool has a limit has none: then the second pool is taken out.
    if a.is_none() && b.is_none() { pools(&[&keys(Some(16))]) } else { pools(&[&keys(a), &keys(b)]) }
}

proptest! {
    #[test]
    fn nothing_is_leased_twice_and_nothing_is_stranded(
        all in proptest::collection::vec(what(), 1..150), hot in 0..4usize, limit in 12..40u32, more in 0..3u32,
        reports in any::<bool>(),
    ) {
        let mut random = Random::new(config(Some(20), Some(12), 2));
        for what in all {
            random.act(what);
        }
        // Then all is quiet: nobody waits, nothing is lost, everybody has heard of the configuration.
        random.act(What::Deploy { a: Some(limit), b: Some(limit), shards: 4 });
        for (me, model) in &mut random.shards {
            model.waiting = 0;
            // Not more than there may be, so that nothing has to be let go.
            model.in_use = model.in_use.min(1);
            model.settle(me, random.desk.now);
        }
        random.act(What::Arrive);
        for _ in 0..40 {
            random.deliver();
            if let Some(at) = random.desk.machine.next_timeout() {
                random.desk.now = random.desk.now.max(at);
                random.act(What::Wait(0));
            }
        }
        random.deliver();
        // Either all report what they have returned, as they do at once, or that is lost, and nothing is heard for a while.
        if reports {
            for me in random.shards.keys().cloned().collect::<Vec<_>>() {
                random.report(&me, Loss::Nothing);
                random.deliver();
            }
        } else {
            random.act(What::Wait(HEARD_EMPTY_FOR * REFRESH.0));
        }
        // Then one shard wants all there is.
        let hot = random.id(hot);
        let (of_pool, of_class) = random.used_by_others(&hot);
        let expected = (limit - of_pool).min(limit - of_class);
        let now = random.desk.now;
        let model = random.shards.get_mut(&hot).unwrap();
        (model.waiting, model.since) = (expected.saturating_sub(model.in_use) + more, now);
        for _ in 0..2 {
            random.report(&hot, Loss::Nothing);
            random.deliver();
            random.act(What::Wait(1_000));
            random.deliver();
        }
        // It may have been given more before the limit was lowered.
        let has = random.shards[&hot].in_use;
        prop_assert!(has >= expected, "{} of {}", has, expected);
    }
}
