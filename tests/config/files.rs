//! The files of this repository: `config/pools.toml`, its schema, `wrangler.jsonc`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cf_warm_pools::config::{Config, ErrorCode, WranglerBindings, missing_bindings, over_capacity, parse_value};
use cf_warm_pools::embedded;
use serde_json::{Value, json};

use crate::valid;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

fn pools_toml() -> Value {
    crate::toml(&read("config/pools.toml"))
}

fn schema() -> Value {
    serde_json::from_str(&read("config/pools.schema.json")).unwrap()
}

#[test]
fn the_documented_file_is_valid_for_the_reader_and_for_editors() {
    let document = pools_toml();
    parse_value(&document).unwrap_or_else(|errors| panic!("{errors}"));
    let validator = jsonschema::draft7::new(&schema()).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn the_schema_refuses_what_an_editor_should_underline() {
    let validator = jsonschema::draft7::new(&schema()).unwrap();
    let pool = |keys: Value| {
        let mut pool = json!({"container": "A"});
        pool.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        json!({"pools": {"a": pool}})
    };
    assert!(validator.is_valid(&pool(json!({"warm_target": 5, "refreshInterval": "10s", "sleepAfter": 20_000}))));
    for keys in [
        json!({"warm_targt": 5}),
        json!({"warm_target": "5"}),
        json!({"warm_target": -1}),
        json!({"warm_target": 5, "warmTarget": 5}),
        json!({"refresh_interval": "10 seconds"}),
        json!({"refresh_interval": 1}),
        json!({"start": {"port": 1, "ports": [1]}}),
        json!({"start": {"setup": {"method": "BREW"}}}),
    ] {
        assert!(!validator.is_valid(&pool(keys.clone())), "{keys}");
    }
}

/// The lines `# key = value  # remark` of the tables of defaults, as the document they would be without the first `#`.
fn commented_defaults() -> (String, BTreeSet<String>) {
    let text = read("config/pools.toml");
    let start = text.find("\n[defaults]\n").unwrap();
    let end = text.find("# A small HTTP API").unwrap();
    let mut document = String::new();
    let mut keys = BTreeSet::new();
    let mut table = "";
    for line in text[start..end].lines() {
        if line.starts_with('[') {
            table = line.trim_matches(['[', ']']);
            document.push_str(&format!("{line}\n"));
        }
        let Some((key, value)) = line.strip_prefix("# ").and_then(|line| line.split_once(" =")) else { continue };
        keys.insert(format!("{table}.{key}"));
        // `max_instances =    # ...; no default`
        if !value.trim_start().starts_with('#') {
            document.push_str(&format!("{key} ={value}\n"));
        }
    }
    (document, keys)
}

#[test]
fn the_commented_defaults_are_the_true_ones() {
    let (document, _) = commented_defaults();
    let pool = "[pools.a]\ncontainer = \"A\"\nstart.setup.path = \"/setup\"";
    assert_eq!(valid(&format!("{document}\n{pool}")), valid(pool));
}

#[test]
fn every_key_of_a_pool_is_shown_with_its_default() {
    let (_, shown) = commented_defaults();
    let schema = schema();
    let snake = |table: &str, prefix: &str| -> Vec<String> {
        let properties = schema["definitions"][table]["properties"].as_object().unwrap();
        properties.keys().filter(|key| !key.contains(char::is_uppercase)).map(|key| format!("{prefix}{key}")).collect()
    };
    let described = [
        snake("Pool", "defaults."),
        snake("Start", "defaults.start."),
        snake("Ready", "defaults.start.ready."),
        snake("Setup", "defaults.start.setup."),
    ]
    .concat();
    // Tables are shown by their keys, `ports` with `port`, and `container` has no default.
    let elsewhere = [
        "defaults.container",
        "defaults.start",
        "defaults.start.ports",
        "defaults.start.ready",
        "defaults.start.setup",
    ];
    let described: BTreeSet<String> = described.into_iter().filter(|key| !elsewhere.contains(&key.as_str())).collect();
    assert_eq!(shown, described);
}

#[test]
fn the_bundled_configuration_is_the_file() {
    if std::env::var_os("POOLS_CONFIG_FILE").is_none() {
        assert_eq!(embedded::config().unwrap(), parse_value(&pools_toml()).unwrap());
    }
}

fn wrangler() -> WranglerBindings {
    let document: Option<Value> =
        jsonc_parser::parse_to_serde_value(&read("wrangler.jsonc"), &Default::default()).unwrap();
    WranglerBindings::from_wrangler(&document.unwrap())
}

#[test]
fn the_worker_has_every_binding_that_the_pools_name() {
    let config = parse_value(&pools_toml()).unwrap();
    assert_eq!(missing_bindings(&config, &wrangler()), []);
    assert_eq!(over_capacity(&config, &wrangler()), []);
}

#[test]
fn pools_that_may_have_more_than_the_platform_runs_are_an_error() {
    let worker = WranglerBindings::from_wrangler(&json!({
        "durable_objects": {"bindings": [
            {"name": "API", "class_name": "ApiContainer"},
            {"name": "OTHER", "class_name": "FromElsewhere", "script_name": "other"},
        ]},
        "containers": [{"class_name": "ApiContainer", "max_instances": 10}],
    }));
    let config = |a: &str, b: &str| {
        valid(&format!(
            "[pools.a]\ncontainer = \"API\"\n{a}\n[pools.b]\ncontainer = \"API\"\n{b}\n\
             [pools.c]\ncontainer = \"OTHER\"\nmax_instances = 1000"
        ))
    };
    let fits = [
        // Pools of one class share its limit.
        ("max_instances = 10", "max_instances = 10"),
        // The limit of one is the limit of all.
        ("max_instances = 10\nwarm_target = 8", "warm_target = 8"),
        ("warm_target = 6", "warm_target = 4"),
    ];
    for (a, b) in fits {
        assert_eq!(over_capacity(&config(a, b), &worker), [], "{a}; {b}");
    }
    let over = [
        ("max_instances = 11", "max_instances = 10", "pools.a.max_instances", 11),
        ("warm_target = 6", "max_instances = 12", "pools.b.max_instances", 12),
        ("warm_target = 6", "warm_target = 5", "pools.b.warm_target", 11),
    ];
    for (a, b, path, wanted) in over {
        let over = over_capacity(&config(a, b), &worker);
        assert_eq!(over.len(), 1, "{a}; {b}");
        assert_eq!((over[0].path.as_str(), over[0].code), (path, ErrorCode::Conflict));
        assert!(over[0].message.contains(&format!("(a, b) may have {wanted} containers together")), "{}", over[0]);
    }
}

#[test]
fn a_binding_that_the_worker_lacks_is_an_error() {
    let config: Config = valid("[pools.a]\ncontainer = \"APY\"\nid_cache = \"CACHE\"");
    let missing = missing_bindings(&config, &wrangler());
    let found: Vec<_> = missing.iter().map(|error| (error.path.as_str(), error.code)).collect();
    assert_eq!(
        found,
        [("pools.a.container", ErrorCode::MissingBinding), ("pools.a.id_cache", ErrorCode::MissingBinding)]
    );
    assert!(missing[0].message.contains("did you mean \"API\"?"), "{}", missing[0]);
    assert!(missing[1].message.contains("it declares CONTAINER_ID_CACHE"), "{}", missing[1]);

    let nothing = missing_bindings(&valid("[pools]"), &WranglerBindings::default());
    assert_eq!(nothing.len(), 2, "the pools' own objects: {nothing:?}");
}
