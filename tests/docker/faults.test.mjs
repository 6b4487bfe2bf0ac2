// Real containers that fail: a clear error, no leak, backoff in the stats, recovery when mended.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, full, pools, sleep, stats, until } from "../workerd/support.mjs";
import { booksAgree, running, suite } from "./support.mjs";

function config(fault, pool = {}) {
  const env = fault ? { FAULT: fault } : {};
  return pools({
    warm_target: 1,
    acquire_timeout: "10s",
    ...pool,
    start: { env, ready: { path: "/healthz", timeout: "2s" } },
  });
}

async function put(server, body) {
  const answer = await server.admin("/_warm/v1/config", { method: "PUT", body });
  assert.equal(answer.status, 200, await answer.clone().text());
}

for (const fault of ["never-listen", "exit-at-once"]) {
  suite(`an image whose containers ${fault}`, { pools: config(fault) }, (server) => {
    test("the caller is told, nothing leaks, the backoff shows, and a mended one recovers", async () => {
      const answer = await ask(server(), "alice");
      assert.ok([502, 503].includes(answer.status), String(answer.status));
      const { error } = await answer.json();
      assert.match(error.code, /^(start_failed|timeout)$/);
      assert.ok(error.message.length > 10);
      await until("the stats show it", async () => (await stats(server())).shards[0].failures > 0);
      await put(server(), config(null));
      await full(server());
      await booksAgree(server());
      assert.equal((await ask(server(), "alice")).status, 200);
    });
  });
}

suite("an image that is missing", { pools: config(null), images: { CounterContainer: "no-such-image:1" } }, (server) => {
  test("the caller is told at once, and nothing runs", async () => {
    const answer = await until("an answer that names the failure", async () => {
      const answer = await ask(server(), "alice");
      return answer.status === 502 && answer;
    });
    const { error } = await answer.json();
    assert.equal(error.code, "start_failed");
    assert.match(error.message, /image/i);
    const { shards } = await stats(server());
    assert.ok(shards[0].failures > 0);
    assert.deepEqual(await running(server()), []);
  });
});

suite("a container that ignores SIGTERM", { pools: config("ignore-sigterm", { warm_target: 0, drain_timeout: "3s" }) }, (server) => {
  test("is destroyed at its deadline, and counts until then", async () => {
    assert.equal((await ask(server(), "alice")).status, 200);
    await server().admin("/_warm/v1/pools/p/ids/alice", { method: "DELETE" });
    await sleep(500);
    assert.equal((await running(server())).length, 1, "SIGTERM has reached it by now");
    assert.equal((await stats(server())).draining, 1);
    await until("it is gone", async () => (await running(server())).length === 0);
    await until("the books say so too", async () => (await stats(server())).draining === 0);
  });
});
