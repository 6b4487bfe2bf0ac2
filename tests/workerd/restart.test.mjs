// Storage outlives the process: what was promised before a crash is kept after it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { acquire, ask, full, lookup, moved, pools, serve, stats, until } from "./support.mjs";

let server;
before(async () => void (server = await serve(pools({ warm_target: 2, shards: 2 }))));
after(() => server?.stop());

test("sticky: after SIGKILL every id has the container it had, with its state", async () => {
  await full(server);
  const ids = Array.from({ length: 8 }, (_, n) => `id-${n}`);
  const before = new Map();
  for (const id of ids) {
    await ask(server, id, "/increment", { method: "POST" });
    before.set(id, (await lookup(server, id)).container);
  }
  await server.kill();
  await server.start();
  for (const id of ids) {
    const answer = await ask(server, id, "/increment", { method: "POST" });
    assert.equal(answer.headers.get("x-warm-pool"), "sticky");
    assert.equal((await answer.json()).count, 2);
    assert.equal((await lookup(server, id)).container, before.get(id));
  }
  assert.equal((await full(server)).assigned, ids.length);
});

test("accounted: killed in the middle of starts, the pool ends at its target", async () => {
  const burst = Array.from({ length: 12 }, (_, n) => acquire(server, `late-${n}`).catch(() => null));
  await server.kill();
  await Promise.all(burst);
  await server.start();
  const { starting, warm, draining } = await full(server);
  assert.deepEqual([starting, warm, draining], [0, 2, 0]);
});

test("a changed POOLS_CONFIG is in force after the restart", async () => {
  await server.kill();
  await server.start({ pools: pools({ warm_target: 4, shards: 2 }) });
  assert.equal((await full(server)).config.warmTarget, 4);
});

test("a shard count that a deploy changes is in force, and ids keep their containers", async () => {
  const { container } = await lookup(server, "id-0");
  await server.kill();
  await server.start({ pools: pools({ warm_target: 3, shards: 8 }) });
  const answer = await ask(server, "id-0");
  assert.equal(answer.headers.get("x-warm-pool"), "sticky");
  assert.equal((await lookup(server, "id-0")).container, container);
  await moved(server, 8);
  const { config } = await full(server);
  assert.deepEqual([config.shards, config.warmTarget], [8, 3]);
  assert.equal((await stats(server)).shards.length, 8);
});

test("all-or-nothing: a restart with a broken POOLS_CONFIG leaves pools, stock and ids as they were", async () => {
  const before = await stats(server);
  const { container } = await lookup(server, "id-0");
  await server.kill();
  await server.start({ pools: '{"pools": {"p": {"warm_target": -1}}}' });
  await until("the gateway has heard what is in force", async () => (await ask(server, "id-0")).status === 200);
  assert.equal((await ask(server, "id-0")).headers.get("x-warm-pool"), "sticky");
  assert.equal((await lookup(server, "id-0")).container, container);
  const now = await full(server);
  assert.deepEqual([now.config, now.assigned], [before.config, before.assigned]);
  assert.equal((await (await server.fetch("/_warm/healthz")).json()).status, "degraded");
});
