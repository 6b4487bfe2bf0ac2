// What the tests share: a server with quick emulated containers, and waiting.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
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

/**
 * The same, with its storage in memory where the system has a folder for that. Local workerd does all on one thread, writing to
 * the disk too: on a slow one every object stands still whenever one writes, which no deployed object does.
 */
export async function serveInMemory(config, options = {}) {
  if (!existsSync(MEMORY)) return serve(config, options);
  const state = await mkdtemp(path.join(MEMORY, "warm-pool-"));
  const remove = () => rm(state, { recursive: true, force: true, maxRetries: 5 });
  try {
    const server = await serve(config, { ...options, state });
    const stop = server.stop.bind(server);
    server.stop = () => stop().finally(remove);
    return server;
  } catch (error) {
    await remove();
    throw error;
  }
}

const MEMORY = "/dev/shm";

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
export function rpc(server, binding, object, method, ...args) {
  return rpcDoor(server, { binding, object, method, args });
}

/** Calls it once for each list of arguments, in this order and without waiting in between. */
export function rpcs(server, binding, object, method, ...calls) {
  return rpcDoor(server, { binding, object, method, calls });
}

/** The containers that the shards of these pools (`{pool: shards}`) have on their books, each once, in whatever state. */
export async function books(server, shardsOf) {
  const named = ([pool, shards]) => Array.from({ length: shards }, (_, shard) => `${pool}/${shard}`);
  const objects = Object.entries(shardsOf).flatMap(named);
  const all = await rpcDoor(server, { binding: "WARM_POOL", objects, method: "books" });
  return new Set(all.flat().map(({ container }) => container));
}

async function rpcDoor(server, call) {
  const answer = await server.fetch("/rpc", { method: "POST", body: JSON.stringify(call) });
  const { value, error } = await answer.json();
  if (error) throw Object.assign(new Error(error.message), error);
  return value;
}

/** Looks at the books again and again until `end()`, which tells how many containers were on them at most, and how often it looked. */
export function watchBooks(server, shardsOf) {
  let over = false;
  let [most, looks] = [0, 0];
  const watching = (async () => {
    while (!over) {
      most = Math.max(most, (await books(server, shardsOf)).size);
      looks++;
    }
  })();
  const end = async () => {
    over = true;
    await watching;
    return { most, looks };
  };
  return { end };
}

/** Puts another configuration in force; returns what is in force then. */
export async function put(server, config) {
  const answer = await server.admin("/_warm/v1/config", { method: "PUT", body: config });
  if (answer.status !== 200) throw new Error(`put: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** Waits until the pool has so many shards and nothing moves any more; returns every migration that was seen meanwhile. */
export async function moved(server, shards, pool = "p", timeoutMs = 30_000) {
  const seen = [];
  await until(`pool ${pool} has ${shards} shards and nothing moves`, async () => {
    const { migration, config, complete } = await stats(server, pool);
    if (migration) seen.push(migration);
    return config.shards === shards && migration === null && complete;
  }, timeoutMs);
  return seen;
}

/** Ids that a shard owns, `name-0` and so on. */
export async function idsOf(server, shard, count, name = "of") {
  const ids = [];
  for (let n = 0; ids.length < count; n++) {
    const id = `${name}-${n}`;
    const owned = await rpc(server, "WARM_POOL", `p/${shard}`, "lookupContainer", id).then(
      () => true,
      (error) => {
        if (error.code !== "wrong_shard") throw error;
        return false;
      },
    );
    if (owned) ids.push(id);
  }
  return ids;
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

/** The samples of a scrape, by name and labels as written. */
export async function scrape(server) {
  const answer = await server.admin("/_warm/metrics");
  assert.equal(answer.status, 200);
  const lines = (await answer.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => line.split(/ (?=[^ ]*$)/)).map(([series, value]) => [series, Number(value)]));
}
