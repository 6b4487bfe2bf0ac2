// The promises of a pool, on real workerd: its SQLite, alarms and RPC.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { acquire, ask, full, lookup, pools, rpc, serve, stats, until } from "./support.mjs";

describe("a pool of four shards", () => {
  let server;
  before(async () => void (server = await serve(pools({ warm_target: 4, shards: 4 }))));
  after(() => server?.stop());

  test("is full before any request", async () => {
    const { shards } = await full(server);
    const [warm, target] = ["warm", "warmTarget"].map((key) => shards.reduce((sum, shard) => sum + shard[key], 0));
    assert.deepEqual([warm, target, shards.length], [4, 4, 4]);
  });

  test("exclusive: 200 concurrent first requests for 20 ids assign exactly 20 containers", async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, n) => {
        const answer = await ask(server, `burst-${n % 20}`);
        assert.equal(answer.status, 200, await answer.clone().text());
        return { id: n % 20, hostname: (await answer.json()).hostname };
      }),
    );
    const byId = new Map(answers.map(({ id, hostname }) => [id, hostname]));
    assert.equal(new Set(byId.values()).size, 20);
    for (const { id, hostname } of answers) assert.equal(hostname, byId.get(id));
    const { assigned } = await stats(server);
    assert.equal(assigned, 20);
  });

  test("single: concurrent first requests for one id share one container", async () => {
    const before = (await stats(server)).assigned;
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(server, "one")));
    const hostnames = await Promise.all(answers.map(async (answer) => (await answer.json()).hostname));
    assert.equal(new Set(hostnames).size, 1);
    assert.equal((await stats(server)).assigned, before + 1);
  });

  test("sticky: a second request says so, and reaches the same state", async () => {
    await full(server);
    const first = await ask(server, "alice", "/increment", { method: "POST" });
    assert.match(first.headers.get("x-warm-pool"), /^(warm|borrowed)$/);
    const { hostname } = await first.json();
    for (const count of [2, 3]) {
      const again = await ask(server, "alice", "/increment", { method: "POST" });
      assert.equal(again.headers.get("x-warm-pool"), "sticky");
      const body = await again.json();
      assert.deepEqual([body.hostname, body.count], [hostname, count]);
    }
    const other = await ask(server, "bob");
    assert.notEqual((await other.json()).hostname, hostname);
  });

  test("an id that was released gets another container, and its state is gone", async () => {
    const former = await lookup(server, "alice");
    const released = await server.admin("/_warm/v1/pools/p/ids/alice", { method: "DELETE" });
    assert.equal(released.status, 204);
    const again = await acquire(server, "alice");
    assert.notEqual(again.container, former.container);
    const body = await (await ask(server, "alice", "/increment", { method: "POST" })).json();
    assert.equal(body.count, 1);
  });

  test("a request by way of a stale route costs a retry, never a wrong container", async () => {
    await ask(server, "carol");
    const former = await lookup(server, "carol");
    await server.admin("/_warm/v1/pools/p/ids/carol", { method: "DELETE" });
    const answer = await ask(server, "carol");
    assert.equal(answer.status, 200);
    const now = await lookup(server, "carol");
    assert.notEqual(now.container, former.container);
    assert.equal((await answer.json()).hostname, hostnameOf(now.container));
  });

  test("a lookup or a release that fails is tried once more, and no more than that", async () => {
    const { container, shard } = await acquire(server, "dave");
    const stumble = (calls) => rpc(server, "WARM_POOL", `p/${shard}`, "stumble", calls);
    const call = (method) => server.admin("/_warm/v1/pools/p/ids/dave", { method });
    await stumble(1);
    assert.equal((await lookup(server, "dave")).container, container);
    await stumble(2);
    assert.equal((await call("GET")).status, 503);
    await stumble(2);
    assert.equal((await call("DELETE")).status, 503);
    assert.equal((await lookup(server, "dave")).container, container, "nothing has changed");
    await stumble(1);
    assert.equal((await call("DELETE")).status, 204);
    assert.equal(await lookup(server, "dave"), null);
  });

  test("refills as soon as one is taken", async () => {
    await full(server);
    await ask(server, "refill");
    const { startsReady } = await full(server);
    assert.ok(startsReady > 0);
  });

  test("shutdown-prewarmed replaces the stock and leaves assigned ones alone", async () => {
    await full(server);
    const before = await lookup(server, "bob");
    const { assigned } = await stats(server);
    const answer = await server.admin("/_warm/v1/pools/p/shutdown-prewarmed", { method: "POST" });
    assert.ok(answer.ok, String(answer.status));
    await full(server);
    assert.equal((await stats(server)).assigned, assigned);
    assert.equal((await lookup(server, "bob")).container, before.container);
  });
});

describe("bounded: six containers over four shards", () => {
  let server;
  const config = pools({ warm_target: 0, shards: 4, max_instances: 6, acquire_timeout: "3s" });
  before(async () => void (server = await serve(config)));
  after(() => server?.stop());

  test("fifty ids: never more than six, the rest wait and then get 503 with Retry-After", async () => {
    let most = 0;
    let done = false;
    const watching = (async () => {
      while (!done) {
        const { starting, warm, assigned, draining } = await stats(server);
        most = Math.max(most, starting + warm + assigned + draining);
      }
    })();
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => ask(server, `id-${n}`)));
    done = true;
    await watching;
    const served = answers.filter(({ status }) => status === 200);
    const refused = answers.filter(({ status }) => status === 503);
    assert.deepEqual([served.length, refused.length, most], [6, 44, 6]);
    for (const answer of refused) {
      assert.ok(Number(answer.headers.get("retry-after")) >= 1);
      assert.equal((await answer.json()).error.code, "at_capacity");
    }
  });

  test("a place that comes free is used", async () => {
    const { shards } = await stats(server);
    assert.equal(shards.reduce((sum, shard) => sum + shard.maxInstances, 0), 6);
    const id = await until("an id with a container", async () => {
      for (let n = 0; n < 50; n++) if (await lookup(server, `id-${n}`)) return `id-${n}`;
    });
    await server.admin(`/_warm/v1/pools/p/ids/${id}`, { method: "DELETE" });
    assert.equal((await ask(server, id)).status, 200);
  });
});

/** How an emulated container names itself. */
function hostnameOf(container) {
  return container.replaceAll("-", "").slice(0, 12);
}
