// Pools from a configuration.

import { Container } from "@cloudflare/containers";
import { expectTypeOf } from "expect-type";
import { createWarmPools } from "cf-warm-pools";
import type { PoolsConfig, UntypedContainerStub, WarmPools } from "cf-warm-pools";

class MyContainer extends Container<{}> {
  async greet() {
    return "hello";
  }
}
interface Env {
  WARM_POOL: DurableObjectNamespace;
}
declare const env: Env;

const pools = createWarmPools(env);
expectTypeOf(pools).toEqualTypeOf<WarmPools>();
expectTypeOf(pools.names()).toEqualTypeOf<string[]>();
expectTypeOf(pools.fetch(new Request("http://worker/"))).toEqualTypeOf<Promise<Response>>();
expectTypeOf(pools.prime()).toEqualTypeOf<Promise<void>>();
expectTypeOf(await pools.pool("python").getContainer("alice")).toEqualTypeOf<UntypedContainerStub>();
expectTypeOf(await (await pools.pool<MyContainer>("python").getContainer("alice")).greet()).toEqualTypeOf<string>();

// Either spelling, on every level, and both in one object.
createWarmPools(env, {
  $schema: "node_modules/cf-warm-pools/pools.schema.json",
  defaults: { refreshInterval: "10s", start: { ready: { path: "/healthz" } } },
  pools: {
    camel: { container: "A", warmTarget: 5, idCache: "CACHE", maxInstances: 9, start: { enableInternet: true } },
    snake: { container: "B", warm_target: 5, id_cache: "CACHE", max_instances: 9, start: { enable_internet: true } },
    mixed: { container: "C", warm_target: 5, sleepAfter: 60_000, max_concurrent_starts: 2, start: { port: 80 } },
  },
  routes: [
    { pool: "camel", path: "/camel/*", stripPrefix: true, id: { header: "x-session-id" } },
    { pool: "snake", host: "*.example.com", strip_prefix: false, id: { cookie: "session", default: "nobody" } },
    { pool: "mixed", id: { query: "session" } },
    { pool: "mixed", id: { segment: 1 } },
  ],
});

// As a JSON file is typed that is imported.
const imported = {
  pools: { python: { container: "PYTHON", refreshInterval: "10s", start: { setup: { method: "POST", path: "/x" } } } },
  routes: [{ pool: "python", id: { header: "x-session-id" } }],
};
createWarmPools(env, imported as PoolsConfig);
