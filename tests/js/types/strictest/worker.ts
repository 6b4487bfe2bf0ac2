// A Worker as users of `cf-container-warm-pool` have them, under the strictest settings of the compiler.

import { Container } from "@cloudflare/containers";
import { ContainerAgent, createWarmPool, createWarmPools, getWarmPool, PoolCoordinator, poolRoutes, WarmPool } from "cf-warm-pools";
import type { PoolStats, WarmPoolClient, WarmPoolError } from "cf-warm-pools";
import { expectTypeOf } from "expect-type";

export { PoolCoordinator, WarmPool };

export interface Env {
  CONTAINER: DurableObjectNamespace<MyContainer>;
  WARM_POOL: DurableObjectNamespace<WarmPool>;
  MY_POOL: DurableObjectNamespace<MyPool>;
  CACHE?: KVNamespace;
  NAME?: string;
  TARGET?: string;
  TOKEN?: string;
}

export class MyContainer extends Container<Env> {
  override async onStop() {
    await getWarmPool(this.env.WARM_POOL, this.env.NAME).reportStopped(this.ctx.id.toString());
  }

  async greet() {
    return "hello";
  }
}

export class MyPool extends WarmPool<Env> {
  override async alarm(info?: AlarmInvocationInfo) {
    await super.alarm(info);
  }

  override async getContainer(id: string) {
    return super.getContainer(id.toLowerCase());
  }
}

export class MyAgent extends ContainerAgent<Env> {
  override async fetch(request: Request) {
    return super.fetch(request);
  }
}

/** What is not there in the environment counts as not given. */
function poolOf(env: Env): WarmPoolClient<MyContainer> {
  const warmTarget = env.TARGET === undefined ? undefined : Number(env.TARGET);
  return createWarmPool(env.WARM_POOL, env.CONTAINER, { poolName: env.NAME, idCache: env.CACHE, warmTarget });
}

export const pools = (env: Env, port?: number) =>
  createWarmPools(env, {
    defaults: { warmTarget: env.TARGET === undefined ? undefined : 3, start: { port, ready: { path: env.NAME } } },
    pools: { mine: { container: "CONTAINER", idCache: env.NAME } },
    routes: [{ pool: "mine", host: env.NAME, id: { header: "x-session-id", default: env.NAME } }],
  });

export const routes = (env: Env) => poolRoutes(poolOf(env), { token: env.TOKEN, prefix: env.NAME });

export async function statsOf(env: Env): Promise<PoolStats> {
  const { getContainer, stats } = poolOf(env);
  try {
    const [first] = await Promise.all(["alice", "bob"].map(getContainer));
    expectTypeOf(await first!.greet()).toEqualTypeOf<string>();
  } catch (error) {
    const { code, retryAfterMillis } = error as WarmPoolError;
    console.log(code, retryAfterMillis);
  }
  return stats();
}

export default {
  async fetch(request, env, ctx) {
    const pool = createWarmPool(env.MY_POOL, env.CONTAINER);
    ctx.waitUntil(pool.getContainer("alice").then((container) => container.greet()));
    return pool.fetch("alice", request);
  },
} satisfies ExportedHandler<Env>;
