// The faults of cf-container-warm-pool 0.1.2, each as a scenario that both libraries go through.
//
// `run` returns what was observed; `theirs` and `ours` are what has to be observed of each; `says` puts that into words
// for docs/comparison.md. What is counted is what runs, by the ledger of the fake containers, against what a pool has on
// its books.

import { sleep, until, within } from "./support.mjs";

/**
 * @typedef {object} Fault
 * @property {string} number as in the documentation
 * @property {string} what happens to the pool
 * @property {object} [behaviour] of the containers; see fixture/world.mjs
 * @property {(library: import("./support.mjs").Library) => Promise<object>} run
 * @property {object} theirs
 * @property {object} ours
 * @property {(observed: object) => string} says
 */

/** How many containers run that the pool does not have on its books; it may take its time to put that right. */
async function forgotten(library, pool) {
  let surplus;
  await within(3_000, async () => {
    surplus = (await library.running()).length - (await pool.booked());
    return surplus <= 0;
  });
  return Math.max(0, surplus);
}

/** @type {Fault[]} */
export const FAULTS = [
  {
    number: "1",
    what: "A container stops, and reports it by `reportStopped(this.ctx.id.toString())`",
    behaviour: { onStop: true },
    async run(library) {
      const pool = library.poolAsItIs({ warmTarget: 0 });
      await library.die(await pool.get("alice"));
      const { assigned } = await pool.stats();
      return { assigned };
    },
    theirs: { assigned: 1 },
    ours: { assigned: 0 },
    says: ({ assigned }) =>
      assigned ? "no such container is found: the id keeps the stopped one" : "its slot is free at once",
  },
  {
    number: "2",
    what: "Five first calls for one id at the same time",
    behaviour: { startMs: 200 },
    async run(library) {
      const pool = library.pool({ warmTarget: 0 });
      const given = new Set(await pool.getAll("alice", "alice", "alice", "alice", "alice"));
      const running = (await library.running()).length;
      return { given: given.size, running, booked: await pool.booked() };
    },
    theirs: { given: 5, running: 5, booked: 1 },
    ours: { given: 1, running: 1, booked: 1 },
    says: ({ given, running, booked }) =>
      running > booked
        ? `${given} containers run for it, ${booked} of them on the books`
        : `${running} container runs, for all of them`,
  },
  {
    number: "3",
    what: "Two calls at the same time for an id whose container has died",
    async run(library) {
      const pool = library.pool({ warmTarget: 2, refreshInterval: 3_000 });
      await pool.filled();
      const dead = await pool.get("alice");
      await pool.filled();
      await library.die(dead);
      // The second hears of the death when the first has a new container already.
      await library.behave({ getStateMs: [0, 300] });
      const given = new Set(await pool.getAll("alice", "alice"));
      const lost = await forgotten(library, pool);
      await until("the id has a container that runs", async () => {
        return (await library.container(await pool.get("alice"))).running;
      });
      return { given: given.size, forgotten: lost };
    },
    theirs: { given: 2, forgotten: 1 },
    ours: { given: 1, forgotten: 0 },
    says: ({ given, forgotten }) =>
      given > 1
        ? `each gets another container, and ${forgotten} of the ${given} is forgotten and runs on`
        : "both get the same container; the id gets a new one when its death is found",
  },
  {
    number: "4",
    what: "Containers start and never become ready",
    behaviour: { becomesReady: false },
    async run(library) {
      const pool = library.pool({ warmTarget: 5 });
      await pool.stats();
      await pool.hurry();
      const over = await within(5_000, async () => (await library.running()).length >= 20);
      await library.behave({ becomesReady: true });
      await pool.filled();
      return { twentyRun: over, someForgotten: (await forgotten(library, pool)) > 0 };
    },
    theirs: { twentyRun: true, someForgotten: true },
    ours: { twentyRun: false, someForgotten: false },
    says: ({ twentyRun }) =>
      twentyRun
        ? "each is left running and forgotten: 20 run within seconds for a target of 5, and ever more"
        : "each is destroyed, and the next is tried after a pause",
  },
  {
    number: "5",
    what: "An id asks while the stock is shut down, or scaled down",
    behaviour: { stopCallMs: 500, stopMs: 300 },
    async run(library) {
      const doomed = async (containers) => {
        const { containers: all } = await library.ledger();
        return all.filter(({ id, signalled }) => signalled && containers.includes(id)).length;
      };
      const shut = library.pool({ warmTarget: 3 });
      await shut.filled();
      const [, ...given] = await shut.calls([
        { method: "shutdownPrewarmed" },
        { method: "getContainer", args: ["alice"], after: 50 },
        { method: "getContainer", args: ["bob"], after: 50 },
      ]);
      const byShutdown = await doomed(given.map(({ value }) => value.container));

      const scaled = library.pool({ warmTarget: 3 });
      await scaled.filled();
      const signalled = async () => (await library.ledger()).containers.filter((it) => it.signalled).length;
      const before = await signalled();
      const down = scaled.with({ warmTarget: 0 });
      const kept = await down.get("carol");
      await until("it is scaled down", async () => (await signalled()) > before);
      const byScaleDown = await doomed([kept, await down.get("dave")]);
      return { byShutdown, byScaleDown };
    },
    theirs: { byShutdown: 2, byScaleDown: 1 },
    ours: { byShutdown: 0, byScaleDown: 0 },
    says: ({ byShutdown }) =>
      byShutdown ? "it gets a container that has got SIGTERM, or gets it next" : "it gets one that stays",
  },
  {
    number: "6",
    what: "A container ignores SIGTERM",
    behaviour: { ignoresSigterm: true },
    async run(library) {
      const pool = library.pool({ warmTarget: 2, ours: { drainTimeout: 500 } });
      await pool.filled();
      const stock = (await library.running()).map(({ id }) => id);
      await pool.shutdownPrewarmed();
      const stillRun = async () => (await library.running()).filter(({ id }) => stock.includes(id)).length;
      await within(4_000, async () => (await stillRun()) === 0);
      return { stillRun: await stillRun(), forgotten: await forgotten(library, pool) };
    },
    theirs: { stillRun: 2, forgotten: 2 },
    ours: { stillRun: 0, forgotten: 0 },
    says: ({ stillRun }) =>
      stillRun ? "it is forgotten, and runs on" : "it is destroyed after `drainTimeout`, and counts until it is gone",
  },
  {
    number: "7",
    what: "`getState` of living containers fails, once",
    async run(library) {
      const pool = library.pool({ warmTarget: 0 });
      const alice = await pool.get("alice");
      await library.behave({ getStateFails: 1 });
      const again = await pool.get("alice");
      await library.behave({ getStateFails: 0 });

      const many = library.pool({ warmTarget: 0 });
      const ids = ["bob", "carol", "dave", "erin", "frank"];
      const containers = await many.getAll(...ids);
      const asked = async () => {
        const { containers: all } = await library.ledger();
        return all.filter(({ id, asked }) => containers.includes(id) && asked.getState > 0).length;
      };
      await library.behave({ getStateFails: 100 });
      await many.hurry();
      await until("each was asked", async () => (await asked()) === ids.length);
      await library.behave({ getStateFails: 0 });
      await sleep(200);
      const dropped = ids.length - (await many.stats()).assigned;
      const forgotten = (await library.running()).length - (await pool.booked()) - (await many.booked());
      return { kept: again === alice, dropped, forgotten };
    },
    theirs: { kept: false, dropped: 5, forgotten: 6 },
    ours: { kept: true, dropped: 0, forgotten: 0 },
    says: ({ kept }) =>
      kept
        ? "that proves nothing: every id keeps its container"
        : "the ids lose their containers, which run on and are forgotten",
  },
  {
    number: "8",
    what: "The pool's object is restarted while it fills",
    behaviour: { startMs: 200 },
    async run(library) {
      const pool = library.pool({ warmTarget: 5 });
      await pool.stats();
      await pool.hurry();
      await until("it has begun", async () => (await library.running()).length >= 3);
      await pool.restart();
      await pool.filled();
      return { someForgotten: (await forgotten(library, pool)) > 0 };
    },
    theirs: { someForgotten: true },
    ours: { someForgotten: false },
    says: ({ someForgotten }) =>
      someForgotten ? "what it had started runs on, forgotten" : "it goes on with what it had started",
  },
  {
    number: "9",
    what: "A burst of calls meets the platform's limit (`warmTarget` 0); later there is room again",
    behaviour: { capacity: 2, startMs: 300 },
    async run(library) {
      const pool = library.pool({ warmTarget: 0, ours: { acquireTimeout: 1_000 } });
      const answers = await pool.getAll("alice", "bob", "carol");
      const given = answers.filter((answer) => typeof answer === "string");
      await pool.hurry();
      await Promise.all(given.map((container) => library.die(container)));
      await until("it has noticed that they are gone", async () => (await pool.booked()) === 0);
      await library.behave({ capacity: null });
      await pool.restart();
      const served = await within(5_000, async () => {
        const [answer] = await pool.getAll("dave");
        return typeof answer === "string";
      });
      return { given: given.length, servedLater: served };
    },
    theirs: { given: 2, servedLater: false },
    ours: { given: 2, servedLater: true },
    says: ({ servedLater }) =>
      servedLater
        ? "whoever asks then is served"
        : "learns a limit of 0 and writes it down: nobody is served any more, though nothing runs",
  },
  {
    number: "10",
    what: "A call names a pool that does not exist",
    async run(library) {
      const pool = library.pool({ poolName: `typo-of-${library.name}` });
      await pool.object("reportStopped", "00000000-0000-4000-8000-000000000000");
      await pool.hurry();
      await within(2_000, async () => (await library.running()).length >= 5);
      return { started: (await library.running()).length };
    },
    theirs: { started: 5 },
    ours: { started: 0 },
    says: ({ started }) => (started ? `it comes to be, and starts ${started} containers` : "nothing is started"),
  },
  {
    number: "11",
    what: "The container's binding is not called `CONTAINER`",
    async run(library) {
      const asInReadme = library.pool({ warmTarget: 0, kind: "sandbox" });
      const [{ value: sandbox }] = await asInReadme.calls([{ method: "getContainer", args: ["alice"], then: "exec" }]);
      // With a binding of that name as well.
      const [other] = await library.pool({ warmTarget: 0, kind: "mixed" }).getAll("alice");
      const container = await library.container(other);
      return { served: sandbox !== undefined, startedTheRightOne: container?.running ?? false };
    },
    theirs: { served: false, startedTheRightOne: false },
    ours: { served: true, startedTheRightOne: true },
    says: ({ served }) =>
      served
        ? "it is found by the namespace that was passed"
        : "every call fails; with another class behind `CONTAINER`, that is started, and the one given does not run",
  },
  {
    number: "12a",
    what: "Somebody reads the stats without saying the pool's settings",
    async run(library) {
      const pool = library.pool({ warmTarget: 2 });
      await pool.filled();
      const { config } = await pool.bare().stats();
      await within(2_000, async () => (await library.running()).length >= 5);
      return { warmTarget: config.warmTarget, running: (await library.running()).length };
    },
    theirs: { warmTarget: 5, running: 5 },
    ours: { warmTarget: 2, running: 2 },
    says: ({ warmTarget, running }) =>
      running > 2 ? `\`warmTarget\` becomes ${warmTarget}, and ${running} run instead of 2` : "nothing changes",
  },
  {
    number: "12b",
    what: "The configuration has `refreshInterval: undefined`",
    async run(library) {
      const pool = library.pool({ warmTarget: 2, undefineds: ["refreshInterval"] });
      await pool.filled();
      const { config } = await pool.stats();
      return { alarmFails: (await library.ledger()).alarmErrors.length > 0, interval: config.refreshInterval ?? null };
    },
    theirs: { alarmFails: true, interval: null },
    ours: { alarmFails: false, interval: 10_000 },
    says: ({ alarmFails }) =>
      alarmFails
        ? "every alarm fails, until the runtime gives up on it: then nothing is refilled or checked any more"
        : "it has its default",
  },
  {
    number: "13",
    what: "28,900 ids, each as long as a UUID, have containers, and a hundred more ask",
    async run(library) {
      const pool = library.pool({ warmTarget: 0, refreshInterval: 600_000, ours: { sleepAfter: "1h" } });
      await pool.get("first");
      await pool.seed(28_900);
      const before = (await pool.stats()).assigned;
      if (before !== 28_901) throw new Error(`it has ${before} assigned`);
      const refused = [];
      for (let n = 0; n < 100; n++) {
        const [answer] = await pool.getAll(`session-${n}`.padEnd(36, "-"));
        refused.push(typeof answer !== "string");
      }
      return { someRefused: refused.includes(true), lastRefused: refused.at(-1) };
    },
    theirs: { someRefused: true, lastRefused: true },
    ours: { someRefused: false, lastRefused: false },
    says: ({ someRefused }) =>
      someRefused
        ? "the whole list is written each time: beyond 2 MB that fails, for every new id from then on"
        : "they are served",
  },
  {
    number: "14a",
    what: "The id cache refuses to write (`429`)",
    async run(library) {
      const idCache = { put: { throws: "KV PUT failed: 429 Too Many Requests" } };
      const pool = library.pool({ warmTarget: 0, idCache });
      const [answer] = await pool.getAll("alice");
      return { served: typeof answer === "string", assigned: (await pool.stats()).assigned };
    },
    theirs: { served: false, assigned: 1 },
    ours: { served: true, assigned: 1 },
    says: ({ served }) => (served ? "nobody notices" : "the call fails, though the id has got its container"),
  },
  {
    number: "14b",
    what: "The id cache: pool `shop`, id `eu:alice`, and pool `shop:eu`, id `alice`",
    async run(library) {
      const pools = ["shop", "shop:eu"].map((poolName) => library.pool({ poolName, warmTarget: 0, idCache: {} }));
      const [first] = await pools[0].getAll("eu:alice");
      const [second] = await pools[1].getAll("alice");
      return { shared: first === second, refused: typeof second !== "string" };
    },
    theirs: { shared: true, refused: false },
    ours: { shared: false, refused: true },
    says: ({ shared }) => (shared ? "both get the same container" : "a pool's name has no `:` (the second is refused)"),
  },
  {
    number: "14c",
    what: "The id cache fails to read",
    async run(library) {
      const pool = library.pool({ warmTarget: 0, idCache: { get: { throws: "KV GET failed: 503" } } });
      const [answer] = await pool.getAll("alice");
      return { served: typeof answer === "string" };
    },
    theirs: { served: false },
    ours: { served: true },
    says: ({ served }) => (served ? "nobody notices" : "the call fails"),
  },
  {
    number: "14d",
    what: "The id cache has somebody else's container under an id",
    async run(library) {
      const pool = library.pool({ warmTarget: 0, idCache: {} });
      const bob = await pool.get("bob");
      const { value: name } = await library.door("name", { container: bob });
      const [given] = await pool.with({ idCache: { get: { gives: name } } }).getAll("alice");
      return { givenBobs: given === bob };
    },
    theirs: { givenBobs: true },
    ours: { givenBobs: false },
    says: ({ givenBobs }) => (givenBobs ? "the id gets it as well" : "the id gets its own"),
  },
  {
    number: "15a",
    what: "All five warm containers are taken; the interval is 3 s",
    behaviour: { startMs: 200 },
    async run(library) {
      const pool = library.pool({ warmTarget: 5, refreshInterval: 3_000 });
      await pool.filled();
      await pool.getAll("alice", "bob", "carol", "dave", "erin");
      const atOnce = await within(1_000, async () => (await library.running()).length > 5);
      await until("it is full again", async () => (await pool.stats()).warm === 5);
      return { atOnce, startsAtOnce: (await library.ledger()).mostStartsAtOnce };
    },
    theirs: { atOnce: false, startsAtOnce: 1 },
    ours: { atOnce: true, startsAtOnce: 5 },
    says: ({ atOnce, startsAtOnce }) =>
      `new ones are started ${atOnce ? "at once" : "when the interval is over"}, ${startsAtOnce} at a time`,
  },
  {
    number: "15b",
    what: "60 ids arrive, 10 a second; 5 warm, 300 ms to boot, an interval of 1 s (a tenth of the usual times)",
    behaviour: { startMs: 300 },
    async run(library) {
      const pool = library.pool({ warmTarget: 5, refreshInterval: 1_000 });
      await pool.filled();
      const answers = await Promise.all(
        arrivals(60, 100).map(async (at, n) => {
          await sleep(at);
          const [{ value }] = await pool.calls([{ method: "getContainer", args: [`id-${n}`] }]);
          return value;
        }),
      );
      const readyAt = new Map((await library.ledger()).containers.map(({ id, readyAt }) => [id, readyAt]));
      const warm = answers.filter(({ container, askedAt }) => readyAt.get(container) <= askedAt).length;
      library.note(`${warm} of ${answers.length} found a warm container`);
      return { warmHits: band(warm / answers.length) };
    },
    theirs: { warmHits: "fewer than a third" },
    ours: { warmHits: "more than half" },
    says: ({ warmHits }) => `${warmHits} of them find a warm container`,
  },
];

/**
 * What a call costs in other calls, in the same shape.
 * @type {Omit<Fault, "number">[]}
 */
export const COSTS = [
  {
    what: "`getContainer` of an id that has a container",
    async run(library) {
      const pool = library.pool({ warmTarget: 0, refreshInterval: 60_000 });
      await pool.get("alice");
      return sums(await library.callsOf(() => pool.get("alice")));
    },
    theirs: { pool: 2, container: 1 },
    ours: { pool: 1, container: 0 },
    says: calls,
  },
  {
    what: "`getContainer` of a new id, one being warm",
    async run(library) {
      const pool = library.pool({ warmTarget: 1, refreshInterval: 60_000 });
      await pool.filled();
      const { pool: asked } = sums(await library.callsOf(() => pool.get("alice")));
      return { pool: asked, container: 0 };
    },
    theirs: { pool: 2, container: 0 },
    ours: { pool: 1, container: 0 },
    says: calls,
  },
];

function sums({ pool, container }) {
  const sum = (counts) => Object.values(counts).reduce((total, n) => total + n, 0);
  return { pool: sum(pool), container: sum(container) };
}

function calls({ pool, container }) {
  return container > 0 ? `${pool} to the pool, ${container} to the container` : `${pool} to the pool`;
}

/** When ids arrive, in ms: at random, the same each time, so far apart on average. */
function arrivals(count, meanMs) {
  let seed = 42;
  let at = 0;
  return Array.from({ length: count }, () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    at += -Math.log(1 - seed / 2 ** 31) * meanMs;
    return at;
  });
}

/** A share, in words that do not change from run to run. */
function band(share) {
  if (share < 1 / 3) return "fewer than a third";
  return share > 1 / 2 ? "more than half" : `${Math.round(share * 100)} %`;
}
