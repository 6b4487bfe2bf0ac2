// The routes of the Sandbox SDK's bridge.

import type { WarmPoolClient } from "./client.js";
import type { PoolStats } from "./stats.js";

/**
 * The three routes by which the Sandbox SDK's bridge tells of its pool, for a pool of this package: `GET /v1/pool/stats`
 * answers its {@link PoolStats}, `POST /v1/pool/prime` has every shard learn its settings and fill its stock, `POST
 * /v1/pool/shutdown-prewarmed` replaces what is not assigned; the latter two answer `{"ok": true}`.
 *
 * They want `Authorization: Bearer` with the token, and are closed when it is not set. (The bridge's own are open then.)
 *
 * @param pool - The pool.
 * @param options - `token`: what is asked for, as `env.SANDBOX_API_KEY`. `prefix`: what the paths begin with, `/v1` by default.
 * @returns What answers a request of theirs, and gives null for any other.
 *
 * @example
 * ```ts
 * import { createWarmPool, poolRoutes, type WarmPool } from "cf-warm-pools";
 *
 * interface Env {
 *   SANDBOX: DurableObjectNamespace;
 *   WARM_POOL: DurableObjectNamespace<WarmPool>;
 *   SANDBOX_API_KEY: string;
 * }
 *
 * export default {
 *   async fetch(request, env) {
 *     const pool = createWarmPool(env.WARM_POOL, env.SANDBOX);
 *     const answer = await poolRoutes(pool, { token: env.SANDBOX_API_KEY })(request);
 *     return answer ?? pool.fetch(request.headers.get("x-session-id") ?? "nobody", request);
 *   },
 * } satisfies ExportedHandler<Env>;
 * ```
 */
export declare function poolRoutes(
  pool: WarmPoolClient<any>,
  options: { token: string | undefined; prefix?: string | undefined },
): (request: Request) => Promise<Response | null>;
