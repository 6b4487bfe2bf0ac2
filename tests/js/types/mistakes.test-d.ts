// What must not compile. The compiler reports a line that has no mistake after all.

import { Container } from "@cloudflare/containers";
import { ContainerAgent, createWarmPool, createWarmPools, getWarmPool, WarmPool } from "cf-warm-pools";
import type { WarmPoolClient } from "cf-warm-pools";
// @ts-expect-error: helpers of the declarations are nobody's business
import type { EitherSpelling } from "cf-warm-pools";

class MyContainer extends Container<{}> {
  async greet() {
    return "hello";
  }
}
declare const untyped: DurableObjectNamespace;
declare const pools: DurableObjectNamespace<WarmPool>;
declare const containers: DurableObjectNamespace<MyContainer>;
declare const agents: DurableObjectNamespace<ContainerAgent>;
declare const env: { WARM_POOL: DurableObjectNamespace };
declare const text: string;

// Namespaces.
// @ts-expect-error: the two are the wrong way round
createWarmPool(containers, pools);
// @ts-expect-error: a container class of this package is no pool either
createWarmPool(agents, agents);
// @ts-expect-error: the container's own namespace
getWarmPool(containers);
// @ts-expect-error: no namespace for the containers
createWarmPool(pools);
// @ts-expect-error: a stub is no namespace
createWarmPool(pools.getByName("global-pool/0"), containers);
// @ts-expect-error: the name is a text
getWarmPool(pools, 7);

// Stubs.
const pool = createWarmPool(pools, containers);
// @ts-expect-error: the class has no such method
(await pool.getContainer("alice")).gret();
// @ts-expect-error: it must be awaited
pool.getContainer("alice").greet();
// @ts-expect-error: it may have none
(await pool.lookupContainer("alice")).greet();
// @ts-expect-error: an id is a text
pool.getContainer(7);
// @ts-expect-error: another class's client
const other: WarmPoolClient<ContainerAgent> = pool;
// @ts-expect-error: the pool's own business
pool.configure({});

// Settings: keys.
// @ts-expect-error: did you mean warmTarget?
createWarmPool(pools, containers, { warmTaget: 1 });
// @ts-expect-error: did you mean port?
createWarmPool(pools, agents, { start: { prt: 80 } });
// @ts-expect-error: snake_case is for configurations
createWarmPool(pools, containers, { warm_target: 1 });
// @ts-expect-error: a key of the pool in @cloudflare/sandbox/bridge
createWarmPool(pools, containers, { scaleBatchSize: 5 });

// Settings: values.
// @ts-expect-error: a number
createWarmPool(pools, containers, { warmTarget: "3" });
// @ts-expect-error: no unit
createWarmPool(pools, containers, { refreshInterval: "10" });
// @ts-expect-error: no such unit
createWarmPool(pools, containers, { refreshInterval: "10 seconds" });
// @ts-expect-error: not a whole number
createWarmPool(pools, containers, { sleepAfter: "1.5h" });
// @ts-expect-error: any text is not a duration
createWarmPool(pools, containers, { sleepAfter: text });
// @ts-expect-error: the namespace, not its name
createWarmPool(pools, untyped, { idCache: "CONTAINER_ID_CACHE" });
// @ts-expect-error: not a method that a set-up request may have
createWarmPool(pools, agents, { start: { setup: { method: "TRACE" } } });
// @ts-expect-error: environment variables are texts
createWarmPool(pools, agents, { start: { env: { DEBUG: 1 } } });

// Configurations.
// @ts-expect-error: did you mean routes?
createWarmPools(env, { pools: {}, route: [] });
// @ts-expect-error: no pools
createWarmPools(env, { routes: [] });
// @ts-expect-error: did you mean warm_target?
createWarmPools(env, { pools: { python: { warm_taget: 1 } } });
// @ts-expect-error: did you mean enable_internet?
createWarmPools(env, { pools: { python: { start: { enable_internt: true } } } });
// @ts-expect-error: a name here, not the namespace
createWarmPools(env, { pools: { python: { idCache: {} as KVNamespace } } });
// @ts-expect-error: the name stands before the pool
createWarmPools(env, { pools: { python: { poolName: "python" } } });
// @ts-expect-error: a route without an id
createWarmPools(env, { pools: {}, routes: [{ pool: "python" }] });
// @ts-expect-error: an id from two places
createWarmPools(env, { pools: {}, routes: [{ pool: "python", id: { header: "a", cookie: "b" } }] });
// @ts-expect-error: an id from nowhere
createWarmPools(env, { pools: {}, routes: [{ pool: "python", id: { default: "nobody" } }] });
// @ts-expect-error: the Worker's bindings, not the name of one
createWarmPools("WARM_POOL");
// @ts-expect-error: the bindings are forgotten
createWarmPools({ pools: { python: { container: "PYTHON" } } });

// A subclass must not take a name that the pool needs.
class MyPool extends WarmPool {
  // @ts-expect-error: shards call each other by it
  async pull(rope: number) {
    return rope;
  }
}
void MyPool;
