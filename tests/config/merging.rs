//! What a pool does not say comes from `[defaults]`, then from what is built in.

use cf_warm_pools::config::resolved::{IdSource, Millis, PoolName, Setup, ShardCount};
use cf_warm_pools::config::{Pool, container_bindings, kv_bindings, parse_value};
use serde_json::json;

use crate::valid;

fn pool_a(text: &str) -> Pool {
    valid(text).pools[&PoolName::try_from("a".to_owned()).unwrap()].clone()
}

#[test]
fn a_pool_needs_a_container_and_nothing_else() {
    let pool = pool_a("[pools.a]\ncontainer = \"A\"");
    assert_eq!(pool.container.as_str(), "A");
    assert_eq!(pool.warm_target, 5);
    assert_eq!(pool.refresh_interval, Millis::from_secs(10));
    assert_eq!(pool.shards, ShardCount::ONE);
    assert_eq!(pool.max_instances, None);
    assert_eq!(pool.id_cache, None);
    assert_eq!(pool.sleep_after, Millis::from_secs(300));
    assert_eq!(pool.acquire_timeout, Millis::from_secs(30));
    assert_eq!(pool.max_concurrent_starts, 32);
    assert_eq!(pool.lease_ttl, Millis::from_secs(60));
    assert_eq!(pool.unreachable_timeout, Millis::from_secs(60));
    assert_eq!(pool.drain_timeout, Millis::from_secs(15));
    assert_eq!(pool.start.ports, [8080]);
    assert!(!pool.start.enable_internet);
    assert_eq!(pool.start.ready.path, None);
    assert_eq!(pool.start.ready.timeout, Millis::from_secs(20));
    assert_eq!(pool.start.setup, None);
}

#[test]
fn both_spellings_are_read() {
    let snake =
        pool_a("[pools.a]\ncontainer = \"A\"\nwarm_target = 7\nrefresh_interval = 2000\nstart.enable_internet = true");
    let camel =
        pool_a("[pools.a]\ncontainer = \"A\"\nwarmTarget = 7\nrefreshInterval = \"2s\"\nstart.enableInternet = true");
    assert_eq!(snake, camel);
    assert_eq!(snake.warm_target, 7);
    assert!(snake.start.enable_internet);
}

#[test]
fn a_pool_wins_over_the_defaults_and_the_defaults_over_what_is_built_in() {
    let pool = pool_a(
        r#"
        [defaults]
        container = "SHARED"
        warm_target = 2
        shards = 2
        [pools.a]
        shards = 3
        "#,
    );
    assert_eq!((pool.container.as_str(), pool.warm_target, pool.shards.get()), ("SHARED", 2, 3));
    assert_eq!(pool.acquire_timeout, Millis::from_secs(30));
}

#[test]
fn tables_are_merged_key_by_key_and_everything_else_is_replaced() {
    let pool = pool_a(
        r#"
        [defaults.start]
        port = 9000
        entrypoint = ["/default", "-v"]
        env = { MODE = "prod", LEVEL = "info" }
        ready = { path = "/healthz", timeout = "1m" }
        setup = { method = "PUT", path = "/default", timeout = "5s" }
        [pools.a]
        container = "A"
        [pools.a.start]
        ports = [1, 2]
        entrypoint = ["/own"]
        env = { LEVEL = "debug" }
        ready = { timeout = "2s" }
        setup = { path = "/own" }
        "#,
    );
    assert_eq!(pool.start.ports, [1, 2]);
    assert_eq!(pool.start.entrypoint.as_deref(), Some(&["/own".to_owned()][..]));
    let env: Vec<_> = pool.start.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(env, [("LEVEL", "debug"), ("MODE", "prod")]);
    assert_eq!((pool.start.ready.path.as_deref(), pool.start.ready.timeout), (Some("/healthz"), Millis(2000)));
    let setup = Setup { method: "PUT".to_owned(), path: "/own".to_owned(), expect: 200, timeout: Millis(5000) };
    assert_eq!(pool.start.setup, Some(setup));
}

#[test]
fn a_setup_without_a_path_in_the_defaults_is_a_preset() {
    let text = |start: &str| format!("[defaults.start.setup]\ntimeout = \"5s\"\n[pools.a]\ncontainer = \"A\"\n{start}");
    assert_eq!(pool_a(&text("")).start.setup, None);
    assert_eq!(pool_a(&text("start.setup.path = \"/x\"")).start.setup.unwrap().timeout, Millis(5000));
}

#[test]
fn routes_are_resolved_in_order() {
    let config = valid(
        r#"
        [pools.a]
        container = "A"
        [[routes]]
        pool = "a"
        host = "*.Example.com"
        path = "/a/*"
        strip_prefix = true
        id = { header = "X-Session-Id", default = "nobody" }
        [[routes]]
        pool = "a"
        path = "/b/*"
        id = { segment = 1 }
        [[routes]]
        pool = "a"
        id = { cookie = "Session" }
        "#,
    );
    let [first, second, third] = config.routes.as_slice() else { panic!("{:?}", config.routes) };
    assert_eq!(first.host.as_deref(), Some("*.example.com"));
    assert_eq!(first.id, IdSource::Header("x-session-id".to_owned()));
    assert_eq!(first.default_id.as_deref(), Some("nobody"));
    assert!(first.strip_prefix);
    assert_eq!(second.id, IdSource::Segment(1));
    assert!(!second.strip_prefix);
    assert_eq!(third.id, IdSource::Cookie("Session".to_owned()));

    let matched = |host, path| config.routes.iter().position(|route| route.matches(host, path));
    assert_eq!(matched("x.example.com", "/a"), Some(0));
    assert_eq!(matched("example.com", "/a"), Some(2));
    assert_eq!(matched("example.com", "/b/alice"), Some(1));
}

#[test]
fn statistics_show_the_pool_as_cf_container_warm_pool_spells_it() {
    let pool = pool_a("[pools.a]\ncontainer = \"A\"\nmax_instances = 9\nstart.env.SECRET = \"s3cret\"");
    assert_eq!(
        pool.to_stats_json(),
        json!({
            "container": "A",
            "warmTarget": 5,
            "refreshInterval": 10_000,
            "shards": 1,
            "maxInstances": 9,
            "sleepAfter": 300_000,
            "acquireTimeout": 30_000,
            "maxConcurrentStarts": 32,
            "leaseTtl": 60_000,
            "unreachableTimeout": 60_000,
            "drainTimeout": 15_000,
            "instanceType": "lite",
        })
    );
}

#[test]
fn bindings_are_listed_once() {
    let config = parse_value(&json!({"pools": {
        "a": {"container": "A", "idCache": "KV"},
        "b": {"container": "A", "idCache": "KV"},
        "c": {"container": "C"},
    }}))
    .unwrap();
    assert_eq!(container_bindings(&config).into_iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["A", "C"]);
    assert_eq!(kv_bindings(&config).into_iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["KV"]);
}
