/**
 * Warm pools for Cloudflare Containers: containers are started before anyone needs them, and each id gets one of its
 * own and keeps it.
 *
 * - One pool, set up in the Worker's code: {@link createWarmPool}, and {@link getWarmPool} in a container class's
 *   `onStop`.
 * - Pools, routes and an admin API from one configuration: {@link createWarmPools}.
 * - To be exported from the Worker's main module: {@link WarmPool}, and, for what needs it, {@link PoolCoordinator}.
 *
 * The global types of the Workers runtime must be there: from `wrangler types`, or from `@cloudflare/workers-types`.
 *
 * @packageDocumentation
 */

import type { DurableObject } from "cloudflare:workers";

// ------------------------------------------------------------------------------------------------ one pool, by code

/**
 * A client of one pool, which is set up by code. Cheap: make one for each request, or one for all. It asks nobody yet;
 * the pool's shards learn the settings with the first call, and again when they have changed.
 *
 * The container class is whichever `containerNamespace` leads to; its binding may have any name, for it is found by
 * comparing ids. Where two bindings lead to the same class, say which with {@link PoolSettings.container}.
 *
 * @param poolNamespace - The binding of {@link WarmPool}, whatever its name; or `ctx.exports.WarmPool`, beside the
 * binding.
 * @param containerNamespace - The binding of the container class (or `ctx.exports`, too): one that extends `Container` of
 * `@cloudflare/containers`, `Sandbox` of `@cloudflare/sandbox`, or {@link ContainerAgent}. When it is typed
 * (`DurableObjectNamespace<MyContainer>`), so are the stubs.
 * @param config - Settings; see there for the defaults. A key that is `undefined` counts as not given.
 * @returns The client.
 * @throws `TypeError` that lists every mistake in `config`; also when a namespace is none, when more than one binding
 * leads to the container class and `config` names none, and when the pool's name was taken for another class before.
 *
 * @example
 * ```ts
 * import { createWarmPool } from "cf-warm-pools";
 *
 * export default {
 *   async fetch(request: Request, env: Env): Promise<Response> {
 *     const pool = createWarmPool(env.WARM_POOL, env.CONTAINER, { warmTarget: 3, maxInstances: 20 });
 *     const container = await pool.getContainer(request.headers.get("x-session-id") ?? "default");
 *     return container.fetch(request);
 *   },
 * };
 * ```
 */
export declare function createWarmPool<Container extends Rpc.DurableObjectBranded | undefined = undefined>(
  poolNamespace: PoolNamespace,
  containerNamespace: DurableObjectNamespace<Container>,
  config?: WarmPoolConfig,
): WarmPoolClient<Container>;

/**
 * A stub of one of the pool's shards: any will do to report to, since it reaches the one that has the container.
 *
 * @param poolNamespace - The binding of {@link WarmPool}.
 * @param poolName - The name that {@link createWarmPool} was given. Default `"global-pool"`.
 * @returns A stub of the object `{poolName}/0`.
 *
 * @example A container that stops frees its place at once, and not only with the next health check
 * ```ts
 * import { Container } from "@cloudflare/containers";
 * import { getWarmPool } from "cf-warm-pools";
 *
 * export class MyContainer extends Container<Env> {
 *   override async onStop() {
 *     await getWarmPool(this.env.WARM_POOL).reportStopped(this.ctx.id.toString());
 *   }
 * }
 * ```
 */
export declare function getWarmPool(poolNamespace: PoolNamespace, poolName?: string): DurableObjectStub<WarmPool>;

/**
 * The binding of {@link WarmPool}: `DurableObjectNamespace<WarmPool>`, that of a subclass, or `DurableObjectNamespace`
 * without a type. A container class's namespace, when it is typed, is not taken for one.
 */
export type PoolNamespace = DurableObjectNamespace<WarmPool<any>> | UntypedPoolNamespace;

/** What an untyped `DurableObjectNamespace` has, and that of a container class has not. */
export interface UntypedPoolNamespace {
  /** The id of the object of a name. */
  idFromName(name: string): DurableObjectId;
  /** A stub of an object. */
  get(id: DurableObjectId): { readonly id: DurableObjectId; readonly startAndWaitForPorts?: never };
}

/**
 * One pool. What its methods cannot do they reject with a {@link WarmPoolError}; what only other code can mend (an id
 * that is none, a pool that no configuration has, a binding that is missing), with a `TypeError`.
 *
 * An id is whatever a container is for: a session, a user, a job. 1 to 256 bytes of UTF-8, without control characters and U+FFFD.
 *
 * The methods may be taken off: `const { getContainer } = createWarmPool(...)`.
 *
 * @typeParam Container - The container class; `undefined` or `any` when it is not known.
 */
export interface WarmPoolClient<Container extends Rpc.DurableObjectBranded | undefined = any> {
  /**
   * The id's container. An id that has none gets one: a warm one, else one that starts for it, for which it waits
   * `acquireTimeout` at most. Concurrent calls for one id get the same container.
   *
   * One RPC, to the shard that has the id. A container that has ended since is found at the next health check, or at
   * once when it reports itself; see {@link getWarmPool}.
   *
   * @returns A stub from the namespace that was passed. Keep it for one request: an id may have another container
   * later.
   */
  getContainer(id: string): Promise<ContainerStub<Container>>;
  /** The id's container, or null when it has none. Gives it none. */
  lookupContainer(id: string): Promise<ContainerStub<Container> | null>;
  /**
   * The id is done with its container, which is stopped and never given to another id. The id's next call gets a new
   * one.
   *
   * @returns Whether it had one.
   */
  release(id: string): Promise<boolean>;
  /**
   * Gets the id's container and sends it a request; again, where that is safe, when the container has changed or ended
   * meanwhile. Headers under `x-warm-pool`, `cf-container-` and `x-sandbox-`, which steer containers, are taken off
   * first. The response says in `x-warm-pool` how the id came by its container, and in `x-warm-pool-reason` why that
   * one was not warm.
   *
   * The arguments after the id are those of the global `fetch`.
   */
  fetch(id: string, input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** The pool in numbers, over all shards. Asks each shard; for dashboards, not for each request. */
  stats(): Promise<PoolStats>;
  /**
   * Replaces every container that is not assigned, as after a change of what they are started from. Those that are
   * assigned stay.
   *
   * @returns How many were sent away.
   */
  shutdownPrewarmed(): Promise<number>;
  /**
   * A container has stopped: its place is free at once, and its id gets a new one.
   *
   * @param container - Its UUID, or `this.ctx.id.toString()` of its object.
   * @returns Whether the pool had it.
   */
  reportStopped(container: string): Promise<boolean>;
}

/**
 * What `getContainer` gives: a `DurableObjectStub` of the class, when the namespace was typed; else an
 * {@link UntypedContainerStub}.
 *
 * With {@link ContainerAgent} its `fetch` carries the id and the epoch that the container checks: use this stub, not
 * one of your own.
 */
export type ContainerStub<Container extends Rpc.DurableObjectBranded | undefined> = [Container] extends [
  Rpc.DurableObjectBranded,
]
  ? IsAny<Container> extends true
    ? UntypedContainerStub
    : DurableObjectStub<Container>
  : UntypedContainerStub;

/**
 * A stub of a class that is not known: `fetch`, `id` and `name` are typed, and any other method may be called. To have
 * them checked, declare the binding as `DurableObjectNamespace<MyContainer>`.
 */
export type UntypedContainerStub = DurableObjectStub & { readonly [method: string]: any };

/**
 * A duration: a whole number of milliseconds, or a text such as `"500ms"`, `"10s"`, `"5m"`, `"1h"`.
 *
 * A `const settings = { refreshInterval: "10s" }` of its own has only a `string` there; write
 * `satisfies WarmPoolConfig` behind it.
 */
export type Duration = number | `${bigint}ms` | `${bigint}s` | `${bigint}m` | `${bigint}h`;

/** What a pool may be told, whichever way it is set up. */
export interface PoolSettings {
  /**
   * The name of the Durable Object binding of the container class.
   *
   * With {@link createWarmPool} it is found by itself, and needed only where two bindings lead to the same class. With
   * {@link createWarmPools} every pool needs it, here or in `defaults`.
   */
  container?: string | undefined;
  /**
   * How many containers are kept started ahead of need, over all shards. They are billed while they wait. From 0 to
   * 10,000, and at most `maxInstances`.
   *
   * @defaultValue `5`
   */
  warmTarget?: number | undefined;
  /**
   * How often the health of containers is checked and warm ones are kept from falling asleep. Stock that was taken is
   * replaced at once, whatever this says. From 500ms to 1h.
   *
   * @defaultValue `10s`
   */
  refreshInterval?: Duration | undefined;
  /**
   * How many objects share the work of the pool. More of them take more requests a second; each id belongs to one. From
   * 1 to 256.
   *
   * With {@link createWarmPool} the count that a pool had first stays in force, for nobody would move its ids; another one in the
   * code costs a second call each time. With {@link createWarmPools} and a {@link PoolCoordinator} it may be changed at
   * any time.
   *
   * @defaultValue `1`
   */
  shards?: number | undefined;
  /**
   * The most containers at once over all shards, in whatever state. From 1 to 100,000, at least `warmTarget` and at
   * least `shards`. Without it the platform's own limit holds: `max_instances` of the class in `wrangler.jsonc`.
   */
  maxInstances?: number | undefined;
  /**
   * How long a container may be idle before it stops itself. For {@link ContainerAgent}; a JavaScript class has a
   * `sleepAfter` of its own, whose numbers are seconds. Either must be longer than `refreshInterval`. From 1s to 24h.
   *
   * @defaultValue `5m`
   */
  sleepAfter?: Duration | undefined;
  /**
   * How long a call waits for a container before it fails. From 100ms to 10m.
   *
   * @defaultValue `30s`
   */
  acquireTimeout?: Duration | undefined;
  /**
   * How many containers one shard starts at the same time. From 1 to 64.
   *
   * @defaultValue `32`
   */
  maxConcurrentStarts?: number | undefined;
  /**
   * How long a {@link ContainerAgent} serves an id before it asks its shard again. From 1s to 1h.
   *
   * @defaultValue `1m`
   */
  leaseTtl?: Duration | undefined;
  /**
   * How long a container of a JavaScript class, which has no lease, may be unreachable before its id gets another. From
   * 1s to 1h.
   *
   * @defaultValue `1m`
   */
  unreachableTimeout?: Duration | undefined;
  /**
   * How long a container has after SIGTERM before it is destroyed. From 100ms to 15m.
   *
   * @defaultValue `15s`
   */
  drainTimeout?: Duration | undefined;
  /**
   * How large the containers are, as `instance_type` of the class in `wrangler.jsonc` says: the name of a type, or a
   * size. For the cost in {@link PoolStats}, and nothing else.
   *
   * @defaultValue `lite`
   */
  instanceType?: InstanceType | undefined;
  /** How a {@link ContainerAgent} starts its container. A JavaScript class says so itself, and ignores this. */
  start?: StartSettings | undefined;
}

/** How large a container is: what the platform calls it, or its size. */
export type InstanceType =
  | "lite"
  | "basic"
  | "standard-1"
  | "standard-2"
  | "standard-3"
  | "standard-4"
  | InstanceSize;

/** A size of containers that has no name. */
export interface InstanceSize {
  /** Processors; 0.5 is half of one. From 0.01 to 128. */
  vcpu: number;
  /** Memory in MiB. From 64 to 1,048,576. */
  memoryMib: number;
  /** Disk in MB of 1,000,000 bytes. From 100 to 10,000,000. */
  diskMb: number;
}

/** How a {@link ContainerAgent} starts its container, and when it is ready. */
export interface StartSettings {
  /**
   * The port that requests go to, and that must answer before the container is ready. From 1 to 65,535. Instead of
   * `ports`.
   *
   * @defaultValue `8080`
   */
  port?: number | undefined;
  /**
   * The ports that must all answer before the container is ready, 1 to 16 of them; requests go to the first. Instead of
   * `port`.
   */
  ports?: number[] | undefined;
  /** Environment variables. At most 128, a value at most 32 KiB. */
  env?: Record<string, string> | undefined;
  /** Replaces the entry point of the image. 1 to 64 words. */
  entrypoint?: string[] | undefined;
  /**
   * Whether the container may reach the internet.
   *
   * @defaultValue `false`
   */
  enableInternet?: boolean | undefined;
  /** Labels for the platform's metrics. At most 32, of at most 256 bytes. */
  labels?: Record<string, string> | undefined;
  /** When the container counts as ready. */
  ready?: ReadySettings | undefined;
  /** A request sent once after the container is ready, before it counts as warm. */
  setup?: SetupSettings | undefined;
}

/** When a container counts as ready. */
export interface ReadySettings {
  /** The path that must answer with a status below 500. Without it any HTTP answer of the port will do. */
  path?: string | undefined;
  /**
   * How long start and readiness together may take. From 100ms to 10m.
   *
   * @defaultValue `20s`
   */
  timeout?: Duration | undefined;
}

/** A request sent once to a container that has become ready. It needs a `path`, here or in `defaults`. */
export interface SetupSettings {
  /** The path and query. */
  path?: string | undefined;
  /**
   * The method.
   *
   * @defaultValue `POST`
   */
  method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | undefined;
  /**
   * The status that means success. From 200 to 599.
   *
   * @defaultValue `200`
   */
  expect?: number | undefined;
  /**
   * How long it may take. From 100ms to 10m.
   *
   * @defaultValue `30s`
   */
  timeout?: Duration | undefined;
}

/** The settings of a pool that is set up by {@link createWarmPool}. */
export interface WarmPoolConfig extends PoolSettings {
  /**
   * The pool's name; each container class needs a pool of its own. 1 to 64 of `a-z A-Z 0-9 _ -`, beginning with a
   * letter or digit.
   *
   * @defaultValue `global-pool`
   */
  poolName?: string | undefined;
  /**
   * A KV namespace that remembers which container an id has. An accelerator, and no more: what it says is tried and
   * checked by the container itself, so that wrong, old or missing entries, and a KV that fails, cost nothing but time.
   *
   * A JavaScript class cannot check whom it serves, so for one it is not read.
   */
  idCache?: KVNamespace | undefined;
}

// ---------------------------------------------------------------------------------------- pools from a configuration

/**
 * The pools of a configuration, for an app with several container classes or one that wants the gateway: routes that
 * lead requests to pools and ids, and an admin API.
 *
 * Call it at module level, not in a handler: the Durable Objects of the Worker work by the same configuration, and run
 * that code too. What an operator has put in force through the admin API outranks it, and so does the variable
 * `POOLS_CONFIG`.
 *
 * @param env - The bindings: `import { env } from "cloudflare:workers"`. `WARM_POOL` and each pool's `container` must
 * be there; `POOL_COORDINATOR`, `ADMIN_TOKEN` and `CF_VERSION_METADATA` for what needs them.
 * @param config - The configuration. Without it, the variable `POOLS_CONFIG` of the Worker: the same as JSON.
 * @returns The pools.
 * @throws `TypeError` that lists every mistake in the configuration, each with its path.
 *
 * @example
 * ```ts
 * import { env } from "cloudflare:workers";
 * import { ContainerAgent, createWarmPools } from "cf-warm-pools";
 * export { PoolCoordinator, WarmPool } from "cf-warm-pools";
 *
 * export class Python extends ContainerAgent {}
 *
 * const pools = createWarmPools(env, {
 *   pools: { python: { container: "PYTHON", warmTarget: 5, shards: 4, start: { ready: { path: "/healthz" } } } },
 *   routes: [{ pool: "python", path: "/python/*", stripPrefix: true, id: { header: "x-session-id" } }],
 * });
 *
 * export default {
 *   fetch: (request: Request) => pools.fetch(request),
 *   scheduled: () => pools.prime(),
 * };
 * ```
 */
export declare function createWarmPools(env: object & { pools?: never }, config?: PoolsConfig): WarmPools;

/** The pools of a configuration. */
export interface WarmPools {
  /**
   * The pool of a name. One that no configuration has yet may come to have it: until then its methods reject with a
   * `TypeError` that has the nearest name.
   *
   * @typeParam Container - The container class, for typed stubs: `pools.pool<MyContainer>("python")`.
   */
  pool<Container extends Rpc.DurableObjectBranded | undefined = undefined>(name: string): WarmPoolClient<Container>;
  /** The names of all pools. */
  names(): string[];
  /**
   * The gateway: requests that a route of the configuration matches go to the container of their id; under `/_warm/` is
   * the admin API, closed when the Worker has no `ADMIN_TOKEN`. Answers every other request with 404. Refusals are
   * responses too, `{"error": {"code", "message"}}`.
   */
  fetch(request: Request): Promise<Response>;
  /**
   * Fills the pools: for a cron trigger, so that they are full after a deploy before anyone asks. Does nothing to pools
   * that are.
   */
  prime(): Promise<void>;
}

/**
 * A configuration in the shape of `pools.toml`. Keys may be written in `camelCase` or in `snake_case`, but not one key
 * in both. A JSON file of this shape that is imported has to be cast (`config as PoolsConfig`), for TypeScript takes
 * its texts for any texts.
 */
export type PoolsConfig = {
  /** Where an editor finds the schema. Ignored. */
  $schema?: string | undefined;
  /** Values for every pool that does not give its own. Objects are merged key by key, everything else is replaced. */
  defaults?: PoolConfig | undefined;
  /** The pools by name, at most 256. A name has 1 to 64 of `a-z A-Z 0-9 _ -` and begins with a letter or digit. */
  pools: Record<string, PoolConfig>;
  /** Which requests go to which pool. The first route that matches wins. At most 1,024. */
  routes?: Route[] | undefined;
  /** What the platform takes, for the cost in {@link PoolStats}. */
  prices?: EitherSpelling<Prices> | undefined;
};

/** Prices in US dollars. */
export interface Prices {
  /**
   * For a GiB of memory, each second. From 0 to 1.
   *
   * @defaultValue `0.0000025`
   */
  memoryGibSecond?: number | undefined;
  /**
   * For a GB of disk, each second. From 0 to 1.
   *
   * @defaultValue `7e-8`
   */
  diskGbSecond?: number | undefined;
  /**
   * For a vCPU that works, each second. No part of the cost, for how much one works is not known. From 0 to 1.
   *
   * @defaultValue `0.00002`
   */
  vcpuSecond?: number | undefined;
}

/** A pool of a {@link PoolsConfig}. */
export type PoolConfig = EitherSpelling<
  Omit<PoolSettings, "start" | "instanceType"> & {
    /**
     * How large the containers are; see {@link PoolSettings.instanceType}.
     *
     * @defaultValue `lite`
     */
    instanceType?: InstanceType | { vcpu: number; memory_mib: number; disk_mb: number } | undefined;
    /** The name of a KV binding that remembers which container an id has. See {@link WarmPoolConfig.idCache}. */
    idCache?: string | undefined;
  }
> & {
  /** How a container is started; see {@link StartSettings}. */
  start?: EitherSpelling<StartSettings> | undefined;
};

/** Which requests go to a pool, and where their id is. */
export type Route = EitherSpelling<{
  /** The name of a pool. */
  pool: string;
  /** The host: exact, or `*.example.com` for every host below `example.com`. Without it every host matches. */
  host?: string | undefined;
  /**
   * The path: exact, or a prefix that ends in `/*`; `/python/*` also matches `/python`. Without it every path matches.
   */
  path?: string | undefined;
  /**
   * Whether the prefix is removed before the container sees the path. Needs a `path` that ends in `/*`.
   *
   * @defaultValue `false`
   */
  stripPrefix?: boolean | undefined;
  /** Where a request carries its id. */
  id: RouteId;
}>;

/** Where a request carries its id: in exactly one of these. */
export type RouteId = {
  /** The id of requests that carry none. Without it they are refused with 400. */
  default?: string | undefined;
} & (
  | {
      /** The name of a request header. */
      header: string;
      cookie?: never;
      query?: never;
      segment?: never;
    }
  | {
      /** The name of a cookie. */
      cookie: string;
      header?: never;
      query?: never;
      segment?: never;
    }
  | {
      /** The name of a query parameter. */
      query: string;
      header?: never;
      cookie?: never;
      segment?: never;
    }
  | {
      /**
       * The index of a segment of the path, from 0 to 31, before any prefix is removed: 1 is `alice` in
       * `/python/alice`.
       */
      segment: number;
      header?: never;
      cookie?: never;
      query?: never;
    }
);

// ------------------------------------------------------------------------------------------------ what comes back

/** How an id came by its container. */
export type Outcome = "sticky" | "warm" | "borrowed" | "cold";

/** Why none was warm, or why it is not the one before. */
export type Reason =
  | "no-warm-target"
  | "filling"
  | "exhausted"
  | "at-capacity"
  | "starts-failing"
  | "container-stopped"
  | "container-unreachable";

/**
 * Why a shard gives no container.
 *
 * | code | what happened |
 * |---|---|
 * | `at_capacity` | the pool has as many containers as it may have, and none came free within `acquireTimeout` |
 * | `timeout` | containers were starting, but none was ready in time |
 * | `start_failed` | containers of the pool do not start; the message has the last error |
 * | `overloaded` | more callers wait than the shard can hold |
 * | `wrong_shard` | the id belongs to another shard; a client asks that one by itself |
 * | `unknown_pool` | no configuration has the pool, and no code has set it up |
 */
export type RefusalCode = "at_capacity" | "timeout" | "start_failed" | "overloaded" | "wrong_shard" | "unknown_pool";

/**
 * Why a client did not do what it was asked: what a shard refused ({@link RefusalCode}), or
 *
 * | code | what happened |
 * |---|---|
 * | `pool_unreachable` | a shard did not answer. Whether the call arrived is not known; all of them may be repeated |
 * | `unconfirmed` | the container could not make sure that it still serves the id; it has not seen the request |
 * | `container_changed` | the id has just got another container, and the request cannot be sent twice |
 * | `container_unreachable` | the container could not be reached. The request may have arrived |
 * | `internal` | a fault of this package, or a body that was already read |
 */
export type WarmPoolErrorCode =
  | RefusalCode
  | "pool_unreachable"
  | "unconfirmed"
  | "container_changed"
  | "container_unreachable"
  | "internal";

/**
 * What the methods of a {@link WarmPoolClient} reject with: an `Error` with a code. Its class is `Error`, so ask for
 * the code.
 *
 * @example
 * ```ts
 * import { createWarmPool, type WarmPoolError } from "cf-warm-pools";
 *
 * export default {
 *   async fetch(request: Request, env: Env): Promise<Response> {
 *     try {
 *       const container = await createWarmPool(env.WARM_POOL, env.CONTAINER).getContainer("alice");
 *       return await container.fetch(request);
 *     } catch (error) {
 *       const { code, retryAfterMillis = 1000 } = error as WarmPoolError;
 *       if (code !== "at_capacity") throw error;
 *       const headers = { "retry-after": String(Math.ceil(retryAfterMillis / 1000)) };
 *       return new Response("all containers are in use", { status: 503, headers });
 *     }
 *   },
 * };
 * ```
 */
export interface WarmPoolError extends Error {
  /** What happened. Part of the API: a code keeps its meaning. */
  code: WarmPoolErrorCode;
  /** After how long a retry has a chance, in ms. Missing when that is not known, or when no retry helps. */
  retryAfterMillis?: number;
}

/** What the methods of a shard throw when it refuses. */
export interface WarmPoolRefusal extends WarmPoolError {
  /** What happened. */
  code: RefusalCode;
  /** With `wrong_shard`: the plan that says so. */
  plan?: PlanVersion;
  /** With `wrong_shard`: the shard count in force. */
  shards?: number;
}

/** What a shard says of an id's container. */
export interface Assignment {
  /** The UUID that names the container's Durable Object. */
  container: string;
  /** Grows with every assignment; with the id, what a fence compares. */
  epoch: number;
  /** Whether the container checks id and epoch itself. */
  fenced: boolean;
  /** How the id came by it. */
  outcome: Outcome;
  /** Why it is not the one before, or why it was not warm. */
  reason?: Reason;
  /** The shard that has the id. */
  shard: number;
  /**
   * The binding of the container's class. Missing only in the answer of a shard that runs older code, during a deploy.
   */
  binding?: string;
}

/** Orders configurations. */
export interface PlanVersion {
  /** Counted up by the coordinator with every change; 0 before it has spoken, and for pools set up by code. */
  version: number;
  /** When the deploy was made that brought it, in ms since 1970. */
  stamp: number;
}

/** What a failed start says about the next one. */
export type FailureClass = "capacity" | "transient" | "permanent" | "not_ready" | "exited" | "unknown";

/** Containers by state, as of now. */
export interface ContainerCounts {
  /** Being started. */
  starting: number;
  /** Ready for an id. */
  warm: number;
  /** Serving an id. */
  assigned: number;
  /** On their way out. */
  draining: number;
  /** On their way to another shard, which may count them already. */
  moving: number;
  /** Warm and assigned. */
  total: number;
}

/** What has happened since the pool's beginning: counters that never go back. */
export interface PoolCounters {
  /** Answers with a container, by how it was had. */
  outcomes: Partial<Record<Outcome, number>>;
  /** Of those, why it was not a warm one or not the one before, where there was a reason. */
  reasons: Partial<Record<Reason, number>>;
  /** Answers without a container. */
  refusals: Partial<Record<RefusalCode, number>>;
  /** Starts that ended with a ready container. */
  startsReady: number;
  /** How long those took together, in ms. */
  startsReadyMillis: number;
  /** Starts that ended without one. */
  startsFailed: Partial<Record<FailureClass, number>>;
  /** Times that a start was asked for again because the answer proved nothing. */
  startsRetried: number;
  /** Warm containers that one shard gave another. */
  lent: number;
}

/** Containers' states, with something for each. */
export type ByState<T = number> = Record<"starting" | "warm" | "assigned" | "draining" | "moving", T>;

/** How long things took, in seconds. */
export interface LatencySummary {
  /** How many things. */
  count: number;
  /** How long all took together. */
  sum: number;
  /** What half of them did not exceed, reckoned from the buckets; null when there are none. */
  p50: number | null;
  /** What 95 % did not exceed. */
  p95: number | null;
  /** What 99 % did not exceed. */
  p99: number | null;
  /**
   * How many took at most 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30 and 60, and more than the bound
   * before; last, how many took longer.
   */
  buckets: number[];
}

/** What a pool's containers cost: memory and disk. CPU is billed by use, which nobody here can see. */
export interface PoolCost {
  /** Of the amounts: `USD`. */
  currency: string;
  /** What is reckoned with; `custom` when the settings state a size. */
  instanceType: string;
  /** What the containers that there are now cost in an hour. */
  perHour: number;
  /** What those of them cost that serve no id. */
  idlePerHour: number;
  /** What all containers have cost, by the present instance type and prices. */
  soFar: number;
  /** What containers have cost while they served no id. */
  idleSoFar: number;
}

/** What a shard has counted in detail. The pool's numbers have the sums of it, in other words. */
export interface ShardDetail {
  /** Answers with a container that had a reason, by outcome and reason. */
  because: Partial<Record<Outcome, Partial<Record<Reason, number>>>>;
  /** How long answers with a container took; buckets as in {@link LatencySummary}, up to the last that has any. */
  acquire: Partial<Record<Outcome, { sumMillis: number; buckets: number[] }>>;
  /** How long starts took. */
  start: { sumMillis: number; buckets: number[] };
  /** The last start that failed of each class, and when, in ms since 1970. */
  lastErrors: Partial<Record<FailureClass, { message: string; at: number }>>;
  /** How long containers were in each state, together, in ms. */
  containerMillis: ByState;
  /** Up to when these are, in ms since 1970. */
  until: number;
}

/** One shard in numbers. */
export interface ShardStats extends ContainerCounts, PoolCounters {
  /** Which shard, from 0. */
  shard: number;
  /** The plan it works by. */
  plan: PlanVersion;
  /** Of a pool set up by code: tells the settings that it works by from others. */
  fingerprint?: string;
  /** Its share of the stock. */
  warmTarget: number;
  /** The credits that it has now: the most containers it may have. They come and go. Null without a limit. */
  maxInstances: number | null;
  /** Callers that wait for a container. */
  waiting: number;
  /** Starts that failed in a row. */
  failures: number;
  /** How long until a start is tried again, in ms; 0 when nothing holds starts back. */
  backoffMillis: number;
  /** Whether starts have failed so often that only one at a time is tried. */
  breakerOpen: boolean;
  /** A limit learned from the platform, while it is believed. */
  ceiling: number | null;
  /** The last start that failed. */
  lastFailure: { class: FailureClass; message: string } | null;
  /** The counters in detail; only in the shard's own answer. */
  detail?: ShardDetail;
}

/** One pool in numbers: the sums of its shards, and what the coordinator knows of it. */
export interface PoolStats extends ContainerCounts, PoolCounters {
  /** The pool's name. */
  name: string;
  /** The settings in force, with their defaults filled in. */
  config: PoolStatsConfig;
  /** The limit that its settings state, or null. */
  maxInstances: number | null;
  /** How many containers are to be kept warm. */
  warmTarget: number;
  /** Callers that wait for a container. */
  waiting: number;
  /** How long until the last shard tries a start again, in ms; 0 when nothing holds starts back. */
  backoffMillis: number;
  /** Whether starts of a shard have failed so often that only one at a time is tried. */
  breakerOpen: boolean;
  /** Every answer to a caller, by outcome (or `refused`) and reason; without those that there were none of. */
  acquires: { outcome: Outcome | "refused"; reason: Reason | RefusalCode | null; count: number }[];
  /** How long answers with a container took, by outcome; and starts, from the first asking to ready. */
  latencies: { acquire: Record<Outcome, LatencySummary>; start: LatencySummary };
  /** Starts that ended with a ready container, were asked for again, and ended without one, by class. */
  starts: { ready: number; retried: number; failed: Partial<Record<FailureClass, number>> };
  /** The last start that failed of each class, when (in ms since 1970), and in which shard. */
  lastErrors: Partial<Record<FailureClass, { message: string; at: number; shard: number }>>;
  /** How long containers were in each state, together, in seconds. */
  containerSeconds: ByState;
  /** What the containers cost. */
  cost: PoolCost;
  /**
   * How many times the average the shard has that has the most assigned containers, 1 when all have the same; null when
   * there are none.
   */
  imbalance: number | null;
  /** Of the ids that got a container, the part (0 to 1) for which it was borrowed; null when there were none. */
  borrowRate: number | null;
  /**
   * While ids move to other shards because the shard count has changed: the counts before and after, containers still
   * to be moved as far as is known, and shards that have not said yet that they have none. Null when nothing moves;
   * missing where no coordinator knows the pool.
   */
  migration?: { from: number; to: number; remaining: number; openShards: number } | null;
  /**
   * How much of the pool's limit, and of its class's, the shards hold as credits, used or not. Null without a limit;
   * missing where no coordinator knows the pool.
   */
  capacity?: { limit: number; leased: number; classLimit: number; classLeased: number } | null;
  /** Whether every shard answered. The numbers of containers leave out those that did not. */
  complete: boolean;
  /**
   * Whether what was counted is known of every shard: of one that did not answer, what it said last is taken. When not,
   * counters may be less than they were before.
   */
  countersComplete: boolean;
  /** The shards that did not answer. */
  missing: number[];
  /** Each shard that did. */
  shards: ShardStats[];
}

/** A pool's settings in its numbers; durations in ms. */
export interface PoolStatsConfig {
  /** {@link PoolSettings.container}. */
  container: string;
  /** {@link PoolSettings.warmTarget}. */
  warmTarget: number;
  /** {@link PoolSettings.refreshInterval}, in ms. */
  refreshInterval: number;
  /** {@link PoolSettings.shards}. */
  shards: number;
  /** {@link PoolSettings.maxInstances}. */
  maxInstances?: number;
  /** The name of the KV binding, of a pool from a configuration that has one. */
  idCache?: string;
  /** {@link PoolSettings.sleepAfter}, in ms. */
  sleepAfter: number;
  /** {@link PoolSettings.acquireTimeout}, in ms. */
  acquireTimeout: number;
  /** {@link PoolSettings.maxConcurrentStarts}. */
  maxConcurrentStarts: number;
  /** {@link PoolSettings.leaseTtl}, in ms. */
  leaseTtl: number;
  /** {@link PoolSettings.unreachableTimeout}, in ms. */
  unreachableTimeout: number;
  /** {@link PoolSettings.drainTimeout}, in ms. */
  drainTimeout: number;
  /** {@link PoolSettings.instanceType}. */
  instanceType: InstanceType;
}

// ------------------------------------------------------------------------------------------- Durable Object classes

/**
 * One shard of one pool: the object `{pool}/{shard}`, such as `global-pool/0`. Export it from the Worker's main module,
 * and declare it in `wrangler.jsonc`, with a binding (`WARM_POOL`) and among `new_sqlite_classes`.
 *
 * Most callers want {@link createWarmPool}, which knows the shard of an id. A subclass should `await` what these
 * methods return, for some answer at once when they are called in the object itself.
 *
 * @typeParam Env - The Worker's bindings, as `this.env` of a subclass has them.
 *
 * @example
 * ```ts
 * export { WarmPool } from "cf-warm-pools";
 * ```
 */
export declare class WarmPool<Env = Cloudflare.Env> extends DurableObject<Env> {
  /** The id's container; it gets one when it has none. Throws a {@link WarmPoolRefusal}. */
  getContainer(id: string): Promise<Assignment>;
  /** The id's container, if it has one. Throws a {@link WarmPoolRefusal} when another shard owns the id. */
  lookupContainer(id: string): Promise<Assignment | null>;
  /** The id is done with its container. Resolves to whether it had one. */
  release(id: string): Promise<boolean>;
  /**
   * A container has stopped: its UUID, or `this.ctx.id.toString()` of its object. Any shard of the pool will do.
   * Resolves to whether the pool had it.
   */
  reportStopped(container: string): Promise<boolean>;
  /** This shard in numbers. */
  getStats(): Promise<ShardStats>;
  /** What is due is done. A subclass that has one of its own must call this one, which also sets the next alarm. */
  alarm(alarmInfo?: AlarmInvocationInfo): Promise<void>;
  /**
   * Gives a pool that no configuration has its settings: the keys that a pool has in `pools.toml`, in `camelCase` or
   * `snake_case`, durations in ms or as text. Throws a `TypeError` that lists every mistake. To be called on each shard
   * of the pool; {@link createWarmPool} does so.
   */
  configure(settings: PoolConfig & { container: string }): Promise<PlanVersion>;
  /** Replaces every container that is not assigned. Resolves to how many were sent away. */
  shutdownPrewarmed(): Promise<number>;
  /**
   * Called by clients, which know the shard count they go by.
   * @internal
   */
  acquire(request: object): Promise<object>;
  /**
   * Called by container agents.
   * @internal
   */
  confirmLease(request: object): Promise<string | object>;
  /**
   * Called by shards of the same pool.
   * @internal
   */
  getPlan(): Promise<object | null>;
  /**
   * Called by clients: the binding of this Worker that leads to a container class.
   * @internal
   */
  getBinding(containerClass: string): Promise<string>;
  /**
   * Called by shards of the same pool: asks for a warm container.
   * @internal
   */
  borrow(request: { to: number }): Promise<{ lent: boolean; left: number }>;
  /**
   * Called by shards of the same pool: asks for all there is of an id that has a new owner.
   * @internal
   */
  pull(request: object): Promise<string | object>;
  /**
   * Called by shards of the same pool: hands containers over. Resolves to how far they are here and written down.
   * @internal
   */
  receive(delivery: object): Promise<{ upTo: number; paid: { generation: number; total: number } }>;
  /**
   * Called by the coordinator: allots credits and a share of the stock. Resolves to how the shard stands.
   * @internal
   */
  allot(allotment: object): Promise<object>;
}

/**
 * Config versions, shares, credits and merged stats of all pools: one object. Export it, and declare it under the
 * binding `POOL_COORDINATOR`, for pools from a configuration ({@link createWarmPools}). Pools set up by code work
 * without it.
 *
 * @typeParam Env - The Worker's bindings.
 */
export declare class PoolCoordinator<Env = Cloudflare.Env> extends DurableObject<Env> {
  /** Pools in numbers: one, none when there is no such pool, or with null all. */
  stats(pool: string | null): Promise<{ pools: PoolStats[] }>;
  /** Has every shard work by the configuration in force, and so fills the pools after a deploy. */
  prime(): Promise<void>;
  /** What has happened in a pool, or in all; null when there never was such a pool. */
  events(query: PoolEventQuery): Promise<PoolEvents | null>;
  /**
   * Called by shards: what has happened there. Resolves to the highest number that the coordinator has of the shard's
   * batches.
   * @internal
   */
  record(batch: object): Promise<number>;
}

/** Which events to tell. */
export interface PoolEventQuery {
  /** Of this pool, else of all. */
  pool?: string;
  /** Only those after the one of this {@link PoolEvent.seq}, from there on; else the last ones that there are. */
  since?: number;
  /** At most so many. */
  limit: number;
}

/** Events, oldest first. */
export interface PoolEvents {
  /** The events. */
  events: PoolEvent[];
  /** What to ask for as {@link PoolEventQuery.since} the next time. */
  next: number;
  /** How many are missing among these: dropped by their shard, or kept no longer. Of one pool, at most so many. */
  dropped: number;
}

/** Something that has happened. Keys that do not apply are not there. */
export interface PoolEvent {
  /** Its number, over all pools: later ones have higher ones. */
  seq: number;
  /** When, in ms since 1970, by the clock of the object where it happened. */
  at: number;
  /** The pool. */
  pool: string;
  /** The shard, where it happened in one. */
  shard?: number;
  /** What. */
  kind:
    | "started"
    | "start-failed"
    | "assigned"
    | "released"
    | "borrowed"
    | "lent"
    | "drained"
    | "gone"
    | "ceiling-learned"
    | "ceiling-expired"
    | "breaker-opened"
    | "breaker-closed"
    | "config-applied"
    | "migration-began"
    | "migration-ended";
  /** The container, by its UUID. */
  container?: string;
  /** The epoch at which it serves, or served, an id. */
  epoch?: number;
  /** Stands for that id: the same 16 digits for the same id of the pool. */
  session?: string;
  /** How an id came by its container. */
  outcome?: "warm" | "borrowed" | "cold";
  /**
   * Why. Of `assigned`, what the header `x-warm-pool-reason` says; of `drained`, what ended the container; of `start-failed`
   * and `breaker-opened`, the class of the failure; of `config-applied`, where the configuration came from.
   */
  reason?: string;
  /** More, for people. */
  message?: string;
  /** The shard that lent the container; or how many shards there were. */
  from?: number;
  /** The shard that the container was lent to; or how many shards there are. */
  to?: number;
  /** How many containers the platform seems to have room for. */
  limit?: number;
  /** The version of the configuration. */
  version?: number;
  /** How many events of this shard before this one were dropped. */
  dropped?: number;
}

/**
 * A container class that needs no code: it starts the container as its pool's {@link PoolSettings.start} says, waits
 * until it is ready, stops it when it is idle, and reports its end. And it has the fence: it serves no id but the one
 * that it was given to.
 *
 * Its `fetch` wants the headers that the pool's client adds, so get its stub from the client.
 *
 * @typeParam Env - The Worker's bindings.
 *
 * @example A class for an image, to be bound in `wrangler.jsonc`
 * ```ts
 * import { ContainerAgent } from "cf-warm-pools";
 *
 * export class Python extends ContainerAgent {}
 * ```
 */
export declare class ContainerAgent<Env = Cloudflare.Env> extends DurableObject<Env> {
  /** Passes a request of the id that it serves on to the container. */
  fetch(request: Request): Promise<Response>;
  /** What is true of the container now, in the words of `@cloudflare/containers`. */
  getState(): Promise<ContainerState>;
  /**
   * Sends SIGTERM, and destroys the container after `drainTimeout`. Resolves when the signal is sent. For good: a
   * container has one life.
   */
  stop(): Promise<void>;
  /** Ends the container at once. Resolves when it has ended; throws when it may still run, and goes on trying. */
  destroy(): Promise<void>;
  /** Keeps the container from sleeping for another `sleepAfter`. */
  renewActivityTimeout(): Promise<void>;
  /**
   * Called by the container's shard.
   * @internal
   */
  startAndWaitForPorts(request: object): Promise<string | object>;
}

/** The state of a {@link ContainerAgent}. */
export interface ContainerState {
  /** `running`: it may not answer yet. `healthy`: it answers. `stopped_with_code`: it ended by itself. */
  status: "running" | "healthy" | "stopping" | "stopped" | "stopped_with_code";
  /** When it came to that, in ms since 1970. */
  lastChange: number;
  /** The exit code of a container that stopped with one. */
  exitCode?: number;
}

/**
 * The three routes by which the Sandbox SDK's bridge tells of its pool, for a pool of this package: `GET /v1/pool/stats`
 * answers its {@link PoolStats}, `POST /v1/pool/prime` has every shard learn its settings and fill its stock, `POST
 * /v1/pool/shutdown-prewarmed` replaces what is not assigned; the latter two answer `{"ok": true}`.
 *
 * They want `Authorization: Bearer` with the token, and are closed when it is not set. (The bridge's own are open then.)
 *
 * @param pool - The pool.
 * @param options - `token`: what is asked for, as `env.SANDBOX_API_KEY`. `prefix`: what the paths begin with, `/v1` by default.
 * @returns What answers a request of theirs, and gives null for any other.
 *
 * @example
 * ```ts
 * import { createWarmPool, poolRoutes, type WarmPool } from "cf-warm-pools";
 *
 * interface Env {
 *   SANDBOX: DurableObjectNamespace;
 *   WARM_POOL: DurableObjectNamespace<WarmPool>;
 *   SANDBOX_API_KEY: string;
 * }
 *
 * export default {
 *   async fetch(request, env) {
 *     const pool = createWarmPool(env.WARM_POOL, env.SANDBOX);
 *     const answer = await poolRoutes(pool, { token: env.SANDBOX_API_KEY })(request);
 *     return answer ?? pool.fetch(request.headers.get("x-session-id") ?? "nobody", request);
 *   },
 * } satisfies ExportedHandler<Env>;
 * ```
 */
export declare function poolRoutes(
  pool: WarmPoolClient<any>,
  options: { token: string | undefined; prefix?: string | undefined },
): (request: Request) => Promise<Response | null>;

// --------------------------------------------------------------------------------------------------------- helpers

type IsAny<T> = 0 extends 1 & T ? true : false;

/** An object whose keys may also be written in `snake_case`. */
type EitherSpelling<T> = T & { [Key in keyof T as Exclude<SnakeCase<Key & string>, Key>]?: T[Key] | undefined };

type SnakeCase<Name extends string> = Name extends `${infer Head}${infer Tail}`
  ? `${Head extends Lowercase<Head> ? Head : `_${Lowercase<Head>}`}${SnakeCase<Tail>}`
  : Name;

// So that the helpers are not exported.
export {};
