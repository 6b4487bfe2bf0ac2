// Changes of the shard count, on real workerd and under traffic: every id keeps its container, and no request fails.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { acquire, ask, full, idsOf, lookup, moved, pools, put, rpc, rpcs, serve, serveInMemory, sleep, stats, until } from "./support.mjs";

/** From one shard on; often enough that what is measured while ids move is a sample. */
const CHANGES = [4, 16, 3, 1, 4, 16, 3, 5, 4, 16, 3];
const IDS = Array.from({ length: 48 }, (_, n) => `id-${n}`);

/** Requests without a pause for ids that have a container, by way of the gateway's memory and of the shards. */
class Traffic {
  #server;
  #homes;
  #over = false;
  #loops = [];
  #next = 0;
  /** When each began and ended, in ms. */
  samples = [];
  failures = [];

  constructor(server, homes) {
    this.#server = server;
    this.#homes = homes;
  }

  start(loops) {
    this.#loops = Array.from({ length: loops }, () => this.#run());
    return this;
  }

  async end() {
    this.#over = true;
    await Promise.all(this.#loops);
  }

  async #run() {
    const ways = [request, request, allocation, look];
    while (!this.#over && this.failures.length < 5) {
      const turn = this.#next++;
      const id = IDS[turn % IDS.length];
      const way = ways[Math.floor(turn / IDS.length) % ways.length];
      const began = performance.now();
      try {
        const home = await way(this.#server, id);
        this.samples.push({ began, ended: performance.now() });
        assert.equal(home, this.#homes.get(id), `${way.name} of ${id}`);
      } catch (error) {
        this.failures.push(`${way.name} of ${id}: ${error.message}`);
      }
    }
  }

  /** How long those took that were under way between two times. */
  between([from, to]) {
    const within = ({ began, ended }) => ended > from && began < to;
    return this.samples.filter(within).map(({ began, ended }) => ended - began);
  }
}

/** Each tells the hostname of the container that answers for an id. */
async function request(server, id) {
  const answer = await ask(server, id);
  assert.equal(answer.status, 200, await answer.clone().text());
  assert.equal(answer.headers.get("x-warm-pool"), "sticky");
  return (await answer.json()).hostname;
}

async function allocation(server, id) {
  const { status, container, outcome, error } = await acquire(server, id);
  assert.deepEqual([status, outcome], [200, "sticky"], JSON.stringify(error));
  return hostnameOf(container);
}

async function look(server, id) {
  return hostnameOf((await lookup(server, id)).container);
}

/** Ids that come and go: each gets one container, keeps it, and loses it when it is released. */
class Guests {
  #server;
  #over = false;
  #loop;
  count = 0;
  failures = [];

  constructor(server) {
    this.#server = server;
  }

  start(everyMs) {
    this.#loop = this.#run(everyMs);
    return this;
  }

  async end() {
    this.#over = true;
    await this.#loop;
  }

  async #run(everyMs) {
    while (!this.#over && this.failures.length < 5) {
      const id = `guest-${this.count++}`;
      try {
        const first = await ask(this.#server, id, "/increment", { method: "POST" });
        assert.equal(first.status, 200, await first.clone().text());
        const { hostname, count } = await first.json();
        assert.equal(count, 1, "of nobody else before");
        await sleep(everyMs);
        assert.equal(await allocation(this.#server, id), hostname);
        const released = await this.#server.admin(`/_warm/v1/pools/p/ids/${id}`, { method: "DELETE" });
        assert.equal(released.status, 204);
        assert.equal(await lookup(this.#server, id), null);
      } catch (error) {
        this.failures.push(`${id}: ${error.message}`);
      }
    }
  }
}

/** How an emulated container names itself. */
function hostnameOf(container) {
  return container.replaceAll("-", "").slice(0, 12);
}

function percentile(times, part) {
  const sorted = [...times].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

/** Gives every id a container; returns their hostnames. */
async function settle(server, ids) {
  const homes = new Map();
  for (const id of ids) {
    const answer = await ask(server, id);
    assert.equal(answer.status, 200);
    homes.set(id, (await answer.json()).hostname);
  }
  return homes;
}

async function assertAtHome(server, homes) {
  for (const [id, home] of homes) {
    assert.equal(await request(server, id), home, id);
    assert.equal(await look(server, id), home, id);
  }
}

describe("1 -> 4 -> 16 -> 3 shards under traffic", () => {
  const of = (shards) => pools({ warm_target: 4, shards, lease_ttl: "3s" });
  let server;
  let homes;
  before(async () => {
    server = await serveInMemory(of(1));
    await full(server);
    homes = await settle(server, IDS);
  });
  after(() => server?.stop());

  test("every id keeps its container, no request fails, and few take longer", { timeout: 170_000 }, async (t) => {
    const traffic = new Traffic(server, homes).start(24);
    const guests = new Guests(server).start(100);
    const [calm, moving] = [[], []];
    await sleep(1_000);
    const seen = [];
    let from = 1;
    for (const to of CHANGES) {
      const quiet = performance.now();
      await sleep(1_500);
      const began = performance.now();
      await put(server, of(to));
      const looks = await moved(server, to);
      const ended = performance.now();
      calm.push([quiet, began]);
      moving.push([began, ended]);
      seen.push(...looks);
      t.diagnostic(`${from} -> ${to}: ${Math.round(ended - began)} ms; first look: ${JSON.stringify(looks[0])}`);
      for (const migration of looks) assert.deepEqual([migration.from, migration.to], [from, to]);
      assert.deepEqual([traffic.failures, guests.failures], [[], []]);
      from = to;
    }
    assert.ok(seen.length > 0, "the stats show it");
    await traffic.end();
    await guests.end();
    assert.deepEqual([traffic.failures, guests.failures], [[], []]);
    await assertAtHome(server, homes);
    const { assigned, shards, moving: onTheWay } = await full(server);
    assert.deepEqual([assigned, shards.length, onTheWay], [IDS.length, 3, 0]);

    const [before, during] = [calm, moving].map((spans) => spans.flatMap((span) => traffic.between(span)));
    const [p99, worst] = [before, during].map((times) => percentile(times, 0.99));
    for (const [when, times] of [["calm", before], ["moving", during]]) {
      const [half, most, max] = [0.5, 0.99, 1].map((part) => percentile(times, part).toFixed(1));
      t.diagnostic(`${when}: ${times.length} requests, p50 ${half} ms, p99 ${most} ms, max ${max} ms`);
    }
    t.diagnostic(`guests: ${guests.count}; p99 moving / calm: ${(worst / p99).toFixed(2)}`);
    assert.ok(during.length >= 1_000, `${during.length} requests say too little`);
    assert.ok(worst <= 3 * p99, `p99 ${worst} ms while ids move, ${p99} ms before`);
  });

  test("a second change waits for the first", async () => {
    const changes = [[of(7)], [of(2)]];
    const views = await rpcs(server, "POOL_COORDINATOR", "coordinator", "putConfig", ...changes);
    const told = views.map(({ config, movingFrom }) => [config.pools.p.shards, movingFrom.p]);
    assert.deepEqual(told, [[7, 3], [7, 3]], "the second is taken, and its count is not in force yet");
    const seen = await moved(server, 2);
    // A look may come too late for one or the other, and sees neither both at once nor any third.
    const steps = [...new Set(seen.map(({ from, to }) => `${from} -> ${to}`))];
    assert.deepEqual(steps, ["3 -> 7", "7 -> 2"].filter((step) => steps.includes(step)));
    await assertAtHome(server, homes);
  });

  test("killed in the middle of it, the server ends it when it runs again", async () => {
    await put(server, of(16));
    await server.kill();
    await server.start();
    await moved(server, 16);
    await assertAtHome(server, homes);
    assert.equal((await full(server)).assigned, IDS.length);
  });
});

describe("routers and shards that have not heard of it", () => {
  const of = (shards) => pools({ warm_target: 0, shards, refresh_interval: "60s" });
  const ids = IDS.slice(0, 16);
  let server;
  let homes;
  before(async () => {
    server = await serve(of(1));
    homes = await settle(server, ids);
  });
  after(() => server?.stop());

  test("a router with an old count finds every id, and gives a new one its container once", async () => {
    // It hears of nothing but what shards tell it.
    await rpc(server, "POOL_COORDINATOR", "coordinator", "silence");
    await rpc(server, "POOL_COORDINATOR", "coordinator", "putConfig", of(5));
    for (const [id, home] of homes) {
      assert.equal(await allocation(server, id), home, id);
      assert.equal(await look(server, id), home, id);
      assert.equal(await request(server, id), home, id);
    }
    const burst = await Promise.all(Array.from({ length: 20 }, () => acquire(server, "newcomer")));
    assert.deepEqual(new Set(burst.map(({ container }) => container)).size, 1);
  });

  test("a shard that was not told is told by the router", async () => {
    await moved(server, 5);
    const { version } = await rpc(server, "WARM_POOL", "p/1", "getPlan");
    // New ones, of which at least one stays with it.
    const ids = await idsOf(server, 1, 6, "new");
    await rpc(server, "WARM_POOL", "p/1", "deafen", 1);
    await put(server, of(6));
    assert.deepEqual((await rpc(server, "WARM_POOL", "p/1", "getPlan")).version, version, "it did not hear");
    const answers = await Promise.all(ids.map((id) => acquire(server, id)));
    assert.deepEqual(answers.map(({ status }) => status), ids.map(() => 200));
    assert.ok(answers.some(({ shard }) => shard === 1));
    const now = await rpc(server, "WARM_POOL", "p/1", "getPlan");
    assert.ok(now.version.version > version.version, JSON.stringify([version, now.version]));
    await moved(server, 6);
    await assertAtHome(server, homes);
  });
});

describe("a container class in JavaScript", () => {
  const of = (shards) => pools({ container: "PLAIN", warm_target: 1, shards });
  let server;
  before(async () => void (server = await serve(of(1))));
  after(() => server?.stop());

  test("its containers move too, and their ends are heard by whoever has them then", async () => {
    const plain = async (id) => (await (await ask(server, id)).json()).plain;
    const ids = IDS.slice(0, 12);
    const homes = new Map();
    for (const id of ids) homes.set(id, await plain(id));
    await put(server, of(3));
    for (const id of ids) assert.equal(await plain(id), homes.get(id), id);
    await moved(server, 3);
    const { shards, assigned } = await stats(server);
    assert.equal(assigned, ids.length);
    assert.ok(shards.filter((shard) => shard.assigned > 0).length > 1, "some have moved");
    for (const id of ids) assert.equal(await plain(id), homes.get(id), id);
    const { shard } = await lookup(server, ids[0]);
    const other = (shard + 1) % 3;
    assert.equal(await rpc(server, "WARM_POOL", `p/${other}`, "reportStopped", homes.get(ids[0])), true);
    assert.equal(await lookup(server, ids[0]), null);
  });
});

describe("two shards, one of which has the stock", () => {
  let server;
  before(async () => void (server = await serve(pools({ warm_target: 2, shards: 2 }))));
  after(() => server?.stop());

  test("an id of the other borrows", async () => {
    const { shards } = await full(server);
    const poor = shards.findIndex(({ warm }) => warm === 0);
    assert.ok(poor >= 0, JSON.stringify(shards.map(({ warm }) => warm)));
    // By now it knows that its sibling keeps some.
    await sleep(1_500);
    const [first, second] = await idsOf(server, poor, 2);
    const answer = await ask(server, first);
    assert.deepEqual([answer.status, answer.headers.get("x-warm-pool")], [200, "borrowed"]);
    const { hostname } = await answer.json();
    const { shard, container } = await lookup(server, first);
    assert.deepEqual([shard, hostnameOf(container)], [poor, hostname]);
    const after = await full(server);
    assert.deepEqual([after.outcomes.borrowed, after.lent, after.assigned], [1, 1, 1]);
    // The lender fills its stock again, and lends again.
    assert.match((await ask(server, second)).headers.get("x-warm-pool"), /^(borrowed|warm)$/);
    assert.equal(await request(server, first), hostname);
  });
});

describe("a limit of 20 over four shards", () => {
  let server;
  const config = pools({ warm_target: 2, shards: 4, max_instances: 20, acquire_timeout: "20s" });
  before(async () => void (server = await serve(config)));
  after(() => server?.stop());

  test("one hot shard can use nine tenths of it, and all together never more than it", async (t) => {
    await full(server);
    const hot = 2;
    const ids = await idsOf(server, hot, 18, "hot");
    let most = 0;
    let over = false;
    const watching = (async () => {
      while (!over) {
        const { starting, warm, assigned, draining } = await stats(server);
        most = Math.max(most, starting + warm + assigned + draining);
      }
    })();
    const began = performance.now();
    const answers = await Promise.all(ids.map((id) => acquire(server, id)));
    const took = performance.now() - began;
    over = true;
    await watching;
    t.diagnostic(`18 containers for one shard after ${Math.round(took)} ms; at most ${most} at once`);
    assert.deepEqual(answers.map(({ status }) => status), ids.map(() => 200));
    assert.equal(new Set(answers.map(({ container }) => container)).size, 18);
    const { shards, assigned } = await stats(server);
    assert.deepEqual([assigned, shards[hot].assigned], [18, 18]);
    assert.ok(most <= 20, String(most));
    assert.ok(took <= 2_000, `within two refresh intervals, not ${took} ms`);
    await until("nothing is over the limit", async () => {
      const { capacity } = await stats(server);
      return capacity.leased <= 20 && capacity.limit === 20;
    });
  });
});
