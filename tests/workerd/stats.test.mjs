// The numbers of a pool: what is counted, that it survives, and that a shard which says nothing holds nobody up.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { acquire, ask, full, pools, rpc, serve, serveInMemory, stats, until } from "./support.mjs";

const count = ({ acquires }, wanted) =>
  acquires.filter(({ outcome }) => outcome === wanted).reduce((sum, { count }) => sum + count, 0);

describe("a pool of 64 shards, one of which hangs", () => {
  let server;
  before(async () => void (server = await serveInMemory(pools({ shards: 64, warm_target: 4 }))));
  after(() => server?.stop());

  test("one call answers within the deadline, names the shard, and takes nothing back", async () => {
    await until("every shard answers and the stock is full", async () => {
      const now = await stats(server);
      return now.complete && now.warm === 4 && now.starting === 0;
    }, 60_000);
    for (let n = 0; n < 20; n++) assert.equal((await acquire(server, `id-${n}`)).status, 200);
    const all = await stats(server);
    assert.deepEqual([all.complete, all.countersComplete, all.shards.length], [true, true, 64]);
    const { shard } = all.shards.find(({ assigned }) => assigned > 0);

    await rpc(server, "WARM_POOL", `p/${shard}`, "mute");
    const began = performance.now();
    const partial = await stats(server);
    const took = performance.now() - began;
    assert.ok(took >= 1_900 && took < 4_500, `it took ${took} ms`);
    assert.deepEqual([partial.complete, partial.missing, partial.shards.length], [false, [shard], 63]);
    assert.equal(partial.countersComplete, true, "what it has counted is remembered");
    for (const outcome of ["warm", "borrowed", "cold"]) assert.equal(count(partial, outcome), count(all, outcome), outcome);
    assert.ok(partial.assigned < all.assigned, "which containers it has is not guessed");
  });
});

describe("what a pool counts", () => {
  let server;
  before(async () => void (server = await serve(pools({ instance_type: "basic" }))));
  after(() => server?.stop());

  test("is told by outcome and reason, with times, states and cost", async () => {
    await full(server);
    assert.equal((await ask(server, "alice")).status, 200);
    for (let n = 0; n < 3; n++) await acquire(server, "alice");
    // With one started in its place.
    const now = await full(server);
    assert.deepEqual([count(now, "warm"), count(now, "sticky") >= 3], [1, true]);
    assert.equal(now.latencies.acquire.warm.count, 1);
    assert.equal(now.latencies.acquire.sticky.count, count(now, "sticky"));
    assert.equal(now.latencies.start.count, now.starts.ready);
    assert.ok(now.starts.ready >= 3 && now.latencies.start.p50 > 0.04);
    assert.ok(now.containerSeconds.warm > 0 && now.containerSeconds.assigned > 0);
    assert.deepEqual([now.warmTarget, now.breakerOpen, now.backoffMillis], [2, false, 0]);
    assert.deepEqual([now.cost.currency, now.cost.instanceType], ["USD", "basic"]);
    // 1 GiB and 4 GB.
    const hour = 3_600 * (2.5e-6 + 4 * 7e-8);
    const containers = now.starting + now.warm + now.assigned + now.draining;
    assert.ok(Math.abs(now.cost.perHour - containers * hour) < 1e-9);
    assert.ok(Math.abs(now.cost.idlePerHour - (containers - 1) * hour) < 1e-9);
    assert.ok(now.cost.soFar > now.cost.idleSoFar && now.cost.idleSoFar > 0);
    assert.ok(now.shards.every(({ detail }) => detail === undefined));
  });

  test("goes on where it was after SIGKILL", async () => {
    const before = await stats(server);
    await server.kill();
    await server.start();
    const now = await stats(server);
    for (const outcome of ["sticky", "warm"]) assert.ok(count(now, outcome) >= count(before, outcome), outcome);
    assert.ok(now.starts.ready >= before.starts.ready);
    assert.ok(now.containerSeconds.warm >= before.containerSeconds.warm);
    assert.ok(now.cost.soFar >= before.cost.soFar);
  });
});
