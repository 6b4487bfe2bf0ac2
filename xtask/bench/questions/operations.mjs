// What does an operation do: rows that it reads and writes, calls of other objects?

import { full } from "../pools.mjs";

/** Operations that are counted; what is told is the mean. */
const OPERATIONS = 10;

/** By operation and library, what was counted. */
export async function operations(server) {
  const counts = {};
  for (const worker of ["ours", "peer"]) {
    const counted = `${worker}-counted`;
    const pool = { pool: "counted", warmTarget: OPERATIONS, refreshInterval: 3_600_000 };
    const count = async (query) => {
      await server.door(counted, "counts");
      await server.door(counted, "client", { ...pool, ...query });
      const taken = await server.door(counted, "counts");
      return Object.fromEntries(Object.entries(taken).map(([what, n]) => [what, n / OPERATIONS]));
    };
    await server.door(counted, "client", { ...pool, n: 1, prefix: "first" });
    if (worker === "peer") await server.door(counted, "hurry", pool);
    await full(server, counted, pool);
    // So long that no container that is started in its place is ready before all are counted.
    await server.startsTake(2_000);
    counts[`assign_${worker}`] = await count({ n: OPERATIONS });
    counts[`lookup_${worker}`] = await count({ n: OPERATIONS });
    await server.startsTake(0);
  }
  return counts;
}
