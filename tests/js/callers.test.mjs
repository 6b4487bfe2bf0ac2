// Callers of the npm package who do what is legal and unusual: methods taken off the client, namespaces that are no bindings,
// settings and variables that are null, a pool's name for two classes, fewer shards than before, code of the library that was there
// before.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bundle } from "../../xtask/harness/bundle.mjs";
import { call } from "../../src/edge/call.mjs";
import { serveWorkers } from "./miniflare.mjs";

const own = (className) => ({ className, useSQLite: true });
const CLASSES = { WARM_POOL: "WarmPool", CONTAINER: "Plain", Sandbox: "Sandbox", AGENT: "Agent" };

let server;
before(async () => {
  server = await serveWorkers({
    modules: await bundle(fileURLToPath(new URL("callers/worker.mjs", import.meta.url)), {}),
    compatibilityDate: "2026-07-01",
    durableObjects: Object.fromEntries(Object.entries(CLASSES).map(([name, className]) => [name, own(className)])),
    bindings: { WARM_POOL_CONTAINERS: "emulated", NOTHING: null },
  });
});
after(() => server?.stop());

async function door(name) {
  const { value, error } = await (await server.fetch(`/${name}`)).json();
  if (error) throw Object.assign(new Error(error.message), error);
  return value;
}

const WELL = { fetched: true, assigned: 1, reported: true };

describe("methods work when they are taken off", () => {
  test("a client", async () => assert.deepEqual(await door("unbound"), [true, true, true, 2, 0, true, true]));

  test("the pools of a configuration", async () => {
    assert.deepEqual(await door("unboundPools"), [["configured"], "string", 404]);
  });
});

describe("a namespace may be", () => {
  test("one of `ctx.exports`", async () => assert.deepEqual(await door("exports"), [WELL, WELL]));
  test("wrapped by something else", async () => assert.deepEqual(await door("wrapped"), [WELL, WELL]));
});

test("where the global `Function` is another, as in Cloudflare's integration of vitest, all works", async () => {
  assert.deepEqual(await door("inTests"), [WELL, 0]);
});

test("a binding that is missing, and a cache that is none, are told by name", async () => {
  const [binding, cache] = await door("mistakes");
  assert.match(binding, /WARM_POOL.*wrangler\.jsonc/);
  assert.match(cache, /idCache.*KV namespace/);
});

test("null counts as not given where the old library took it so, and a variable may be null", async () => {
  assert.deepEqual(await door("nulls"), [null, "global-pool", WELL]);
});

test("a pool's name for a second container class is refused, and the pool keeps the first", async () => {
  const [errors, kept] = await door("oneNameForTwoClasses");
  for (const error of errors) assert.match(error, /"shared".*another container class.*poolName/);
  assert.equal(kept, true);
});

describe("with fewer shards in the code than the pool had first", () => {
  test("every id is served as before, at once, and the numbers are those of all shards", async () => {
    const { warmTarget, ...seen } = await door("fewerShards");
    assert.deepEqual(seen, { errors: [], same: true, assigned: 16, complete: true, shards: 4, of: 4 });
    assert.equal(warmTarget, 4, "each has its share of the new stock");
  });

  test("shutdownPrewarmed reaches all", async () => assert.equal(await door("shutdownOfFewerShards"), 4));
});

test("an id of any characters has a container of its own; what is no text is refused", async () => {
  const [wrong, containers] = await door("halves");
  for (const error of wrong) assert.match(error, /U\+FFFD/);
  assert.equal(containers, 3);
});

test("reportStopped of an object that no pool has made is no error; what is no text is refused", async () => {
  const [answers, ...mistakes] = await door("reported");
  assert.deepEqual(answers, [false, false]);
  for (const mistake of mistakes) assert.match(mistake, /takes a string/);
});

describe("while the deploy spreads that takes the place of another pool", () => {
  test("a client of cf-container-warm-pool that is still at work is served by our pool", async () => {
    const { ofNoPool, ...seen } = await door("formerClient");
    assert.deepEqual(seen, { same: true, freed: true, beforeOurs: true });
    assert.match(ofNoPool, /no configuration/, "no pool comes to be by a call");
  });

  test("the stock of the bridge's pool is destroyed, and nothing of another class", async () => {
    assert.deepEqual(await door("formerBridge"), ["destroyed", "stopped"]);
  });
});

test("a call that cannot be made leaves nothing behind that fails later", async (t) => {
  const unhandled = t.mock.fn();
  process.on("unhandledRejection", unhandled);
  t.after(() => process.off("unhandledRejection", unhandled));
  const stub = {
    fails() {
      throw new Error("no");
    },
  };
  assert.throws(() => call(stub, "fails", [], 1), /no/);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(unhandled.mock.callCount(), 0);
});
