// The classes around the Rust objects: a trap ends the object, and no caller waits for ever.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { rpc, serve, sleep } from "./support.mjs";

let server;
const call = (object, method, ...args) => rpc(server, "TRAP", object, method, ...args);
before(async () => void (server = await serve()));
after(() => server?.stop());

test("an ordinary error is passed on, and the object lives", async () => {
  const born = await call("a", "getStats");
  await assert.rejects(call("a", "lookupContainer", "x"), { name: "RangeError", message: "an ordinary error" });
  assert.equal(await call("a", "getStats"), born);
});

for (const [when, method] of [["at once", "release"], ["after an await", "shutdownPrewarmed"]]) {
  test(`a trap ${when} ends the object, and the next call finds a new one`, async () => {
    const born = await call("b", "getStats");
    await assert.rejects(call("b", method), /restarted.*try again/);
    await sleep(100);
    assert.notEqual(await call("b", "getStats"), born);
  });
}

test("a trap ends the calls of other objects that wait in the same instance", async () => {
  const born = await call("c", "getStats");
  const waiting = assert.rejects(call("c", "acquire", {}), /restarted|another object/);
  await sleep(100);
  await assert.rejects(call("d", "release"));
  const begin = Date.now();
  await waiting;
  assert.ok(Date.now() - begin < 5_000, "within seconds");
  await sleep(100);
  assert.notEqual(await call("c", "getStats"), born);
});
