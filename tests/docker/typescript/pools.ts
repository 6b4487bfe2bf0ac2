// Three pools over three classes in one Worker, refreshed so seldom that what a test sees is not a refresh's work.

import { Container } from "@cloudflare/containers";
import { Sandbox } from "@cloudflare/sandbox";
import { createWarmPool, getWarmPool, WarmPool } from "cf-warm-pools";

export { WarmPool };

interface Env {
  CONTAINER: DurableObjectNamespace<MyContainer>;
  SANDBOX: DurableObjectNamespace<MySandbox>;
  STUBBORN: DurableObjectNamespace<Stubborn>;
  WARM_POOL: DurableObjectNamespace;
}

export class MyContainer extends Container<Env> {
  defaultPort = 8080;

  override async onStop() {
    await getWarmPool(this.env.WARM_POOL, "containers").reportStopped(this.ctx.id.toString());
  }
}

export class MySandbox extends Sandbox<Env> {
  override async onStop(...params: Parameters<Sandbox<Env>["onStop"]>) {
    await super.onStop(...params);
    await getWarmPool(this.env.WARM_POOL, "sandboxes").reportStopped(this.ctx.id.toString());
  }
}

/** Its process lives until it is killed. */
export class Stubborn extends Container<Env> {
  defaultPort = 3000;
  entrypoint = ["/bin/sh", "-c", "trap '' TERM; /sandbox; exit"];
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const config = { warmTarget: 2, refreshInterval: 120_000 };
    const containers = createWarmPool(env.WARM_POOL, env.CONTAINER, { poolName: "containers", ...config });
    const sandboxes = createWarmPool(env.WARM_POOL, env.SANDBOX, { poolName: "sandboxes", ...config });
    const stubborn = createWarmPool(env.WARM_POOL, env.STUBBORN, {
      poolName: "stubborn",
      ...config,
      warmTarget: 0,
      drainTimeout: 2_000,
    });
    const id = request.headers.get("x-session-id") ?? "default";
    switch (new URL(request.url).pathname) {
      case "/containers":
        return (await containers.getContainer(id)).fetch(new URL("/", request.url));
      case "/sandboxes":
        return Response.json(await (await sandboxes.getContainer(id)).exec(await request.text()));
      case "/stubborn":
        return (await stubborn.getContainer(id)).fetch(new URL("/api/ping", request.url));
      case "/stubborn/release":
        return Response.json(await stubborn.release(id));
      case "/stats":
        return Response.json({
          containers: await containers.stats(),
          sandboxes: await sandboxes.stats(),
          stubborn: await stubborn.stats(),
        });
      default:
        return new Response(null, { status: 404 });
    }
  },
};
