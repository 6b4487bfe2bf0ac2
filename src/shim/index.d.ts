// What JavaScript may call on the Durable Objects. Durations are in ms.

import type { DurableObject } from "cloudflare:workers";

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

/** An id's container. */
export interface Assignment {
  /** The UUID that names the container's Durable Object. */
  container: string;
  /** Grows with every assignment; with the id, what a fence compares. */
  epoch: number;
  /** Whether the container checks id and epoch itself. */
  fenced: boolean;
  outcome: Outcome;
  reason?: Reason;
  shard: number;
  /** The binding of the container's class. Missing only in the answer of a shard that runs older code, during a deploy. */
  binding?: string;
}

/** What `getContainer` throws when it refuses: an `Error` with these. */
export interface WarmPoolRefusal extends Error {
  code: "at_capacity" | "timeout" | "start_failed" | "overloaded" | "wrong_shard" | "unknown_pool";
  retryAfterMillis?: number;
  /** With `wrong_shard`: the plan that says so. */
  plan?: PlanVersion;
  /** With `wrong_shard`: the shard count in force. */
  shards?: number;
}

/** Orders configurations. */
export interface PlanVersion {
  version: number;
  stamp: number;
}

/** One shard in numbers; counters are since the object was loaded. */
export interface ShardStats {
  shard: number;
  plan: PlanVersion;
  starting: number;
  warm: number;
  assigned: number;
  draining: number;
  /** On their way to another shard. */
  moving: number;
  total: number;
  /** Its share of the stock. */
  warmTarget: number;
  /** The credits that it has now: the most containers it may have. They come and go. Null without a limit. */
  maxInstances: number | null;
  waiting: number;
  failures: number;
  backoffMillis: number;
  breakerOpen: boolean;
  ceiling: number | null;
  lastFailure: { class: string; message: string } | null;
  outcomes: Partial<Record<Outcome, number>>;
  reasons: Partial<Record<Reason, number>>;
  refusals: Record<string, number>;
  startsReady: number;
  startsReadyMillis: number;
  startsFailed: Record<string, number>;
  startsRetried: number;
  /** Warm containers given to siblings. */
  lent: number;
}

/** One pool in numbers: sums over its shards, and what the coordinator knows of it. */
export interface PoolStats {
  name: string;
  config: Record<string, unknown>;
  maxInstances: number | null;
  starting: number;
  warm: number;
  assigned: number;
  draining: number;
  moving: number;
  total: number;
  waiting: number;
  /** How many times the average the shard has that has the most assigned containers; null when there are none. */
  imbalance: number | null;
  /** Of the ids that got a container since the shards were loaded, the part for which it was borrowed; null when there were none. */
  borrowRate: number | null;
  /** While ids move to other shards because the shard count has changed. */
  migration: { from: number; to: number; remaining: number; openShards: number } | null;
  /** How much of the pool's limit, and of its class's, the shards hold as credits, used or not; null without a limit. */
  capacity: { limit: number; leased: number; classLimit: number; classLeased: number } | null;
  /** Whether every shard answered; if not, `missing` has those that did not. */
  complete: boolean;
  missing: number[];
  shards: ShardStats[];
  [counter: string]: unknown;
}

/** One shard of one pool; named `{pool}/{shard}`. */
export declare class WarmPool extends DurableObject {
  /** The id's container; it gets one when it has none. Throws a {@link WarmPoolRefusal}. */
  getContainer(id: string): Promise<Assignment>;
  /** The id's container, if it has one. Throws a {@link WarmPoolRefusal} when another shard owns the id. */
  lookupContainer(id: string): Promise<Assignment | null>;
  /** The id is done with its container. Resolves to whether it had one. */
  release(id: string): Promise<boolean>;
  /** A container has stopped: its UUID, or `this.ctx.id.toString()` of its object. Any shard of the pool will do. */
  reportStopped(container: string): Promise<boolean>;
  getStats(): Promise<ShardStats>;
  /**
   * Gives a pool that no configuration has its settings: the keys that a pool has in `pools.toml`, in `camelCase` or
   * `snake_case`, durations in ms or as text. Throws a `TypeError` that lists every mistake. To be called on each shard of the
   * pool.
   */
  configure(settings: { container: string; warmTarget?: number; [key: string]: unknown }): Promise<PlanVersion>;
  /** Replaces every container that is not assigned. Resolves to how many were sent away. */
  shutdownPrewarmed(): Promise<number>;
  /** Called by the pool's own objects alone, like the next three. A sibling asks for a warm container. */
  borrow(request: { to: number }): Promise<{ lent: boolean; left: number }>;
  /** A sibling asks for all there is of an id that it owns since the shard count has changed. */
  pull(request: object): Promise<unknown>;
  /** A sibling hands containers over. Resolves to how far they are here and written down. */
  receive(delivery: object): Promise<{ upTo: number; paid: { generation: number; total: number } }>;
  /** The coordinator allots credits and a share of the stock. Resolves to how the shard stands. */
  allot(allotment: object): Promise<object>;
}

/** Config versions, shares, merged stats; one object. */
export declare class PoolCoordinator extends DurableObject {
  stats(pool: string | null): Promise<{ pools: PoolStats[] }>;
  /** Has every shard work by the configuration in force, and so fills the pools after a deploy. */
  prime(): Promise<void>;
}

/** One container. `export class MyContainer extends ContainerAgent {}` declares a class for an image. */
export declare class ContainerAgent extends DurableObject {}
