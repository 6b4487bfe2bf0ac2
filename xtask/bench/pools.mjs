// The pools that questions are asked of: of both libraries, with more and more assignments.

import { until } from "./rounds.mjs";

/** How many ids have a container, besides those that are seeded. */
const ASSIGNED = 100;
/** What a pool has warm, at least when a sample begins. */
export const WARM = 40;
/** So long that no refresh falls into a sample. */
const REFRESH_MILLIS = 3_600_000;
/** Nobody could hold more: a value that is stored has at most 2 MB. */
const MOST_OF_PEER = 10_000;

/**
 * Makes pools with so many assignments. What is told of each is what a door wants to know.
 *
 * @param {number[]} sizes
 * @param {number} peerWarm how much the peer has warm in the beginning: it gets no more until its alarm rings
 */
export async function makePools(server, sizes, peerWarm) {
  const pools = { ours: {}, peer: {} };
  for (const size of sizes) {
    const of = (name, warmTarget) => ({ pool: `${name}-${size}`, warmTarget, refreshInterval: REFRESH_MILLIS });
    pools.ours[size] = await makePool(server, "ours", of("ours", WARM), size);
    if (size <= MOST_OF_PEER) pools.peer[size] = await makePool(server, "peer", of("peer", peerWarm), size);
  }
  return pools;
}

/** Makes a pool with so many assignments, and waits until it has all that it is to have warm. */
export async function makePool(server, worker, pool, size) {
  const stats = () => server.door(worker, "stats", pool);
  await server.door(worker, "client", { ...pool, n: ASSIGNED });
  if (worker === "peer") await server.door(worker, "hurry", pool);
  await full(server, worker, pool);
  if (size > ASSIGNED) {
    await server.door(worker, "seed", { ...pool, n: size - ASSIGNED });
    const { assigned, warm } = await stats();
    if (assigned !== size || warm !== pool.warmTarget) {
      throw new Error(`${pool.pool}: ${assigned} assigned and ${warm} warm after seeding ${size}`);
    }
  }
  return pool;
}

/** Waits until a pool has all that it is to have warm. */
export async function full(server, worker, pool) {
  await until(`${pool.pool} of ${worker} has ${pool.warmTarget} warm`, async () => {
    const { warm, starting = 0 } = await server.door(worker, "stats", pool);
    return warm === pool.warmTarget && starting === 0;
  });
}
