// What does it cost to ask for the container of an id that has one?

import { takeTurns } from "../rounds.mjs";

/** How many lookups a sample has; how many ids they are of, in turn. */
const LOOKUPS = 1_000;
const IDS = 100;

/** In µs a lookup. */
export async function lookup(server, pools, { rounds }) {
  const sample = (worker, door, pool, n = LOOKUPS) => async () => {
    const millis = await server.timed(worker, door, { ...pool, n, among: IDS });
    return (millis / n) * 1_000;
  };
  return takeTurns(rounds, {
    // A call of a Durable Object's method that does nothing: the limit of the platform.
    no_op: sample("bare", "lookup", {}),
    // A call of the shard's method.
    ours: sample("ours", "lookup", pools.ours[100]),
    // By the clients, of which each is made for its one call, as in a request's handler.
    ours_client: sample("ours", "client", pools.ours[100]),
    peer_client: sample("peer", "client", pools.peer[100]),
    // In pools with more assignments.
    ...Object.fromEntries(
      Object.entries(pools.ours).map(([size, pool]) => [`ours_${size}`, sample("ours", "lookup", pool)]),
    ),
    ...Object.fromEntries(
      Object.entries(pools.peer).map(([size, pool]) => [`peer_client_${size}`, sample("peer", "client", pool)]),
    ),
  });
}
