// What the tests share: a server with quick emulated containers, and waiting.

import { fileURLToPath } from "node:url";
import { start } from "../../xtask/harness/client.mjs";

/** The Worker under test, with a door for RPC. */
export const FIXTURE = fileURLToPath(new URL("fixture/wrangler.jsonc", import.meta.url));

/** A configuration of one pool `p` on emulated containers that boot in 50 ms, at `/p/*`. */
export function pools(pool = {}, { env = {}, routes } = {}) {
  const start = { env: { BOOT_MS: "50", ...env }, ready: { path: "/healthz", timeout: "5s" } };
  return {
    pools: {
      p: { container: "COUNTER", warm_target: 2, refresh_interval: "1s", drain_timeout: "2s", start, ...pool },
    },
    routes: routes ?? [{ pool: "p", path: "/p/*", strip_prefix: true, id: { header: "x-session-id" } }],
  };
}

/** Starts the fixture on this configuration. */
export function serve(config = pools(), options = {}) {
  return start({ config: FIXTURE, containers: "emulated", pools: config, ...options });
}

/** A request to the pool `p` for an id. */
export function ask(server, id, path = "/", init = {}) {
  return server.fetch(`/p${path}`, { ...init, headers: { "x-session-id": id, ...init.headers } });
}

/** Gives an id its container by the admin API: `{container, outcome, reason?, shard}`. */
export async function acquire(server, id, pool = "p") {
  const answer = await server.admin(`/_warm/v1/pools/${pool}/ids/${encodeURIComponent(id)}`, { method: "PUT" });
  return { status: answer.status, retryAfter: answer.headers.get("retry-after"), ...(await answer.json()) };
}

/** The id's container by the admin API; null when it has none. */
export async function lookup(server, id, pool = "p") {
  const answer = await server.admin(`/_warm/v1/pools/${pool}/ids/${encodeURIComponent(id)}`);
  const body = await answer.json();
  return answer.status === 404 ? null : body;
}

/** A pool's stats. */
export async function stats(server, pool = "p") {
  const answer = await server.admin(`/_warm/v1/pools/${pool}`);
  if (answer.status !== 200) throw new Error(`stats: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** Calls a method of a Durable Object as a JavaScript Worker would; throws what it throws. */
export async function rpc(server, binding, object, method, ...args) {
  const answer = await server.fetch("/rpc", {
    method: "POST",
    body: JSON.stringify({ binding, object, method, args }),
  });
  const { value, error } = await answer.json();
  if (error) throw Object.assign(new Error(error.message), error);
  return value;
}

/** All that the id cache holds, by key; with `key`, after writing `value` there (`null` clears it). */
export async function cached(server, key, value) {
  const init = key === undefined ? {} : { method: "POST", body: JSON.stringify({ key, value }) };
  return (await server.fetch("/kv", init)).json();
}

/** Waits until `check` returns something true, and returns it; fails with what it last returned. */
export async function until(what, check, timeoutMs = 15_000) {
  const end = Date.now() + timeoutMs;
  let last;
  do {
    last = await check();
    if (last) return last;
    await sleep(50);
  } while (Date.now() < end);
  throw new Error(`not within ${timeoutMs} ms: ${what}`);
}

/** Waits until the pool has as many warm containers as its target. */
export function full(server, pool = "p") {
  return until(`pool ${pool} is full`, async () => {
    const now = await stats(server, pool);
    return now.warm === now.config.warmTarget && now.starting === 0 && now.draining === 0 && now;
  });
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
