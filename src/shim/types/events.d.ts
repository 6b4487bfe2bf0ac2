// What has happened in pools.

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
