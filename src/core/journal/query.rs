//! Which events somebody wants to read.
//!
//! The pages that have them are chosen by what is in memory of all pages, so that no others are read; what they have is then
//! cut to what was asked for. What is in one page of a pool may be older and newer than what is in one of another.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::archive::{Archive, Extent, PageKey, Roll};
use crate::config::resolved::PoolName;

/// What somebody wants to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Query {
    /// Of this pool, else of all.
    #[serde(default)]
    pub pool: Option<PoolName>,
    /// Only later ones than the one of this number, from there on; else the last ones that there are.
    #[serde(default)]
    pub since: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

impl Archive {
    /// The pages that have all that is asked for.
    pub fn pages(&self, query: &Query) -> Vec<PageKey> {
        let of_pool = |(pool, roll): (&PoolName, &Roll)| {
            let extents: Vec<Extent> = roll.extents().collect();
            extents.into_iter().map(move |extent| (pool.clone(), extent)).collect::<Vec<_>>()
        };
        let mut pages: Vec<(PoolName, Extent)> = self.asked(query).flat_map(of_pool).collect();
        // Those of one pool do not overlap, those of two may: enough are chosen when so many events are certainly nearer than any of
        // the next page.
        let mut chosen: Vec<(PoolName, Extent)> = Vec::new();
        let sure = |chosen: &[(PoolName, Extent)], is_nearer: &dyn Fn(&Extent) -> bool| {
            let nearer = chosen.iter().filter(|(_, extent)| is_nearer(extent));
            nearer.map(|(_, extent)| extent.count).sum::<u64>() >= query.limit as u64
        };
        match query.since {
            Some(since) => {
                pages.retain(|(_, page)| page.last > since);
                pages.sort_by_key(|(_, page)| page.first);
                for (pool, next) in pages {
                    if sure(&chosen, &|page| page.first > since && page.last < next.first) {
                        break;
                    }
                    chosen.push((pool, next));
                }
            }
            None => {
                pages.sort_by_key(|(_, page)| std::cmp::Reverse(page.last));
                for (pool, next) in pages {
                    if sure(&chosen, &|page| page.first > next.last) {
                        break;
                    }
                    chosen.push((pool, next));
                }
            }
        }
        chosen.into_iter().map(|(pool, page)| (pool, page.first)).collect()
    }

    /// The answer to a query, from what those pages have: `{events, next, dropped}`. `next` is what to ask for `since` the next
    /// time. `dropped` is how many events are missing among these: those that their shards could not keep, and, of those since the
    /// one that was named, those that are kept no longer; of the latter, where one pool is asked for, at most so many.
    pub fn answer(&self, query: &Query, events: Vec<Value>) -> Value {
        let number = |event: &Value| event.get("seq").and_then(Value::as_u64).unwrap_or_default();
        let since = query.since.unwrap_or_default();
        let mut events: Vec<Value> = events.into_iter().filter(|event| number(event) > since).collect();
        events.sort_by_key(number);
        let mut next = self.last;
        match query.since {
            Some(_) => {
                events.truncate(query.limit);
                if events.len() == query.limit {
                    next = events.last().map_or(next, number);
                }
            }
            None => drop(events.drain(..events.len().saturating_sub(query.limit))),
        }
        let told = events.iter().filter_map(|event| event.get("dropped").and_then(Value::as_u64)).sum::<u64>();
        let dropped = told + query.since.map_or(0, |since| self.forgotten(query, since, next, events.len() as u64));
        json!({ "events": events, "next": next, "dropped": dropped })
    }

    /// How many of those asked for, since that one and up to `next`, were there once, where `found` are there.
    fn forgotten(&self, query: &Query, since: u64, next: u64, found: u64) -> u64 {
        let Some(pool) = &query.pool else { return next.saturating_sub(since).saturating_sub(found) };
        let Some(roll) = self.rolls.get(pool) else { return 0 };
        let oldest = roll.extents().next().map_or(0, |oldest| oldest.first);
        oldest.saturating_sub(since + 1).min(roll.open.forgotten)
    }

    fn asked<'a>(&'a self, query: &'a Query) -> impl Iterator<Item = (&'a PoolName, &'a Roll)> {
        self.rolls.iter().filter(|(pool, _)| query.pool.as_ref().is_none_or(|wanted| wanted == *pool))
    }
}

#[cfg(test)]
mod tests {
    use super::super::archive::tests::{Kept, pool};
    use super::super::archive::{KEPT, PAGE};
    use super::*;

    fn query(of: Option<&str>, since: Option<u64>, limit: usize) -> Query {
        Query { pool: of.map(pool), since, limit }
    }

    /// The numbers of the events, `next`, `dropped`, and how many pages were read.
    fn ask(kept: &Kept, query: &Query) -> (Vec<u64>, u64, u64, usize) {
        let pages = kept.archive.pages(query);
        let texts = pages.iter().flat_map(|key| &kept.rows[key].events);
        let answer = kept.archive.answer(query, texts.map(|text| serde_json::from_str(text).unwrap()).collect());
        let seqs = answer["events"].as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        (seqs, answer["next"].as_u64().unwrap(), answer["dropped"].as_u64().unwrap(), pages.len())
    }

    /// Pools of different pace, so that pages overlap.
    fn kept() -> Kept {
        let mut kept = Kept::default();
        for number in 1..=120 {
            kept.take("busy/0", number, 0, 3);
            kept.take("slow/0", number, 0, 1);
        }
        kept
    }

    #[test]
    fn without_a_beginning_the_last_ones_are_told_oldest_first() {
        let kept = kept();
        assert_eq!(ask(&kept, &query(None, None, 5)), ((476..=480).collect(), 480, 0, 2));
        assert_eq!(ask(&kept, &query(Some("slow"), None, 3)), (vec![472, 476, 480], 480, 0, 1));
        assert_eq!(ask(&kept, &query(Some("other"), None, 3)), (vec![], 480, 0, 0));
        assert_eq!(ask(&Kept::default(), &query(None, None, 3)), (vec![], 0, 0, 0));
    }

    #[test]
    fn by_going_on_from_next_all_are_told_once_in_order() {
        let kept = kept();
        for (of, limit) in [(None, 1), (None, 7), (None, 500), (Some("busy"), 10), (Some("slow"), 64)] {
            let (mut all, mut since) = (Vec::new(), 0);
            loop {
                let (seqs, next, dropped, read) = ask(&kept, &query(of, Some(since), limit));
                assert!(seqs.len() <= limit && dropped == 0 && read <= limit / PAGE + 4, "{read} pages");
                since = next;
                if seqs.is_empty() {
                    break;
                }
                all.extend(seqs);
            }
            let expected: Vec<u64> = match of {
                None => (1..=480).collect(),
                Some("slow") => (1..=480).filter(|seq| seq % 4 == 0).collect(),
                Some(_) => (1..=480).filter(|seq| seq % 4 != 0).collect(),
            };
            assert_eq!((all, since), (expected, 480));
        }
        assert_eq!(ask(&kept, &query(None, Some(1_000), 5)), (vec![], 480, 0, 0), "numbers that are not given yet");
    }

    #[test]
    fn what_is_missing_is_told() {
        let mut kept = kept();
        kept.take("slow/0", 1_000, 7, 1);
        assert_eq!(ask(&kept, &query(None, None, 1)), (vec![481], 481, 7, 2), "the shard could not keep it");
        for number in 1_000..1_100 {
            kept.take("busy/0", number, 0, 64);
        }
        let (seqs, next, dropped, _) = ask(&kept, &query(None, Some(0), 1));
        assert_eq!((seqs, next), (vec![4], 4));
        assert_eq!(dropped, 3, "those before it");
        let (seqs, _, dropped, _) = ask(&kept, &query(Some("busy"), Some(0), 1));
        let kept_of_busy =
            kept.rows.iter().filter(|((of, _), _)| *of == pool("busy")).map(|(_, page)| page.count).sum::<u64>();
        assert!(kept_of_busy >= KEPT);
        assert_eq!(dropped, 360 + 6_400 - kept_of_busy);
        let (_, _, dropped, _) = ask(&kept, &query(Some("busy"), Some(seqs[0] - 10), 1));
        assert_eq!(dropped, 9, "at most");
        let (_, _, dropped, _) = ask(&kept, &query(Some("busy"), Some(seqs[0]), 1));
        assert_eq!(dropped, 0);
    }
}
