// Containers that go to sleep for want of traffic.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, full, lookup, pools, serve, sleep, stats, until } from "./support.mjs";

let server;
const settings = { warm_target: 1, sleep_after: "2s", drain_timeout: "20s" };
before(async () => void (server = await serve(pools(settings, { env: { FAULT: "ignore-sigterm" } }))));
after(() => server?.stop());

test("an idle container stops itself, and while it is still stopping its id gets another at once", async () => {
  await full(server);
  assert.equal((await ask(server, "alice")).status, 200);
  const former = await lookup(server, "alice");
  await sleep(3_500);
  const begin = Date.now();
  const answer = await ask(server, "alice");
  assert.equal(answer.status, 200, await answer.clone().text());
  assert.ok(Date.now() - begin < 3_000, `${Date.now() - begin} ms`);
  assert.notEqual((await lookup(server, "alice")).container, former.container);
  assert.ok((await stats(server)).draining >= 1, "the former one still has its time to stop");
});

test("a container in use does not", async () => {
  await ask(server, "bob");
  const { container } = await lookup(server, "bob");
  for (let n = 0; n < 6; n++) {
    await sleep(1_000);
    assert.equal((await ask(server, "bob")).headers.get("x-warm-pool"), "sticky");
  }
  assert.equal((await lookup(server, "bob")).container, container);
});

test("the stock is kept from sleeping", async () => {
  await sleep(3_000);
  const { reasons } = await until("the pool is full", async () => {
    const now = await stats(server);
    return now.warm === 1 && now;
  });
  assert.equal((await ask(server, "carol")).headers.get("x-warm-pool"), "warm", JSON.stringify(reasons));
});
