// What the gateway remembers: it is fast when right, and harmless when wrong.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { acquire, ask, cached, full, lookup, pools, rpc, serve, sleep, until } from "./support.mjs";

/** Ends an id's mapping behind the gateway's back, as another isolate would. */
const releaseElsewhere = (server, id) => rpc(server, "WARM_POOL", "p/0", "release", id);

const hostname = async (answer) => {
  assert.equal(answer.status, 200);
  return (await answer.json()).hostname;
};

/** The entry of the id cache, besides those `known`, once it is there: its key and its value. */
const hinted = (server, known = new Set()) =>
  until("a hint is in the cache", async () => Object.entries(await cached(server)).find(([key]) => !known.has(key)));

/** Has the isolate hear from the shard that containers of the pool check themselves whom they serve. */
const learnFence = (server) => acquire(server, "an id that is asked for nothing");

/** How long a slow shard takes to give a container, in ms. */
const SLOW = 3_000;
const slowShard = (server) => rpc(server, "WARM_POOL", "p/0", "slow", SLOW);

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

  test("serves an id again after every isolate has forgotten it, before its shard has answered", async () => {
    const before = await hostname(await ask(server, "alice"));
    await hinted(server);
    await server.end();
    await server.start();
    await learnFence(server);
    await slowShard(server);
    const began = Date.now();
    const answer = await ask(server, "alice");
    assert.ok(Date.now() - began < SLOW, "the shard was not waited for");
    assert.equal(answer.headers.get("x-warm-pool"), "sticky");
    assert.equal(await hostname(answer), before);
  });

  test("that is wrong costs a question to a container, never a wrong one", async () => {
    const { container: ofCarol } = await acquire(server, "carol");
    const { epoch } = await rpc(server, "WARM_POOL", "p/0", "lookupContainer", "carol");
    const known = new Set(Object.keys(await cached(server)));
    const ofBob = await hostname(await ask(server, "bob"));
    const [key] = await hinted(server, known);
    await server.end();
    await server.start();
    const wrong = JSON.stringify({ container: ofCarol, epoch });
    await learnFence(server);
    await cached(server, key, wrong);
    await slowShard(server);
    assert.equal(await hostname(await ask(server, "bob")), ofBob);
    const asked = await rpc(server, "WARM_POOL", "p/0", "leasesAsked");
    assert.ok(asked.some(({ container, session }) => container === ofCarol && session === "bob"), JSON.stringify(asked));
    const { container: own } = await lookup(server, "bob");
    await until("it is mended", async () => JSON.parse((await cached(server))[key]).container === own);
  });

  test("is not asked by an isolate that does not know yet that the class has a fence", async () => {
    const known = new Set(Object.keys(await cached(server)));
    const ofEve = await hostname(await ask(server, "eve"));
    const [key] = await hinted(server, known);
    const { container: ofCarol } = await acquire(server, "carol");
    const { epoch } = await rpc(server, "WARM_POOL", "p/0", "lookupContainer", "carol");
    await server.end();
    await server.start();
    await cached(server, key, JSON.stringify({ container: ofCarol, epoch }));
    await slowShard(server);
    assert.equal(await hostname(await ask(server, "eve")), ofEve);
    const asked = await rpc(server, "WARM_POOL", "p/0", "leasesAsked");
    assert.ok(!asked.some(({ session, container }) => session === "eve" && container === ofCarol), JSON.stringify(asked));
  });

  test("is not tried by a request that could not be repeated if the call failed", async () => {
    const known = new Set(Object.keys(await cached(server)));
    const ofFay = await hostname(await ask(server, "fay"));
    const [key] = await hinted(server, known);
    const { container: ofCarol } = await acquire(server, "carol");
    const { epoch } = await rpc(server, "WARM_POOL", "p/0", "lookupContainer", "carol");
    await server.end();
    await server.start();
    await learnFence(server);
    await cached(server, key, JSON.stringify({ container: ofCarol, epoch }));
    await slowShard(server);
    assert.equal(await hostname(await ask(server, "fay", "/", { method: "POST", body: "once" })), ofFay);
    const asked = await rpc(server, "WARM_POOL", "p/0", "leasesAsked");
    assert.ok(!asked.some(({ session, container }) => session === "fay" && container === ofCarol), JSON.stringify(asked));
  });

  test("is written when something is new, not with every request that it cannot serve", async () => {
    const known = new Set(Object.keys(await cached(server)));
    const stream = async () => {
      const body = new Blob(["once"]).stream();
      const answer = await ask(server, "dave", "/x", { method: "POST", body, duplex: "half" });
      assert.equal((await answer.json()).body, "once");
    };
    await stream();
    const [key] = await hinted(server, known);
    await cached(server, key, null);
    await stream();
    await sleep(500);
    assert.equal((await cached(server))[key], undefined);
    // Another isolate, which cannot know that the hint is there.
    await server.end();
    await server.start();
    await stream();
    await hinted(server, known);
  });
});

test("an isolate with an old shard count looks up and releases at the shard that has the id", async () => {
  const server = await serve(pools({ warm_target: 2, shards: 2 }));
  try {
    await full(server);
    const ids = Array.from({ length: 6 }, (_, n) => `id-${n}`);
    const before = new Map();
    for (const id of ids) before.set(id, (await acquire(server, id)).container);
    await server.end();
    await server.start({ pools: pools({ warm_target: 2, shards: 8 }), cron: false });
    // The isolate begins with what the Worker carries, and nobody but the shards tells it better.
    await rpc(server, "POOL_COORDINATOR", "coordinator", "silence");
    const [first, ...others] = ids;
    assert.equal((await server.admin(`/_warm/v1/pools/p/ids/${first}`, { method: "DELETE" })).status, 204);
    for (const id of others) assert.equal((await lookup(server, id))?.container, before.get(id), id);
    assert.equal(await lookup(server, first), null);
  } finally {
    await server.stop();
  }
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

test("a pool that changes to a class without a fence keeps its ids where they are", async () => {
  const server = await serve(pools({ warm_target: 1, id_cache: "CONTAINER_ID_CACHE" }));
  try {
    await full(server);
    const former = await hostname(await ask(server, "alice"));
    assert.equal(await hostname(await ask(server, "alice")), former, "it is remembered");
    await hinted(server);
    const plain = pools({ container: "PLAIN", warm_target: 1, id_cache: "CONTAINER_ID_CACHE" });
    const put = await server.admin("/_warm/v1/config", { method: "PUT", body: JSON.stringify(plain) });
    assert.equal(put.status, 200, await put.clone().text());
    for (const which of ["the isolate that remembers", "one that does not"]) {
      assert.equal(await hostname(await ask(server, "alice")), former, which);
      assert.equal(await hostname(await ask(server, "alice")), former, which);
      await server.end();
      await server.start();
    }
    const { plain: ofBob } = await (await ask(server, "bob")).json();
    assert.equal(ofBob, (await lookup(server, "bob")).container, "new ones are of the new class");
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
