// The program of the README, and a door for what a test wants to see: all other requests are the program's.

import { createWarmPool } from "cf-warm-pools";
import program from "./readme";

export * from "./readme";

/** Of the first two, a program has one. */
interface Env {
  CONTAINER: DurableObjectNamespace;
  SANDBOX: DurableObjectNamespace;
  WARM_POOL: DurableObjectNamespace;
  CONTAINER_ID_CACHE: KVNamespace;
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (!pathname.startsWith("/test/")) return program.fetch(request, env);
    // As the program has it: a pool has one configuration.
    const pool = createWarmPool(env.WARM_POOL, env.CONTAINER ?? env.SANDBOX, {
      warmTarget: 3,
    });
    if (pathname === "/test/stats") return Response.json(await pool.stats());
    if (pathname === "/test/shutdown-prewarmed") return Response.json((await pool.shutdownPrewarmed()) ?? null);
    const sandbox = await pool.getContainer(searchParams.get("id")!);
    return Response.json(await sandbox.exec(await request.text()));
  },
};
