// A Worker with cf-warm-pools, as a user of the npm package writes it.

import { instance } from "./instances.mjs";
import { WarmPool as Base, createWarmPool } from "../../../npm/dist/index.js";
import { seedOurs } from "../../harness/seed.mjs";
import { countCalls, countStorage, takeCounts } from "./counting.mjs";
import { atOnce, inTurn, worker } from "./doors.mjs";
import { few, here } from "./few.mjs";

/** How far the pools' clock is ahead of the runtime's, in ms. */
let ahead = 0;
const now = Date.now;
Date.now = () => now() + ahead;

/** A container that is well. */
const WELL = {
  startAndWaitForPorts: async () => {},
  getState: async () => ({ status: "healthy", lastChange: 0 }),
  renewActivityTimeout: async () => {},
};

/** The pool's class, with a few objects behind all of its containers; or none, where only the pool itself is of interest. */
export class WarmPool extends Base {
  constructor(ctx, env) {
    const containers = env.ALONE ? here(env.CONTAINER, WELL) : few(env.CONTAINER);
    if (env.COUNTED) countStorage(ctx.storage);
    super(ctx, { ...env, CONTAINER: env.COUNTED ? countCalls("container", containers) : containers });
  }

  /** Has it assigned so many ids, and loads it anew. */
  async seed(count) {
    seedOurs(this.ctx.storage, count);
    await this.ctx.storage.sync();
    this.ctx.abort("told to load what is seeded");
  }

  /** Has its alarm ring `n` times, and lets what it then does come to its end. */
  async tick(n, every) {
    for (let tick = 0; tick < n; tick++) {
      ahead += every;
      await this.alarm();
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
}

const CONFIG = ["warmTarget", "refreshInterval", "shards", "maxInstances"];

function pool(env, options) {
  const config = { poolName: options.get("pool") };
  for (const key of CONFIG) if (options.has(key)) config[key] = Number(options.get(key));
  const pools = env.COUNTED ? countCalls("pool", env.WARM_POOL) : env.WARM_POOL;
  return createWarmPool(pools, few(env.CONTAINER), config);
}

function shard(env, options) {
  return env.WARM_POOL.get(env.WARM_POOL.idFromName(`${options.get("pool")}/0`));
}

export default worker({
  // A client for each call, as for each request.
  client: (env, options) => inTurn(options, (id) => pool(env, options).getContainer(id)),
  lookup: (env, options) => inTurn(options, (id) => shard(env, options).getContainer(id)),
  burst: (env, options) => atOnce(options, (id) => pool(env, options).getContainer(id)),
  stats: (env, options) => pool(env, options).stats(),
  seed: (env, options) => shard(env, options).seed(Number(options.get("n"))).catch(() => {}),
  tick: (env, options) => shard(env, options).tick(Number(options.get("n")), Number(options.get("every"))),
  wasmMemory: () => instance.exports.memory.buffer.byteLength,
  counts: takeCounts,
});
