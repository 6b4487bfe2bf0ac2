// What does a refresh cost of a pool in which nothing happens?

import { makePool } from "../pools.mjs";
import { takeTurns } from "../rounds.mjs";

const REFRESH_MILLIS = 10_000;
/** Refreshes to a sample, so that the request's own cost is small. */
const TICKS = 50;

/**
 * In ms of the processor's time a refresh, by assignments. The containers are asked how they are and answer at once, in the pool's own
 * isolate: what is measured is what the pool does, health checks and their answers included, without what the runtime takes to
 * carry calls.
 */
export async function tick(server, sizes, { rounds }) {
  const series = {};
  for (const size of sizes) {
    const pool = { pool: `idle-${size}`, warmTarget: 10, refreshInterval: REFRESH_MILLIS };
    await makePool(server, "alone", pool, size);
    series[size] = async () => {
      const before = await server.cpu();
      await server.door("alone", "tick", { ...pool, n: TICKS, every: REFRESH_MILLIS });
      return ((await server.cpu()) - before) / TICKS;
    };
  }
  return takeTurns(rounds, series);
}
