// The Durable Object classes that a Worker exports.

import type { DurableObject } from "cloudflare:workers";
import type { createWarmPool } from "./client.js";
import type { PoolConfig, createWarmPools } from "./configuration.js";
import type { PoolEventQuery, PoolEvents } from "./events.js";
import type { Assignment, PlanVersion, WarmPoolRefusal } from "./outcomes.js";
import type { PoolSettings } from "./settings.js";
import type { PoolStats, ShardStats } from "./stats.js";

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
