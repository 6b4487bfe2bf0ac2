// The admin API: closed without a token, and a configuration is taken whole or refused whole.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { acquire, full, lookup, moved, pools, put, rpc, serve, sleep, stats, until } from "./support.mjs";

const PATHS = [
  ["GET", "/_warm/openapi.json"],
  ["GET", "/_warm/metrics"],
  ["GET", "/_warm/v1/pools"],
  ["GET", "/_warm/v1/pools/p"],
  ["GET", "/_warm/v1/pools/p/ids/a"],
  ["PUT", "/_warm/v1/pools/p/ids/a"],
  ["DELETE", "/_warm/v1/pools/p/ids/a"],
  ["POST", "/_warm/v1/pools/p/shutdown-prewarmed"],
  ["GET", "/_warm/v1/config"],
  ["PUT", "/_warm/v1/config"],
  ["DELETE", "/_warm/v1/config"],
  ["POST", "/_warm/v1/config/validate"],
  ["GET", "/_warm/v1/config/history"],
  ["GET", "/_warm/v1/config/history/1"],
  ["POST", "/_warm/v1/config/rollback"],
  ["GET", "/_warm/v1/audit"],
  ["GET", "/_warm/v1/events"],
];

describe("without a token in the Worker", () => {
  let server;
  before(async () => void (server = await serve(pools(), { adminToken: null })));
  after(() => server?.stop());

  test("everything is closed, and healthz is open", async () => {
    for (const [method, path] of PATHS) {
      for (const authorization of [undefined, "Bearer ", "Bearer undefined", "Bearer null"]) {
        const answer = await server.fetch(path, { method, headers: authorization ? { authorization } : {} });
        assert.ok([401, 403].includes(answer.status), `${method} ${path}: ${answer.status}`);
      }
    }
    assert.equal((await server.fetch("/_warm/healthz")).status, 200);
    const posted = await server.fetch("/_warm/healthz", { method: "POST" });
    assert.deepEqual([posted.status, posted.headers.get("allow")], [405, "GET, HEAD"]);
  });
});

describe("with a token", () => {
  let server;
  before(async () => void (server = await serve(pools({ shards: 2 }))));
  after(() => server?.stop());

  test("a wrong one is refused everywhere", async () => {
    for (const [method, path] of PATHS) {
      for (const authorization of [undefined, "Bearer wrong", `Basic ${server.adminToken}`, server.adminToken]) {
        const answer = await server.fetch(path, { method, headers: authorization ? { authorization } : {} });
        assert.equal(answer.status, 401, `${method} ${path}`);
      }
    }
  });

  test("pools: their stats, all or one, and 404 for another", async () => {
    await full(server);
    const { pools: all } = await (await server.admin("/_warm/v1/pools")).json();
    assert.deepEqual(all.map(({ name }) => name), ["p"]);
    const one = await stats(server);
    assert.deepEqual([one.warm, one.assigned, one.total, one.complete], [2, 0, 2, true]);
    assert.deepEqual([one.config.warmTarget, one.config.refreshInterval, one.shards.length], [2, 1000, 2]);
    assert.equal((await server.admin("/_warm/v1/pools/q")).status, 404);
  });

  test("ids: look up without allocating, acquire, release", async () => {
    await full(server);
    // By now a shard without stock of its own has heard who has some.
    await sleep(2_500);
    assert.equal(await lookup(server, "alice"), null);
    assert.equal((await stats(server)).assigned, 0);
    const { container, outcome, shard, status } = await acquire(server, "alice");
    assert.equal(status, 200);
    assert.ok(["warm", "borrowed"].includes(outcome), outcome);
    const found = await lookup(server, "alice");
    assert.deepEqual([found.container, found.shard, found.outcome], [container, shard, undefined]);
    for (let n = 0; n < 2; n++) {
      const released = await server.admin("/_warm/v1/pools/p/ids/alice", { method: "DELETE" });
      assert.equal(released.status, 204, "also when it had none");
    }
    assert.equal(await lookup(server, "alice"), null);
    for (const pool of ["q", "P"]) {
      assert.equal((await server.admin(`/_warm/v1/pools/${pool}/ids/a`, { method: "PUT" })).status, 404);
    }
    assert.equal((await server.admin(`/_warm/v1/pools/p/ids/${"x".repeat(300)}`, { method: "PUT" })).status, 400);
    assert.equal((await server.admin("/_warm/v1/pools/p/ids/a", { method: "POST" })).status, 405);
  });

  test("a bad configuration is refused whole, with every error, and the old one serves on", async () => {
    const before = await (await server.admin("/_warm/v1/config")).json();
    const bad = pools({ warm_taget: 3, shards: 0, refresh_interval: "soon", sleep_after: "1s" });
    bad.routes.push({ pool: "q", path: "/q/*", id: { header: "x" } });
    for (const [method, path] of [["PUT", "/_warm/v1/config"], ["POST", "/_warm/v1/config/validate"]]) {
      const answer = await server.admin(path, { method, body: bad });
      assert.equal(answer.status, 422);
      const { error } = await answer.json();
      const paths = error.errors.map((each) => each.path).join(" ");
      for (const path of ["pools.p.warm_taget", "pools.p.shards", "pools.p.refresh_interval", "routes[1].pool"]) {
        assert.ok(paths.includes(path), `${path} in ${paths}`);
      }
      const typo = error.errors.find((each) => each.path === "pools.p.warm_taget");
      assert.match(typo.message, /warm_target/);
    }
    for (const body of ["{", "[]", "null", '"x"']) {
      assert.ok([400, 422].includes((await server.admin("/_warm/v1/config", { method: "PUT", body })).status), body);
    }
    const missing = await server.admin("/_warm/v1/config", { method: "PUT", body: pools({ container: "NOWHERE" }) });
    assert.equal(missing.status, 422);
    assert.deepEqual(await (await server.admin("/_warm/v1/config")).json(), before);
  });

  test("a shard count may change, and the stats say how far that is", async () => {
    const { shards, migration } = await stats(server);
    assert.deepEqual([shards.length, migration], [2, null]);
    // A shard that does not hear of it keeps the change open: neither by being told, nor when it reports.
    await rpc(server, "WARM_POOL", "p/0", "deafen", 1);
    await rpc(server, "POOL_COORDINATOR", "coordinator", "ignoreReports", true);
    const view = await put(server, pools({ shards: 3 }));
    assert.deepEqual([view.config.pools.p.shards, view.moving], [3, { p: { from: 2, to: 3 } }]);
    const waits = await put(server, pools({ shards: 4 }));
    assert.deepEqual([waits.config.pools.p.shards, waits.moving], [3, { p: { from: 2, to: 3 } }], "the second waits");
    await rpc(server, "POOL_COORDINATOR", "coordinator", "ignoreReports", false);
    await moved(server, 4);
    const { moving } = await (await server.admin("/_warm/v1/config")).json();
    assert.equal(moving, undefined);
    assert.equal((await stats(server)).shards.length, 4);
    assert.equal((await server.admin("/_warm/v1/config", { method: "DELETE" })).status, 200);
    await moved(server, 2);
  });

  test("a good one is in force at once, can be read and put back, and dropped", async () => {
    const before = await (await server.admin("/_warm/v1/config")).json();
    assert.equal(before.source, "var");
    const config = pools({ warm_target: 5, shards: 2 });
    assert.equal((await server.admin("/_warm/v1/config/validate", { method: "POST", body: config })).status, 200);
    const applied = await (await server.admin("/_warm/v1/config", { method: "PUT", body: config })).json();
    assert.equal(applied.source, "admin");
    assert.ok(applied.version > before.version);
    assert.equal((await full(server)).config.warmTarget, 5);
    const read = await (await server.admin("/_warm/v1/config")).json();
    const again = await server.admin("/_warm/v1/config", { method: "PUT", body: read.config });
    assert.equal(again.status, 200);
    assert.deepEqual((await again.json()).config, read.config);
    const dropped = await server.admin("/_warm/v1/config", { method: "DELETE" });
    assert.ok(dropped.ok);
    await until("the variable is in force again", async () => (await stats(server)).warm === 2);
  });

  test("a changed container class leaves ids with the containers they have", async () => {
    const ask = async (id) => (await server.fetch("/p/", { headers: { "x-session-id": id } })).json();
    const { hostname } = await ask("before");
    const config = pools({ shards: 2, container: "API" });
    assert.equal((await server.admin("/_warm/v1/config", { method: "PUT", body: config })).status, 200);
    await until("new ids are of the new class", async () => (await stats(server)).config.container === "API");
    for (let n = 0; n < 3; n++) assert.equal((await ask("before")).hostname, hostname);
    assert.notEqual((await ask("after")).hostname, hostname);
    await server.admin("/_warm/v1/config", { method: "DELETE" });
  });

  test("a route that is put is served within seconds, by gateways that were running", async () => {
    const config = pools({ shards: 2 });
    config.routes.push({ pool: "p", path: "/new/*", id: { query: "u" } });
    const put = await server.admin("/_warm/v1/config", { method: "PUT", body: config });
    assert.equal(put.status, 200, await put.text());
    await until("the route serves", async () => (await server.fetch("/new/x?u=a")).status === 200);
    await server.admin("/_warm/v1/config", { method: "DELETE" });
  });
});
