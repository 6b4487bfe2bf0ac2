//! A configuration renders as a document that is read as the same configuration: what the admin API shows can be sent
//! back, and what one Durable Object sends is what the other gets.

use cf_warm_pools::config::{Config, limits, parse_json, parse_value};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

proptest! {
    #[test]
    fn what_is_rendered_is_read_back(document in documents()) {
        let Ok(config) = parse_value(&document) else {
            // Rules between values; each value is within its limits.
            return Ok(());
        };
        let rendered = config.to_document();
        prop_assert_eq!(&parse_value(&rendered).unwrap(), &config);
        prop_assert_eq!(&parse_json(&rendered.to_string()).unwrap(), &config);
        prop_assert_eq!(parse_value(&rendered).unwrap().to_document(), rendered);
    }

    #[test]
    fn what_is_sent_arrives(document in documents()) {
        let Ok(config) = parse_value(&document) else { return Ok(()) };
        let text = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Config>(&text).unwrap(), &config);
        for pool in config.pools.values() {
            prop_assert_eq!(&serde_json::from_value::<cf_warm_pools::config::Pool>(json!(pool)).unwrap(), pool);
        }
    }

    #[test]
    fn what_the_reader_takes_the_schema_takes(document in documents()) {
        let schema: Value = serde_json::from_str(include_str!("../../config/pools.schema.json")).unwrap();
        let validator = jsonschema::draft7::new(&schema).unwrap();
        prop_assert!(validator.is_valid(&document), "{:?}", validator.iter_errors(&document).map(|e| e.to_string()).collect::<Vec<_>>());
        if let Ok(config) = parse_value(&document) {
            prop_assert!(validator.is_valid(&config.to_document()));
        }
    }
}

#[test]
fn most_generated_documents_are_valid() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let valid = (0..200).filter(|_| parse_value(&documents().new_tree(&mut runner).unwrap().current()).is_ok()).count();
    assert!(valid > 60, "the tests above see only {valid} valid documents of 200");
}

#[test]
fn a_sender_may_be_newer_but_not_wrong() {
    let newer = json!({
        "pools": {"a": {"container": "A", "brand_new": 1, "start": {"gpu": true}}},
        "routes": [{"pool": "a", "id": {"header": "x-id", "scheme": "v2"}, "weight": 3}],
        "generation": 7,
    });
    let config: Config = serde_json::from_value(newer.clone()).unwrap();
    assert_eq!(config.pools.len(), 1);
    assert!(parse_value(&newer).is_err(), "a person who writes that made a mistake");

    let wrong = json!({"pools": {"a": {"container": "A", "shards": 1000}}, "routes": []});
    let error = serde_json::from_value::<Config>(wrong).unwrap_err();
    assert!(error.to_string().contains("pools.a.shards"), "{error}");
}

fn documents() -> impl Strategy<Value = Value> {
    let names = prop::collection::btree_set("[a-zA-Z0-9][a-zA-Z0-9_-]{0,5}", 1..4)
        .prop_map(|names| names.into_iter().collect::<Vec<_>>());
    (names, pool(), prop::collection::vec(pool(), 4), prices())
        .prop_flat_map(|(names, defaults, pools, prices)| {
            let routes = prop::collection::vec(route(names.clone()), 0..4);
            (Just(names), Just(defaults), Just(pools), routes, Just(prices))
        })
        .prop_map(|(names, defaults, pools, routes, prices)| {
            let pools: Map<_, _> = names
                .into_iter()
                .zip(pools)
                .map(|(name, mut pool)| {
                    pool["container"] = json!("A");
                    (name, pool)
                })
                .collect();
            json!({"$schema": "./pools.schema.json", "defaults": defaults, "pools": pools, "routes": routes, "prices": prices})
        })
}

/// A table of some of these keys, each in one of its spellings.
fn some_of(keys: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    keys.into_iter()
        .map(|(key, value)| (prop::option::weighted(0.4, value), any::<bool>(), Just(key)))
        .collect::<Vec<_>>()
        .prop_map(|entries| {
            let spelt = |key: &str, snake: bool| if snake { key.to_owned() } else { camel(key) };
            entries.into_iter().filter_map(|(value, snake, key)| Some((spelt(key, snake), value?))).collect()
        })
        .boxed()
}

fn camel(key: &str) -> String {
    let (first, rest) = key.split_once('_').map_or((key, None), |(first, rest)| (first, Some(rest)));
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    first.to_owned() + &rest.into_iter().flat_map(|rest| rest.split('_')).map(capital).collect::<String>()
}

fn number(range: std::ops::RangeInclusive<u64>) -> BoxedStrategy<Value> {
    range.prop_map(Value::from).boxed()
}

fn duration(range: std::ops::RangeInclusive<u64>) -> BoxedStrategy<Value> {
    (range.clone(), any::<bool>(), Just(range))
        .prop_map(|(ms, text, range)| {
            let seconds = ms / 1000 * 1000;
            match text {
                true if range.contains(&seconds) => json!(format!("{}s", seconds / 1000)),
                true => json!(format!("{ms}ms")),
                false => json!(ms),
            }
        })
        .boxed()
}

fn words(words: &[&'static str]) -> BoxedStrategy<Value> {
    select(words.to_vec()).prop_map(Value::from).boxed()
}

fn strings(max: usize) -> BoxedStrategy<Value> {
    let text = "[^\\x00]{0,12}";
    prop::collection::btree_map("[A-Z_]{1,6}", text, 0..max).prop_map(|map| json!(map)).boxed()
}

fn pool() -> BoxedStrategy<Value> {
    some_of(vec![
        ("warm_target", number(0..=60)),
        ("refresh_interval", duration(500..=200_000)),
        ("shards", number(1..=60)),
        ("max_instances", number(60..=*limits::MAX_INSTANCES.end())),
        ("id_cache", words(&["KV", "$cache_1"])),
        ("sleep_after", duration(200_001..=*limits::SLEEP_AFTER.end())),
        ("acquire_timeout", duration(limits::ACQUIRE_TIMEOUT)),
        ("max_concurrent_starts", number(limits::MAX_CONCURRENT_STARTS)),
        ("lease_ttl", duration(limits::LEASE_TTL)),
        ("unreachable_timeout", duration(limits::UNREACHABLE_TIMEOUT)),
        ("drain_timeout", duration(limits::DRAIN_TIMEOUT)),
        ("instance_type", instance_type()),
        ("start", start()),
    ])
}

fn instance_type() -> BoxedStrategy<Value> {
    let size = (1..=128_000u32, number(limits::MEMORY_MIB), number(limits::DISK_MB)).prop_map(
        |(vcpu, memory, disk)| json!({"vcpu": f64::from(vcpu.max(10)) / 1_000.0, "memory_mib": memory, "diskMb": disk}),
    );
    prop_oneof![words(&["lite", "basic", "standard-1", "standard-4"]), size].boxed()
}

/// In dollars, to the last digit that is kept.
fn prices() -> BoxedStrategy<Value> {
    let price = || (0..=1_000_000_000_000u64).prop_map(|price| json!(price as f64 / 1e12)).boxed();
    some_of(vec![("memory_gib_second", price()), ("disk_gb_second", price()), ("vcpu_second", price())])
}

fn start() -> BoxedStrategy<Value> {
    let ports = prop_oneof![
        (1..=65_535u16).prop_map(|port| json!({"port": port})),
        prop::collection::btree_set(1..=65_535u16, 1..5).prop_map(|ports| json!({"ports": ports})),
        Just(json!({})),
    ];
    let ready = some_of(vec![("path", words(&["/", "/healthz?full=1"])), ("timeout", duration(limits::READY_TIMEOUT))]);
    let setup = some_of(vec![
        ("method", words(&["GET", "POST", "OPTIONS"])),
        ("expect", number(limits::EXPECT)),
        ("timeout", duration(limits::SETUP_TIMEOUT)),
    ])
    .prop_map(|mut setup| {
        setup["path"] = json!("/setup");
        setup
    });
    let rest = some_of(vec![
        ("env", strings(5)),
        ("entrypoint", prop::collection::vec("[^\\x00]{0,8}", 1..4).prop_map(|words| json!(words)).boxed()),
        ("enable_internet", any::<bool>().prop_map(Value::from).boxed()),
        ("labels", strings(3)),
        ("ready", ready),
        ("setup", setup.boxed()),
    ]);
    (ports, rest)
        .prop_map(|(mut ports, rest)| {
            ports.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            ports
        })
        .boxed()
}

fn route(pools: Vec<String>) -> BoxedStrategy<Value> {
    let source = prop_oneof![
        words(&["x-session-id", "X-User"]).prop_map(|name| json!({"header": name})),
        words(&["session", "__Host-id"]).prop_map(|name| json!({"cookie": name})),
        words(&["id", "käse"]).prop_map(|name| json!({"query": name})),
        (0..=31u32).prop_map(|index| json!({"segment": index})),
    ];
    let id = (source, prop::option::of(words(&["anonymous", "näm", "a b"]))).prop_map(|(mut id, default)| {
        if let Some(default) = default {
            id["default"] = default;
        }
        id
    });
    let rest = some_of(vec![
        ("host", words(&["a.com", "*.a.com", "B.a.com", "x_y.dev"])),
        ("path", words(&["/", "/a", "/a/*", "/a/b/*", "/b/*", "/%20/*"])),
    ]);
    (select(pools), id, rest, any::<bool>())
        .prop_map(|(pool, id, mut rest, strip)| {
            rest["pool"] = json!(pool);
            rest["id"] = id;
            if rest["path"].as_str().is_some_and(|path| path.ends_with("/*")) {
                rest["stripPrefix"] = json!(strip);
            }
            // A missing path was made null by looking at it.
            if rest["path"].is_null() {
                rest.as_object_mut().unwrap().remove("path");
            }
            rest
        })
        .boxed()
}
