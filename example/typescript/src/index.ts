// A Worker that gives each session a container of its own: the image of ../api, which takes three seconds to boot,
// behind the `Container` class of @cloudflare/containers.
//
// | request | answer |
// |---|---|
// | `DELETE /session` | 204: the session is over, its container is stopped |
// | `GET /session` | what its container's class says of it; 404 when the session has none |
// | `GET /pool` | the pool in numbers |
// | all else | the container's own answer |
//
// The session is the header `x-session-id`.

import { Container } from "@cloudflare/containers";
import { createWarmPool, getWarmPool, WarmPool, type WarmPoolError } from "cf-warm-pools";

// The Durable Object that has the pool.
export { WarmPool };

interface Env {
  CONTAINER: DurableObjectNamespace<ApiContainer>;
  WARM_POOL: DurableObjectNamespace<WarmPool>;
}

export class ApiContainer extends Container<Env> {
  override defaultPort = 8080;
  // Longer than the pool's `refreshInterval`, with which it keeps its stock awake.
  override sleepAfter = "5m";
  override envVars = { BOOT_MS: "3000" };

  // So that the session gets another container at once, and not after the pool's next health check.
  override async onStop() {
    await getWarmPool(this.env.WARM_POOL).reportStopped(this.ctx.id.toString());
  }
}

// Cheap: the pool hears of its settings when they have changed, and is asked nothing here.
const poolOf = (env: Env) => createWarmPool(env.WARM_POOL, env.CONTAINER, { warmTarget: 2, maxInstances: 10 });

export default {
  async fetch(request, env) {
    const pool = poolOf(env);
    const { pathname } = new URL(request.url);
    if (pathname === "/pool") return Response.json(await pool.stats());
    const session = request.headers.get("x-session-id");
    if (!session) return new Response("The header x-session-id is missing.\n", { status: 400 });
    if (pathname === "/session") {
      if (request.method === "DELETE") {
        await pool.release(session);
        return new Response(null, { status: 204 });
      }
      // The class's own methods are called on the stub.
      const container = await pool.lookupContainer(session);
      return container ? Response.json(await container.getState()) : new Response(null, { status: 404 });
    }
    try {
      return await pool.fetch(session, request);
    } catch (error) {
      const { code, retryAfterMillis } = error as WarmPoolError;
      if (retryAfterMillis === undefined) throw error;
      const headers = { "retry-after": String(Math.ceil(retryAfterMillis / 1000)) };
      return new Response(`No container: ${code}. Try again.\n`, { status: 503, headers });
    }
  },

  // By cron: fills the pool after a deploy, before anyone asks.
  async scheduled(_controller, env) {
    await poolOf(env).stats();
  },
} satisfies ExportedHandler<Env>;

// The same with a sandbox. `npm install @cloudflare/sandbox`, bind the class as SANDBOX in wrangler.jsonc with an image
// that has the SDK's server, and take these lines in. A Worker may have both: each class has a pool, and a pool its name.
//
// import { Sandbox } from "@cloudflare/sandbox";
//
// interface Env {
//   SANDBOX: DurableObjectNamespace<MySandbox>;
// }
//
// export class MySandbox extends Sandbox<Env> {
//   override async onStop() {
//     await super.onStop();
//     await getWarmPool(this.env.WARM_POOL, "sandboxes").reportStopped(this.ctx.id.toString());
//   }
// }
//
// export async function run(env: Env, session: string, command: string): Promise<string> {
//   const pool = createWarmPool(env.WARM_POOL, env.SANDBOX, { poolName: "sandboxes", warmTarget: 2 });
//   const sandbox = await pool.getContainer(session);
//   const { stdout } = await sandbox.exec(command);
//   return stdout;
// }
