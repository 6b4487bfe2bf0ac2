// The npm package under test, with doors: `POST /script {steps}` runs steps one after the other and answers what came
// of each; `POST /object {binding, object, method, args}` calls a Durable Object; `/v1/pool/..` are the routes of the bridge for the
// pool `bridged`. All else is for the pools of the configuration. That in the variable IN_CODE counts as if it stood here; without it there is none in the code.

import { DurableObject, env as bindings } from "cloudflare:workers";
import * as library from "../../../npm/dist/index.js";

const { ContainerAgent, createWarmPool, createWarmPools, getWarmPool, poolRoutes, WarmPool } = library;
export const { PoolCoordinator } = library;

/** The variable LATE has the pools made by each request instead. */
const pools = bindings.LATE === "yes" ? undefined : createWarmPools(bindings, configuration(bindings));

function configuration(env) {
  return env.IN_CODE === undefined ? undefined : JSON.parse(env.IN_CODE);
}

/** A shard, and what an object was before this package came. */
class Pool extends WarmPool {
  /** For tests: writes what `cf-container-warm-pool` writes; its alarm rings in so many ms. */
  async plant({ warm, assignments, alarmIn }) {
    await this.ctx.storage.put("warmContainers", new Set(warm));
    await this.ctx.storage.put("assignments", new Map(assignments));
    await this.ctx.storage.put("config", { warmTarget: 2, refreshInterval: 10_000 });
    await this.ctx.storage.setAlarm(Date.now() + alarmIn);
  }

  /** For tests: what of it is there, and in how many ms the alarm rings. */
  async planted() {
    const alarm = await this.ctx.storage.getAlarm();
    return {
      warm: [...((await this.ctx.storage.get("warmContainers")) ?? [])],
      assignments: [...((await this.ctx.storage.get("assignments")) ?? [])],
      alarmIn: alarm === null ? null : alarm - Date.now(),
    };
  }

  /** For tests: the alarm rings now. */
  async ring() {
    await this.ctx.storage.setAlarm(Date.now());
  }
}

// Two classes with the same methods: each has objects of its own.
export { Pool as WarmPool };
export class OtherPool extends Pool {}

export class Agent extends ContainerAgent {}
export class OtherAgent extends ContainerAgent {}
/** Two bindings lead to it. */
export class Twice extends ContainerAgent {}

/** A container class as `@cloudflare/containers` has it. What happened to it is stored, and so outlives a restart. */
export class Plain extends DurableObject {
  async startAndWaitForPorts() {
    await this.ctx.storage.put("running", true);
  }

  async getState() {
    return { status: (await this.ctx.storage.get("running")) ? "healthy" : "stopped", lastChange: Date.now() };
  }

  async stop() {
    await this.ctx.storage.put("running", false);
  }

  async destroy() {
    const failures = (await this.ctx.storage.get("failures")) ?? 0;
    if (failures > 0) {
      await this.ctx.storage.put("failures", failures - 1);
      throw new Error("told to fail");
    }
    await this.ctx.storage.put("running", false);
    await this.ctx.storage.put("destroyed", true);
  }

  renewActivityTimeout() {}

  fetch() {
    return Response.json({ hostname: this.ctx.id.name });
  }

  /** For tests: the next so many times it is not destroyed. */
  async holdOut(failures) {
    await this.ctx.storage.put("failures", failures);
  }

  /** For tests. */
  async isDestroyed() {
    return (await this.ctx.storage.get("destroyed")) === true;
  }
}

/**
 * Runs steps, `{on, call, args, as}`: `call` is a method of `on`, which is what an earlier step had `as`, or else see
 * `made`. In one request, for stubs live no longer than that. Without `on`, `sleep` waits.
 */
async function script({ steps }, env) {
  const named = new Map();
  const outcomes = [];
  for (const { on, call, args = [], as } of steps) {
    outcomes.push(
      await outcome(async () => {
        const target = typeof on === "string" ? named.get(on) : made(on, env);
        if (target === undefined && call === "sleep") return scheduler.wait(...args);
        const result = await target[call](...args);
        if (as !== undefined) named.set(as, result);
        return told(result);
      }),
    );
  }
  return outcomes;
}

/** `{pools}`: those of the configuration; `{pool}`: one of them; `{of: [pool, container], config}`: one by code. */
function made(on, env) {
  if (on === undefined) return undefined;
  if (on.pools?.anew) return createWarmPools(env, on.pools.config);
  if (on.pools) return pools ?? createWarmPools(env, configuration(env));
  if (on.pool) return made({ pools: {} }, env).pool(on.pool);
  const [pool, container] = on.of;
  return createWarmPool(env[pool], env[container], on.config);
}

async function told(result) {
  if (result instanceof Response) {
    const text = await result.text();
    const body = result.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text;
    return { status: result.status, body, came: result.headers.get("x-warm-pool") };
  }
  if (typeof result?.fetch === "function" && result.id !== undefined) return { container: result.id.name };
  return typeof result === "object" && result !== null ? JSON.parse(JSON.stringify(result)) : result;
}

async function outcome(run) {
  try {
    return { value: (await run()) ?? null };
  } catch (error) {
    const { name, message, code, retryAfterMillis } = error;
    return { error: { name, message, code, retryAfterMillis } };
  }
}

const doors = {
  "/script": (call, env) => script(call, env),
  "/object": ({ binding, object, method, args = [] }, env) =>
    outcome(async () => told(await env[binding].get(env[binding].idFromName(object))[method](...args))),
  /** The pool's object as `getWarmPool` gives it: what it is called. */
  "/pool-object": ({ binding, args = [] }, env) => outcome(() => getWarmPool(env[binding], ...args).name),
};

export default {
  async fetch(request, env) {
    const door = doors[new URL(request.url).pathname];
    if (door !== undefined) return Response.json(await door(await request.json(), env));
    const bridged = createWarmPool(env.WARM_POOL, env.AGENT, { poolName: "bridged", warmTarget: 1, drainTimeout: "1s" });
    const answer = await poolRoutes(bridged, { token: env.SANDBOX_API_KEY })(request);
    if (answer !== null) return answer;
    return made({ pools: {} }, env).fetch(request);
  },

  async scheduled(_, env) {
    await made({ pools: {} }, env).prime();
  },
};
