//! Maps and sets against the standard ones.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Change {
    Insert(u16, u32),
    Count(u16),
    Remove(u16),
    PopFirst,
    Retain(u16),
}

/// Among them long runs in one direction, which is how ids and numbers come.
fn changes() -> impl Strategy<Value = Vec<Change>> {
    let key = 0..700_u16;
    let one = prop_oneof![
        12 => (key.clone(), any::<u32>()).prop_map(|(key, value)| vec![Change::Insert(key, value)]),
        4 => key.clone().prop_map(|key| vec![Change::Count(key)]),
        6 => key.clone().prop_map(|key| vec![Change::Remove(key)]),
        2 => Just(vec![Change::PopFirst]),
        1 => (2..5_u16).prop_map(|nth| vec![Change::Retain(nth)]),
        2 => (key.clone(), 1..400_u16).prop_map(|(from, n)| (from..from + n).map(|key| Change::Insert(key, 0)).collect()),
        2 => (key, 1..400_u16).prop_map(|(from, n)| (from..from + n).rev().map(|key| Change::Insert(key, 1)).collect()),
    ];
    prop::collection::vec(one, 0..60).prop_map(|all| all.concat())
}

/// What every chunk promises: neither empty nor too full, no two small ones side by side, and all keys in order.
fn check_chunks(map: &Map<u16, u32>) {
    let lens: Vec<usize> = map.chunks.iter().map(|chunk| chunk.keys.len()).collect();
    assert!(lens.iter().all(|len| (1..=MAX_CHUNK).contains(len)), "{lens:?}");
    assert!(lens.windows(2).all(|pair| pair[0] + pair[1] > MAX_CHUNK / 2), "{lens:?}");
    assert_eq!(map.len(), lens.iter().sum::<usize>());
    assert!(map.chunks.iter().all(|chunk| chunk.keys.len() == chunk.values.len()));
    assert!(map.keys().zip(map.keys().skip(1)).all(|(one, next)| one < next));
}

proptest! {
    #[test]
    fn a_map_does_what_the_standard_one_does(changes in changes()) {
        let (mut map, mut model) = (Map::new(), BTreeMap::new());
        for change in changes {
            match change {
                Change::Insert(key, value) => prop_assert_eq!(map.insert(key, value), model.insert(key, value)),
                Change::Count(key) => {
                    let (count, expected) = (map.entry(key).or_default(), model.entry(key).or_default());
                    (*count, *expected) = (count.wrapping_add(1), expected.wrapping_add(1));
                    prop_assert_eq!(count, expected);
                }
                Change::Remove(key) => prop_assert_eq!(map.remove_entry(&key), model.remove_entry(&key)),
                Change::PopFirst => prop_assert_eq!(map.pop_first(), model.pop_first()),
                Change::Retain(nth) => {
                    map.retain(|key, value| { *value /= 2; key % nth != 0 });
                    model.retain(|key, value| { *value /= 2; key % nth != 0 });
                }
            }
            prop_assert_eq!(map.len(), model.len());
        }
        check_chunks(&map);
        prop_assert!(map.iter().eq(&model) && map.iter().rev().eq(model.iter().rev()));
        prop_assert!(map.after(None).eq(&model));
        prop_assert!(map.keys().eq(model.keys()) && map.values().eq(model.values()));
        for key in 0..1200 {
            prop_assert_eq!(map.get(&key), model.get(&key));
            prop_assert_eq!(map.after(Some(&key)).next(), model.range(key + 1..).next());
            prop_assert_eq!(map.following(&key), model.range(key + 1..).next());
        }
        prop_assert_eq!(&model.iter().map(|(&key, &value)| (key, value)).collect::<Map<_, _>>(), &map);
        let text = serde_json::to_string(&map).unwrap();
        prop_assert_eq!(&text, &serde_json::to_string(&model).unwrap());
        prop_assert_eq!(&serde_json::from_str::<Map<u16, u32>>(&text).unwrap(), &map);
        prop_assert!(map.into_iter().eq(model));
    }

    #[test]
    fn a_set_does_what_the_standard_one_does(keys in prop::collection::vec((any::<bool>(), 0..400_u16), 0..1000)) {
        let (mut set, mut model) = (Set::new(), BTreeSet::new());
        for (insert, key) in keys {
            if insert {
                prop_assert_eq!(set.insert(key), model.insert(key));
            } else {
                prop_assert_eq!(set.remove(&key), model.remove(&key));
            }
            prop_assert_eq!(set.contains(&key), insert);
            prop_assert_eq!((set.len(), set.first()), (model.len(), model.first()));
            prop_assert_eq!(set.last(), model.last());
        }
        prop_assert!(set.iter().eq(&model));
        prop_assert_eq!(set.pop_first(), model.pop_first());
        prop_assert!(set.into_iter().eq(model));
    }
}
