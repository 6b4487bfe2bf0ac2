// What the gateway remembers: it is fast when right, and harmless when wrong.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { acquire, ask, cached, full, lookup, pools, rpc, serve, until } from "./support.mjs";

/** Ends an id's mapping behind the gateway's back, as another isolate would. */
const releaseElsewhere = (server, id) => rpc(server, "WARM_POOL", "p/0", "release", id);

const hostname = async (answer) => {
  assert.equal(answer.status, 200);
  return (await answer.json()).hostname;
};

/** The one entry of the id cache, once it is there: its key and its value. */
const hinted = (server) => until("a hint is in the cache", async () => Object.entries(await cached(server))[0]);

describe("a container that the gateway remembers", () => {
  let server;
  before(async () => {
    server = await serve(pools({ warm_target: 3 }));
    await full(server);
  });
  after(() => server?.stop());

  test("that the id has lost is asked once, and the id's new one answers", async () => {
    const former = await hostname(await ask(server, "alice"));
    assert.equal(await hostname(await ask(server, "alice")), former);
    assert.equal(await releaseElsewhere(server, "alice"), true);
    const answer = await ask(server, "alice", "/x", { method: "POST", body: "kept" });
    assert.match(answer.headers.get("x-warm-pool"), /^(warm|cold)$/);
    const { hostname: now, body } = await answer.json();
    assert.notEqual(now, former);
    assert.equal(body, "kept", "the body was sent again");
  });

  test("is not tried with a body that cannot be sent again", async () => {
    const former = await hostname(await ask(server, "bob"));
    await releaseElsewhere(server, "bob");
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("once"));
        controller.close();
      },
    });
    const answer = await ask(server, "bob", "/x", { method: "POST", body, duplex: "half" });
    const { hostname: now, body: arrived } = await answer.json();
    assert.notEqual(now, former);
    assert.equal(arrived, "once");
  });

  test("that has died is replaced, and the answer says why", async () => {
    const former = await hostname(await ask(server, "carol"));
    await ask(server, "carol", "/__emulated/exit?code=3").then((answer) => answer.text());
    const answer = await until("another container answers", async () => {
      const answer = await ask(server, "carol");
      return answer.status === 200 && (await answer.clone().json()).hostname !== former && answer;
    });
    assert.equal(answer.headers.get("x-warm-pool-reason"), "container-stopped");
  });
});

describe("the id cache", () => {
  let server;
  before(async () => {
    server = await serve(pools({ warm_target: 2, id_cache: "CONTAINER_ID_CACHE" }));
    await full(server);
  });
  after(() => server?.stop());

  test("serves an id again after every isolate has forgotten it", async () => {
    const before = await hostname(await ask(server, "alice"));
    await server.end();
    await server.start();
    const answer = await ask(server, "alice");
    assert.equal(answer.headers.get("x-warm-pool"), "sticky");
    assert.equal(await hostname(answer), before);
  });

  test("that is out of date costs a retry, never a wrong container", async () => {
    const before = await hostname(await ask(server, "bob"));
    await server.end();
    await server.start();
    await releaseElsewhere(server, "bob");
    const { container } = await acquire(server, "bob");
    const now = await hostname(await ask(server, "bob"));
    assert.notEqual(now, before);
    assert.equal(now, container.replaceAll("-", "").slice(0, now.length));
  });
});

test("a hint that leads to another pool's container of the same id and class is turned away", async () => {
  const config = pools({ warm_target: 1, id_cache: "CONTAINER_ID_CACHE" });
  const slow = { ...config.pools.p.start, env: { BOOT_MS: "3000" } };
  config.pools.q = { ...config.pools.p, warm_target: 0, start: slow };
  config.routes.push({ pool: "q", path: "/q/*", strip_prefix: true, id: { header: "x-session-id" } });
  const server = await serve(config);
  try {
    await full(server);
    const askQ = () => server.fetch("/q/", { headers: { "x-session-id": "alice" } });
    // Only to learn the key of q's alice.
    await hostname(await askQ());
    const [key] = await hinted(server);
    await server.admin("/_warm/v1/pools/q/ids/alice", { method: "DELETE" });
    await until("it is forgotten", async () => Object.keys(await cached(server)).length === 0);

    const ofP = await hostname(await ask(server, "alice"));
    const [, hint] = await hinted(server);
    await cached(server, key, hint);
    const answer = await askQ();
    assert.notEqual(await hostname(answer), ofP);
    assert.equal(answer.headers.get("x-warm-pool"), "cold");
    assert.equal(await hostname(await ask(server, "alice")), ofP);
  } finally {
    await server.stop();
  }
});

test("containers without a fence are reached by way of their shard, and are told nothing of ids", async () => {
  const server = await serve(pools({ container: "PLAIN", warm_target: 1, id_cache: "CONTAINER_ID_CACHE" }));
  try {
    const answers = [await ask(server, "alice"), await ask(server, "alice")];
    const [first, second] = await Promise.all(answers.map((answer) => answer.json()));
    assert.equal(first.plain, second.plain);
    assert.equal(first.plain, (await lookup(server, "alice")).container);
    assert.equal(answers[1].headers.get("x-warm-pool"), "sticky");
    for (const name of Object.keys(second.headers)) assert.doesNotMatch(name, /^x-warm-pool/);
    await releaseElsewhere(server, "alice");
    const third = await (await ask(server, "alice")).json();
    assert.notEqual(third.plain, first.plain, "nothing was remembered");
  } finally {
    await server.stop();
  }
});

test("a POOLS_CONFIG that is refused does not stop the Worker, which says so", async () => {
  const server = await serve("{", {});
  try {
    const health = await (await server.fetch("/_warm/healthz")).json();
    assert.equal(health.status, "degraded");
    assert.equal(health.config.source, "bundled");
    assert.match(health.message, /POOLS_CONFIG/);
    assert.match(server.log, /POOLS_CONFIG/);
    const { source } = await (await server.admin("/_warm/v1/config")).json();
    assert.equal(source, "bundled");
  } finally {
    await server.stop();
  }
});
