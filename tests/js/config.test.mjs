// What the npm package adds to the pools for Workers in JavaScript: pools of a configuration in the code, bindings of
// any name, the stubs that callers get, and what becomes of the objects of the library it takes the place of.
//
// Containers are emulated; see config/worker.mjs for what is on the other side.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bundle } from "../../xtask/harness/bundle.mjs";
import { lookup, moved, put, serveInMemory, sleep, stats, until } from "../workerd/support.mjs";
import { serveWorkers } from "./miniflare.mjs";

const fixture = (file) => fileURLToPath(new URL(`config/${file}`, import.meta.url));

/** Two pools and a route, as a Worker has them in its code. */
const IN_CODE = {
  defaults: { refreshInterval: "1s", drainTimeout: "1s", start: { env: { BOOT_MS: "50" } } },
  pools: {
    python: { container: "AGENT", warmTarget: 2, shards: 2 },
    plain: { container: "CONTAINER", warmTarget: 1 },
  },
  routes: [{ pool: "python", path: "/python/*", stripPrefix: true, id: { header: "x-session-id" } }],
};
/** The same for a Worker that has only the one class. */
const ONE_POOL = { ...IN_CODE, pools: { python: IN_CODE.pools.python } };
/** What a pool set up by code needs to be quick. */
const QUICK = { warmTarget: 0, refreshInterval: "1s", drainTimeout: "1s", start: { env: { BOOT_MS: "50" } } };
/** After so long an isolate asks again which configuration is in force. */
const LONGER_THAN_A_QUESTION_MS = 6_000;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Serves the fixture with this configuration in its code. */
function serve(inCode, { vars, config = fixture("wrangler.jsonc"), ...options } = {}) {
  const all = { ...(inCode === undefined ? {} : { IN_CODE: JSON.stringify(inCode) }), ...vars };
  return serveInMemory(undefined, { config, pools: undefined, cron: false, vars: all, ...options });
}

/** A server that ends with the test. */
function forTest(t, server) {
  t.after(() => server.stop());
  return server;
}

async function post(server, pathname, body) {
  const answer = await server.fetch(pathname, { method: "POST", body: JSON.stringify(body) });
  return answer.json();
}

/** Runs steps in one request of the Worker; of each `{value}` or `{error}`. */
const outcomes = (server, ...steps) => post(server, "/script", { steps });

/** The same where none may fail: of each the value. */
async function values(server, ...steps) {
  const all = await outcomes(server, ...steps);
  for (const { error } of all) if (error) throw Object.assign(new Error(error.message), error);
  return all.map(({ value }) => value);
}

/** One call; throws what it throws. */
const one = async (server, on, call, ...args) => (await values(server, { on, call, args })).at(-1);

/** Makes a pool set up by code, and asks nothing of it; throws what that throws. */
const make = (server, on) => one(server, on, "toString");

/** Calls a method of a Durable Object. */
async function object(server, binding, name, method, ...args) {
  const { value, error } = await post(server, "/object", { binding, object: name, method, args });
  if (error) throw Object.assign(new Error(error.message), error);
  return value;
}

const ids = (count, name = "id") => Array.from({ length: count }, (_, n) => `${name}-${n}`);
const pool = (name) => ({ pool: name });
const byCode = (container, config, namespace = "WARM_POOL") => {
  return { of: [namespace, container], config: { ...QUICK, ...config } };
};
const route = (server, id, path = "/") => server.fetch(`/python${path}`, { headers: id ? { "x-session-id": id } : {} });
const hostname = (container) => container.replaceAll("-", "").slice(0, 12);

describe("a configuration in the Worker's code", () => {
  let server;
  before(async () => void (server = await serve(IN_CODE)));
  after(() => server?.stop());

  test("fills its pools when it is primed, before anyone asks", async () => {
    await one(server, { pools: {} }, "prime");
    // The shards themselves are asked, for a question to the coordinator would fill the pools too.
    await until("they are full", async () => {
      const shards = ["python/0", "python/1", "plain/0"].map((name) => object(server, "WARM_POOL", name, "getStats"));
      return (await Promise.all(shards)).reduce((sum, { warm }) => sum + warm, 0) === 3;
    });
    const [python, plain] = await values(
      server,
      { on: pool("python"), call: "fetch", args: ["first", "http://pool/"] },
      { on: pool("plain"), call: "fetch", args: ["first", "http://pool/"] },
    );
    assert.deepEqual([python.status, python.came, plain.status, plain.came], [200, "warm", 200, "warm"]);
  });

  test("names its pools", async () => {
    assert.deepEqual(await one(server, { pools: {} }, "names"), ["plain", "python"]);
  });

  test("gives each id a container of its own, by stub, and the id keeps it", async () => {
    for (const name of ["python", "plain"]) {
      const get = (id) => ({ on: pool(name), call: "getContainer", args: [id], as: id });
      const fetch = (id) => ({ on: id, call: "fetch", args: ["http://pool/"] });
      const [alice, served, bob, again] = await values(server, get("alice"), fetch("alice"), get("bob"), get("alice"));
      assert.match(alice.container, UUID);
      assert.notEqual(alice.container, bob.container);
      assert.deepEqual(again, alice);
      const expected = name === "python" ? hostname(alice.container) : alice.container;
      assert.equal(served.body.hostname, expected);
      assert.equal((await one(server, pool(name), "fetch", "alice", "http://pool/")).body.hostname, expected);
      assert.equal((await lookup(server, "alice", name)).container, alice.container);
    }
  });

  test("has its routes served, and nothing else", async () => {
    const [answer, again] = [await route(server, "routed", "/x/y?q=1"), await route(server, "routed")];
    const { path, query, hostname: by } = await answer.json();
    assert.deepEqual([answer.status, path, query, (await again.json()).hostname], [200, "/x/y", "q=1", by]);
    const code = async (request) => {
      const refused = await request;
      return [refused.status, (await refused.json()).error.code];
    };
    assert.deepEqual(await code(route(server)), [400, "missing_id"]);
    assert.deepEqual(await code(server.fetch("/elsewhere")), [404, "no_route"]);
  });

  test("has an admin API, for who has the token", async () => {
    const answer = await server.admin("/_warm/v1/pools");
    assert.equal(answer.status, 200);
    const { pools } = await answer.json();
    assert.deepEqual(pools.map(({ name }) => name).sort(), ["plain", "python"]);
    assert.equal((await server.fetch("/_warm/v1/pools")).status, 401);
    assert.equal((await server.fetch("/_warm/v1/pools", { headers: { authorization: "Bearer other" } })).status, 401);
    const { version, source, config } = await (await server.admin("/_warm/v1/config")).json();
    assert.deepEqual([source, config.pools.python.shards], ["bundled", 2]);
    assert.ok(version > 0);
  });

  test("has no pool of another name, and says which was meant", async () => {
    for (const [method, ...args] of [["getContainer", "alice"], ["fetch", "alice", "http://pool/"], ["stats"]]) {
      await assert.rejects(one(server, pool("pyton"), method, ...args), (error) => {
        return error.name === "TypeError" && /no pool "pyton"; did you mean "python"/.test(error.message);
      });
    }
  });

  test("tells the same numbers by the client as by the admin API", async () => {
    const mine = await one(server, pool("python"), "stats");
    const theirs = await stats(server, "python");
    assert.deepEqual(Object.keys(mine).sort(), Object.keys(theirs).sort());
    assert.deepEqual([mine.name, mine.config, mine.complete], ["python", theirs.config, true]);
    assert.equal(mine.shards.length, 2);
  });

  test("with mistakes is refused whole, with every mistake in one TypeError, and changes nothing", async () => {
    const wrong = {
      pools: { python: { container: "AGENT", warmTaget: 1, shards: 0 }, new: {} },
      routes: [{ pool: "pythn", id: { header: "x" } }],
    };
    await assert.rejects(one(server, { pools: { anew: true, config: wrong } }, "names"), (error) => {
      assert.equal(error.name, "TypeError");
      const mistakes = [/warmTarget/, /python\.shards/, /new.*container/, /pythn/];
      for (const mistake of mistakes) assert.match(error.message, mistake);
      return true;
    });
    for (const on of [{ pools: {} }, { pools: { anew: true } }]) {
      assert.deepEqual(await one(server, on, "names"), ["plain", "python"]);
    }
    assert.equal((await route(server, "routed")).status, 200);
    assert.equal((await stats(server, "python")).config.shards, 2);
  });

  test("given another shard count by the admin API keeps every id's container", async () => {
    const all = ids(24, "moving");
    const get = () => values(server, ...all.map((id) => ({ on: pool("python"), call: "getContainer", args: [id] })));
    const had = await get();
    const { config } = await (await server.admin("/_warm/v1/config")).json();
    config.pools.python.shards = 5;
    const { source } = await put(server, config);
    assert.equal(source, "admin");
    assert.deepEqual(await get(), had, "while they move");
    await moved(server, 5, "python");
    assert.deepEqual(await get(), had, "when they have moved");
    const { shards } = await one(server, pool("python"), "stats");
    assert.ok(shards.filter(({ assigned }) => assigned > 0).length > 2, "more shards have ids than before");
  });
});

describe("a deploy that brings another configuration in the code", () => {
  for (const [how, config] of [["with", "wrangler.jsonc"], ["without", "without-coordinator.jsonc"]]) {
    test(`has it take the place of the one before, ${how} a coordinator, and ids keep their containers`, async (t) => {
      const { python } = ONE_POOL.pools;
      const server = forTest(t, await serve(ONE_POOL, { config: fixture(config) }));
      const get = (id, name) => one(server, pool(name), "getContainer", id);
      const has = (warm) => {
        return until(`${warm} are warm`, async () => (await one(server, pool("python"), "stats")).warm === warm);
      };
      const deploy = async (pools) => {
        await server.end();
        await server.start({ vars: { IN_CODE: JSON.stringify({ ...ONE_POOL, pools }) } });
        assert.deepEqual(await one(server, { pools: {} }, "names"), Object.keys(pools).sort());
      };
      const alice = await get("alice", "python");
      await has(2);
      await deploy({ python: { ...python, warmTarget: 3 }, new: python });
      assert.deepEqual(await get("alice", "python"), alice);
      assert.match((await get("bob", "new")).container, UUID);
      await has(3);
      await deploy({ python: { ...python, warmTarget: 1 } });
      assert.deepEqual(await get("alice", "python"), alice);
      await assert.rejects(get("bob", "new"), { name: "TypeError" });
      await has(1);
    });
  }
});

describe("what outranks a configuration in the code, and what does not stand in for it", () => {
  test("the variable POOLS_CONFIG outranks it", async (t) => {
    const variable = { pools: { other: { container: "AGENT", warm_target: 1 } } };
    const server = forTest(t, await serve(IN_CODE, { pools: variable }));
    assert.deepEqual(await one(server, { pools: {} }, "names"), ["other"]);
    assert.equal((await route(server, "alice")).status, 404);
    assert.equal((await one(server, pool("other"), "fetch", "alice", "http://pool/")).status, 200);
  });

  test("the variable alone will do", async (t) => {
    const server = forTest(t, await serve(undefined, { pools: IN_CODE }));
    assert.deepEqual(await one(server, { pools: {} }, "names"), ["plain", "python"]);
    assert.equal((await route(server, "alice")).status, 200);
  });

  test("a variable with mistakes does not: there are no pools then, and the health page says why", async (t) => {
    const server = forTest(t, await serve(undefined, { pools: { pools: { other: {} } } }));
    assert.deepEqual(await one(server, { pools: {} }, "names"), []);
    const { status, message } = await (await server.fetch("/_warm/healthz")).json();
    assert.equal(status, "degraded");
    assert.match(message, /POOLS_CONFIG is refused/);
  });

  test("without either there are no pools, and those that the package was built with are not there", async (t) => {
    const server = forTest(t, await serve(undefined));
    assert.deepEqual(await one(server, { pools: {} }, "names"), []);
    for (const name of ["api", "counter"]) {
      await assert.rejects(one(server, pool(name), "getContainer", "alice"), { name: "TypeError" });
      await assert.rejects(object(server, "WARM_POOL", `${name}/0`, "getContainer", "alice"), { code: "unknown_pool" });
      assert.equal((await server.fetch(`/${name}/`, { headers: { "x-session-id": "alice" } })).status, 404);
    }
    assert.deepEqual(await (await server.admin("/_warm/v1/pools")).json(), { pools: [] });
  });

  test("without ADMIN_TOKEN the admin API is closed", async (t) => {
    const server = forTest(t, await serve(IN_CODE, { adminToken: null }));
    for (const token of ["", "null", "undefined", "test-token"]) {
      const answer = await server.fetch("/_warm/v1/pools", { headers: { authorization: `Bearer ${token}` } });
      assert.deepEqual([answer.status, (await answer.json()).error.code], [403, "admin_closed"]);
    }
  });
});

describe("without a coordinator, the pools of a configuration", () => {
  let server;
  before(async () => void (server = await serve(ONE_POOL, { config: fixture("without-coordinator.jsonc") })));
  after(() => server?.stop());

  test("are filled when they are primed", async () => {
    await one(server, { pools: {} }, "prime");
    await until("they are full", async () => {
      const shards = ["python/0", "python/1"].map((name) => object(server, "WARM_POOL", name, "getStats"));
      return (await Promise.all(shards)).every(({ warm }) => warm === 1);
    }, 5_000);
  });

  test("work by static shares", async () => {
    const first = await (await route(server, "alice")).json();
    assert.equal((await (await route(server, "alice")).json()).hostname, first.hostname);
    const all = ids(8);
    const get = all.map((id) => ({ on: pool("python"), call: "getContainer", args: [id] }));
    const given = (await values(server, ...get)).map(({ container }) => container);
    assert.equal(new Set(given).size, all.length);
    const { name, complete, assigned, shards, config } = await until("both shards have their share", async () => {
      const now = await one(server, pool("python"), "stats");
      return now.warm === 2 && now.starting === 0 && now;
    });
    assert.deepEqual([name, complete, assigned], ["python", true, 9]);
    assert.deepEqual(shards.map(({ warmTarget }) => warmTarget), [1, 1]);
    assert.deepEqual([config.shards, config.warmTarget], [2, 2]);
  });

  test("give, look up and release ids by the admin API", async () => {
    const path = "/_warm/v1/pools/python/ids/by-admin";
    const given = await server.admin(path, { method: "PUT" });
    assert.equal(given.status, 200);
    assert.equal((await server.admin(path)).status, 200);
    assert.equal((await server.admin(path, { method: "DELETE" })).status, 204);
    assert.equal((await server.admin(path)).status, 404);
  });

  test("have numbers for Prometheus, and no events", async () => {
    const metrics = await server.admin("/_warm/metrics");
    assert.deepEqual([metrics.status, metrics.headers.get("content-type")?.split(";")[0]], [200, "text/plain"]);
    assert.match(await metrics.text(), /^warm_pool_warm_target\{pool="python"\} 2$/m);
    const events = await server.admin("/_warm/v1/events");
    const { error } = await events.json();
    assert.deepEqual([events.status, error.code], [404, "no_coordinator"]);
    assert.match(error.message, /POOL_COORDINATOR/);
  });
});

/** The fixture as two Workers, each in an isolate of its own: `pools` has the Durable Objects, `caller` asks them. */
async function serveTwo({ caller, pools, vars }) {
  const common = { modules: await bundle(fixture("worker.mjs"), {}), compatibilityDate: "2026-07-01" };
  const own = (className) => ({ className, useSQLite: true });
  const others = (className) => ({ className, scriptName: "pools" });
  const objects = (bindings, binding) => {
    return Object.fromEntries(Object.entries(bindings).map(([name, className]) => [name, binding(className)]));
  };
  const emulated = { WARM_POOL_CONTAINERS: "emulated" };
  return serveWorkers({
    workers: [
      {
        ...common,
        name: "caller",
        // One class is its own, of which the other Worker knows nothing.
        durableObjects: { ...objects(caller, others), MINE: own("OtherAgent") },
        bindings: { ...vars, ...emulated },
      },
      { ...common, name: "pools", durableObjects: objects(pools, own), bindings: emulated },
    ],
  });
}

describe("pools that are made in a handler, of which the Durable Objects have not heard, work", () => {
  for (const [how, more] of [["with a coordinator", { POOL_COORDINATOR: "PoolCoordinator" }], ["without one", {}]]) {
    const classes = { WARM_POOL: "WarmPool", AGENT: "Agent", ...more };
    const vars = { LATE: "yes", IN_CODE: JSON.stringify(ONE_POOL) };
    const start = async (t) => forTest(t, await serveTwo({ caller: classes, pools: classes, vars }));

    test(`${how}, by name`, async (t) => {
      const server = await start(t);
      const get = (id) => ({ on: pool("python"), call: "getContainer", args: [id] });
      const first = await values(server, ...ids(6).map(get));
      assert.equal(new Set(first.map(({ container }) => container)).size, 6);
      // Time enough for a caller to hear from a coordinator that knows nothing.
      await sleep(LONGER_THAN_A_QUESTION_MS);
      for (let round = 0; round < 2; round++) assert.deepEqual(await values(server, ...ids(6).map(get)), first);
    });

    test(`${how}, by their routes`, async (t) => {
      const server = await start(t);
      const first = await route(server, "alice");
      assert.equal(first.status, 200, await first.clone().text());
      const { hostname: by } = await first.json();
      await sleep(LONGER_THAN_A_QUESTION_MS);
      for (let round = 0; round < 2; round++) assert.equal((await (await route(server, "alice")).json()).hostname, by);
    });
  }
});

describe("a Worker that asks another for containers", () => {
  let server;
  const pools = { WARM_POOL: "WarmPool", CONTAINER: "Plain", AGENT: "Agent" };
  const caller = { POOLS: "WarmPool", BOX: "Plain" };
  before(async () => void (server = await serveTwo({ caller, pools })));
  after(() => server?.stop());

  test("may call the class as it likes: the shards know their own binding", async () => {
    const mine = byCode("BOX", { poolName: "elsewhere", warmTarget: 1 }, "POOLS");
    const [{ container }, answer] = await values(
      server,
      { on: mine, call: "getContainer", args: ["alice"], as: "alice" },
      { on: "alice", call: "fetch", args: ["http://pool/"] },
    );
    assert.equal(answer.body.hostname, container);
    assert.equal((await one(server, mine, "stats")).assigned, 1);
  });

  test("is told when the other has no binding to the class", async () => {
    const mine = byCode("MINE", { poolName: "unbound" }, "POOLS");
    const error = { name: "TypeError", message: /no Durable Object binding.*leads to the container class/ };
    await assert.rejects(one(server, mine, "getContainer", "alice"), error);
  });
});

describe("a pool set up by code", () => {
  let server;
  before(async () => void (server = await serve(undefined)));
  after(() => server?.stop());

  test("lists every mistake in its settings in one TypeError, as soon as it is made", async () => {
    const wrong = byCode("AGENT", { poolName: "wrong", warmTaget: 1, shards: 0, acquireTimeout: "1 s" });
    await assert.rejects(make(server, wrong), (error) => {
      assert.equal(error.name, "TypeError");
      for (const mistake of [/warmTarget/, /shards/, /acquireTimeout/]) assert.match(error.message, mistake);
      return true;
    });
  });

  test("says which namespace is none", async () => {
    const wrong = { poolNamespace: ["NONE", "AGENT"], containerNamespace: ["WARM_POOL", "NONE"] };
    for (const [parameter, of] of Object.entries(wrong)) {
      const error = { name: "TypeError", message: new RegExp(parameter) };
      await assert.rejects(make(server, { of }), error);
    }
  });

  test("wants to be told which of two bindings to one class it is to use", async () => {
    await assert.rejects(make(server, byCode("ONE", { poolName: "twice" })), (error) => {
      return error.name === "TypeError" && /ONE/.test(error.message) && /THE_SAME/.test(error.message);
    });
    for (const [passed, container] of [["ONE", "ONE"], ["THE_SAME", "ONE"], ["ONE", "THE_SAME"]]) {
      const named = byCode(passed, { poolName: `${passed}-by-${container}`, container });
      const [, answer] = await values(
        server,
        { on: named, call: "getContainer", args: ["alice"], as: "alice" },
        { on: "alice", call: "fetch", args: ["http://pool/"] },
      );
      assert.equal(answer.status, 200);
      assert.equal((await one(server, named, "stats")).config.container, container);
    }
  });

  test("refuses a `container` that leads to another class than the namespace that was passed", async () => {
    for (const [container, message] of [["AGENT", /AGENT.*does not lead to/], ["NONE", /NONE/]]) {
      const crossed = byCode("OTHER", { poolName: `crossed-${container}`, container });
      await assert.rejects(one(server, crossed, "getContainer", "alice"), { name: "TypeError", message });
      assert.equal((await object(server, "WARM_POOL", `crossed-${container}/0`, "getStats")).total, 0);
    }
  });

  test("finds its shards under a binding of any name, and they find each other", async () => {
    const three = byCode("AGENT", { poolName: "three", shards: 3, warmTarget: 3 }, "POOLS");
    const given = await values(server, ...ids(12).map((id) => ({ on: three, call: "getContainer", args: [id] })));
    const { shards } = await until("every shard has its share", async () => {
      const now = await one(server, three, "stats");
      return now.complete && now.warm === 3 && now;
    });
    assert.deepEqual(shards.map(({ shard, warmTarget }) => [shard, warmTarget]), [[0, 1], [1, 1], [2, 1]]);
    assert.ok(shards.every(({ assigned }) => assigned > 0), "each has ids");
    // Told to the first, whoever has it. The binding WARM_POOL leads to another class here.
    for (const { container } of given) {
      assert.equal(await object(server, "POOLS", "three/0", "reportStopped", container), true, container);
    }
    assert.equal((await object(server, "WARM_POOL", "three/0", "getStats")).total, 0);
  });

  test("is known by getWarmPool under its name", async () => {
    assert.deepEqual(await post(server, "/pool-object", { binding: "POOLS" }), { value: "global-pool/0" });
    assert.deepEqual(await post(server, "/pool-object", { binding: "POOLS", args: ["mine"] }), { value: "mine/0" });
  });

  test("looks an id up without giving it a container, and frees the one it is done with", async () => {
    for (const container of ["AGENT", "CONTAINER"]) {
      const mine = byCode(container, { poolName: `lookup-${container}` });
      const step = (call) => ({ on: mine, call, args: ["alice"] });
      const [none, first, same, released, again, gone, second] = await values(
        server,
        step("lookupContainer"),
        step("getContainer"),
        step("lookupContainer"),
        step("release"),
        step("release"),
        step("lookupContainer"),
        step("getContainer"),
      );
      assert.deepEqual([none, same, released, again, gone], [null, first, true, false, null]);
      assert.notEqual(second.container, first.container);
      await until("what was freed has gone", async () => {
        const { assigned, draining } = await one(server, mine, "stats");
        return assigned === 1 && draining === 0;
      });
    }
  });

  test("says with a code and a time that it is full, and serves again when it is not", async () => {
    const small = byCode("AGENT", { poolName: "small", maxInstances: 1, acquireTimeout: 300 });
    await one(server, small, "getContainer", "alice");
    for (const [method, ...args] of [["getContainer", "bob"], ["fetch", "bob", "http://pool/"]]) {
      await assert.rejects(one(server, small, method, ...args), (error) => {
        assert.equal(error.code, "at_capacity");
        assert.ok(error.retryAfterMillis > 0 && error.retryAfterMillis <= 60_000, String(error.retryAfterMillis));
        return true;
      });
    }
    assert.equal(await one(server, small, "lookupContainer", "bob"), null);
    assert.equal(await one(server, small, "release", "alice"), true);
    await until("bob is served", async () => {
      const [{ value }] = await outcomes(server, { on: small, call: "fetch", args: ["bob", "http://pool/"] });
      return value?.status === 200;
    });
  });

  test("lets an id wait for room once, and no second time when that was in vain", async () => {
    const timeout = 2_000;
    const narrow = byCode("AGENT", { poolName: "narrow", maxInstances: 1, acquireTimeout: timeout });
    await one(server, narrow, "getContainer", "alice");
    const began = Date.now();
    await assert.rejects(one(server, narrow, "getContainer", "bob"), { code: "at_capacity" });
    const waited = Date.now() - began;
    assert.ok(waited >= timeout - 100 && waited < 2 * timeout, `${waited} ms`);
  });

  test("tells a bad id by a TypeError", async () => {
    for (const id of ["", "x".repeat(257), "a\u0000b", 7, null]) {
      const error = { name: "TypeError", message: /id/ };
      await assert.rejects(one(server, byCode("AGENT", { poolName: "ids" }), "getContainer", id), error);
    }
  });
});

describe("the routes of the Sandbox SDK's bridge", () => {
  const ask = (server, method, path, token) =>
    server.fetch(path, { method, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });

  test("fill a pool, tell of it, and replace its stock, for who has the token", async (t) => {
    const server = forTest(t, await serve(undefined, { vars: { SANDBOX_API_KEY: "secret" } }));
    for (const token of [undefined, "", "secre", "secret2"]) {
      const refused = await ask(server, "POST", "/v1/pool/prime", token);
      assert.deepEqual([refused.status, await refused.json()], [401, { error: "Unauthorized", code: "unauthorized" }]);
    }
    assert.equal((await object(server, "WARM_POOL", "bridged/0", "getStats")).warmTarget, 0, "nobody was let in");
    assert.deepEqual(await (await ask(server, "POST", "/v1/pool/prime", "secret")).json(), { ok: true });
    const numbers = async () => (await ask(server, "GET", "/v1/pool/stats", "secret")).json();
    await until("it is full", async () => (await numbers()).warm === 1);
    assert.deepEqual((({ warm, assigned, total }) => ({ warm, assigned, total }))(await numbers()), { warm: 1, assigned: 0, total: 1 });
    assert.deepEqual(await (await ask(server, "POST", "/v1/pool/shutdown-prewarmed", "secret")).json(), { ok: true });
    const { shards } = await numbers();
    assert.equal(shards[0].draining + shards[0].starting >= 1, true, "the stock is replaced");
    assert.equal((await ask(server, "GET", "/v1/pool/prime", "secret")).status, 404, "another method is not theirs");
  });

  test("are closed without a token", async (t) => {
    const server = forTest(t, await serve(undefined));
    assert.equal((await ask(server, "GET", "/v1/pool/stats", "undefined")).status, 401);
  });
});

describe("the stub of a class with a fence", () => {
  let server;
  const fenced = byCode("AGENT", { poolName: "fenced" });
  const get = { on: fenced, call: "getContainer", args: ["alice"], as: "alice" };
  const fetch = (path) => ({ on: "alice", call: "fetch", args: [`http://pool${path}`] });
  const again = { on: fenced, call: "fetch", args: ["alice", "http://pool/again"] };
  before(async () => void (server = await serve(undefined)));
  after(() => server?.stop());

  test("serves, and has the methods of its class", async () => {
    const state = { on: "alice", call: "getState" };
    const [{ container }, answer, { status }] = await values(server, get, fetch("/a?b"), state);
    assert.deepEqual([answer.status, answer.body.path, answer.body.query], [200, "/a", "b"]);
    assert.equal(answer.body.hostname, hostname(container));
    assert.equal(status, "healthy");
  });

  test("sends method, headers and body on, and none of the headers that only the pool may set", async () => {
    const forged = { "x-warm-pool-session": "bob", "x-warm-pool-mine": "yes", "cf-container-target-port": "1" };
    const init = { method: "POST", body: "told", headers: { "x-mine": "yes", ...forged } };
    const request = { on: "alice", call: "fetch", args: ["http://pool/increment", init] };
    const [, { body }] = await values(server, get, request);
    assert.deepEqual([body.method, body.body, body.headers["x-mine"], body.count], ["POST", "told", "yes", 1]);
    assert.equal(body.headers["x-warm-pool-session"], "alice");
    for (const name of ["x-warm-pool-mine", "cf-container-target-port"]) assert.ok(!(name in body.headers), name);
  });

  test("fails once the id was released, while pool.fetch goes on with another container", async () => {
    const release = { on: fenced, call: "release", args: ["alice"] };
    const wait = { call: "sleep", args: [500] };
    const [before, , , , old, now] = await outcomes(server, get, fetch("/"), release, wait, fetch("/late"), again);
    assert.equal(old.error?.code, "container_changed", JSON.stringify(old));
    assert.equal(now.value.status, 200);
    assert.notEqual(now.value.body.hostname, hostname(before.value.container));
  });

  test("fails once the container has ended, and never starts it again", async () => {
    const exit = fetch("/__emulated/exit?code=0");
    const [before, , old, now, later] = await outcomes(server, get, exit, fetch("/late"), again, fetch("/later"));
    for (const { error } of [old, later]) assert.match(String(error?.code), /^container_(changed|unreachable)$/);
    assert.equal(now.value.status, 200);
    assert.notEqual(now.value.body.hostname, hostname(before.value.container));
    assert.equal((await object(server, "AGENT", before.value.container, "getState")).status, "stopped_with_code");
  });

  test("is the only one that serves: a request that does not say whom it is for is refused", async () => {
    const [{ container }] = await values(server, get);
    const { status } = await object(server, "AGENT", container, "fetch", "http://pool/");
    assert.ok(status >= 400, String(status));
  });
});

describe("an object of cf-container-warm-pool, whose class is now ours", () => {
  let server;
  const [one_, two, three] = [1, 2, 3].map((n) => `${n}0000000-0000-4000-8000-000000000000`);
  const assignments = [["alice", three]];
  const planted = (name = "global-pool") => object(server, "WARM_POOL", name, "planted");
  const plant = (name, warm, alarmIn) => object(server, "WARM_POOL", name, "plant", { warm, assignments, alarmIn });
  const isDestroyed = (container) => object(server, "CONTAINER", container, "isDestroyed");
  before(async () => void (server = await serve(undefined)));
  after(() => server?.stop());

  test("has what it kept warm destroyed when its alarm rings, keeps its assignments, and rings no more", async () => {
    for (const container of [one_, two, three]) await object(server, "CONTAINER", container, "startAndWaitForPorts");
    await plant("global-pool", [one_, two], 0);
    await until("they are destroyed", async () => (await isDestroyed(one_)) && (await isDestroyed(two)));
    assert.deepEqual(await planted(), { warm: [], assignments, alarmIn: null });
    assert.equal(await isDestroyed(three), false);
  });

  test("is tried again when a container could not be destroyed", async () => {
    const [gone, stays] = ["a", "b"].map((digit) => `${digit}0000000-0000-4000-8000-000000000000`);
    for (const container of [gone, stays]) await object(server, "CONTAINER", container, "startAndWaitForPorts");
    await object(server, "CONTAINER", stays, "holdOut", 1);
    await plant("another-pool", [gone, stays], 0);
    await until("one is destroyed", () => isDestroyed(gone));
    const { warm, alarmIn } = await until("the other is written down", async () => {
      const now = await planted("another-pool");
      return now.warm.length === 1 && now;
    });
    assert.deepEqual(warm, [stays]);
    assert.ok(alarmIn > 30_000 && alarmIn <= 60_000, String(alarmIn));
    await object(server, "WARM_POOL", "another-pool", "ring");
    await until("it is destroyed", () => isDestroyed(stays));
    assert.deepEqual(await planted("another-pool"), { warm: [], assignments, alarmIn: null });
  });

  test("does so when it is the alarm that wakes it, as after a deploy", async () => {
    const container = "c0000000-0000-4000-8000-000000000000";
    await object(server, "CONTAINER", container, "startAndWaitForPorts");
    await plant("asleep", [container], 1_000);
    await server.end();
    await sleep(1_000);
    await server.start();
    await until("it is destroyed", () => isDestroyed(container));
    assert.deepEqual((await planted("asleep")).warm, []);
  });

  test("is not what the pool of the same name works with now", async () => {
    await plant("shared-name", [two], 60_000);
    const mine = byCode("CONTAINER", { poolName: "shared-name", warmTarget: 1 });
    const { container } = await one(server, mine, "getContainer", "alice");
    assert.notEqual(container, three);
    assert.deepEqual((await planted("shared-name")).warm, [two]);
    await until("the pool has its stock", async () => (await one(server, mine, "stats")).warm === 1);
  });
});
