// The two libraries as a test sees them, behind one interface: see fixture/worker.mjs for what is on the other side.

import { fileURLToPath } from "node:url";
import { serveInMemory, sleep, until } from "../workerd/support.mjs";

export { sleep, until };

/** The Worker that has both libraries in it. */
const FIXTURE = fileURLToPath(new URL("fixture/wrangler.jsonc", import.meta.url));
/** The shortest that ours takes; theirs takes any. */
export const REFRESH_MS = 500;

/** Starts the fixture. Its pools are configured by code, so that it gets no configuration. */
export function serveBoth() {
  return serveInMemory(undefined, { config: FIXTURE, pools: undefined, cron: false });
}

let pools = 0;

/** One of the libraries, in a world of its own. */
export class Library {
  #server;
  #used = [];

  /** @param {"theirs" | "ours"} name */
  constructor(server, name) {
    this.#server = server;
    this.name = name;
    /** What a scenario has measured that is not the same each time. */
    this.notes = [];
  }

  note(text) {
    this.notes.push(text);
  }

  /** Runs a scenario in a new world, in which containers do as `behaviour` says; takes its pools away afterwards. */
  async run(scenario, behaviour = {}) {
    await this.door("begin", { behaviour });
    try {
      return await scenario(this);
    } finally {
      for (const { kind, name } of this.#used.splice(0)) await this.door("pool", { kind, name, method: "retire" });
    }
  }

  /**
   * A pool with this configuration, by default under a name of its own and with short intervals. Theirs knows nothing of
   * the keys in `ours`.
   */
  pool({ ours = {}, kind, ...config } = {}) {
    const named = { poolName: `pool-${++pools}`, refreshInterval: REFRESH_MS, ...config };
    if (this.name === "ours") Object.assign(named, ours);
    return this.poolAsItIs(named, kind);
  }

  /** A pool with this configuration and nothing else; `null` for none. */
  poolAsItIs(config, kind) {
    this.#used.push({ kind, name: config?.poolName });
    return new Pool(this, config, kind);
  }

  /** What containers do from now on. */
  behave(behaviour) {
    return this.door("behave", { behaviour });
  }

  /** Which containers there are and what else was seen, `{containers, poolCalls, alarmErrors, mostStartsAtOnce}`. */
  ledger() {
    return this.door("ledger");
  }

  /** The containers that run. */
  async running() {
    return (await this.ledger()).containers.filter(({ running }) => running);
  }

  /** A container as the ledger has it. */
  async container(id) {
    return (await this.ledger()).containers.find((container) => container.id === id);
  }

  /** Its process ends by itself. */
  async die(container) {
    return value(await this.door("container", { container, method: "die" }));
  }

  /** The calls that `body` leads to: by method, of pool objects and of containers. */
  async callsOf(body) {
    const before = counts(await this.ledger());
    await body();
    const after = counts(await this.ledger());
    const less = (now, then) =>
      Object.fromEntries(Object.entries(now).map(([key, n]) => [key, n - (then[key] ?? 0)]).filter(([, n]) => n > 0));
    return { pool: less(after.pool, before.pool), container: less(after.container, before.container) };
  }

  async door(name, body = {}) {
    const answer = await this.#server.fetch(`/${name}`, {
      method: "POST",
      body: JSON.stringify({ library: this.name, ...body }),
    });
    if (answer.status !== 200) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }
}

function counts({ containers, poolCalls }) {
  const container = {};
  for (const { asked } of containers) {
    for (const [method, n] of Object.entries(asked)) container[method] = (container[method] ?? 0) + n;
  }
  return { pool: poolCalls, container };
}

/** A pool of a library, by its client. Each call is a request to the Worker, which makes a client for it. */
class Pool {
  #library;
  #config;
  #kind;

  constructor(library, config, kind) {
    this.#library = library;
    this.#config = config;
    this.#kind = kind;
  }

  /** The same pool with other settings, as after a deploy. */
  with(changes) {
    return new Pool(this.#library, { ...this.#config, ...changes }, this.#kind);
  }

  /** The same pool, by a caller who says no more than its name. */
  bare() {
    return new Pool(this.#library, { poolName: this.#config?.poolName }, this.#kind);
  }

  /** The hex id of the id's container. Throws what `getContainer` throws. */
  async get(id) {
    return value((await this.calls([{ method: "getContainer", args: [id] }]))[0]).container;
  }

  /** Asks for these ids at the same moment: of each the container, or `{error}`. */
  async getAll(...ids) {
    const answers = await this.calls(ids.map((id) => ({ method: "getContainer", args: [id] })));
    return answers.map(({ value, error }) => (error ? { error } : value.container));
  }

  async stats() {
    return value((await this.calls([{ method: "stats" }]))[0]);
  }

  async shutdownPrewarmed() {
    return value((await this.calls([{ method: "shutdownPrewarmed" }]))[0]);
  }

  /** Several calls of one client, `[{method, args, after, then}]`; of each `{value}` or `{error}`. */
  calls(calls) {
    return this.#library.door("client", { kind: this.#kind, config: this.#config, calls });
  }

  /** Calls a method of the pool's object. */
  async object(method, ...args) {
    return value(await this.#call(method, ...args));
  }

  /** The object is lost and loaded anew, so that the call itself fails. */
  restart() {
    return this.#call("restart");
  }

  /** It has assigned so many ids, and is loaded anew; see the fixture. */
  seed(count) {
    return this.#call("seed", count);
  }

  #call(method, ...args) {
    return this.#library.door("pool", { kind: this.#kind, name: this.#config?.poolName, method, args });
  }

  /** The alarm that it has set rings now; a new pool of theirs sets one for 10 s later, whatever its interval. */
  hurry() {
    return this.object("hurry");
  }

  /** Tells the pool its settings, and waits until it has its stock. */
  async filled() {
    const { config } = await this.stats();
    await this.hurry();
    return until(`a pool has ${config.warmTarget} warm`, async () => {
      const now = await this.stats();
      return now.warm === config.warmTarget && !now.starting && now;
    });
  }

  /** How many containers it has on its books, in whatever state. */
  async booked() {
    const { total, starting = 0, draining = 0 } = await this.stats();
    return total + starting + draining;
  }
}

/** What a call came to; throws what it threw. */
export function value({ value, error }) {
  if (error) throw Object.assign(new Error(error.message), error);
  return value;
}

/** Whether `check` comes true within so many ms. */
export function within(ms, check) {
  return until("it comes true", check, ms).then(
    () => true,
    (error) => {
      if (!/^not within/.test(error.message)) throw error;
      return false;
    },
  );
}
