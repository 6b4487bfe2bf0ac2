//! From a request to its route, and from an id to its shard.

use std::hint::black_box;

use cf_warm_pools::config::parse_json;
use cf_warm_pools::config::resolved::{Config, PoolName, ShardCount};
use cf_warm_pools::core::gateway::{Target, session_id};
use cf_warm_pools::core::id::SessionId;
use cf_warm_pools::core::route::shard_of;
use criterion::{BenchmarkId, Criterion};

use crate::world::session;

pub fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("shard_of");
    let pool = PoolName::try_from("python".to_owned()).unwrap();
    let ids: Vec<SessionId> = (0..1_000).map(session).collect();
    for shards in [1, 16, 256] {
        let count = ShardCount::try_from(shards).unwrap();
        assert!((0..shards).all(|shard| shards > 16 || ids.iter().any(|id| shard_of(&pool, id, count).0 == shard)));
        let mut ids = ids.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(shards), |bencher| {
            bencher.iter(|| shard_of(&pool, black_box(ids.next().unwrap()), count));
        });
    }
    group.finish();
    // The last of them matches, so that all are looked at.
    let mut group = criterion.benchmark_group("gateway_route");
    for routes in [1, 16, 256] {
        let config = config(routes);
        let url = format!("https://app.example.com/r{}/a/b?c=d", routes - 1);
        let header = |name: &str| (name == "x-session-id").then(|| "alice".to_owned());
        let routed = || {
            let target = Target::parse(black_box(&url)).unwrap();
            let route = target.route(&config).unwrap();
            (route.pool.clone(), session_id(route, &target, header).unwrap())
        };
        assert_eq!(routed().0.as_str(), format!("p{}", (routes - 1) % 8));
        assert_eq!(routed().1.as_str(), "alice");
        group.bench_function(BenchmarkId::from_parameter(routes), |bencher| bencher.iter(routed));
    }
    group.finish();
}

fn config(routes: usize) -> Config {
    let pool = |n| format!(r#""p{n}": {{"container": "PYTHON"}}"#);
    let route = |n| format!(r#"{{"pool": "p{}", "path": "/r{n}/*", "id": {{"header": "x-session-id"}}}}"#, n % 8);
    let pools: Vec<String> = (0..8).map(pool).collect();
    let routes: Vec<String> = (0..routes).map(route).collect();
    parse_json(&format!(r#"{{"pools": {{{}}}, "routes": [{}]}}"#, pools.join(", "), routes.join(", "))).unwrap()
}
