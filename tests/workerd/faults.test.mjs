// Containers that fail: a clear error to the caller, no leak, backoff in the stats, recovery when mended.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { acquire, ask, full, lookup, pools, put, serve, stats, until } from "./support.mjs";

const settings = { warm_target: 1, acquire_timeout: "8s" };

for (const [fault, expected, message] of [
  ["start-fails", ["start_failed"], /./],
  ["no-such-image", ["start_failed"], /image/i],
  ["exit-at-once", ["start_failed"], /exit/i],
  ["never-listen", ["start_failed", "timeout"], /./],
]) {
  describe(`containers that ${fault}`, () => {
    let server;
    const config = pools(settings, { env: { FAULT: fault } });
    config.pools.p.start.ready.timeout = "1s";
    before(async () => void (server = await serve(config)));
    after(() => server?.stop());

    test("the caller is told, the stats show the backoff, nothing is left, and a mended start recovers", async () => {
      const answer = await ask(server, "alice");
      assert.ok([502, 503].includes(answer.status), String(answer.status));
      assert.ok(Number(answer.headers.get("retry-after")) >= 1);
      const { error } = await answer.json();
      assert.ok(expected.includes(error.code), error.code);
      assert.match(error.message, message);
      await until("a backoff in the stats", async () => (await stats(server)).shards[0].failures > 0);
      const { shards, assigned, warm } = await stats(server);
      assert.ok(shards[0].lastFailure.message.length > 0);
      assert.deepEqual([assigned, warm], [0, 0]);
      await put(server, pools(settings));
      await full(server);
      assert.equal((await ask(server, "alice")).status, 200);
    });
  });
}

describe("the platform has no room", () => {
  let server;
  before(async () => void (server = await serve(pools({ warm_target: 1, acquire_timeout: "2s" }, { env: { FAULT: "capacity" } }))));
  after(() => server?.stop());

  test("callers get 503, and the ceiling is not learned for ever", async () => {
    const refused = await acquire(server, "alice");
    assert.equal(refused.status, 503);
    assert.equal((await stats(server)).shards[0].ceiling, 0);
    await put(server, pools({ warm_target: 1 }));
    await full(server);
  });
});

describe("a container that ends", () => {
  let server;
  before(async () => void (server = await serve(pools({ warm_target: 1 }))));
  after(() => server?.stop());

  test("its id gets another, with the reason; others are untouched", async () => {
    await full(server);
    await ask(server, "alice");
    await ask(server, "bob");
    const [alice, bob] = [await lookup(server, "alice"), await lookup(server, "bob")];
    await ask(server, "alice", "/__emulated/exit?code=3");
    const former = alice.container.replaceAll("-", "");
    const next = await until("another container answers alice", async () => {
      const answer = await ask(server, "alice");
      return answer.status === 200 && !former.startsWith((await answer.clone().json()).hostname) && answer;
    });
    assert.match(next.headers.get("x-warm-pool"), /^(warm|cold)$/);
    assert.equal(next.headers.get("x-warm-pool-reason"), "container-stopped");
    assert.equal((await lookup(server, "bob")).container, bob.container);
    const { reasons, assigned } = await full(server);
    assert.ok(reasons["container-stopped"] >= 1, JSON.stringify(reasons));
    assert.equal(assigned, 2);
  });
});

describe("a container that ignores SIGTERM", () => {
  let server;
  before(async () => void (server = await serve(pools({ warm_target: 0 }, { env: { FAULT: "ignore-sigterm" } }))));
  after(() => server?.stop());

  test("is destroyed at its deadline and counts until then", async () => {
    await ask(server, "alice");
    await server.admin("/_warm/v1/pools/p/ids/alice", { method: "DELETE" });
    assert.equal((await stats(server)).draining, 1);
    await until("it is gone", async () => (await stats(server)).draining === 0, 8_000);
  });
});
