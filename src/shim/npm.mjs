// The npm package: the Durable Objects of the pools, and their client for Workers in JavaScript or TypeScript.
//
// What it adds to the client in Rust: stubs come from the namespace that the caller passed, whatever its binding is called;
// and a client is made once in an isolate's life for each set of settings, for `createWarmPool` is called with each request.

import { env as ownEnv } from "cloudflare:workers";
import * as rust from "../../build/index.js";
import { LATE, call } from "../edge/call.mjs";
import { poolRoutes } from "./bridge.mjs";
import { durableObjects } from "./durable_objects.mjs";
import { gateway } from "./gateway.mjs";
import { predecessor } from "./predecessor.mjs";

/** The configuration in the Worker's code, for every object of this isolate: what the wasm was built with is for another Worker. */
let inCode = JSON.stringify({ pools: {} });
const withCode = (env) => ({ ...env, WARM_POOLS_IN_CODE: inCode });

export { poolRoutes };

const classes = durableObjects(rust, withCode);
export const { PoolCoordinator, ContainerAgent } = classes;

/** A shard; or what is left of the library that had the class before, see predecessor.mjs. */
export class WarmPool extends classes.WarmPool {
  #predecessor = predecessor(this.ctx, this.env);

  alarm() {
    return this.#predecessor ? this.#predecessor.alarm() : super.alarm();
  }

  configure(config) {
    return this.#predecessor ? this.#predecessor.configure() : super.configure(config);
  }

  getContainer(id) {
    return this.#predecessor ? this.#predecessor.getContainer(id) : super.getContainer(id);
  }

  lookupContainer(id) {
    return this.#predecessor ? this.#predecessor.lookupContainer(id) : super.lookupContainer(id);
  }

  reportStopped(container, forwarded) {
    return this.#predecessor ? this.#predecessor.reportStopped(container) : super.reportStopped(container, forwarded);
  }
}

const DEFAULT_POOL_NAME = "global-pool";
/** Of this name the ids are compared that namespaces give it. As in src/edge/class.rs; a test compares them. */
const PROBE = "cf-warm-pools/probe";
/** How the env that Rust sees calls the namespace of the pools and the id cache, whatever they are bound as. */
const WARM_POOL = "WARM_POOL";
const ID_CACHE = "WARM_POOL_ID_CACHE";
/** Clients that are kept; with more, all are let go. Settings that differ with each request must not fill the memory. */
const MOST_CLIENTS = 64;

/** A pool whose settings are in the Worker's code. */
export function createWarmPool(poolNamespace, containerNamespace, config = {}) {
  needNamespace("createWarmPool", "poolNamespace", poolNamespace);
  needNamespace("createWarmPool", "containerNamespace", containerNamespace);
  const { poolName: name, idCache, ...settings } = config ?? {};
  const poolName = name ?? DEFAULT_POOL_NAME;
  if (typeof poolName !== "string") throw new TypeError("poolName is a string");
  if (idCache !== undefined && idCache !== null) {
    if (typeof idCache.get !== "function") throw new TypeError("idCache is a KV namespace, not its name");
    settings.idCache = ID_CACHE;
  }
  const text = JSON.stringify(settings);
  const class_ = classOf(containerNamespace);
  // JSON has an end, and the class has no space in it: no two pools have one key.
  return clients.get(`${class_} ${text} ${poolName}`, [poolNamespace, containerNamespace, idCache], () => {
    const env = withCode({ ...ownEnv, [WARM_POOL]: asBinding(poolNamespace), [ID_CACHE]: idCache ?? undefined });
    const pool = flawless(new rust.ScriptPool(env, poolName, text, class_));
    needOneClass(poolNamespace, poolName, class_);
    const shards = new Shards(poolNamespace, poolName);
    return clientOf(pool, shards, new Containers(pool, ownEnv, containerNamespace));
  });
}

/** A shard of a pool, by which the whole pool can be told that a container has stopped. */
export function getWarmPool(poolNamespace, poolName = DEFAULT_POOL_NAME) {
  needNamespace("getWarmPool", "poolNamespace", poolNamespace);
  return poolNamespace.get(poolNamespace.idFromName(`${poolName}/0`));
}

/** The pools of a configuration: `config`, or the variable `POOLS_CONFIG`. */
export function createWarmPools(env, config) {
  if (env === null || typeof env !== "object") throw new TypeError("createWarmPools takes the Worker's env");
  if (config === undefined) return poolsOf(env);
  const before = inCode;
  inCode = JSON.stringify(config);
  try {
    return poolsOf(env);
  } catch (error) {
    inCode = before;
    throw error;
  }
}

/** Its methods may be taken off it: `export default { fetch: pools.fetch, scheduled: pools.prime }`. */
function poolsOf(given) {
  const env = withCode(given);
  const pools = flawless(new rust.ScriptPools(env));
  const handlers = gateway(rust);
  return {
    names() {
      return pools.names();
    },

    pool(name) {
      if (typeof name !== "string") throw new TypeError("a pool's name is a string");
      needNamespace("createWarmPools", "env.WARM_POOL", env[WARM_POOL]);
      return clients.get(name, [pools], () => {
        const pool = new rust.ScriptPool(env, name);
        return clientOf(pool, new Shards(env[WARM_POOL], name), new Containers(pool, env));
      });
    },

    fetch(request) {
      return handlers.fetch(request, env);
    },

    prime() {
      return handlers.scheduled(undefined, env);
    },
  };
}

/** A client of a pool. Its methods may be taken off it, as those of `cf-container-warm-pool` may. */
function clientOf(pool, shards, containers) {
  return {
    async getContainer(id) {
      return containers.stub(id, (await shards.ask(pool, id)) ?? (await pool.acquire(id)));
    },

    async lookupContainer(id) {
      const assignment = await pool.lookup(id);
      return assignment && containers.stub(id, assignment);
    },

    async release(id) {
      return pool.release(id);
    },

    async fetch(id, input, init) {
      return pool.fetch(id, new Request(input, init));
    },

    async stats() {
      return pool.stats();
    },

    async shutdownPrewarmed() {
      return pool.shutdownPrewarmed();
    },

    async reportStopped(container) {
      if (typeof container !== "string") throw new TypeError("reportStopped takes a string");
      return pool.reportStopped(container);
    },
  };
}

/**
 * The shards of one pool, asked from here: for most calls there is nothing to decide, and one by way of wasm costs three
 * times as much.
 */
class Shards {
  #namespace;
  #poolName;
  #ids = [];

  constructor(namespace, poolName) {
    this.#namespace = namespace;
    this.#poolName = poolName;
  }

  /** The container of an id, as an assignment; undefined when the pool is to be asked, or its shard could not be reached. */
  async ask(pool, id) {
    const index = typeof id === "string" ? pool.shardOf(id) : -1;
    if (index < 0 || this.#namespace === undefined) return undefined;
    let answer;
    try {
      answer = await call(this.#stub(index), "acquire", [{ id }], pool.answersWithin());
    } catch (error) {
      if (error !== LATE) return undefined;
    }
    if (answer?.assigned !== undefined) return answer.assigned;
    const failure = pool.failure(answer?.refused);
    if (failure !== undefined) throw failure;
    return undefined;
  }

  /** A new stub, for one that has failed stays broken. */
  #stub(index) {
    const id = (this.#ids[index] ??= this.#namespace.idFromName(`${this.#poolName}/${index}`));
    return this.#namespace.get(id);
  }
}

/** The containers of one pool: from what the pool says of one to the stub of its object. */
class Containers {
  #pool;
  #env;
  #passed;
  /** Bindings of the Worker that has the pools, and the namespaces here that lead to the same classes. */
  #known = new Map();

  /** `passed`: the namespace that a caller has named, whose binding is not known. */
  constructor(pool, env, passed) {
    this.#pool = pool;
    this.#env = env;
    this.#passed = passed;
  }

  async stub(id, assignment) {
    const { container, fenced, binding } = assignment;
    const namespace = this.#known.get(binding) ?? (await this.#find(binding));
    const stub = namespace.get(namespace.idFromName(container));
    return fenced ? this.#fenced(stub, id, assignment) : stub;
  }

  async #find(binding) {
    // A shard that runs older code names none.
    if (binding === undefined) return this.#passed ?? this.#namespaceHere(this.#pool.binding);
    const found = (await this.#isPassed(binding)) ? this.#passed : this.#namespaceHere(binding);
    this.#known.set(binding, found);
    return found;
  }

  /** Whether the namespace that was passed is what the pools' Worker has under the binding. */
  async #isPassed(binding) {
    if (this.#passed === undefined) return false;
    const passed = classOf(this.#passed);
    const here = this.#env[binding];
    if (isNamespace(here) && classOf(here) === passed) return true;
    return (await this.#pool.bindingOf(passed).catch(() => undefined)) === binding;
  }

  #namespaceHere(binding) {
    const here = this.#env[binding];
    if (isNamespace(here)) return here;
    throw new TypeError(`the container is of the class behind ${binding}, to which this Worker has no binding`);
  }

  /** A class with a fence serves only requests that carry whom they are for. */
  #fenced(stub, id, assignment) {
    const fetch = (input, init) => this.#pool.fetchFrom(id, assignment, new Request(input, init));
    return new Proxy(stub, {
      get: (target, key) => {
        if (key === "fetch") return fetch;
        const value = Reflect.get(target, key);
        // Not by `bind`, which would be taken for a method of the object behind the stub.
        return typeof value === "function" ? (...args) => Reflect.apply(value, target, args) : value;
      },
    });
  }
}

/** Clients by their settings, as long as they were made for the same bindings. */
const clients = new (class {
  #made = new Map();

  get(key, bindings, make) {
    const known = this.#made.get(key);
    if (known?.bindings.every((binding, index) => binding === bindings[index])) return known.client;
    if (this.#made.size >= MOST_CLIENTS) this.#made.clear();
    const client = make();
    this.#made.set(key, { bindings, client });
    return client;
  }
})();

/** What was made of a configuration, unless there are mistakes in it. */
function flawless(made) {
  if (made.mistakes !== undefined) throw new TypeError(made.mistakes);
  return made;
}

/** The container class of each pool that code has set up here, as long as there are not too many. */
const classesOfPools = new Map();

/** Pools of one name over two classes would be one pool, which takes on the class of whoever called last. */
function needOneClass(poolNamespace, poolName, class_) {
  const pool = `${classOf(poolNamespace)} ${poolName}`;
  const known = classesOfPools.get(pool);
  if (known !== undefined && known !== class_) {
    const message = `the pool "${poolName}" was set up for another container class before`;
    throw new TypeError(`createWarmPool: ${message}; give each class a pool of its own, by \`poolName\``);
  }
  if (classesOfPools.size >= MOST_CLIENTS) classesOfPools.clear();
  classesOfPools.set(pool, class_);
}

/** A namespace under the name by which Rust knows one: that of `ctx.exports`, and one that something has wrapped, have others. */
class Namespace {
  static name = "DurableObjectNamespace";
  #behind;

  constructor(behind) {
    this.#behind = behind;
  }

  idFromName(name) {
    return this.#behind.idFromName(name);
  }

  get(id) {
    return this.#behind.get(id);
  }

  getByName(name) {
    return this.get(this.idFromName(name));
  }
}

function asBinding(namespace) {
  return namespace.constructor?.name === Namespace.name ? namespace : new Namespace(namespace);
}

const classIds = new WeakMap();

/** Tells a container class from others, whatever its binding is called. */
function classOf(namespace) {
  let id = classIds.get(namespace);
  if (id === undefined) classIds.set(namespace, (id = namespace.idFromName(PROBE).toString()));
  return id;
}

function isNamespace(value) {
  return typeof value?.idFromName === "function" && typeof value.get === "function";
}

function needNamespace(what, parameter, value) {
  if (!isNamespace(value)) {
    throw new TypeError(`${what}: ${parameter} is not a Durable Object namespace; look at the bindings in wrangler.jsonc`);
  }
}
