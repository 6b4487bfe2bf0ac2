// A Worker that calls the npm package in every way that is legal and that nothing else here does. Each door is a path; it answers
// `{value}` or `{error}`.

import { DurableObject } from "cloudflare:workers";
import * as theirs from "cf-container-warm-pool";
import { ContainerAgent, createWarmPool, createWarmPools, getWarmPool, WarmPool } from "../../../npm/dist/index.js";

/** What a pool needs that only a test wants quick. */
const QUICK = { warmTarget: 0, refreshInterval: 1_000 };

class Pool extends WarmPool {
  /** For tests: writes what `cf-container-warm-pool`, or the bridge of the Sandbox SDK, writes. */
  async plant(stored) {
    for (const [key, value] of Object.entries(stored)) await this.ctx.storage.put(key, value);
  }

  /** For tests. */
  async ring() {
    await this.ctx.storage.setAlarm(Date.now());
  }
}
export { Pool as WarmPool };

/** A container class as `@cloudflare/containers` has it. */
class Container extends DurableObject {
  async startAndWaitForPorts() {
    await this.ctx.storage.put("status", "healthy");
  }

  async getState() {
    return { status: (await this.ctx.storage.get("status")) ?? "stopped", lastChange: Date.now() };
  }

  async stop() {
    await this.ctx.storage.put("status", "stopped");
  }

  async destroy() {
    await this.ctx.storage.put("status", "destroyed");
  }

  renewActivityTimeout() {}

  fetch() {
    return Response.json({ container: this.ctx.id.name });
  }

  exec(command) {
    return { stdout: `${command} in ${this.ctx.id.name}` };
  }
}
export class Plain extends Container {}
export class Sandbox extends Container {}
export class Agent extends ContainerAgent {}

const made = (env, poolName, more) => createWarmPool(env.WARM_POOL, env.CONTAINER, { ...QUICK, poolName, ...more });
const message = (promise) => promise.then(() => "no error", (error) => error.message);

/** As a library has them that traces calls. */
function traced(binding) {
  return new Proxy(binding, {
    get(target, key) {
      const value = target[key];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** What both libraries need of a namespace. */
const plain = (binding) => ({ idFromName: (name) => binding.idFromName(name), get: (id) => binding.get(id) });

/** Asks a pool whose namespaces are these by all that a client has. */
async function ask(pool, container, poolName) {
  const client = createWarmPool(pool, container, { ...QUICK, poolName });
  const stub = await client.getContainer("alice");
  const fetched = await (await client.fetch("alice", "http://pool/")).json();
  const { assigned } = await client.stats();
  const reported = await getWarmPool(pool, poolName).reportStopped(stub.id.toString());
  return { fetched: (fetched.container ?? fetched.hostname) !== undefined, assigned, reported };
}

const doors = {
  async unbound(env) {
    const { getContainer, lookupContainer, release, fetch, stats, shutdownPrewarmed, reportStopped } = made(env, "unbound");
    const [alice, bob] = await Promise.all(["alice", "bob"].map(getContainer));
    const { name } = await { ...made(env, "unbound") }.getContainer("alice");
    return [
      alice.name === name,
      (await lookupContainer("bob")).name === bob.name,
      (await (await fetch("bob", "http://pool/")).json()).container === bob.name,
      (await stats()).assigned,
      await shutdownPrewarmed(),
      await reportStopped(alice.name),
      await release("bob"),
    ];
  },

  async unboundPools(env) {
    const { names, pool, fetch, prime } = createWarmPools(env, { pools: { configured: { container: "CONTAINER" } } });
    await prime();
    const { name } = await pool("configured").getContainer("alice");
    return [names(), typeof name, (await fetch(new Request("http://pool/nowhere"))).status];
  },

  async exports(_env, { exports }) {
    return [await ask(exports.WarmPool, exports.Plain, "exported"), await ask(exports.WarmPool, exports.Agent, "exported-agents")];
  },

  async wrapped(env) {
    return [
      await ask(traced(env.WARM_POOL), traced(env.CONTAINER), "traced"),
      await ask(plain(env.WARM_POOL), plain(env.CONTAINER), "plain"),
    ];
  },

  /** As in `@cloudflare/vitest-pool-workers`, which has tests make functions of texts. */
  async inTests(env) {
    const before = globalThis.Function;
    globalThis.Function = new Proxy(before, {});
    try {
      const { shard } = await getWarmPool(env.WARM_POOL, "tested").getStats();
      return [await ask(env.WARM_POOL, env.CONTAINER, "tested"), shard];
    } finally {
      globalThis.Function = before;
    }
  },

  async mistakes({ WARM_POOL: _, ...env }) {
    const pools = createWarmPools(env, { pools: { configured: { container: "CONTAINER" } } });
    const thrown = async (make) => message((async () => make())());
    return [
      await thrown(() => pools.pool("configured").stats()),
      await thrown(() => made({ ...env, WARM_POOL: _ }, "cached", { idCache: "CONTAINER_ID_CACHE" }).stats()),
    ];
  },

  async nulls(env) {
    const client = createWarmPool(env.WARM_POOL, env.CONTAINER, { ...QUICK, poolName: null, idCache: null });
    return [env.NOTHING, (await client.stats()).name, await ask(env.WARM_POOL, env.AGENT, "beside-null")];
  },

  async oneNameForTwoClasses(env) {
    const first = await made(env, "shared").getContainer("alice");
    const second = () => createWarmPool(env.WARM_POOL, env.SANDBOX, { ...QUICK, poolName: "shared" });
    const errors = [await message((async () => second())()), await message((async () => second())())];
    const again = await made(env, "shared", { warmTarget: 1 }).getContainer("alice");
    return [errors, again.id.equals(first.id)];
  },

  async fewerShards(env) {
    const ids = Array.from({ length: 16 }, (_, n) => `id-${n}`);
    const before = made(env, "fewer", { shards: 4, warmTarget: 8 });
    const had = await Promise.all(ids.map(before.getContainer));
    const after = made(env, "fewer", { warmTarget: 4 });
    const have = [];
    for (const id of ids) have.push(await message(after.getContainer(id)));
    const same = (await Promise.all(ids.map(after.getContainer))).every((stub, n) => stub.id.equals(had[n].id));
    const { assigned, complete, shards, config, warmTarget } = await after.stats();
    const errors = have.filter((it) => it !== "no error");
    return { errors, same, assigned, complete, shards: shards.length, of: config.shards, warmTarget };
  },

  async shutdownOfFewerShards(env) {
    const before = made(env, "shut", { shards: 4, warmTarget: 4 });
    await before.stats();
    while ((await before.stats()).warm < 4) await scheduler.wait(50);
    return made(env, "shut", { warmTarget: 4 }).shutdownPrewarmed();
  },

  /** Half of a pair of UTF-16: on the way to Rust each becomes U+FFFD. */
  async halves(env) {
    const client = made(env, "halves");
    const ask = (method) => (id) => message(client[method](id, "http://pool/"));
    const asked = ["getContainer", "lookupContainer", "release", "fetch"].map(ask);
    const wrong = await Promise.all(asked.flatMap((ask) => ["\ud800", "a\udc00", "\ufffd"].map(ask)));
    const right = ["\u{1f600}", "a/b:c %00", "__proto__"];
    const stubs = await Promise.all(right.map(client.getContainer));
    return [wrong, new Set(stubs.map(({ name }) => name)).size];
  },

  async reported(env) {
    await made(env, "reported").getContainer("alice");
    const pool = () => getWarmPool(env.WARM_POOL, "reported");
    const names = [env.CONTAINER.idFromName("singleton").toString(), crypto.randomUUID()];
    const answers = await Promise.all(names.map((name) => pool().reportStopped(name)));
    return [answers, await message(pool().reportStopped(7)), await message(made(env, "reported").reportStopped())];
  },

  /** A client of `cf-container-warm-pool` that is still at work, whose object has our class already. */
  async formerClient(env) {
    const former = (poolName) => theirs.createWarmPool(env.WARM_POOL, env.CONTAINER, { ...QUICK, poolName });
    const ids = Array.from({ length: 8 }, (_, n) => `id-${n}`);
    const mine = await Promise.all(ids.map(made(env, "spreads", { shards: 3 }).getContainer));
    const had = await Promise.all(ids.map(former("spreads").getContainer));
    const [alice] = had;
    await theirs.getWarmPool(env.WARM_POOL, "spreads").reportStopped(alice.id.toString());
    const another = await former("spreads").getContainer(ids[0]);

    const stored = env.WARM_POOL.get(env.WARM_POOL.idFromName("untold"));
    await stored.plant({ config: { warmTarget: 1, refreshInterval: 1_000 }, warmContainers: new Set(), assignments: new Map() });
    const early = await former("untold").getContainer("alice");
    const later = await made(env, "untold").getContainer("alice");
    return {
      same: had.every(({ id }, n) => id.equals(mine[n].id)),
      freed: !another.id.equals(alice.id),
      beforeOurs: early.id.equals(later.id),
      ofNoPool: await message(former("nobody").getContainer("alice")),
    };
  },

  /** The pool of the Sandbox SDK's bridge, in a Worker that has a class behind `CONTAINER` as well. */
  async formerBridge(env) {
    const warm = crypto.randomUUID();
    const of = (namespace) => namespace.get(namespace.idFromName(warm));
    await of(env.SANDBOX).startAndWaitForPorts();
    const pool = env.WARM_POOL.get(env.WARM_POOL.idFromName("bridge"));
    await pool.plant({ config: { warmTarget: 1, refreshInterval: 1_000, scaleBatchSize: 5 }, warmContainers: new Set([warm]) });
    await pool.ring();
    while ((await of(env.SANDBOX).getState()).status === "healthy") await scheduler.wait(50);
    return [(await of(env.SANDBOX).getState()).status, (await of(env.CONTAINER).getState()).status];
  },
};

export default {
  async fetch(request, env, ctx) {
    // As in the bridge.
    const bindings = { ...env, SANDBOX: env.Sandbox };
    try {
      return Response.json({ value: await doors[new URL(request.url).pathname.slice(1)](bindings, ctx) });
    } catch ({ name, message, code }) {
      return Response.json({ error: { name, message, code } });
    }
  },
};
