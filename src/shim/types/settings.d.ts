// What a pool may be told, whichever way it is set up.

import type { createWarmPool } from "./client.js";
import type { createWarmPools } from "./configuration.js";
import type { ContainerAgent, PoolCoordinator } from "./objects.js";
import type { PoolStats } from "./stats.js";

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

/**
 * A duration: a whole number of milliseconds, or a text such as `"500ms"`, `"10s"`, `"5m"`, `"1h"`.
 *
 * A `const settings = { refreshInterval: "10s" }` of its own has only a `string` there; write
 * `satisfies WarmPoolConfig` behind it.
 */
export type Duration = number | `${bigint}ms` | `${bigint}s` | `${bigint}m` | `${bigint}h`;

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
