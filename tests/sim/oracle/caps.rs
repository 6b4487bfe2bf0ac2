//! How many containers there may be: the limits in force, the credits of the shards, and that neither is ever exceeded.
//!
//! The limit of a class is the largest `max_instances` of the pools that are in force and name it; that of a pool is its own, or
//! its class's. What is counted against them are the rows of all shards, each container once, also those on their way from one
//! shard to another; a container counts for the class that its pool names, whichever it was started as. Besides, the
//! credits of all shards and of what is on its way must not sum to more.
//!
//! **What is excused.** After a limit was lowered, or set where there was none, what was legal before does not become illegal: the
//! former limit counts until every shard of the pools concerned works by the configuration in force, their credits and their
//! containers sum to no more than the new limit, no shard has more containers than credits, and none is on its way without one. A pool that changes its
//! class takes what its former class might have had along into the new one, for as long. And a deploy of which the
//! coordinator has not heard counts from when a shard works by it. Nothing else is: at no other time is more tolerated, and a
//! shard that has no credit left starts nothing at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use cf_warm_pools::config::Config;
use cf_warm_pools::config::resolved::BindingName;
use cf_warm_pools::core::plan::{Plan, PlanVersion};
use cf_warm_pools::core::shard::{Channel, Credits};

use super::books::{Books, Broken};
use super::moves::Move;
use crate::world::message::{Addr, pool_name, pool_number};

/// A limit: none is the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    AtMost(u64),
    None,
}

impl Limit {
    fn of(most: Option<u32>) -> Self {
        most.map_or(Self::None, |most| Self::AtMost(most.into()))
    }

    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::AtMost(one), Self::AtMost(other)) => Self::AtMost(one + other),
            (_, _) => Self::None,
        }
    }

    fn holds(self, count: u64) -> bool {
        Self::AtMost(count) <= self
    }
}

/// Of whom a limit is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whole {
    Pool(u32),
    Class(BindingName),
}

/// All limits, and the credits.
#[derive(Debug, Default)]
pub struct Caps {
    /// The version by which the coordinator's limits are known.
    version: Option<PlanVersion>,
    past: BTreeSet<PlanVersion>,
    deploys: BTreeMap<u64, Rc<Config>>,
    /// The class that each pool names.
    class_of: BTreeMap<u32, BindingName>,
    /// What is in force.
    limits: BTreeMap<Whole, Limit>,
    /// What is tolerated: in force, or excused.
    ceilings: BTreeMap<Whole, Limit>,
    credits: BTreeMap<Addr, Credits>,
    /// Of each shard and each of its siblings.
    channels: BTreeMap<(Addr, u32), Channel>,
}

impl Caps {
    /// A deploy is made.
    pub fn deployed(&mut self, stamp: u64, config: &Rc<Config>) {
        self.deploys.insert(stamp, Rc::clone(config));
    }

    /// The coordinator has put a configuration in force.
    pub fn put_in_force(&mut self, version: PlanVersion, config: &Config) {
        if self.version == Some(version) {
            return;
        }
        self.version = Some(version);
        self.past.insert(version);
        let former_class = self.class_of.clone();
        for (name, pool) in &config.pools {
            self.class_of.insert(pool_number(name), pool.container.clone());
        }
        self.limits = limits(config);
        let mut ceilings = self.limits.clone();
        for (&pool, class) in &self.class_of {
            let whole = Whole::Pool(pool);
            let former = self.ceilings.get(&whole).copied().unwrap_or(NOTHING);
            let ceiling = ceilings.entry(whole).or_insert(NOTHING);
            *ceiling = former.max(*ceiling);
            ceilings.entry(Whole::Class(class.clone())).or_insert(NOTHING);
        }
        // What the pools of a class might have had before, in whichever classes they were.
        for class in self.class_of.values().collect::<BTreeSet<_>>() {
            let members = self.class_of.iter().filter(|(_, of)| *of == class).map(|(pool, _)| pool);
            let former: BTreeSet<&BindingName> = members.filter_map(|pool| former_class.get(pool)).collect();
            let tolerated = |class: &BindingName| self.ceilings.get(&Whole::Class(class.clone())).copied();
            let carried = former.into_iter().filter_map(tolerated).fold(NOTHING, Limit::plus);
            let ceiling = ceilings.entry(Whole::Class(class.clone())).or_insert(NOTHING);
            *ceiling = carried.max(*ceiling);
        }
        self.ceilings = ceilings;
    }

    /// A shard takes a plan. One that the coordinator never gave comes from a deploy.
    pub fn plan_taken(&mut self, plan: &Plan, pool: u32) {
        if self.past.contains(&plan.version) {
            return;
        }
        let Some(config) = self.deploys.get(&plan.version.stamp) else { return };
        let of_deploy = limits(config);
        let in_deploy = config.pools.get(&pool_name(pool)).map(|settings| settings.container.clone());
        let class =
            self.class_of.entry(pool).or_insert_with(|| in_deploy.clone().unwrap_or(plan.pool.container.clone()));
        let raise = |ceilings: &mut BTreeMap<Whole, Limit>, whole: Whole, limit: Limit| {
            let ceiling = ceilings.entry(whole).or_insert(NOTHING);
            *ceiling = limit.max(*ceiling);
        };
        let own = of_deploy.get(&Whole::Pool(pool)).copied().unwrap_or(NOTHING);
        let of_class = in_deploy.as_ref().and_then(|class| of_deploy.get(&Whole::Class(class.clone())).copied());
        let of_class = of_class.unwrap_or(NOTHING);
        let class = Whole::Class(class.clone());
        let of_class = match (&in_deploy, &class) {
            (Some(other), Whole::Class(class)) if other != class => {
                self.ceilings.get(&Whole::Class(class.clone())).copied().unwrap_or(NOTHING).plus(of_class)
            }
            (_, _) => of_class,
        };
        raise(&mut self.ceilings, Whole::Pool(pool), own);
        raise(&mut self.ceilings, class, of_class);
    }

    pub fn put_credits(&mut self, shard: Addr, credits: Credits) {
        self.credits.insert(shard, credits);
    }

    pub fn put_channel(&mut self, shard: Addr, sibling: u32, channel: Channel) {
        self.channels.insert((shard, sibling), channel);
    }

    /// Credits that a shard has paid back, and of which the lender has not heard.
    fn paid_and_unheard(&self, whole: &Whole) -> u64 {
        let on_the_way = |(&(payer, lender), channel): (&(Addr, u32), &Channel)| {
            let Addr::Shard { pool, index } = payer else { return 0 };
            let paid = channel.paid;
            let is_current = self.credits.get(&payer).is_some_and(|credits| credits.generation == paid.generation);
            if !is_current || !self.is_of(whole, payer) {
                return 0;
            }
            let lender = Addr::Shard { pool, index: lender };
            let heard = self.channels.get(&(lender, index)).map(|channel| channel.repaid);
            let heard = heard.filter(|heard| heard.generation == paid.generation).map_or(0, |heard| heard.total);
            paid.total.saturating_sub(heard)
        };
        self.channels.iter().map(on_the_way).sum()
    }

    /// How many containers a shard may have; none where it knows of no limit.
    pub fn credits_of(&self, shard: Addr, books: &Books) -> Option<u32> {
        books.plans().get(&shard)?.credits?;
        Some(self.credits.get(&shard).map_or(0, Credits::total))
    }

    /// What a shard has written of its credits.
    pub fn row_of(&self, shard: Addr) -> Option<&Credits> {
        self.credits.get(&shard)
    }

    /// The limit in force of a pool, or of its class, whichever is reached first: whether no more may be started there.
    pub fn is_full(&self, pool: u32, books: &Books) -> bool {
        let class = self.class_of.get(&pool).cloned().map(Whole::Class);
        [Some(Whole::Pool(pool)), class].into_iter().flatten().any(|whole| {
            let limit = self.limits.get(&whole).copied().unwrap_or(Limit::None);
            !limit.holds(self.containers(&whole, books) + 1)
        })
    }

    /// A shard has begun to start a container.
    pub fn started(&self, shard: Addr, books: &Books, broken: &mut Vec<Broken>) {
        let (count, most) = (books.count(shard), self.credits_of(shard, books));
        if most.is_some_and(|most| count > most) {
            let credits = self.credits.get(&shard);
            broken
                .push(("bounded", format!("{shard:?} starts one more, has {count}, and its credits are {credits:?}")));
        }
    }

    /// Whether more than the limits in force is tolerated of a pool or its class.
    pub fn is_excused(&self, pool: u32) -> bool {
        let class = self.class_of.get(&pool).cloned().map(Whole::Class);
        let wholes = [Some(Whole::Pool(pool)), class];
        wholes.into_iter().flatten().any(|whole| self.ceilings.get(&whole) != self.limits.get(&whole))
    }

    /// Something has changed of a pool's containers or credits.
    pub fn check(&mut self, pool: u32, books: &Books, broken: &mut Vec<Broken>) {
        let class = self.class_of.get(&pool).cloned().map(Whole::Class);
        for whole in [Some(Whole::Pool(pool)), class].into_iter().flatten() {
            let Some(&ceiling) = self.ceilings.get(&whole) else { continue };
            if ceiling == Limit::None && self.limits.get(&whole) == Some(&Limit::None) {
                continue;
            }
            let containers = self.containers(&whole, books);
            if !ceiling.holds(containers) {
                broken.push(("bounded", format!("{whole:?} has {containers} containers, and may have {ceiling:?}")));
            }
            let credits = self.credits_in(&whole, books);
            if !ceiling.holds(credits) {
                let rows: Vec<_> = self.credits.iter().filter(|(addr, _)| self.is_of(&whole, **addr)).collect();
                broken
                    .push(("bounded", format!("{whole:?} has {credits} credits, and may have {ceiling:?}: {rows:?}")));
            }
            self.settle(&whole, containers, credits, books);
        }
    }

    /// Nothing is excused any more once all is as it is in force.
    fn settle(&mut self, whole: &Whole, containers: u64, credits: u64, books: &Books) {
        let (Some(&limit), Some(&ceiling)) = (self.limits.get(whole), self.ceilings.get(whole)) else { return };
        if ceiling == limit || !limit.holds(containers) || !limit.holds(credits) {
            return;
        }
        let shards = || books.plans().iter().filter(|(addr, _)| self.is_of(whole, **addr));
        let all_there = shards().all(|(_, plan)| Some(plan.version) == self.version);
        // A shard of a pool that was taken out of the configuration before there was a limit has no credits at all.
        let in_excess = shards().any(|(&shard, _)| books.count(shard) > self.credits_of(shard, books).unwrap_or(0));
        // One that began without a credit, and is in nobody's count while it changes shards.
        let without_credit = |(_, gift): (_, &Move)| gift.credit.is_none() && self.is_of(whole, gift.giver);
        let in_excess = in_excess || books.moves().all_open().any(without_credit);
        if all_there && !in_excess {
            self.ceilings.insert(whole.clone(), limit);
        }
    }

    fn is_of(&self, whole: &Whole, shard: Addr) -> bool {
        let Addr::Shard { pool, .. } = shard else { return false };
        match whole {
            Whole::Pool(of) => *of == pool,
            Whole::Class(class) => self.class_of.get(&pool) == Some(class),
        }
    }

    fn containers(&self, whole: &Whole, books: &Books) -> u64 {
        match whole {
            Whole::Pool(pool) => books.total(*pool),
            Whole::Class(class) => {
                let members = self.class_of.iter().filter(|(_, of)| *of == class);
                members.map(|(&pool, _)| books.total(pool)).sum()
            }
        }
    }

    /// The credits of all shards, and those that go along with what is on its way.
    fn credits_in(&self, whole: &Whole, books: &Books) -> u64 {
        let shards = books.plans().keys().filter(|addr| self.is_of(whole, **addr));
        let had: u64 = shards.filter_map(|&addr| self.credits_of(addr, books)).map(u64::from).sum();
        let moving = books.moves().all_open();
        let on_the_way = moving.filter(|(_, gift)| gift.credit.is_some() && self.is_of(whole, gift.giver)).count();
        had + on_the_way as u64 + self.paid_and_unheard(whole)
    }
}

/// The limits of a configuration.
fn limits(config: &Config) -> BTreeMap<Whole, Limit> {
    let mut limits = BTreeMap::new();
    let classes: BTreeSet<&BindingName> = config.pools.values().map(|pool| &pool.container).collect();
    for class in classes {
        let members = config.pools.iter().filter(|(_, pool)| pool.container == *class);
        let of_class = Limit::of(members.clone().filter_map(|(_, pool)| pool.max_instances).max());
        limits.insert(Whole::Class(class.clone()), of_class);
        for (name, pool) in members {
            let own = pool.max_instances.map_or(of_class, |max| Limit::AtMost(max.into()));
            limits.insert(Whole::Pool(pool_number(name)), own);
        }
    }
    limits
}

const NOTHING: Limit = Limit::AtMost(0);
