// One pool, set up by code: what `createWarmPool` and `getWarmPool` take, and what comes back.

import { Container } from "@cloudflare/containers";
import { Sandbox } from "@cloudflare/sandbox";
import { expectTypeOf } from "expect-type";
import { ContainerAgent, createWarmPool, getWarmPool, WarmPool } from "cf-warm-pools";
import type {
  Assignment,
  ContainerStub,
  PlanVersion,
  PoolStats,
  ShardStats,
  UntypedContainerStub,
  WarmPoolClient,
  WarmPoolConfig,
  WarmPoolError,
  WarmPoolRefusal,
} from "cf-warm-pools";

class MyContainer extends Container<{}> {
  async greet(name: string) {
    return { text: `hello ${name}` };
  }
}
class MySandbox extends Sandbox<{}> {}
class MyAgent extends ContainerAgent {}
class MyPool extends WarmPool<{ LIMIT: number }> {
  async limit() {
    return this.env.LIMIT;
  }
}

declare const untyped: DurableObjectNamespace;
declare const anything: DurableObjectNamespace<any>;
declare const pools: DurableObjectNamespace<WarmPool>;
declare const myPools: DurableObjectNamespace<MyPool>;
declare const containers: DurableObjectNamespace<MyContainer>;
declare const sandboxes: DurableObjectNamespace<MySandbox>;
declare const agents: DurableObjectNamespace<MyAgent>;
declare const kv: KVNamespace;

// Every kind of namespace for the pool.
createWarmPool(untyped, containers);
createWarmPool(pools, containers);
createWarmPool(myPools, containers);
createWarmPool(anything, containers);
createWarmPool(pools, containers.jurisdiction("eu"));

// A typed namespace gives the stub of its class.
const typed = createWarmPool(pools, containers);
expectTypeOf(typed).toEqualTypeOf<WarmPoolClient<MyContainer>>();
expectTypeOf(typed.getContainer).toEqualTypeOf<(id: string) => Promise<DurableObjectStub<MyContainer>>>();
expectTypeOf(typed.lookupContainer).toEqualTypeOf<(id: string) => Promise<DurableObjectStub<MyContainer> | null>>();
const { text } = await (await typed.getContainer("alice")).greet("alice");
expectTypeOf(text).toEqualTypeOf<string>();
const { stdout } = await (await createWarmPool(pools, sandboxes).getContainer("alice")).exec("true");
expectTypeOf(stdout).toEqualTypeOf<string>();
const { status } = await (await createWarmPool(pools, agents).getContainer("alice")).getState();
expectTypeOf(status).toEqualTypeOf<"running" | "healthy" | "stopping" | "stopped" | "stopped_with_code">();

// An untyped one gives a stub of which any method may be called, and `fetch` is what it is everywhere.
for (const namespace of [createWarmPool(pools, untyped), createWarmPool(pools, anything)]) {
  const stub = await namespace.getContainer("alice");
  expectTypeOf(stub).toEqualTypeOf<UntypedContainerStub>();
  expectTypeOf(await stub.exec("true", { cwd: "/" })).toBeAny();
  expectTypeOf(await stub.fetch("http://container/")).toEqualTypeOf<Response>();
  expectTypeOf(stub.id).toEqualTypeOf<DurableObjectId>();
  expectTypeOf(stub).toExtend<DurableObjectStub>();
  // As users of the old library had to, to call a method.
  expectTypeOf((stub as DurableObjectStub<MyContainer>).greet).toBeFunction();
  expectTypeOf((stub as unknown as MyContainer).greet).toBeFunction();
}
expectTypeOf<ContainerStub<undefined>>().toEqualTypeOf<UntypedContainerStub>();
expectTypeOf<ContainerStub<any>>().toEqualTypeOf<UntypedContainerStub>();

// A class that is a parameter: how a helper of the user's looks.
async function healthy<Class extends Container<any>>(namespace: DurableObjectNamespace<Class>) {
  expectTypeOf(createWarmPool(pools, namespace)).toEqualTypeOf<WarmPoolClient<Class>>();
  return createWarmPool(pools, namespace).stats();
}
expectTypeOf(healthy(containers)).resolves.toEqualTypeOf<PoolStats>();

// A client of any class is a `WarmPoolClient`, as in the old library.
const clients: WarmPoolClient[] = [typed, createWarmPool(pools, sandboxes), createWarmPool(pools, untyped)];
expectTypeOf(clients[0]!.getContainer("alice")).resolves.toEqualTypeOf<UntypedContainerStub>();

// The other methods.
expectTypeOf(typed.release("alice")).resolves.toEqualTypeOf<boolean>();
expectTypeOf(typed.fetch("alice", new Request("http://container/"))).resolves.toEqualTypeOf<Response>();
expectTypeOf(typed.fetch("alice", "http://container/", { method: "POST" })).resolves.toEqualTypeOf<Response>();
expectTypeOf(typed.shutdownPrewarmed()).resolves.toEqualTypeOf<number>();
expectTypeOf(typed.reportStopped("uuid")).resolves.toEqualTypeOf<boolean>();
const stats = await typed.stats();
expectTypeOf(stats).toEqualTypeOf<PoolStats>();
expectTypeOf<Pick<typeof stats, "warm" | "assigned" | "total" | "maxInstances">>().toEqualTypeOf<{
  warm: number;
  assigned: number;
  total: number;
  maxInstances: number | null;
}>();
expectTypeOf(stats.config.warmTarget).toEqualTypeOf<number>();
expectTypeOf(stats.config.refreshInterval).toEqualTypeOf<number>();
expectTypeOf(stats.outcomes.borrowed).toEqualTypeOf<number | undefined>();
expectTypeOf(stats.shards).toEqualTypeOf<ShardStats[]>();
expectTypeOf(stats.latencies.acquire.sticky.p95).toEqualTypeOf<number | null>();
expectTypeOf(stats.containerSeconds.warm).toEqualTypeOf<number>();
expectTypeOf(stats.cost.idleSoFar).toEqualTypeOf<number>();

// A shard by RPC: nothing of what it answers gets lost on the way.
for (const shard of [getWarmPool(untyped), getWarmPool(pools), getWarmPool(myPools, "mine"), getWarmPool(anything)]) {
  expectTypeOf(shard).toEqualTypeOf<DurableObjectStub<WarmPool>>();
  expectTypeOf(await shard.reportStopped("uuid")).toEqualTypeOf<boolean>();
  expectTypeOf(await shard.getContainer("alice")).toExtend<Assignment>();
  expectTypeOf(await shard.lookupContainer("alice")).toExtend<Assignment | null>();
  expectTypeOf(await shard.getStats()).toExtend<ShardStats>();
  expectTypeOf(await shard.configure({ container: "CONTAINER", warm_target: 3 })).toExtend<PlanVersion>();
}
expectTypeOf(await myPools.getByName("global-pool/0").limit()).toEqualTypeOf<number>();

// Every setting; durations as a number of ms or as text.
createWarmPool(pools, agents, {
  poolName: "agents",
  container: "AGENT",
  warmTarget: 3,
  refreshInterval: 10_000,
  idCache: kv,
  shards: 4,
  maxInstances: 40,
  sleepAfter: "5m",
  acquireTimeout: "500ms",
  maxConcurrentStarts: 8,
  leaseTtl: "30s",
  unreachableTimeout: "1h",
  drainTimeout: 15_000,
  instanceType: { vcpu: 0.5, memoryMib: 1024, diskMb: 4000 },
  start: {
    ports: [8080, 9090],
    env: { MODE: "test" },
    entrypoint: ["/server"],
    enableInternet: true,
    labels: { team: "a" },
    ready: { path: "/healthz", timeout: "20s" },
    setup: { method: "POST", path: "/warmup", expect: 204, timeout: 30_000 },
  },
});
createWarmPool(pools, containers, undefined);
createWarmPool(pools, containers, { idCache: undefined, warmTarget: undefined });
const settings = { warmTarget: 1, refreshInterval: "10s" } satisfies WarmPoolConfig;
createWarmPool(pools, containers, settings);

// What is thrown.
expectTypeOf<WarmPoolError>().toExtend<Error>();
expectTypeOf<WarmPoolRefusal>().toExtend<WarmPoolError>();
expectTypeOf<WarmPoolError["retryAfterMillis"]>().toEqualTypeOf<number | undefined>();
