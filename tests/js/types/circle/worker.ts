// Bindings that name the classes, and classes that use the bindings: a circle that must not be one for the compiler.

import { Container } from "@cloudflare/containers";
import { Sandbox } from "@cloudflare/sandbox";
import { expectTypeOf } from "expect-type";
import { createWarmPool, getWarmPool, WarmPool } from "cf-warm-pools";

export interface Env {
  CONTAINER: DurableObjectNamespace<MyContainer>;
  SANDBOX: DurableObjectNamespace<MySandbox>;
  WARM_POOL: DurableObjectNamespace<WarmPool>;
  MY_POOL: DurableObjectNamespace<MyPool>;
}

export class MyContainer extends Container<Env> {
  override defaultPort = 8080;

  override async onStop() {
    const pool = getWarmPool(this.env.WARM_POOL);
    await pool.reportStopped(this.ctx.id.toString());
  }

  /** No type is written down, so that the compiler has to infer one that depends on this class. */
  async neighbour(id: string) {
    const pool = createWarmPool(this.env.WARM_POOL, this.env.CONTAINER);
    const container = await pool.lookupContainer(id);
    return container === null ? "nobody" : container.id.toString();
  }
}

export class MySandbox extends Sandbox<Env> {
  override async onStop() {
    await super.onStop();
    await getWarmPool(this.env.MY_POOL, "sandboxes").reportStopped(this.ctx.id.toString());
  }
}

export class MyPool extends WarmPool<Env> {
  async busy() {
    const { assigned } = await this.getStats();
    expectTypeOf(this.ctx).toEqualTypeOf<DurableObjectState<{}>>();
    expectTypeOf(this.env).toEqualTypeOf<Env>();
    return assigned > 0 && this.env.SANDBOX.idFromName("one").toString() !== this.ctx.id.toString();
  }
}

export { WarmPool };

export default {
  async fetch(request, env) {
    const pool = createWarmPool(env.WARM_POOL, env.CONTAINER, { warmTarget: 1 });
    const container = await pool.getContainer("alice");
    expectTypeOf(container).toEqualTypeOf<DurableObjectStub<MyContainer>>();
    expectTypeOf(await container.neighbour("bob")).toEqualTypeOf<string>();
    const sandboxes = createWarmPool(env.MY_POOL, env.SANDBOX, { poolName: "sandboxes" });
    const { stdout } = await (await sandboxes.getContainer("alice")).exec("true");
    expectTypeOf(stdout).toEqualTypeOf<string>();
    expectTypeOf(await env.MY_POOL.getByName("sandboxes/0").busy()).toEqualTypeOf<boolean>();
    return container.fetch(request);
  },
} satisfies ExportedHandler<Env>;
