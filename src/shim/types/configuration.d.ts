// Pools, routes and an admin API from one configuration.

import type { WarmPoolClient } from "./client.js";
import type { InstanceType, PoolSettings, StartSettings, WarmPoolConfig } from "./settings.js";
import type { PoolStats } from "./stats.js";

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

/** An object whose keys may also be written in `snake_case`. */
type EitherSpelling<T> = T & { [Key in keyof T as Exclude<SnakeCase<Key & string>, Key>]?: T[Key] | undefined };

type SnakeCase<Name extends string> = Name extends `${infer Head}${infer Tail}`
  ? `${Head extends Lowercase<Head> ? Head : `_${Lowercase<Head>}`}${SnakeCase<Tail>}`
  : Name;

// So that the helpers are not exported.
export {};
