// What is left of `cf-container-warm-pool`, and of the Sandbox bridge's pool, where the same class name goes on with this package.
//
// Their one object per pool has the pool's bare name, which no shard has, and an alarm. Its warm containers are nobody's: they are
// destroyed, so that they are not billed on. Those that ids have end by their own `sleepAfter`; what the object knows of
// them stays, for a deploy that goes back.
//
// While a deploy spreads, Workers that still run the code before it call the object with its methods. They are answered by the
// pool of the same name, so that an id has the same container whichever code asks.

import { ownNamespace } from "./durable_objects.mjs";

/** How soon what could not be destroyed is tried again, in ms. */
const AGAIN = 60_000;
/** How long a destruction may take, in ms. */
const PATIENCE = 30_000;

/** An object of theirs, by its methods; undefined when it is a shard, whose name ends in its index. */
export function predecessor(ctx, env) {
  const { name } = ctx.id;
  if (name === undefined || /\/\d+$/.test(name)) return undefined;
  return {
    alarm: () => retire(ctx, env),

    /** The pool has its settings from the code that came after. */
    async configure() {},

    async getContainer(id) {
      return (await acquire(ctx, env, id)).container;
    },

    async lookupContainer(id) {
      const assignment = await atOwner(ctx, env, (shard) => shard.lookupContainer(id));
      return assignment?.container ?? null;
    },

    async reportStopped(container) {
      await shardOf(ctx, env).reportStopped(container);
    },
  };
}

/** A shard of the pool; a new stub, for one that has failed stays broken. */
function shardOf(ctx, env, index = 0) {
  const own = ownNamespace(ctx, env);
  if (own === undefined) throw new Error(`no Durable Object binding leads to the pool ${ctx.id.name}: add it to wrangler.jsonc`);
  return own.get(own.idFromName(`${ctx.id.name}/${index}`));
}

/** Asks about an id: one shard after the other, until one owns it. */
async function atOwner(ctx, env, ask) {
  for (let index = 0; ; index++) {
    try {
      return await ask(shardOf(ctx, env, index));
    } catch (error) {
      if (error.code !== "wrong_shard" || !(index + 1 < error.shards)) throw error;
    }
  }
}

async function acquire(ctx, env, id) {
  const ask = (shard) => shard.getContainer(id);
  try {
    return await atOwner(ctx, env, ask);
  } catch (error) {
    const config = await ctx.storage.get("config");
    if (error.code !== "unknown_pool" || config === undefined) throw error;
    // No code that came after has called yet.
    const { warmTarget, refreshInterval } = config;
    await shardOf(ctx, env).configure({ container: bindingOf(config), warmTarget, refreshInterval });
    return atOwner(ctx, env, ask);
  }
}

/** The binding by which the one that wrote these settings reaches its containers. */
function bindingOf(config) {
  return config?.scaleBatchSize === undefined ? "CONTAINER" : "Sandbox";
}

async function retire(ctx, env) {
  const namespace = env[bindingOf(await ctx.storage.get("config"))];
  const warm = await ctx.storage.get("warmContainers");
  if (!(warm instanceof Set) || warm.size === 0 || typeof namespace?.idFromName !== "function") return;
  const destroyed = await Promise.all(
    [...warm].map(async (container) => {
      const gone = namespace.get(namespace.idFromName(container)).destroy();
      // One that hangs must not keep the others on the books.
      const late = scheduler.wait(PATIENCE).then(() => Promise.reject(new Error("late")));
      return Promise.race([gone, late]).then(
        () => container,
        () => undefined,
      );
    }),
  );
  const left = new Set([...warm].filter((container) => !destroyed.includes(container)));
  await ctx.storage.put("warmContainers", left);
  const message = "the former pool's warm containers are destroyed";
  console.log(JSON.stringify({ level: "info", message, pool: ctx.id.name, destroyed: warm.size - left.size, left: left.size }));
  if (left.size > 0) await ctx.storage.setAlarm(Date.now() + AGAIN);
}
