// Pools in numbers.

import type { FailureClass, Outcome, PlanVersion, Reason, RefusalCode } from "./outcomes.js";
import type { InstanceType, PoolSettings } from "./settings.js";

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
