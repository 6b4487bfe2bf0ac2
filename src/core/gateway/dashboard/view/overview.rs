//! All pools together.

use serde_json::Value;

use super::pool::{PoolView, Status};
use super::read;

/// What the first page shows.
pub struct Overview<'d> {
    /// The pools, by name.
    pub pools: Vec<PoolView<'d>>,
    /// How they are, in a sentence.
    pub headline: String,
}

impl<'d> Overview<'d> {
    /// The pools of a document of `GET /_warm/v1/pools`.
    pub fn of(document: &'d Value) -> Self {
        let pools: Vec<PoolView<'d>> = read::list(document, "pools").iter().map(PoolView::of).collect();
        Self { headline: headline(&pools), pools }
    }

    /// The containers of all pools in a state; none when not all are known.
    pub fn count(&self, state: &str) -> Option<u64> {
        self.pools.iter().try_fold(0, |sum, pool| Some(sum + pool.count(state)?))
    }

    /// Those in whatever state.
    pub fn containers(&self) -> Option<u64> {
        self.pools.iter().try_fold(0, |sum, pool| Some(sum + pool.containers()?))
    }

    /// How many should be warm.
    pub fn warm_target(&self) -> Option<u64> {
        self.pools.iter().try_fold(0, |sum, pool| Some(sum + pool.warm_target?))
    }

    /// Callers that wait.
    pub fn waiting(&self) -> Option<u64> {
        self.pools.iter().try_fold(0, |sum, pool| Some(sum + pool.waiting?))
    }

    /// What all pools cost an hour as they are now, and of that for containers that serve nobody; none when that of one is not known.
    pub fn per_hour(&self) -> Option<(f64, f64)> {
        self.pools.iter().try_fold((0.0, 0.0), |(sum, idle), pool| {
            let cost = pool.cost?;
            Some((sum + cost.per_hour?, idle + cost.idle_per_hour?))
        })
    }
}

fn headline(pools: &[PoolView<'_>]) -> String {
    let in_trouble: Vec<&str> = named(pools, |status| matches!(status, Status::Trouble(_)));
    let busy: Vec<&str> = named(pools, |status| matches!(status, Status::Busy(_)));
    match (pools.len(), in_trouble.as_slice(), busy.as_slice()) {
        (0, _, _) => "There are no pools: the configuration has none.".to_owned(),
        (_, [], []) => "All pools are at their target.".to_owned(),
        (_, [], [one]) => format!("{one} is on its way to its target."),
        (_, [], some) => format!("{} pools are on their way to their target.", some.len()),
        (_, [one], _) => format!("{one} needs a look."),
        (_, some, _) => format!("{} pools need a look: {}.", some.len(), some.join(", ")),
    }
}

fn named<'d>(pools: &[PoolView<'d>], is: impl Fn(&Status) -> bool) -> Vec<&'d str> {
    pools.iter().filter(|pool| is(&pool.status)).map(|pool| pool.name).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_headline_names_what_needs_a_look() {
        let pool = |name: &str, warm: u64, missing: &[u64]| json!({ "name": name, "warm": warm, "config": { "warmTarget": 2 }, "shards": [], "missing": missing });
        let headline = |pools: &[Value]| Overview::of(&json!({ "pools": pools })).headline;
        assert_eq!(headline(&[]), "There are no pools: the configuration has none.");
        assert_eq!(headline(&[pool("a", 2, &[]), pool("b", 3, &[])]), "All pools are at their target.");
        assert_eq!(headline(&[pool("a", 2, &[]), pool("b", 1, &[])]), "b is on its way to its target.");
        assert_eq!(headline(&[pool("a", 2, &[0]), pool("b", 1, &[])]), "a needs a look.");
    }

    #[test]
    fn a_sum_with_an_unknown_part_is_unknown() {
        let document = json!({ "pools": [{ "warm": 2, "waiting": 1 }, { "warm": 3 }] });
        let overview = Overview::of(&document);
        assert_eq!((overview.count("warm"), overview.waiting(), overview.per_hour()), (Some(5), None, None));
    }
}
