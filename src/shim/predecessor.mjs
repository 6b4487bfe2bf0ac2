// What is left of `cf-container-warm-pool`, and of the Sandbox bridge's pool, where the same class name goes on with this package.
//
// Their one object per pool has the pool's bare name, which no shard has, and an alarm. Its warm containers are nobody's: they are
// destroyed, so that they are not billed on. Those that ids have end by their own `sleepAfter`; what the object knows of
// them stays, for a deploy that goes back.

/** How soon what could not be destroyed is tried again, in ms. */
const AGAIN = 60_000;
/** How long a destruction may take, in ms. */
const PATIENCE = 30_000;
/** The bindings by which the two reach their containers. */
const BINDINGS = ["CONTAINER", "Sandbox"];

/** Whether an object is theirs: a shard's name ends in its index. */
export function isPredecessor(ctx) {
  return ctx.id.name !== undefined && !/\/\d+$/.test(ctx.id.name);
}

/** The alarm of such an object. */
export async function retire(ctx, env) {
  const namespace = BINDINGS.map((binding) => env[binding]).find((binding) => typeof binding?.idFromName === "function");
  const warm = await ctx.storage.get("warmContainers");
  if (!(warm instanceof Set) || warm.size === 0 || namespace === undefined) return;
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
