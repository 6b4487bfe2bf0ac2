// The main promises on real containers: `docker ps` and each container's own memory are the witnesses.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, full, lookup, pools, stats, until } from "../workerd/support.mjs";
import { booksAgree, containerOf, kill, running, suite } from "./support.mjs";

const json = async (answer) => {
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
};

suite("the bundled configuration", {}, (server) => {
  test("before any request, docker ps shows the warm target of each pool", async () => {
    await full(server(), "api");
    await full(server(), "counter");
    const byClass = Object.groupBy(await running(server()), ({ className }) => className);
    const counts = Object.entries(byClass).map(([name, list]) => [name, list.length]);
    assert.deepEqual(new Map(counts), new Map([["ApiContainer", 3], ["CounterContainer", 4]]));
  });

  test("the first request is warm, the next sticky, another id has another container", async () => {
    const get = (id, path = "/counter/", init = {}) =>
      server().fetch(path, { ...init, headers: { "x-session-id": id } });
    const first = await get("alice", "/counter/increment", { method: "POST" });
    assert.equal(first.headers.get("x-warm-pool"), "warm");
    const { hostname } = await json(first);
    const again = await get("alice", "/counter/increment", { method: "POST" });
    assert.equal(again.headers.get("x-warm-pool"), "sticky");
    const { hostname: same, count } = await json(again);
    assert.deepEqual([same, count], [hostname, 2]);
    assert.notEqual((await json(await get("bob"))).hostname, hostname);
    assert.equal((await get("alice", "/counter/kv/x", { method: "PUT", body: "1" })).status, 204);
    assert.equal((await get("bob", "/counter/kv/x")).status, 404);
  });

  test("a slow boot is hidden: a first request of the api pool takes less than its boot", async () => {
    const { config } = await full(server(), "api");
    assert.equal(config.warmTarget, 3);
    const begin = performance.now();
    const answer = await server().fetch("/api/", { headers: { "x-session-id": "alice" } });
    assert.equal(answer.headers.get("x-warm-pool"), "warm");
    const { booted_in_ms: boot, warmups } = await json(answer);
    assert.ok(performance.now() - begin < boot / 2, `${performance.now() - begin} ms against ${boot} ms`);
    assert.equal(warmups, 1, "the setup request ran once");
  });

  test("streams and WebSockets reach the container", async () => {
    const headers = { "x-session-id": "alice" };
    const body = "x".repeat(2_000_000);
    const echoed = await server().fetch("/api/echo", { method: "POST", body, headers });
    assert.equal(await echoed.text(), body);
    // Not compressed: the compressor of the local server would hold the parts back.
    const plain = { ...headers, "accept-encoding": "identity" };
    const stream = await server().fetch("/api/stream?n=5&ms=200", { headers: plain });
    const begin = performance.now();
    const reader = stream.body.getReader();
    await reader.read();
    const first = performance.now() - begin;
    while (!(await reader.read()).done);
    assert.ok(first < (performance.now() - begin) / 2, "the first part came before the last was made");
    const socket = new WebSocket(new URL("/api/ws", server().url).href.replace("http", "ws"), { headers });
    const heard = await new Promise((resolve, reject) => {
      socket.addEventListener("open", () => socket.send("hello"));
      socket.addEventListener("message", ({ data }) => resolve(data));
      socket.addEventListener("error", () => reject(new Error("the socket failed")));
    });
    assert.equal(heard, "hello");
    socket.close();
  });

  test("nothing of ours but what a container may know reaches it", async () => {
    const headers = { "x-session-id": "alice", "cf-container-target-port": "1", "x-warm-pool-epoch": "77" };
    const seen = JSON.stringify(await json(await server().fetch("/api/headers", { headers }))).toLowerCase();
    assert.ok(!seen.includes("cf-container-target-port"));
    assert.ok(!seen.includes('"77"'));
    const env = await json(await server().fetch("/api/env", { headers: { "x-session-id": "alice" } }));
    assert.equal((env.env ?? env).BOOT_MS, "3000");
  });

  test("after SIGKILL every mapping is as before, and no container is orphaned", async () => {
    const before = (await lookup(server(), "alice", "counter")).container;
    await server().kill();
    assert.ok((await running(server())).length > 0, "containers outlive the runtime");
    await server().start();
    const answer = await server().fetch("/counter/increment", { method: "POST", headers: { "x-session-id": "alice" } });
    assert.equal(answer.headers.get("x-warm-pool"), "sticky");
    assert.equal((await json(answer)).count, 3, "the same process");
    assert.equal((await lookup(server(), "alice", "counter")).container, before);
    await booksAgree(server(), ["api", "counter"]);
  });
});

const quick = (pool, extra = {}) => pools({ start: { ready: { path: "/healthz" }, ...extra }, ...pool });

suite("containers that die", { pools: quick({ warm_target: 2, refresh_interval: "2s" }) }, (server) => {
  test("docker kill of an assigned one: its id gets another, with the reason; others are untouched", async () => {
    await full(server());
    await json(await ask(server(), "alice", "/increment", { method: "POST" }));
    await json(await ask(server(), "bob", "/increment", { method: "POST" }));
    const former = await containerOf(server(), "alice");
    await kill(former);
    const next = await until("alice is served again", async () => {
      const answer = await ask(server(), "alice", "/increment", { method: "POST" });
      return answer.status === 200 && answer;
    });
    assert.equal((await next.json()).count, 1, "a new process");
    assert.match(next.headers.get("x-warm-pool"), /^(warm|cold)$/);
    assert.equal(next.headers.get("x-warm-pool-reason"), "container-stopped");
    const bob = await json(await ask(server(), "bob", "/increment", { method: "POST" }));
    assert.equal(bob.count, 2);
    await booksAgree(server());
  });

  test("docker kill of a warm one: it is replaced", async () => {
    await full(server());
    const assigned = new Set([(await containerOf(server(), "alice")).name, (await containerOf(server(), "bob")).name]);
    const warm = (await running(server())).find(({ name }) => !assigned.has(name));
    await kill(warm);
    await until("the killed one is off Docker's list", async () => {
      return !(await running(server())).some(({ name }) => name === warm.name);
    });
    await full(server());
    await booksAgree(server());
  });

  test("one that exits with an error stays gone, though the engine would start it again", async () => {
    await full(server());
    await json(await ask(server(), "carol", "/increment", { method: "POST" }));
    const former = await containerOf(server(), "carol");
    await ask(server(), "carol", "/exit?code=3");
    await until("carol has another", async () => {
      const answer = await ask(server(), "carol", "/increment", { method: "POST" });
      return answer.status === 200 && (await answer.json()).count === 1;
    });
    await booksAgree(server());
    assert.ok(!(await running(server())).some(({ name }) => name === former.name));
  });
});

suite("many at once", { pools: quick({ warm_target: 4, shards: 4, max_concurrent_starts: 8 }) }, (server) => {
  test("200 concurrent first requests for 20 ids: exactly 20 containers assigned", async () => {
    await full(server());
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, n) => ({ n: n % 20, ...(await json(await ask(server(), `id-${n % 20}`))) })),
    );
    const hosts = Map.groupBy(answers, ({ n }) => n);
    for (const [n, group] of hosts) assert.equal(new Set(group.map(({ hostname }) => hostname)).size, 1, `id-${n}`);
    assert.equal(new Set(answers.map(({ hostname }) => hostname)).size, 20);
    assert.equal((await stats(server())).assigned, 20);
    await full(server());
    await booksAgree(server());
  });
});

suite(
  "six containers over four shards",
  { pools: quick({ warm_target: 0, shards: 4, max_instances: 6, acquire_timeout: "4s" }) },
  (server) => {
    test("50 concurrent ids: docker ps never shows more than six; the rest get 503", async () => {
      let most = 0;
      let done = false;
      const watching = (async () => {
        while (!done) most = Math.max(most, (await running(server())).length);
      })();
      const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => ask(server(), `id-${n}`)));
      done = true;
      await watching;
      const statuses = answers.map(({ status }) => status);
      assert.equal(statuses.filter((status) => status === 200).length, 6, String(statuses));
      assert.equal(statuses.filter((status) => status === 503).length, 44);
      assert.ok(most <= 6, `${most} at once`);
      for (const answer of answers.filter(({ status }) => status === 503)) {
        assert.ok(Number(answer.headers.get("retry-after")) >= 1);
      }
    });
  },
);
