//! A bad document is refused whole, and every mistake is named: where, what kind, what is allowed.

use cf_warm_pools::config::{Config, ErrorCode, MAX_ERRORS, limits, parse_json, parse_value};
use cf_warm_pools::core::id::{MAX_SESSION_ID_LEN, SessionId};
use cf_warm_pools::wire::headers::RESERVED_PREFIXES;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{invalid, places, valid};

/// A document with one pool, `a`, that has these keys too.
fn pool(keys: &str) -> String {
    format!("[pools.a]\ncontainer = \"A\"\n{keys}")
}

/// A document with one pool, `a`, and one route to it with these keys too.
fn route(keys: &str) -> String {
    pool(&format!("[[routes]]\npool = \"a\"\nid = {{ header = \"x-id\" }}\n{keys}"))
}

/// A document with one pool, `a`, and one route to it with this id.
fn id(id: &str) -> String {
    pool(&format!("[[routes]]\npool = \"a\"\nid = {id}"))
}

#[test]
fn every_error_is_listed_at_once_with_its_path() {
    let text = r#"
        [defaults]
        refresh_intervall = "10s"

        [pools.python]
        container = "PYTHON"
        warm_target = 20
        max_instances = 10
        sleep_after = "10s"
        start = { port = 8080, ports = [8080, 9090], env = { DEBUG = 1 } }

        [pools."no good"]
        containr = "NODE"
        shards = 300
        refreshInterval = "10 seconds"
        refresh_interval = "10s"

        [[routes]]
        pool = "pyhton"
        path = "/python/*"
        id = { header = "CF-Ray" }

        [[routes]]
        pool = "python"
        path = "/python/v2/*"
        id = { header = "x-session-id", cookie = "session" }
    "#;
    let errors = invalid(text);
    use ErrorCode::*;
    assert_eq!(
        places(&errors),
        [
            ("defaults.refresh_intervall", UnknownKey),
            ("pools.\"no good\"", InvalidName),
            ("pools.\"no good\".refreshInterval", DuplicateKey),
            ("pools.\"no good\".shards", OutOfRange),
            ("pools.\"no good\".containr", UnknownKey),
            ("pools.\"no good\".container", MissingKey),
            ("pools.python.start.env.DEBUG", WrongType),
            ("pools.python.start", Conflict),
            ("pools.python.sleep_after", Conflict),
            ("pools.python.warm_target", Conflict),
            ("routes[0].id.header", Reserved),
            ("routes[0].pool", UnknownPool),
            ("routes[1].id", Conflict),
            ("routes[1]", NeverMatches),
        ]
    );
}

#[test]
fn errors_print_as_a_list_for_people() {
    let errors = invalid(&pool("shards = 0\nsleep_after = \"10s\""));
    let printed = "2 errors in the configuration:\n  \
        pools.a.shards: must be a whole number from 1 to 256; it is 0\n  \
        pools.a.sleep_after: must be longer than refresh_interval, or warm containers fall asleep between two refreshes: \
        sleep_after is 10s, refresh_interval 10s (built in)";
    assert_eq!(errors.to_string(), printed);
}

#[test]
fn errors_are_json_for_the_admin_api() {
    let errors = invalid(&pool("shards = 0"));
    assert_eq!(
        serde_json::to_value(&errors).unwrap(),
        json!([{
            "path": "pools.a.shards",
            "code": "out_of_range",
            "message": "must be a whole number from 1 to 256; it is 0",
        }])
    );
}

#[test]
fn each_mistake_has_its_place_and_code() {
    use ErrorCode::*;
    for (text, path, code) in [
        // Shape.
        (String::new(), "pools", MissingKey),
        ("pools = 1".to_owned(), "pools", WrongType),
        ("pools.a = 1".to_owned(), "pools.a", WrongType),
        ("pool.a.container = \"A\"\n[pools]".to_owned(), "pool", UnknownKey),
        ("routes = {}\n[pools]".to_owned(), "routes", WrongType),
        ("routes = [1]\n[pools]".to_owned(), "routes[0]", WrongType),
        ("defaults = 1\n[pools]".to_owned(), "defaults", WrongType),
        // Pools.
        ("[pools.a]".to_owned(), "pools.a.container", MissingKey),
        ("[pools._a]\ncontainer = \"A\"".to_owned(), "pools._a", InvalidName),
        (
            format!("[pools.{}]\ncontainer = \"A\"", "a".repeat(65)),
            &format!("pools.\"{}…\"", "a".repeat(64)),
            InvalidName,
        ),
        ("[pools.a]\ncontainer = \"1A\"".to_owned(), "pools.a.container", InvalidName),
        ("[pools.a]\ncontainer = \"WARM_POOL\"".to_owned(), "pools.a.container", Reserved),
        ("[pools.a]\ncontainer = 1".to_owned(), "pools.a.container", WrongType),
        (pool("warmTarget = \"5\""), "pools.a.warmTarget", WrongType),
        (pool("warm_target = 1.5"), "pools.a.warm_target", WrongType),
        (pool("warm_target = -1"), "pools.a.warm_target", OutOfRange),
        (pool("warm_target = 9223372036854775807"), "pools.a.warm_target", OutOfRange),
        (pool("refresh_interval = \"10\""), "pools.a.refresh_interval", InvalidValue),
        (pool("refresh_interval = 499"), "pools.a.refresh_interval", OutOfRange),
        (pool("refresh_interval = nan"), "pools.a.refresh_interval", WrongType),
        (pool("acquire_timeout = true"), "pools.a.acquire_timeout", WrongType),
        (pool("id_cache = \"\""), "pools.a.id_cache", InvalidName),
        (pool("port = 8080"), "pools.a.port", UnknownKey),
        // Rules between values.
        (pool("sleep_after = \"10s\""), "pools.a.sleep_after", Conflict),
        (pool("max_instances = 4"), "pools.a.warm_target", Conflict),
        (pool("warm_target = 1\nmax_instances = 3\nshards = 4"), "pools.a.max_instances", Conflict),
        // Start.
        (pool("start = 1"), "pools.a.start", WrongType),
        (pool("start.port = 0"), "pools.a.start.port", OutOfRange),
        (pool("start.port = 65536"), "pools.a.start.port", OutOfRange),
        (pool("start.ports = []"), "pools.a.start.ports", OutOfRange),
        (pool("start.ports = [1, 2, 1]"), "pools.a.start.ports[2]", InvalidValue),
        (pool("start.ports = [1, \"2\"]"), "pools.a.start.ports[1]", WrongType),
        (pool("start = { port = 1, ports = [1] }"), "pools.a.start", Conflict),
        (pool("start.env = { \"A=B\" = \"\" }"), "pools.a.start.env.\"A=B\"", InvalidName),
        (pool("start.env = { A = \"\\u0000\" }"), "pools.a.start.env.A", InvalidValue),
        (pool("start.entrypoint = \"/server\""), "pools.a.start.entrypoint", WrongType),
        (pool("start.enable_internet = \"no\""), "pools.a.start.enable_internet", WrongType),
        (pool("start.ready.path = \"healthz\""), "pools.a.start.ready.path", InvalidValue),
        (pool("start.setup = { method = \"post\", path = \"/\" }"), "pools.a.start.setup.method", InvalidValue),
        (pool("start.setup = { path = \"/\", expect = 101 }"), "pools.a.start.setup.expect", OutOfRange),
        (pool("start.setup = { expect = 204 }"), "pools.a.start.setup.path", MissingKey),
        // Routes.
        (pool("[[routes]]\nid = { header = \"x-id\" }"), "routes[0].pool", MissingKey),
        (pool("[[routes]]\npool = \"a\""), "routes[0].id", MissingKey),
        (pool("[[routes]]\npool = \"b\"\nid = { header = \"x-id\" }"), "routes[0].pool", UnknownPool),
        (route("host = \"example.com:8080\""), "routes[0].host", InvalidValue),
        (route("host = \"*\""), "routes[0].host", InvalidValue),
        (route("host = \"a.*.com\""), "routes[0].host", InvalidValue),
        (route("host = \"-a.com\""), "routes[0].host", InvalidValue),
        (route("host = \"a-.com\""), "routes[0].host", InvalidValue),
        (route("host = \"a..com\""), "routes[0].host", InvalidValue),
        (route("path = \"python/*\""), "routes[0].path", InvalidValue),
        (route("path = \"/a*\""), "routes[0].path", InvalidValue),
        (route("path = \"/*/a\""), "routes[0].path", InvalidValue),
        (route("path = \"/a?b=c\""), "routes[0].path", InvalidValue),
        (route("path = \"/a/../b\""), "routes[0].path", InvalidValue),
        (route("path = \"/a/%2E%2e/b\""), "routes[0].path", InvalidValue),
        (route("path = \"/ü\""), "routes[0].path", InvalidValue),
        (route("path = \"/_warm/*\""), "routes[0].path", Reserved),
        (route("path = \"/_warm/v1/*\""), "routes[0].path", Reserved),
        (route("path = \"/_warm\""), "routes[0].path", Reserved),
        (route("strip_prefix = true"), "routes[0].strip_prefix", Conflict),
        (route("path = \"/a\"\nstrip_prefix = true"), "routes[0].strip_prefix", Conflict),
        // Ids.
        (id("{}"), "routes[0].id", MissingKey),
        (id("{ default = \"x\" }"), "routes[0].id", MissingKey),
        (id("{ query = \"a\", cookie = \"b\" }"), "routes[0].id", Conflict),
        (id("{ header = \"x id\" }"), "routes[0].id.header", InvalidName),
        (id("{ header = \"X-Warm-Pool-Session\" }"), "routes[0].id.header", Reserved),
        (id("{ header = \"cf-connecting-ip\" }"), "routes[0].id.header", Reserved),
        (id("{ header = \"Cookie\" }"), "routes[0].id.header", Reserved),
        (id("{ cookie = \"a=b\" }"), "routes[0].id.cookie", InvalidName),
        (id("{ query = \"\" }"), "routes[0].id.query", InvalidName),
        (id("{ segment = 32 }"), "routes[0].id.segment", OutOfRange),
        (id("{ header = \"x-id\", default = \"\" }"), "routes[0].id.default", InvalidValue),
        (id("{ header = \"x-id\", default = \"a\\nb\" }"), "routes[0].id.default", InvalidValue),
        (id("{ segment = 1 }\npath = \"/a\""), "routes[0].id.segment", NeverMatches),
    ] {
        assert_eq!(places(&invalid(&text)), [(path, code)], "{text}");
    }
}

#[test]
fn a_second_route_that_can_never_match_is_refused() {
    let routes = |first: &str, second: &str| {
        pool(&format!(
            "[[routes]]\npool = \"a\"\nid = {{ header = \"x-id\" }}\n{first}\n[[routes]]\npool = \"a\"\nid = {{ header = \"x-id\" }}\n{second}"
        ))
    };
    for (first, second) in [
        ("", "path = \"/a\""),
        ("path = \"/*\"", "host = \"a.com\""),
        ("path = \"/a/*\"", "path = \"/a\""),
        ("path = \"/a/*\"", "path = \"/a/b/*\""),
        ("host = \"*.a.com\"", "host = \"b.A.com\"\npath = \"/a\""),
        ("host = \"a.com\"", "host = \"A.com\""),
    ] {
        let errors = invalid(&routes(first, second));
        assert_eq!(places(&errors), [("routes[1]", ErrorCode::NeverMatches)], "{first} then {second}");
        // The other way round both are of use, unless they are the same.
        if first.to_lowercase() != second.to_lowercase() {
            valid(&routes(second, first));
        }
    }
}

#[test]
fn one_mistake_is_one_error() {
    // The rules that compare it with other values say nothing about a value that is wrong in itself.
    for keys in
        ["sleep_after = \"soon\"\nrefresh_interval = \"1h\"", "max_instances = 0\nwarm_target = 10\nshards = 10"]
    {
        assert_eq!(invalid(&pool(keys)).iter().count(), 1, "{keys}");
    }
    // Nor do the pools about a default that is.
    let errors = invalid(
        "[defaults]\nwarm_target = -1\n[pools.a]\ncontainer = \"A\"\n[pools.b]\ncontainer = \"B\"\nmax_instances = 1",
    );
    assert_eq!(places(&errors), [("defaults.warm_target", ErrorCode::OutOfRange)]);
    // Nor routes about a pool that is there, if not well.
    let errors = invalid("[pools.\"a b\"]\ncontainer = \"A\"\n[[routes]]\npool = \"a b\"\nid = { header = \"x\" }");
    assert_eq!(places(&errors), [("pools.\"a b\"", ErrorCode::InvalidName)]);
}

#[test]
fn the_nearest_name_is_offered_in_the_spelling_of_the_document() {
    for (text, hint) in [
        (pool("warm_targt = 5"), "did you mean `warm_target`?"),
        (pool("warmTargt = 5"), "did you mean `warmTarget`?"),
        (pool("env = {}"), "it belongs into the table `start`"),
        (pool("colour = 1"), "is not a known key; Known keys: container, warm_target"),
        (pool("[[routes]]\npool = \"aa\"\nid = { header = \"x-id\" }"), "did you mean \"a\"?"),
        (pool("[[routes]]\npool = \"python\"\nid = { header = \"x-id\" }"), "there is a"),
        (pool("start.setup = { method = \"post\", path = \"/\" }"), "did you mean POST?"),
        (pool("start.env.DEBUG = true"), "Put it in quotes: \"true\""),
    ] {
        let errors = invalid(&text);
        assert!(errors.to_string().contains(hint), "{text}\n{errors}");
    }
}

#[test]
fn a_rule_says_who_gave_the_values() {
    let errors = invalid("[defaults]\nmax_instances = 3\n[pools.a]\ncontainer = \"A\"");
    assert_eq!(places(&errors), [("pools.a.warm_target", ErrorCode::Conflict)]);
    assert!(errors.to_string().ends_with("warm_target is 5 (built in), max_instances 3 (from [defaults])"), "{errors}");
}

#[test]
fn pool_and_defaults_together_have_the_limits_of_one() {
    let env =
        |prefix: &str, count: usize| -> Value { (0..count).map(|n| (format!("{prefix}{n}"), json!("x"))).collect() };
    let document = |own: usize| {
        json!({
            "defaults": {"start": {"env": env("D", 100)}},
            "pools": {"a": {"container": "A", "start": {"env": env("P", own)}}},
        })
    };
    assert!(parse_value(&document(limits::MAX_ENV - 100)).is_ok());
    let errors = parse_value(&document(limits::MAX_ENV - 99)).unwrap_err();
    assert_eq!(places(&errors), [("pools.a.start.env", ErrorCode::TooLarge)]);
}

#[test]
fn a_path_that_only_looks_like_the_admin_api_is_fine() {
    valid(&route("path = \"/_warmer/*\""));
}

#[test]
fn a_text_that_is_not_json_says_where() {
    let errors = parse_json("{\n  \"pools\": {,\n}").unwrap_err();
    assert_eq!(places(&errors), [("", ErrorCode::Syntax)]);
    assert!(errors.to_string().contains("line 2 column 13"), "{errors}");
}

#[test]
fn null_is_no_value() {
    let document = json!({"pools": {"a": {"container": "A", "maxInstances": null}}});
    let errors = parse_value(&document).unwrap_err();
    assert_eq!(places(&errors), [("pools.a.maxInstances", ErrorCode::WrongType)]);
    assert!(errors.to_string().contains("leave the key out"), "{errors}");
}

#[test]
fn sizes_have_limits() {
    let text = format!("{{\"pools\": {{}}, \"$schema\": {:?}}}", "x".repeat(limits::MAX_CONFIG_BYTES));
    assert_eq!(places(&parse_json(&text).unwrap_err()), [("", ErrorCode::TooLarge)]);

    let pools = |count: usize| (0..count).map(|n| (format!("p{n}"), json!({"container": "A"}))).collect::<Value>();
    assert!(parse_value(&json!({"pools": pools(limits::MAX_POOLS)})).is_ok());
    let errors = parse_value(&json!({"pools": pools(limits::MAX_POOLS + 1)})).unwrap_err();
    assert_eq!(places(&errors), [("pools", ErrorCode::TooLarge)]);

    let routes = |count: usize| -> Vec<Value> {
        (0..count).map(|n| json!({"pool": "p0", "path": format!("/{n}"), "id": {"header": "x-id"}})).collect()
    };
    assert!(parse_value(&json!({"pools": pools(1), "routes": routes(limits::MAX_ROUTES)})).is_ok());
    let errors = parse_value(&json!({"pools": pools(1), "routes": routes(limits::MAX_ROUTES + 1)})).unwrap_err();
    assert_eq!(places(&errors), [("routes", ErrorCode::TooLarge)]);

    // A default of 32 KiB is one in the text, and as many as there are pools in what is stored.
    let defaults = json!({"start": {"env": {"BLOB": "x".repeat(limits::MAX_ENV_VALUE)}}});
    let errors = parse_value(&json!({"defaults": defaults, "pools": pools(20)})).unwrap_err();
    assert_eq!(places(&errors), [("", ErrorCode::TooLarge)]);
}

#[test]
fn the_list_of_errors_has_a_limit_and_says_so() {
    let keys: Value = (0..MAX_ERRORS + 7).map(|n| (format!("key{n}"), json!(1))).collect();
    let errors = parse_value(&json!({"pools": {}, "defaults": keys})).unwrap_err();
    assert_eq!(errors.iter().count(), MAX_ERRORS);
    assert_eq!(errors.omitted(), 7);
    assert!(errors.to_string().ends_with("and 7 more"));
}

#[test]
fn the_limits_are_those_of_the_rest_of_the_crate() {
    assert_eq!(limits::MAX_SESSION_ID, MAX_SESSION_ID_LEN);
    for prefix in RESERVED_PREFIXES {
        let errors = invalid(&id(&format!("{{ header = \"{prefix}x\" }}")));
        assert_eq!(places(&errors), [("routes[0].id.header", ErrorCode::Reserved)], "{prefix}");
    }
}

proptest! {
    #[test]
    fn a_default_id_is_a_session_id(text in any::<String>()) {
        let document = json!({
            "pools": {"a": {"container": "A"}},
            "routes": [{"pool": "a", "id": {"header": "x-id", "default": text}}],
        });
        prop_assert_eq!(parse_value(&document).is_ok(), SessionId::try_from(text).is_ok());
    }

    #[test]
    fn any_json_is_read_or_refused(document in any_json()) {
        let as_written = parse_value(&document);
        let as_sent: Result<Config, _> = serde_json::from_value(document);
        // What a person may write, a shard may send.
        prop_assert!(as_written.is_err() || as_sent.is_ok());
    }
}

/// JSON that has a good chance to get past the first checks.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        proptest::sample::select(vec![
            "pools",
            "routes",
            "defaults",
            "a",
            "container",
            "warmTarget",
            "shards",
            "start",
            "ports",
            "env",
            "setup",
            "ready",
            "path",
            "id",
            "header",
            "segment",
            "default",
            "pool",
            "host",
            "sleep_after",
            "max_instances",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..20u32).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        proptest::sample::select(vec!["a", "A", "/a/*", "10s", "x-id", "*.a.com"]).prop_map(Value::from),
    ];
    let inner = leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    });
    (inner.clone(), inner).prop_map(|(pools, routes)| json!({"pools": pools, "routes": routes}))
}
