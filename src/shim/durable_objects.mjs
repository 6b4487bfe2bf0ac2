// The Durable Object classes that the runtime sees, around the ones that are written in Rust.
//
// Why they are needed: a class exported by wasm-bindgen does not extend `DurableObject`, so it cannot be called by RPC; and
// its prototype carries `free()` and raw pointers, which no caller should reach. Here every method that callers may
// use is written out.
//
// What they add: a wasm trap (a bug, or memory that ran out) leaves the instance unusable and every call that waits in it
// unanswered for ever. So a trap throws the object away with `ctx.abort()`; the calls of other objects in the same
// isolate that were waiting notice within a second and throw theirs away too. The next call finds an object that was
// loaded anew from its rows. A call that passes its deadline fails, and only that: its object may be well.

import { DurableObject } from "cloudflare:workers";

/** How long a call may take that only computes or writes, in ms. */
const BRIEF = 30_000;
/** A call that waits for other objects: longer than all that Rust waits for in it, in ms. */
const PATIENT = 60_000;
/** A call that waits for a container to be ready: longer than the longest `acquire_timeout`, in ms. */
const ACQUIRE = 11 * 60_000;
/** A call that starts a container: longer than the longest `ready` and `setup` timeouts together, in ms. */
const START = 31 * 60_000;

/** How often a waiting call looks whether its wasm instance is still alive, in ms. */
const WATCH = 1_000;

/** Counts the traps of this isolate's wasm instance. */
let traps = 0;

/**
 * Runs a method of a Rust object: at once when it answers at once, else until its promise settles, the deadline
 * passes, or the wasm instance dies.
 */
function call(ctx, deadline, run) {
  let answer;
  try {
    answer = run();
  } catch (error) {
    throw judge(ctx, error);
  }
  return answer instanceof Promise ? watch(ctx, deadline, answer) : answer;
}

async function watch(ctx, deadline, promise) {
  const before = traps;
  let done = false;
  const settled = promise.then(
    (value) => ((done = true), value),
    (error) => {
      done = true;
      throw judge(ctx, error);
    },
  );
  for (let waited = 0; waited < deadline; waited += WATCH) {
    let timer;
    const pause = new Promise((resolve) => (timer = setTimeout(resolve, WATCH)));
    try {
      const value = await Promise.race([settled, pause]);
      if (done) return value;
    } finally {
      clearTimeout(timer);
    }
    if (traps !== before) throw discard(ctx, "another object's wasm trap ended this instance");
  }
  throw new Error(`No answer within ${deadline} ms; try again.`);
}

/** An error of Rust's own is passed on; a trap ends the object. */
function judge(ctx, error) {
  if (!(error instanceof WebAssembly.RuntimeError)) return error;
  traps += 1;
  return discard(ctx, `wasm trap: ${error.message}`);
}

/**
 * Throws the object away, from the event loop: `abort` ends the running script on the spot, and what other objects of the
 * isolate have queued in the same turn would be lost with it.
 */
function discard(ctx, reason) {
  console.error(JSON.stringify({ level: "error", message: "a Durable Object is thrown away", reason }));
  setTimeout(() => ctx.abort(reason), 0);
  return new Error(`The object was restarted (${reason}); try again.`);
}

/**
 * The classes to export from a Worker's main module.
 *
 * @param rust the module that worker-build made of a crate which links cf-warm-pools
 * @param prepare makes the env that Rust gets of the object's
 */
export function durableObjects(rust, prepare = (env) => env) {
  /** One shard of one pool; named `{pool}/{shard}`. */
  class WarmPool extends DurableObject {
    #rust;

    constructor(ctx, env) {
      super(ctx, env);
      this.#rust = construct(ctx, () => new rust.WarmPool(ctx, prepare(withSiblings(ctx, env))));
    }

    alarm() {
      return call(this.ctx, PATIENT, () => this.#rust.alarm());
    }

    acquire(request) {
      return call(this.ctx, ACQUIRE, () => {
        // Most requests ask nothing else than which container an id has.
        const isPlain = request?.suspect === undefined && request?.code === undefined;
        const assigned = isPlain ? this.#rust.sticky(request?.id) : undefined;
        return assigned === undefined ? this.#rust.acquire(request) : { assigned };
      });
    }

    getContainer(id) {
      return call(this.ctx, ACQUIRE, () => this.#rust.getContainer(id));
    }

    lookupContainer(id) {
      return call(this.ctx, BRIEF, () => this.#rust.lookupContainer(id));
    }

    release(id) {
      return call(this.ctx, BRIEF, () => this.#rust.release(id));
    }

    confirmLease(request) {
      return call(this.ctx, BRIEF, () => this.#rust.confirmLease(request));
    }

    reportStopped(container, forwarded) {
      return call(this.ctx, PATIENT, () => this.#rust.reportStopped(container, forwarded));
    }

    getStats() {
      return call(this.ctx, BRIEF, () => this.#rust.getStats());
    }

    getPlan() {
      return call(this.ctx, BRIEF, () => this.#rust.getPlan());
    }

    getBinding(class_) {
      return call(this.ctx, BRIEF, () => this.#rust.getBinding(class_));
    }

    configure(plan) {
      return call(this.ctx, BRIEF, () => this.#rust.configure(plan));
    }

    shutdownPrewarmed() {
      return call(this.ctx, BRIEF, () => this.#rust.shutdownPrewarmed());
    }

    borrow(request) {
      return call(this.ctx, BRIEF, () => this.#rust.borrow(request));
    }

    pull(request) {
      return call(this.ctx, BRIEF, () => this.#rust.pull(request));
    }

    receive(delivery) {
      return call(this.ctx, BRIEF, () => this.#rust.receive(delivery));
    }

    allot(allotment) {
      return call(this.ctx, BRIEF, () => this.#rust.allot(allotment));
    }
  }

  /** Config versions, shares, merged stats; one object. */
  class PoolCoordinator extends DurableObject {
    #rust;

    constructor(ctx, env) {
      super(ctx, env);
      this.#rust = construct(ctx, () => new rust.PoolCoordinator(ctx, prepare(env)));
    }

    alarm() {
      return call(this.ctx, PATIENT, () => this.#rust.alarm());
    }

    report(report) {
      return call(this.ctx, BRIEF, () => this.#rust.report(report));
    }

    record(batch) {
      return call(this.ctx, BRIEF, () => this.#rust.record(batch));
    }

    events(query) {
      return call(this.ctx, BRIEF, () => this.#rust.events(query));
    }

    plan(question) {
      return call(this.ctx, BRIEF, () => this.#rust.plan(question));
    }

    getConfig() {
      return call(this.ctx, BRIEF, () => this.#rust.getConfig());
    }

    changeConfig(change) {
      return call(this.ctx, BRIEF, () => this.#rust.changeConfig(change));
    }

    previewConfig(config) {
      return call(this.ctx, BRIEF, () => this.#rust.previewConfig(config));
    }

    getHistory() {
      return call(this.ctx, BRIEF, () => this.#rust.getHistory());
    }

    getRecord(version) {
      return call(this.ctx, BRIEF, () => this.#rust.getRecord(version));
    }

    getAudit(limit) {
      return call(this.ctx, BRIEF, () => this.#rust.getAudit(limit));
    }

    putConfig(config) {
      return call(this.ctx, BRIEF, () => this.#rust.putConfig(config));
    }

    deleteConfig() {
      return call(this.ctx, BRIEF, () => this.#rust.deleteConfig());
    }

    stats(pool) {
      return call(this.ctx, PATIENT, () => this.#rust.stats(pool));
    }

    shutdownPrewarmed(pool) {
      return call(this.ctx, PATIENT, () => this.#rust.shutdownPrewarmed(pool));
    }

    prime() {
      return call(this.ctx, BRIEF, () => this.#rust.prime());
    }
  }

  /** One container. A class per image is one line: `export class MyContainer extends ContainerAgent {}`. */
  class ContainerAgent extends DurableObject {
    #rust;

    constructor(ctx, env) {
      super(ctx, env);
      this.#rust = construct(ctx, () => new rust.ContainerAgent(ctx, prepare(env)));
    }

    fetch(request) {
      // No deadline: a stream or a WebSocket may last. A trap while the answer is awaited is still noticed.
      return call(this.ctx, Infinity, () => this.#rust.fetch(request));
    }

    alarm() {
      return call(this.ctx, PATIENT, () => this.#rust.alarm());
    }

    startAndWaitForPorts(request) {
      return call(this.ctx, START, () => this.#rust.startAndWaitForPorts(request));
    }

    getState() {
      return call(this.ctx, BRIEF, () => this.#rust.getState());
    }

    stop() {
      return call(this.ctx, BRIEF, () => this.#rust.stop());
    }

    destroy() {
      return call(this.ctx, PATIENT, () => this.#rust.destroy());
    }

    renewActivityTimeout() {
      return call(this.ctx, BRIEF, () => this.#rust.renewActivityTimeout());
    }
  }

  return { WarmPool, PoolCoordinator, ContainerAgent };
}

/** The env in which a shard finds its siblings as `WARM_POOL`, whatever the Worker calls them. */
function withSiblings(ctx, env) {
  const own = ownNamespace(ctx, env);
  return own === undefined || own === env.WARM_POOL ? env : { ...env, WARM_POOL: own };
}

/** The namespace that an object of a name is in; undefined when nothing in `env` leads there. */
export function ownNamespace(ctx, env) {
  const isOwn = (binding) =>
    binding?.constructor?.name === "DurableObjectNamespace" && binding.idFromName(ctx.id.name).toString() === ctx.id.toString();
  if (ctx.id.name === undefined) return undefined;
  return isOwn(env.WARM_POOL) ? env.WARM_POOL : Object.values(env).find(isOwn);
}

function construct(ctx, make) {
  try {
    return make();
  } catch (error) {
    throw judge(ctx, error);
  }
}
