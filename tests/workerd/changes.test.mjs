// Changes of the configuration by the admin API: over what the caller has seen or not at all, foreseen, on record, and taken back.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { full, moved, pools, put, rpc, serve, until } from "./support.mjs";

const CONFIG = "/_warm/v1/config";

describe("a change of the configuration", () => {
  let server;
  before(async () => void (server = await serve(pools({ warm_target: 1 }))));
  after(() => server?.stop());

  const call = async (method, path, { body, ...headers } = {}) => {
    const answer = await server.admin(path, { method, body, headers });
    return { status: answer.status, etag: answer.headers.get("etag"), body: await answer.json() };
  };
  const shown = () => call("GET", CONFIG);
  const history = async () => (await call("GET", `${CONFIG}/history`)).body.versions;
  const audit = async (limit) => (await call("GET", `/_warm/v1/audit${limit ? `?limit=${limit}` : ""}`)).body.entries;
  const keeping = (warm_target) => pools({ warm_target });

  test("the ETag names the version, and a condition on another one changes nothing", async () => {
    const seen = await shown();
    assert.equal(seen.etag, `"${seen.body.version}"`);
    const made = await call("PUT", CONFIG, { body: keeping(2), "if-match": seen.etag });
    assert.equal(made.status, 200);
    assert.ok(made.body.version > seen.body.version);
    assert.equal(made.etag, `"${made.body.version}"`);
    for (const [method, path, body] of [
      ["PUT", CONFIG, keeping(3)],
      ["DELETE", CONFIG],
      ["POST", `${CONFIG}/rollback`, { version: seen.body.version }],
    ]) {
      const stale = await call(method, path, { body, "if-match": seen.etag });
      assert.equal(stale.status, 412, method);
      assert.deepEqual([stale.body.error.code, stale.body.error.version], ["stale_version", made.body.version]);
      const vague = await call(method, path, { body, "if-match": String(made.body.version) });
      assert.deepEqual([vague.status, vague.body.error.code], [400, "bad_if_match"], method);
      assert.deepEqual(await shown(), made);
    }
    // As a proxy that compresses has it, and as one does who does not care.
    const weak = await call("PUT", CONFIG, { body: keeping(3), "if-match": `W/${made.etag}` });
    assert.equal(weak.status, 200);
    assert.equal((await call("DELETE", CONFIG, { "if-match": "*" })).body.source, "var");
  });

  test("of changes that race over one version exactly one is made", async () => {
    for (let round = 0; round < 5; round++) {
      const { etag, body } = await shown();
      // One of them is of what is in force already, from the second round on.
      const racing = Array.from({ length: 8 }, (_, n) => keeping(2 + n));
      const answers = await Promise.all(racing.map((config) => call("PUT", CONFIG, { body: config, "if-match": etag })));
      const made = answers.filter(({ status }) => status === 200);
      assert.equal(made.length, 1);
      assert.equal(answers.filter(({ status }) => status === 412).length, racing.length - 1);
      assert.equal(made[0].body.version, body.version + 1);
      assert.deepEqual(await shown(), made[0], "and it is in force");
    }
    await call("DELETE", CONFIG);
  });

  test("what is put once more is as it was, and makes no version", async () => {
    const first = await call("PUT", CONFIG, { body: keeping(2) });
    const before = await audit();
    assert.deepEqual(await call("PUT", CONFIG, { body: keeping(2) }), first);
    assert.deepEqual(await audit(), before);
    await call("DELETE", CONFIG);
    const dropped = await audit();
    await call("DELETE", CONFIG);
    assert.deepEqual(await audit(), dropped);
  });

  test("who made it and when is on record, newest first, with the configuration", async () => {
    const start = Date.now();
    const { version: from } = (await shown()).body;
    const by = [
      [{ "x-warm-actor": "Ada", "cf-access-authenticated-user-email": "bob@example.com" }, "Ada"],
      [{ "cf-access-authenticated-user-email": "bob@example.com" }, "bob@example.com"],
      [{}, "admin"],
    ];
    for (const [n, [headers]] of by.entries()) await call("PUT", CONFIG, { body: keeping(2 + n), ...headers });
    await call("DELETE", CONFIG, { "x-warm-actor": "Ada" });
    const [dropped, ...puts] = (await history()).slice(0, 4);
    assert.deepEqual([dropped.action, dropped.by, dropped.source], ["dropped", "Ada", "var"]);
    assert.deepEqual(puts.map(({ by }) => by), by.map(([, name]) => name).reverse());
    for (const { action, source, at, restores } of puts) {
      assert.deepEqual([action, source, restores], ["put", "admin", undefined]);
      assert.ok(start - 1_000 <= at && at <= Date.now() + 1_000, at);
    }
    for (const [n, record] of puts.entries()) {
      const { status, body } = await call("GET", `${CONFIG}/history/${record.version}`);
      const { config, ...rest } = body;
      assert.deepEqual([status, rest, config.pools.p.warm_target], [200, record, 4 - n]);
    }
    const entries = await audit(4);
    assert.deepEqual(entries.map(({ version }) => version), [4, 3, 2, 1].map((n) => from + n));
    assert.deepEqual(entries.map((entry) => entry.from), [3, 2, 1, 0].map((n) => from + n));
    assert.deepEqual(Object.keys(entries[0]).sort(), ["action", "at", "by", "from", "version"]);
    const first = (await history()).at(-1);
    assert.deepEqual([first.action, first.by, first.source], ["deployed", "deploy", "var"]);

    const bad = await call("PUT", CONFIG, { body: keeping(2), "x-warm-actor": "x".repeat(101) });
    assert.deepEqual([bad.status, bad.body.error.code], [400, "bad_actor"]);
    for (const limit of ["0", "1001", "x"]) {
      const refused = await call("GET", `/_warm/v1/audit?limit=${limit}`);
      assert.deepEqual([refused.status, refused.body.error.code], [400, "bad_query"], limit);
    }
  });

  test("a former version is put in force again, over what is deployed", async () => {
    await call("PUT", CONFIG, { body: keeping(3) });
    const { version } = (await shown()).body;
    const next = await call("PUT", CONFIG, { body: keeping(1) });
    const back = await call("POST", `${CONFIG}/rollback`, { body: { version }, "if-match": next.etag, "x-warm-actor": "Ada" });
    assert.deepEqual([back.status, back.body.source, back.body.config.pools.p.warm_target], [200, "admin", 3]);
    assert.equal(back.etag, `"${next.body.version + 1}"`);
    assert.equal((await full(server)).warm, 3);
    const [latest] = await history();
    const { at: _, ...told } = latest;
    const expected = { version: back.body.version, by: "Ada", action: "rolled-back", source: "admin", restores: version };
    assert.deepEqual(told, expected);

    for (const version of [999_999, 0]) {
      const unknown = await call("POST", `${CONFIG}/rollback`, { body: { version } });
      assert.deepEqual([unknown.status, unknown.body.error.code], [404, "unknown_version"], version);
    }
    for (const version of ["999999", "0", "-1", "x", ""]) {
      const unknown = await call("GET", `${CONFIG}/history/${version}`);
      assert.deepEqual([unknown.status, unknown.body.error.code], [404, "unknown_version"], version);
    }
    for (const body of ["", "{", "[]", "null", '{"version":"1"}', '{"version":1.5}', '{"version":1,"ifMatch":"2"}']) {
      const refused = await call("POST", `${CONFIG}/rollback`, { body });
      assert.deepEqual([refused.status, refused.body.error.code], [400, "bad_body"], body);
    }
    assert.deepEqual((await shown()).body, back.body);
  });

  test("one whose binding is gone is not put in force again", async () => {
    // A Worker that had it put this in force.
    await rpc(server, "POOL_COORDINATOR", "coordinator", "putConfig", pools({ container: "NOWHERE", warm_target: 0 }));
    const { version } = (await shown()).body;
    const good = await call("PUT", CONFIG, { body: keeping(2) });
    const refused = await call("POST", `${CONFIG}/rollback`, { body: { version } });
    assert.equal(refused.status, 422);
    const [error] = refused.body.error.errors;
    assert.deepEqual([error.path, error.code], ["pools.p.container", "missing_binding"]);
    assert.deepEqual(await shown(), good);
  });

  test("what a change would do is foreseen, and nothing is done", async () => {
    await call("DELETE", CONFIG);
    await put(server, keeping(2));
    await full(server);
    const before = await shown();
    const foresee = async (config) => {
      const { status, body } = await call("POST", `${CONFIG}/validate`, { body: config });
      assert.deepEqual([status, body.valid, body.version], [200, true, before.body.version]);
      return body.plan;
    };
    const none = { start: 0, drain: 0, move: null, waits: false, restart: false, changes: [] };
    const same = await foresee(keeping(2));
    const unchanged = { changed: false };
    const still = { pools: [{ pool: "p", change: "unchanged", ...none }], routes: unchanged, prices: unchanged };
    assert.deepEqual(same, still);

    // A shard says once per refresh what it has.
    const more = await until("all is heard of", async () => {
      const { pools: [pool] } = await foresee(keeping(5));
      return pool.start === 3 && pool;
    });
    const changes = [{ path: "pools.p.warm_target", from: 2, to: 5 }];
    assert.deepEqual(more, { pool: "p", change: "changed", ...none, start: 3, changes });
    const { pools: [fewer] } = await foresee(keeping(0));
    assert.deepEqual([fewer.start, fewer.drain], [0, 2]);

    const other = pools({ warm_target: 2, shards: 3 }, { env: { MODE: "x" } });
    other.pools.q = { container: "API", warm_target: 4 };
    other.routes.push({ pool: "q", path: "/q/*", id: { query: "u" } });
    other.prices = { vcpu_second: 0.5 };
    const { pools: [p, q], routes, prices } = await foresee(other);
    assert.deepEqual([p.move, p.restart, p.start, p.drain], [{ from: 1, to: 3 }, true, 2, 2]);
    assert.deepEqual(p.changes.map(({ path }) => path), ["pools.p.shards", "pools.p.start.env.MODE"]);
    assert.deepEqual(q, { pool: "q", change: "added", ...none, start: 4 });
    assert.deepEqual([routes, prices], [{ changed: true }, { changed: true }]);
    assert.deepEqual(await shown(), before);
  });

  test("a change of the shard count that has to wait is foreseen as such", async () => {
    await rpc(server, "WARM_POOL", "p/0", "deafen", 1);
    await rpc(server, "POOL_COORDINATOR", "coordinator", "ignoreReports", true);
    await put(server, pools({ shards: 3, warm_target: 0 }));
    const { body } = await call("POST", `${CONFIG}/validate`, { body: pools({ shards: 4, warm_target: 0 }) });
    const [{ move, waits }] = body.plan.pools;
    assert.deepEqual([move, waits], [{ from: 3, to: 4 }, true]);
    await rpc(server, "POOL_COORDINATOR", "coordinator", "ignoreReports", false);
    await moved(server, 3);
    await call("DELETE", CONFIG);
    await moved(server, 1);
  });

  test("the configurations of twenty versions are kept, and the log goes on; both outlive the process", async () => {
    const length = (await audit(1_000)).length;
    for (let n = 0; n < 24; n++) {
      const answer = await call("PUT", CONFIG, { body: pools({ warm_target: 0, max_instances: 1 + n }) });
      assert.equal(answer.status, 200);
    }
    const kept = await history();
    assert.deepEqual([kept.length, (await audit(1_000)).length], [20, length + 24]);
    const { version } = kept[0];
    assert.deepEqual(kept.map((record) => record.version), Array.from({ length: 20 }, (_, n) => version - n));
    assert.equal((await call("GET", `${CONFIG}/history/${version - 20}`)).status, 404);
    assert.equal((await call("POST", `${CONFIG}/rollback`, { body: { version: version - 20 } })).status, 404);
    await server.kill();
    await server.start();
    assert.deepEqual(await history(), kept);
    const oldest = kept.at(-1).version;
    const back = await call("POST", `${CONFIG}/rollback`, { body: { version: oldest } });
    assert.deepEqual([back.status, back.body.config.pools.p.max_instances], [200, 5]);
  });

  test("a deploy is on record, also while it is outranked", async () => {
    const { body: before } = await shown();
    await server.kill();
    await server.start({ pools: keeping(4) });
    const { body } = await shown();
    assert.deepEqual([body.source, body.config], ["admin", before.config]);
    const [{ at: _, ...latest }] = await history();
    assert.deepEqual(latest, { version: body.version, by: "deploy", action: "deployed", source: "admin" });
    assert.equal((await call("DELETE", CONFIG)).body.config.pools.p.warm_target, 4);
  });
});
