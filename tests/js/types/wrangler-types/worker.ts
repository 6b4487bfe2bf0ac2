// A Worker whose bindings `wrangler types` has written down: classes take their `Env` from there without being told.

import { Container } from "@cloudflare/containers";
import { env } from "cloudflare:workers";
import { expectTypeOf } from "expect-type";
import { ContainerAgent, createWarmPool, createWarmPools, getWarmPool, WarmPool } from "cf-warm-pools";

export { PoolCoordinator, WarmPool } from "cf-warm-pools";

export class MyContainer extends Container {
  override async onStop() {
    await getWarmPool(this.env.WARM_POOL).reportStopped(this.ctx.id.toString());
  }

  async greet(name: string) {
    return `hello ${name}`;
  }
}

export class Python extends ContainerAgent {}

class MyPool extends WarmPool {
  async token() {
    return this.env.ADMIN_TOKEN;
  }
}
expectTypeOf<ReturnType<MyPool["token"]>>().toEqualTypeOf<Promise<string>>();

const pools = createWarmPools(env, { pools: { python: { container: "PYTHON" } } });

export default {
  async fetch(request, env, ctx) {
    const one = await createWarmPool(env.WARM_POOL, env.CONTAINER).getContainer("alice");
    expectTypeOf(await one.greet("alice")).toEqualTypeOf<string>();
    const other = await createWarmPool(ctx.exports.WarmPool, ctx.exports.MyContainer).getContainer("alice");
    expectTypeOf(await other.greet("alice")).toEqualTypeOf<string>();
    const python = await pools.pool<Python>("python").getContainer("alice");
    expectTypeOf((await python.getState()).status).toExtend<string>();
    return pools.fetch(request);
  },
  scheduled: () => pools.prime(),
} satisfies ExportedHandler<Env>;
