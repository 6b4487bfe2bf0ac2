// Pools that have assigned many ids, as if they had written each: a local workerd has no room for so many containers.
//
// What is written is what the pool itself wrote of one id, under other names; the object is to be loaded anew after it.

/** Into the storage of a pool of `cf-container-warm-pool`. */
export async function seedTheirs(storage, count) {
  const assignments = (await storage.get("assignments")) ?? new Map();
  for (let n = 0; n < count; n++) assignments.set(seededId(n), crypto.randomUUID());
  await storage.put("assignments", assignments);
}

/** Into the storage of a shard of ours. One id must have a container already. */
export function seedOurs(storage, count) {
  const [row] = storage.sql.exec("SELECT * FROM containers WHERE session IS NOT NULL LIMIT 1").toArray();
  const columns = Object.keys(row);
  const insert = `INSERT INTO containers (${columns}) VALUES (${columns.map(() => "?")})`;
  storage.transactionSync(() => {
    for (let n = 0; n < count; n++) {
      const values = { ...row, container: crypto.randomUUID(), session: seededId(n) };
      storage.sql.exec(insert, ...columns.map((column) => values[column]));
    }
  });
}

/** As long as the UUIDs that sessions usually have. */
export function seededId(n) {
  return `seeded-${n}`.padEnd(36, "-");
}
