// Changes of the shard count, on real workerd and under traffic: every id keeps its container, and no request fails.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  acquire, ask, books, full, idsOf, lookup, moved, pools, put, rpc, rpcs, serve, serveInMemory, sleep, stats, until, watchBooks,
} from "./support.mjs";

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
    assert.ok(seen.some(({ remaining, openShards }) => remaining > 0 || openShards > 0), "the stats show how far it is");
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

  test("killed in the middle of it, the server ends it when it runs again", async (t) => {
    let caught;
    for (const to of [16, 3, 16, 3, 16]) {
      await put(server, of(to));
      await server.kill();
      // Nobody is woken before the coordinator has said whether ids were still moving.
      await server.start({ cron: false });
      const { migration } = await stats(server);
      t.diagnostic(`killed in a change to ${to} shards: ${JSON.stringify(migration)}`);
      await moved(server, to);
      await assertAtHome(server, homes);
      const { assigned } = await full(server);
      assert.equal(assigned, IDS.length);
      caught = migration;
      if (caught !== null) break;
    }
    assert.notEqual(caught, null, "no kill fell into a change");
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

  const routesBy = async () => (await (await server.fetch("/_warm/healthz")).json()).config.version;
  const assertFound = async (newcomer) => {
    for (const [id, home] of homes) {
      assert.equal(await allocation(server, id), home, id);
      assert.equal(await look(server, id), home, id);
      assert.equal(await request(server, id), home, id);
    }
    const burst = await Promise.all(Array.from({ length: 20 }, () => acquire(server, newcomer)));
    assert.deepEqual(burst.map(({ status }) => status), burst.map(() => 200));
    assert.equal(new Set(burst.map(({ container }) => container)).size, 1);
  };
  /** A router that knows nothing but what the Worker carries. */
  const startAnew = async () => {
    await server.end();
    await server.start({ cron: false });
    assert.equal(await routesBy(), 0);
  };

  test("a router with the count of its deploy finds every id, and gives a new one its container once", async () => {
    await startAnew();
    // From now on it hears of nothing but what shards tell it.
    await rpc(server, "POOL_COORDINATOR", "coordinator", "silence");
    await rpc(server, "POOL_COORDINATOR", "coordinator", "putConfig", of(5));
    await assertFound("newcomer");
    assert.equal(await routesBy(), 0, "it heard of no configuration");
  });

  test("so does one with a count that the coordinator told it", async () => {
    await moved(server, 5);
    await startAnew();
    // Before anything is asked of a pool by the admin API, the coordinator is.
    assert.equal(await look(server, ids[0]), homes.get(ids[0]));
    const version = await routesBy();
    assert.ok(version > 0, "it has adopted what is in force");
    await rpc(server, "POOL_COORDINATOR", "coordinator", "silence");
    await rpc(server, "POOL_COORDINATOR", "coordinator", "putConfig", of(3));
    await assertFound("another");
    assert.equal(await routesBy(), version, "it heard of no other configuration");
  });

  test("a shard that was not told is told by the router", async () => {
    await put(server, of(6));
    await moved(server, 6);
    // Those that stay with it from five shards to six: nobody has to ask it for what it had of them, and so tells it the plan.
    const ids = await idsOf(server, 1, 6, "new");
    await put(server, of(5));
    await moved(server, 5);
    const planOf = async (shard) => (await rpc(server, "WARM_POOL", `p/${shard}`, "getPlan")).version.version;
    const version = await planOf(1);
    await rpc(server, "WARM_POOL", "p/1", "deafen", 1);
    await put(server, of(6));
    assert.ok((await planOf(0)) > version, "another did hear");
    assert.equal(await planOf(1), version, "it did not");
    const began = performance.now();
    const answers = await Promise.all(ids.map((id) => acquire(server, id)));
    const took = performance.now() - began;
    assert.deepEqual(answers.map(({ status, shard }) => [status, shard]), ids.map(() => [200, 1]));
    assert.ok((await planOf(1)) > version);
    assert.ok(took < 4_000, `the coordinator tells it again after 5 s, and it took ${took} ms`);
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
    // Any shard will do, also when an application says that it passes nothing on.
    for (const [id, ...more] of [[ids[0]], [ids[1], false]]) {
      const { shard } = await lookup(server, id);
      const other = (shard + 1) % 3;
      assert.equal(await rpc(server, "WARM_POOL", `p/${other}`, "reportStopped", homes.get(id), ...more), true);
      assert.equal(await lookup(server, id), null);
    }
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
  const config = pools({ warm_target: 2, shards: 4, max_instances: 20, acquire_timeout: "4s" });
  before(async () => void (server = await serve(config)));
  after(() => server?.stop());

  test("one hot shard can use nine tenths of it, and all together never more than it", async (t) => {
    await full(server);
    const hot = 2;
    const ids = await idsOf(server, hot, 30, "hot");
    const watch = watchBooks(server, { p: 4 });
    const began = performance.now();
    const answers = await Promise.all(
      ids.map(async (id) => ({ ...(await acquire(server, id)), took: performance.now() - began })),
    );
    const { most, looks } = await watch.end();
    const served = answers.filter(({ status }) => status === 200);
    const times = served.map(({ took }) => took).sort((one, other) => one - other);
    t.diagnostic(`${served.length} of ${ids.length} served, 18 of them after ${Math.round(times[17])} ms; at most ${most} containers in ${looks} looks`);
    assert.ok(served.length >= 18, JSON.stringify(answers));
    assert.equal(new Set(served.map(({ container }) => container)).size, served.length);
    const refused = answers.filter(({ status }) => status !== 200);
    assert.deepEqual(refused.map(({ status, error }) => [status, error.code]), refused.map(() => [503, "at_capacity"]));
    assert.ok(most <= 20, String(most));
    assert.ok(looks >= 10, `${looks} looks say too little`);
    assert.ok(times[17] <= 2_000, `within two refresh intervals, not ${times[17]} ms`);
    const { shards, assigned } = await stats(server);
    assert.deepEqual([assigned, shards[hot].assigned], [served.length, served.length]);
    await until("nothing is over the limit", async () => {
      const { capacity } = await stats(server);
      return capacity.leased <= 20 && capacity.limit === 20;
    });
  });
});

describe("two pools of one class, with a limit of 6 each", () => {
  let server;
  const config = pools({ warm_target: 1, shards: 2, max_instances: 6, acquire_timeout: "2s" });
  config.pools.q = { ...config.pools.p };
  const of = (pool) => Array.from({ length: 6 }, (_, n) => `${pool}-${n}`);
  const acquireAll = async (pool) => {
    const answers = await Promise.all(of(pool).map(async (id) => ({ id, ...(await acquire(server, id, pool)) })));
    const served = answers.filter(({ status }) => status === 200).map(({ id }) => id);
    for (const { status, error } of answers) if (status !== 200) assert.deepEqual([status, error.code], [503, "at_capacity"]);
    return served;
  };
  before(async () => void (server = await serve(config)));
  after(() => server?.stop());

  test("have 6 together, and one gets what the other gives up", async (t) => {
    await full(server, "p");
    await full(server, "q");
    const watch = watchBooks(server, { p: 2, q: 2 });
    const [ofP, ofQ] = [await acquireAll("p"), await acquireAll("q")];
    t.diagnostic(`${ofP.length} of p, ${ofQ.length} of q`);
    assert.ok(ofP.length >= 5, "but for the one that q keeps warm");
    assert.ok(ofP.length + ofQ.length <= 6);
    for (const id of ofP) await server.admin(`/_warm/v1/pools/p/ids/${id}`, { method: "DELETE" });
    await until("q has them", async () => (await acquireAll("q")).length >= 5, 30_000);
    const { most, looks } = await watch.end();
    t.diagnostic(`at most ${most} containers in ${looks} looks`);
    assert.equal(most, 6);
    assert.ok((await books(server, { p: 2, q: 2 })).size <= 6);
    const { capacity } = await stats(server, "q");
    assert.equal(capacity.classLimit, 6);
  });
});
