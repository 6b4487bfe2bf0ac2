// A Worker with cf-container-warm-pool, as its README writes it.

import { WarmPool as Base, createWarmPool } from "cf-container-warm-pool";
import { seedTheirs } from "../../harness/seed.mjs";
import { countCalls, countStorage, takeCounts } from "./counting.mjs";
import { atOnce, inTurn, worker } from "./doors.mjs";
import { few } from "./few.mjs";

// It prints a line for each container it starts.
console.log = () => {};

/** The pool's class, with a few objects behind all of its containers. */
export class WarmPool extends Base {
  constructor(ctx, env) {
    const containers = few(env.CONTAINER);
    if (env.COUNTED) countStorage(ctx.storage);
    super(ctx, { ...env, CONTAINER: env.COUNTED ? countCalls("container", containers) : containers });
  }

  /** Has it assigned so many ids, and loads it anew. */
  async seed(count) {
    await seedTheirs(this.ctx.storage, count);
    await this.ctx.storage.sync();
    this.ctx.abort("told to load what is seeded");
  }

  /** The alarm that it has set rings now. */
  async hurry() {
    await this.ctx.storage.setAlarm(Date.now());
  }
}

const CONFIG = ["warmTarget", "refreshInterval"];

function pool(env, options) {
  const config = { poolName: options.get("pool") };
  for (const key of CONFIG) if (options.has(key)) config[key] = Number(options.get(key));
  const pools = env.COUNTED ? countCalls("pool", env.WARM_POOL) : env.WARM_POOL;
  return createWarmPool(pools, few(env.CONTAINER), config);
}

function object(env, options) {
  return env.WARM_POOL.get(env.WARM_POOL.idFromName(options.get("pool")));
}

async function gateway(request, env) {
  const id = request.headers.get("x-session-id");
  if (id === null) return new Response("no id", { status: 400 });
  const container = await createWarmPool(env.WARM_POOL, few(env.CONTAINER), { poolName: "gateway" }).getContainer(id);
  return container.fetch(request);
}

export default worker(
  {
    client: (env, options) => inTurn(options, (id) => pool(env, options).getContainer(id)),
    burst: (env, options) => atOnce(options, (id) => pool(env, options).getContainer(id)),
    stats: (env, options) => pool(env, options).stats(),
    seed: (env, options) => object(env, options).seed(Number(options.get("n"))).catch(() => {}),
    hurry: (env, options) => object(env, options).hurry(),
    counts: takeCounts,
  },
  gateway,
);
