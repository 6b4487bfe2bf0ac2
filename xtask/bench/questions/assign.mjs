// What does it cost to give a new id a container that is warm? Beside the least that it can cost: see `LeastPool` of the bare Worker.

import { WARM, full } from "../pools.mjs";
import { takeTurns } from "../rounds.mjs";
import { START_MILLIS } from "./starts.mjs";

/** Assignments to a sample: half of what a pool has warm, so that none has to wait for a start. */
export const ASSIGNMENTS = WARM / 2;

/**
 * In µs an assignment. A start takes as long as one of a real container does, so that the containers that are started in the
 * place of those taken are not ready before a sample is over: that they start is in it, that they are ready is not.
 */
export async function assign(server, pools, { rounds }) {
  await server.startsTake(START_MILLIS);
  let names = 0;
  const sample = (worker, pool) => async () => {
    const query = { ...pool, n: ASSIGNMENTS, prefix: `new-${(names += 1)}` };
    const millis = await server.timed(worker, "client", query);
    // The peer has enough for all samples, for it gets no more before its alarm rings.
    if (worker === "ours") await full(server, worker, pool);
    return (millis / ASSIGNMENTS) * 1_000;
  };
  const least = async () => {
    const millis = await server.timed("bare", "client", { n: ASSIGNMENTS, prefix: `new-${(names += 1)}` });
    await new Promise((resolve) => setTimeout(resolve, START_MILLIS));
    return (millis / ASSIGNMENTS) * 1_000;
  };
  const of = (worker) => Object.entries(pools[worker]).map(([size, pool]) => [`${worker}_${size}`, sample(worker, pool)]);
  const series = Object.fromEntries([...of("ours"), ...of("peer")]);
  const samples = await takeTurns(rounds, { least, ...series });
  await server.startsTake(0);
  return samples;
}
