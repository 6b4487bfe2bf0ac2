// What an id gets, and why it gets nothing.

import type { WarmPoolClient } from "./client.js";

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

/**
 * Why a client did not do what it was asked: what a shard refused ({@link RefusalCode}), or
 *
 * | code | what happened |
 * |---|---|
 * | `pool_unreachable` | a shard did not answer. Whether the call arrived is not known; all of them may be repeated |
 * | `unconfirmed` | the container could not make sure that it still serves the id; it has not seen the request |
 * | `body_not_allowed` | a GET or HEAD has a body, which the runtime does not let be passed on |
 * | `container_changed` | the id has just got another container, and the request cannot be sent twice |
 * | `container_unreachable` | the container could not be reached. The request may have arrived |
 * | `internal` | a fault of this package, or a body that was already read |
 */
export type WarmPoolErrorCode =
  | RefusalCode
  | "pool_unreachable"
  | "unconfirmed"
  | "body_not_allowed"
  | "container_changed"
  | "container_unreachable"
  | "internal";

/** What the methods of a shard throw when it refuses. */
export interface WarmPoolRefusal extends WarmPoolError {
  /** What happened. */
  code: RefusalCode;
  /** With `wrong_shard`: the plan that says so. */
  plan?: PlanVersion;
  /** With `wrong_shard`: the shard count in force. */
  shards?: number;
}

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

/** What a failed start says about the next one. */
export type FailureClass = "capacity" | "transient" | "permanent" | "not_ready" | "exited" | "unknown";
