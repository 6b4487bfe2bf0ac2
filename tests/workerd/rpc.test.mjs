// What a JavaScript Worker and a JavaScript container class can call.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { full, lookup, pools, rpc, serve, stats, until } from "./support.mjs";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("a shard by RPC", () => {
  let server;
  const call = (method, ...args) => rpc(server, "WARM_POOL", "p/0", method, ...args);
  before(async () => void (server = await serve(pools({ warm_target: 2 }))));
  after(() => server?.stop());

  test("getContainer, lookupContainer and release", async () => {
    await full(server);
    assert.equal(await call("lookupContainer", "alice"), null);
    const first = await call("getContainer", "alice");
    assert.match(first.container, UUID);
    assert.deepEqual([first.outcome, first.shard, first.fenced], ["warm", 0, true]);
    const again = await call("getContainer", "alice");
    assert.deepEqual([again.container, again.epoch, again.outcome], [first.container, first.epoch, "sticky"]);
    assert.equal((await call("lookupContainer", "alice")).container, first.container);
    assert.equal(await call("release", "alice"), true);
    assert.equal(await call("release", "alice"), false);
    assert.equal(await call("lookupContainer", "alice"), null);
  });

  test("bad ids are refused and change nothing", async () => {
    const before = await call("getStats");
    for (const bad of ["", "x".repeat(257), "a\u0000b", 7, null, { toString: "x" }]) {
      await assert.rejects(call("getContainer", bad), /id/);
    }
    const now = await call("getStats");
    assert.deepEqual([now.assigned, now.waiting], [before.assigned, before.waiting]);
  });

  test("messages that are no JSON, or have a number that is none of ours, are refused as a TypeError", async () => {
    const before = await call("getStats");
    const acquires = [{ id: "odd", shards: "$bigint" }, { id: "odd", code: "$cycle" }, "$map", { id: "odd\ud800" }, {}, 7, null];
    for (const request of acquires) await assert.rejects(call("acquire", request), { name: "TypeError" });
    const { container } = await call("getContainer", "numbers");
    for (const epoch of [-1, 1.5, 1e300, "1"]) {
      await assert.rejects(call("confirmLease", { container, session: "numbers", epoch }), { name: "TypeError" });
    }
    assert.equal(await call("confirmLease", { container, session: "numbers", epoch: 2 ** 53 }), "denied");
    const now = await call("getStats");
    assert.deepEqual([now.assigned, now.waiting], [before.assigned + 1, before.waiting]);
  });

  test("a pool that is in no configuration starts nothing", async () => {
    await assert.rejects(rpc(server, "WARM_POOL", "ghost/0", "getContainer", "alice"), { code: "unknown_pool" });
    assert.equal((await rpc(server, "WARM_POOL", "ghost/0", "getStats")).total, 0);
  });

  test("a pool that no configuration has can be configured by code, and only then serves", async () => {
    const configure = (object, settings) => rpc(server, "WARM_POOL", object, "configure", settings);
    await assert.rejects(configure("code/0", { container: "COUNTER", warmTaget: 1, shards: 0 }), (error) => {
      return error.name === "TypeError" && /warmTarget/.test(error.message) && /shards/.test(error.message);
    });
    await assert.rejects(rpc(server, "WARM_POOL", "code/0", "getContainer", "alice"), { code: "unknown_pool" });
    const settings = { container: "COUNTER", warmTarget: 1, start: { env: { BOOT_MS: "50" } } };
    await configure("code/0", settings);
    assert.match((await rpc(server, "WARM_POOL", "code/0", "getContainer", "alice")).container, UUID);
    await configure("code/0", { ...settings, warmTarget: 2 });
    assert.equal((await rpc(server, "WARM_POOL", "code/0", "getStats")).warmTarget, 2);
    await assert.rejects(configure("p/0", settings), /from a configuration/);
  });

  test("a pool by code has one shard count, the first that it got, though a coordinator knows no such pool", async () => {
    const settings = { container: "COUNTER", warmTarget: 0 };
    const configure = (object, shards) => rpc(server, "WARM_POOL", object, "configure", { ...settings, shards });
    const shardsOf = async (object) => (await rpc(server, "WARM_POOL", object, "getPlan")).pool.shards;
    await configure("counted/0", 2);
    await configure("counted/3", 4);
    assert.equal(await shardsOf("counted/3"), 2);
    // Two callers, of whom the one is heard by the first shard only after the other was by its own.
    await configure("raced/3", 4);
    await configure("raced/0", 2);
    assert.deepEqual([await shardsOf("raced/0"), await shardsOf("raced/3")], [4, 4]);
  });

  test("an id that is no text is refused, for what stands in its place could be several", async () => {
    for (const id of ["a\ud800", "a\udbff", "a\ufffd"]) {
      for (const method of ["getContainer", "lookupContainer", "release"]) {
        await assert.rejects(call(method, id), { name: "TypeError", message: /U\+FFFD/ });
      }
    }
  });

  test("release and lookup of an id that another shard owns are refused, not answered with nothing", async () => {
    for (const method of ["release", "lookupContainer"]) {
      await assert.rejects(rpc(server, "WARM_POOL", "p/3", method, "alice"), { code: "wrong_shard", shards: 1 });
    }
  });

  test("a shard beyond the count in force refuses ids", async () => {
    await assert.rejects(rpc(server, "WARM_POOL", "p/5", "getContainer", "alice"), { code: "wrong_shard", shards: 1 });
  });

  test("an object whose name is no shard says so", async () => {
    await assert.rejects(rpc(server, "WARM_POOL", "p", "getContainer", "alice"), /pool.*shard/);
  });

  test("wasm's insides are not exposed", async () => {
    for (const method of ["free", "__destroy_into_raw"]) await assert.rejects(call(method));
  });

  test("confirmLease grants the holder only", async () => {
    const alice = await call("getContainer", "lease-a");
    const bob = await call("getContainer", "lease-b");
    const confirm = (container, session, epoch) => call("confirmLease", { container, session, epoch });
    assert.deepEqual(Object.keys(await confirm(alice.container, "lease-a", alice.epoch)), ["granted"]);
    assert.equal(await confirm(alice.container, "lease-b", bob.epoch), "denied");
    assert.equal(await confirm(alice.container, "lease-a", bob.epoch), "denied");
  });
});

describe("reportStopped", () => {
  let server;
  const plain = { container: "PLAIN", warm_target: 2, shards: 2 };
  before(async () => void (server = await serve(pools(plain))));
  after(() => server?.stop());

  for (const [how, nameOf] of [
    ["the UUID", (container) => container],
    ["the hex id, as this.ctx.id.toString() gives it", (container) => rpc(server, "PLAIN", container, "hexId")],
  ]) {
    for (const sentTo of ["p/0", "p/1"]) {
      test(`frees the slot at once by ${how}, sent to ${sentTo}`, async () => {
        const id = `by ${how} to ${sentTo}`;
        const answer = await server.admin(`/_warm/v1/pools/p/ids/${encodeURIComponent(id)}`, { method: "PUT" });
        const { container } = await answer.json();
        assert.equal(await rpc(server, "WARM_POOL", sentTo, "reportStopped", await nameOf(container)), true);
        assert.equal(await lookup(server, id), null);
      });
    }
  }

  test("of a container that is on no books is false, and of nonsense an error", async () => {
    const nobody = "00000000-0000-4000-8000-000000000000";
    assert.equal(await rpc(server, "WARM_POOL", "p/0", "reportStopped", nobody), false);
    await assert.rejects(rpc(server, "WARM_POOL", "p/0", "reportStopped", "nonsense"), /UUID/);
  });
});

describe("a container class in JavaScript", () => {
  let server;
  before(async () => void (server = await serve(pools({ container: "PLAIN", warm_target: 1 }))));
  after(() => server?.stop());

  test("is served through the shard, and a death that nobody reports is found", async () => {
    await full(server);
    const get = () => server.fetch("/p/x", { headers: { "x-session-id": "alice" } });
    const first = await get();
    assert.equal(first.headers.get("x-warm-pool"), "warm");
    const { plain } = await first.json();
    assert.equal((await lookup(server, "alice")).container, plain);
    await rpc(server, "PLAIN", plain, "die");
    await until("the mapping ends", async () => (await lookup(server, "alice")) === null);
    const next = await get();
    assert.notEqual((await next.json()).plain, plain);
    assert.equal(next.headers.get("x-warm-pool-reason"), "container-stopped");
    assert.equal((await stats(server)).assigned, 1);
  });
});
