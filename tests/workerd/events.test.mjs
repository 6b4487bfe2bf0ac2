// What has happened, by the admin API: told by the shards, stored by the coordinator, each event once; as pages and as a stream.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { acquire, ask, full, idsOf, moved, pools, put, rpc, serve, until } from "./support.mjs";

const EVENTS = "/_warm/v1/events";

async function events(server, query = {}) {
  const answer = await server.admin(`${EVENTS}?${new URLSearchParams(query)}`);
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}

/** The events that `matches`, as soon as there are `count`. */
function found(server, what, matches, count = 1) {
  return until(what, async () => {
    const matching = (await events(server, { limit: 500 })).events.filter(matches);
    return matching.length >= count && matching;
  });
}

const of = (kind, container) => (event) => event.kind === kind && (container === undefined || event.container === container);

describe("a pool of two shards", () => {
  let server;
  before(async () => void (server = await serve(pools({ warm_target: 1, shards: 2 }))));
  after(() => server?.stop());

  test("the reason of a cold request is in its answer and in the events, and no id is", async () => {
    await full(server);
    const ids = Array.from({ length: 6 }, (_, n) => `secret-id-${n}`);
    const answers = await Promise.all(ids.map((id) => ask(server, id)));
    const reasons = answers.filter((answer) => answer.headers.get("x-warm-pool") === "cold");
    const expected = reasons.map((answer) => answer.headers.get("x-warm-pool-reason")).sort();
    assert.ok(expected.length > 0 && expected.every(Boolean), String(expected));
    const assigned = await found(server, "six are assigned", of("assigned"), 6);
    const cold = assigned.filter(({ outcome }) => outcome === "cold");
    assert.deepEqual(cold.map(({ reason }) => reason).sort(), expected);
    assert.equal(new Set(assigned.map(({ session }) => session)).size, 6);
    for (const { container, epoch, session, pool, shard, at } of assigned) {
      assert.match(session, /^[0-9a-f]{16}$/);
      assert.ok(epoch > 0 && pool === "p" && [0, 1].includes(shard) && Math.abs(Date.now() - at) < 60_000);
      await found(server, "it was started", of("started", container));
    }
    const { events: all } = await events(server, { limit: 500 });
    assert.ok(!JSON.stringify(all).includes("secret-id"));
  });

  test("what is released is told until it is gone, under the hash that it was assigned by", async () => {
    const { container } = await acquire(server, "short-lived");
    await server.admin("/_warm/v1/pools/p/ids/short-lived", { method: "DELETE" });
    const [gone] = await found(server, "it is gone", of("gone", container));
    const { events: all } = await events(server, { limit: 500 });
    const life = all.filter((event) => event.container === container);
    const [assigned, released, drained] = ["assigned", "released", "drained"].map((kind) => life.find(of(kind)));
    assert.deepEqual([released.session, released.epoch], [assigned.session, assigned.epoch]);
    assert.equal(drained.reason, "released");
    assert.ok(assigned.seq < released.seq && released.seq < drained.seq && drained.seq < gone.seq);
  });

  test("a container that changes hands is lent by one shard and borrowed by the other", async () => {
    const [borrowed] = await until("one is borrowed", async () => {
      for (const shard of [0, 1]) {
        // Whichever has the stock, the other has none, and borrows.
        await full(server);
        const [id] = await idsOf(server, shard, 1, `borrows-${Date.now()}`);
        if ((await acquire(server, id)).outcome === "borrowed") return found(server, "it is told", of("borrowed"));
      }
    }, 30_000);
    assert.equal(borrowed.from, 1 - borrowed.shard);
    const [lent] = await found(server, "the lender tells it", of("lent", borrowed.container));
    assert.deepEqual([lent.shard, lent.to], [borrowed.from, borrowed.shard]);
    const [assigned] = await found(server, "who got it", of("assigned", borrowed.container));
    assert.equal(assigned.outcome, "borrowed");
  });

  test("pages: whoever goes on from `next` gets every event once, in order", async () => {
    const { events: all, next: newest } = await events(server, { limit: 500 });
    const seqs = all.map(({ seq }) => seq);
    const [got, since] = [[], { since: 0 }];
    while (since.since < newest) {
      const page = await events(server, { ...since, limit: 7 });
      assert.ok(page.events.length <= 7 && page.dropped === 0);
      got.push(...page.events.map(({ seq }) => seq).filter((seq) => seq <= newest));
      since.since = page.next;
    }
    assert.deepEqual(got, seqs);
    assert.deepEqual(seqs, seqs.map((_, n) => n + 1), "none is missing");
    const { events: last } = await events(server, { limit: 3, pool: "p" });
    assert.equal(last.length, 3);
    assert.ok(last[0].seq > seqs.at(-4));
  });

  test("bad questions are refused with what is allowed, and a pool that never was is not found", async () => {
    for (const query of ["limit=0", "limit=501", "limit=x", "since=-1", "since=1.5", "pool=%20", "until=3", "limit=1&limit=2"]) {
      const answer = await server.admin(`${EVENTS}?${query}`);
      const { error } = await answer.json();
      assert.deepEqual([answer.status, error.code], [400, "bad_query"], query);
      assert.ok(error.message.length > 10);
    }
    const unknown = await server.admin(`${EVENTS}?pool=never`);
    assert.deepEqual([unknown.status, (await unknown.json()).error.code], [404, "unknown_pool"]);
    assert.equal((await server.admin(EVENTS, { method: "POST" })).status, 405);
    assert.equal((await server.fetch(EVENTS)).status, 401);
  });

  test("a batch that a shard sends twice is stored once, also after the coordinator was loaded anew", async () => {
    const batch = { shard: { pool: "p", index: 1 }, number: 2 ** 52, events: [{ at: 1, kind: "gone", container: "sent-twice" }] };
    const send = () => rpc(server, "POOL_COORDINATOR", "coordinator", "record", batch);
    assert.deepEqual([await send(), await send()], [2 ** 52, 2 ** 52]);
    await server.end();
    await server.start();
    assert.equal(await send(), 2 ** 52);
    const stored = await found(server, "it is stored", of("gone", "sent-twice"));
    assert.equal(stored.length, 1);
    // The shard's own clock is behind that: it goes on from there.
    const [id] = await idsOf(server, 1, 1, "after");
    const { container } = await acquire(server, id);
    await found(server, "later events of the shard are stored", of("assigned", container));
  });

  test("the stream tells what happens, and goes on where it was cut off", async () => {
    const { next } = await events(server, { limit: 1 });
    const first = await listen(server, { query: `?since=${next}` });
    const one = await acquire(server, "streamed-1");
    const told = await first.until((event) => event.kind === "assigned" && event.container === one.container);
    first.stop();
    const two = await acquire(server, "streamed-2");
    const second = await listen(server, { headers: { "last-event-id": String(told.seq) } });
    await second.until((event) => event.container === two.container && event.kind === "assigned");
    second.stop();
    const streamed = [...first.events, ...second.events].map(({ seq }) => seq);
    const { events: all } = await events(server, { since: next, limit: 500 });
    assert.deepEqual(streamed, all.map(({ seq }) => seq).slice(0, streamed.length), "each once, and none left out");
    const bad = await server.admin(EVENTS, { headers: { accept: "text/event-stream", "last-event-id": "x" } });
    assert.equal(bad.status, 400);
  });

  test("a changed shard count is told from its begin to its end, with the configuration that brought it", async () => {
    const { version } = await put(server, pools({ warm_target: 1, shards: 3 }));
    await moved(server, 3);
    const [began] = await found(server, "it began", of("migration-began"));
    const [ended] = await found(server, "it ended", of("migration-ended"));
    assert.deepEqual([began.from, began.to, began.version], [2, 3, version]);
    assert.deepEqual([ended.from, ended.to], [2, 3]);
    assert.ok(began.seq < ended.seq);
    const applied = await found(server, "the configuration", of("config-applied"));
    assert.ok(applied.some((event) => event.version === version && event.reason === "admin" && event.pool === "p"));
    assert.equal(applied[0].reason, "var");
  });

  test("the stream tells how many are missing that are kept no longer", async () => {
    const happened = Array.from({ length: 128 }, (_, at) => ({ at, kind: "gone" }));
    for (let nth = 1; nth <= 20; nth++) {
      const batch = { shard: { pool: "p", index: 1 }, number: 2 ** 52 + 1_000_000 + nth, events: happened };
      await rpc(server, "POOL_COORDINATOR", "coordinator", "record", batch);
    }
    const query = { since: 0, pool: "p", limit: 1 };
    const { events: [oldest], dropped } = await events(server, query);
    assert.ok(dropped > 0);
    const stream = await listen(server, { query: `?${new URLSearchParams(query)}` });
    await stream.until(({ seq }) => seq === oldest.seq);
    stream.stop();
    assert.deepEqual(stream.dropped, [dropped]);
  });
});

describe("starts that fail", () => {
  let server;
  before(async () => void (server = await serve(pools({ warm_target: 1 }, { env: { FAULT: "no-such-image" } }))));
  after(() => server?.stop());

  test("are told with what is wrong, as are the breaker and the ceiling, and that they are over", async () => {
    const [failed] = await found(server, "a start failed", of("start-failed"));
    assert.deepEqual([failed.reason, failed.pool, failed.shard], ["permanent", "p", 0]);
    assert.match(failed.message, /image/i);
    const [opened] = await found(server, "the breaker is open", of("breaker-opened"));
    assert.equal(opened.reason, "permanent");
    await put(server, pools({ warm_target: 1 }, { env: { FAULT: "capacity" } }));
    await found(server, "the breaker is closed", of("breaker-closed"));
    const [learned] = await found(server, "a ceiling", of("ceiling-learned"));
    assert.equal(learned.limit, 0);
    await put(server, pools({ warm_target: 1 }));
    await found(server, "the ceiling is over", of("ceiling-expired"));
    await full(server);
  });
});

/** Listens to the stream: `{events, dropped, until, stop}`. */
async function listen(server, { query = "", headers = {} }) {
  const controller = new AbortController();
  const answer = await server.admin(`${EVENTS}${query}`, {
    headers: { accept: "text/event-stream", ...headers },
    signal: controller.signal,
  });
  assert.deepEqual([answer.status, answer.headers.get("content-type")], [200, "text/event-stream"]);
  const [told, dropped] = [[], []];
  const reading = (async () => {
    let text = "";
    for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
      const frames = (text + chunk).split("\n\n");
      text = frames.pop();
      for (const frame of frames.filter((frame) => frame.startsWith("event: dropped\n"))) {
        dropped.push(JSON.parse(/data: (.+)$/.exec(frame)[1]).dropped);
      }
      for (const frame of frames.filter((frame) => frame.startsWith("id: "))) {
        const [, id, kind, data] = /^id: (\d+)\nevent: (.+)\ndata: (.+)$/.exec(frame);
        const event = JSON.parse(data);
        assert.deepEqual([event.seq, event.kind], [Number(id), kind]);
        told.push(event);
      }
    }
  })().catch(() => {});
  return {
    events: told,
    dropped,
    until: (matches) => until("the stream tells it", () => told.find(matches)),
    stop: () => (controller.abort(), reading),
  };
}
