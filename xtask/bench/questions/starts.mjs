// What does a pool make of starts that take a while?

import { full } from "../pools.mjs";
import { takeTurns } from "../rounds.mjs";

/** How long a container takes to start, in ms. */
export const START_MILLIS = 300;
const DRAINED = 20;
const BURSTS = [20, 100];

/** Until a pool of 20 that was drained has 20 again, in starts. */
export async function refill(server, { rounds }) {
  await server.startsTake(START_MILLIS);
  let names = 0;
  // The peer's default interval, which is ours.
  const sample = (worker) => async () => {
    const pool = { pool: `refill-${(names += 1)}`, warmTarget: DRAINED, refreshInterval: 10_000 };
    await server.door(worker, "stats", pool);
    await full(server, worker, pool);
    const began = performance.now();
    await server.door(worker, "burst", { ...pool, n: DRAINED });
    await full(server, worker, pool);
    return (performance.now() - began) / START_MILLIS;
  };
  const samples = await takeTurns(rounds, { ours: sample("ours"), peer: sample("peer") });
  await server.startsTake(0);
  return samples;
}

/** Until so many ids that come at once to an empty pool all have a container, in starts. */
export async function bursts(server, { rounds }) {
  await server.startsTake(START_MILLIS);
  let names = 0;
  const sample = (worker, n) => async () => {
    const pool = { pool: `burst-${(names += 1)}`, warmTarget: 0, refreshInterval: 600_000, n };
    return (await server.timed(worker, "burst", pool)) / START_MILLIS;
  };
  const series = BURSTS.flatMap((n) => ["ours", "peer"].map((worker) => [`${worker}_${n}`, sample(worker, n)]));
  const samples = await takeTurns(rounds, Object.fromEntries(series));
  await server.startsTake(0);
  return samples;
}

/** What it costs to ask 1, 4 or 16 shards, 64 at a time, in µs a lookup. */
export async function shards(server, { rounds }) {
  const AT_ONCE = 64;
  const sample = (shards) => {
    const pool = { pool: `shards-${shards}`, warmTarget: 0, refreshInterval: 600_000, shards };
    return async () => {
      let millis = 0;
      for (let time = 0; time < 10; time++) millis += await server.timed("ours", "burst", { ...pool, n: AT_ONCE });
      return (millis / 10 / AT_ONCE) * 1_000;
    };
  };
  return takeTurns(rounds, { shards_1: sample(1), shards_4: sample(4), shards_16: sample(16) });
}

