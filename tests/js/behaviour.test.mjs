// Both libraries, the old one from npm and ours, through the same scenarios on the same workerd: what the old one does
// well both must do; its faults it must still have, or docs/comparison.md is no longer true; ours must have none of them.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { COSTS, FAULTS } from "./faults.mjs";
import { Library, REFRESH_MS, serveBoth, sleep, until } from "./support.mjs";

const NAMES = { theirs: "cf-container-warm-pool", ours: "cf-warm-pools" };
const PAGE = new URL("../../docs/comparison.md", import.meta.url);

let server;
before(async () => void (server = await serveBoth()));
after(() => server?.stop());

/** A test of each library, both at the same time: their worlds are apart. */
function each(what, body, behaviour) {
  describe(what, { concurrency: true }, () => {
    for (const [key, name] of Object.entries(NAMES)) {
      test(name, (t) => new Library(server, key).run((library) => body(library, t), behaviour));
    }
  });
}

describe("what both do", () => {
  each("an id gets a container of its own, and nobody else gets it", async (library) => {
    const pool = library.pool({ warmTarget: 2 });
    await pool.filled();
    const ids = Array.from({ length: 8 }, (_, n) => `id-${n}`);
    const given = await pool.getAll(...ids);
    assert.equal(new Set(given).size, 8);
    for (const container of given) assert.ok((await library.container(container)).running);
    assert.equal((await pool.stats()).assigned, 8);
  });

  each("an id keeps its container: later, among others, and when the pool's object is restarted", async (library) => {
    const pool = library.pool({ warmTarget: 2 });
    await pool.filled();
    const [alice, bob] = await pool.getAll("alice", "bob");
    await sleep(2 * REFRESH_MS);
    assert.deepEqual(await pool.getAll("bob", "alice", "bob"), [bob, alice, bob]);
    await pool.restart();
    assert.deepEqual(await pool.getAll("alice", "bob"), [alice, bob]);
    assert.equal((await library.container(alice)).starts, 1);
  });

  each("warm containers are given before any is started", async (library) => {
    const pool = library.pool({ warmTarget: 3, refreshInterval: 5_000 });
    await pool.filled();
    const stock = (await library.running()).map(({ id }) => id);
    const given = await pool.getAll("alice", "bob", "carol");
    assert.deepEqual(given.toSorted(), stock.toSorted());
  });

  each("an id is served when nothing is warm", async (library) => {
    const pool = library.pool({ warmTarget: 0 });
    assert.ok((await library.container(await pool.get("alice"))).running);
  });

  each("the stub that is given reaches the container, by fetch and by the class's own methods", async (library) => {
    const pool = library.pool({ warmTarget: 1 });
    const alice = await pool.get("alice");
    const [fetched, executed] = await pool.calls([
      { method: "getContainer", args: ["alice"], then: "fetch" },
      { method: "getContainer", args: ["alice"], then: "exec" },
    ]);
    assert.deepEqual(fetched.value?.answer, { container: alice }, JSON.stringify(fetched));
    assert.deepEqual(executed.value?.answer, { stdout: `uname in ${alice}` }, JSON.stringify(executed));
  });

  each("what is taken from the stock is replaced", async (library) => {
    const pool = library.pool({ warmTarget: 2 });
    await pool.filled();
    await pool.getAll("alice", "bob");
    await until("it is full again", async () => (await pool.stats()).warm === 2);
    assert.equal((await library.running()).length, 4);
  });

  each("stats have the same shape", async (library) => {
    const pool = library.pool({ warmTarget: 2 });
    await pool.filled();
    await pool.get("alice");
    await pool.filled();
    const { warm, assigned, total, config, maxInstances } = await pool.stats();
    const { warmTarget, refreshInterval } = config;
    assert.deepEqual(
      { warm, assigned, total, config: { warmTarget, refreshInterval }, maxInstances },
      { warm: 2, assigned: 1, total: 3, config: { warmTarget: 2, refreshInterval: REFRESH_MS }, maxInstances: null },
    );
  });

  each("without a configuration: 5 warm, an interval of 10 s, the pool `global-pool`", async (library) => {
    const pool = library.poolAsItIs(null);
    const { config } = await pool.stats();
    assert.deepEqual([config.warmTarget, config.refreshInterval], [5, 10_000]);
    assert.match(await pool.object("name"), /^global-pool(\/0)?$/);
    const alice = await pool.get("alice");
    assert.equal(await library.poolAsItIs({ poolName: "global-pool" }).get("alice"), alice);
  });

  each("pools of different names have containers of their own", async (library) => {
    const [one, other] = [library.pool({ warmTarget: 0 }), library.pool({ warmTarget: 0 })];
    assert.notEqual(await one.get("alice"), await other.get("alice"));
  });

  each("with a smaller warmTarget the surplus is stopped, and whoever has a container keeps it", async (library) => {
    const pool = library.pool({ warmTarget: 4 });
    const alice = await pool.get("alice");
    await pool.filled();
    const smaller = pool.with({ warmTarget: 1 });
    assert.equal(await smaller.get("alice"), alice);
    await until("one is warm", async () => (await smaller.stats()).warm === 1);
    await until("the others have gone", async () => (await library.running()).length === 2);
    assert.equal(await smaller.get("alice"), alice);
    assert.equal((await library.container(alice)).signalled, false);
  });

  each("settings that come back hold again", async (library) => {
    const pool = library.pool({ warmTarget: 2 });
    const smaller = pool.with({ warmTarget: 0 });
    await pool.filled();
    await pool.get("alice");
    await smaller.get("alice");
    await until("the stock has gone", async () => (await library.running()).length === 1);
    await pool.get("alice");
    await until("the stock is back", async () => (await library.running()).length === 3);
  });

  each("shutdownPrewarmed stops the stock, and leaves alone whoever is assigned", async (library) => {
    const pool = library.pool({ warmTarget: 3 });
    const alice = await pool.get("alice");
    await pool.filled();
    const stock = (await library.running()).map(({ id }) => id).filter((id) => id !== alice);
    await pool.shutdownPrewarmed();
    const signalled = async () => (await library.ledger()).containers.filter((it) => it.signalled).map(({ id }) => id);
    await until("the stock is stopped", async () => (await signalled()).length === stock.length);
    assert.deepEqual((await signalled()).toSorted(), stock.toSorted());
    assert.equal(await pool.get("alice"), alice);
    assert.equal((await pool.stats()).assigned, 1);
    await pool.filled();
  });

  each("reportStopped with the container's name frees its id at once", async (library) => {
    const pool = library.pool({ warmTarget: 0, refreshInterval: 60_000 });
    const alice = await pool.get("alice");
    await library.die(alice);
    const { value: name } = await library.door("name", { container: alice });
    await pool.object("reportStopped", name);
    assert.equal((await pool.stats()).assigned, 0);
    assert.notEqual(await pool.get("alice"), alice);
  });

  each("a death that nobody reports is found: of an id's container, and in the stock", async (library) => {
    const pool = library.pool({ warmTarget: 1 });
    const alice = await pool.get("alice");
    await pool.filled();
    await Promise.all((await library.running()).map(({ id }) => library.die(id)));
    await until("alice has another that runs", async () => {
      const now = await pool.get("alice");
      return now !== alice && (await library.container(now)).running;
    });
    await until("the stock is replaced", async () => {
      return (await pool.stats()).warm === 1 && (await library.running()).length === 2;
    });
  });

  each("the stock is kept from falling asleep", async (library) => {
    const pool = library.pool({ warmTarget: 1 });
    await pool.filled();
    const [{ id }] = await library.running();
    await until("it is told twice", async () => (await library.container(id)).asked.renewActivityTimeout >= 2);
  });

  each("beyond the platform's limit a call fails, until a container has gone", async (library) => {
    const pool = library.pool({ warmTarget: 0, ours: { acquireTimeout: 1_000 } });
    const alice = await pool.get("alice");
    const [refused] = await pool.getAll("bob");
    assert.ok(refused.error, "it is refused");
    await pool.hurry();
    await library.die(alice);
    await until("the slot is free", async () => (await pool.booked()) === 0);
    await until("bob is served", async () => typeof (await pool.getAll("bob"))[0] === "string");
  }, { capacity: 1 });
});

/** What was observed, in words, by scenario and library. */
const said = new Map();

function scenarios(all) {
  for (const { number, what, behaviour, run, says, ...expected } of all) {
    each(number ? `${number}: ${what}` : what, async (library, t) => {
      const observed = await run(library);
      t.diagnostic(`${library.name}: ${[JSON.stringify(observed), ...library.notes].join("; ")}`);
      said.set(what, { ...said.get(what), [library.name]: says(observed) });
      assert.deepEqual(observed, expected[library.name]);
    }, behaviour);
  }
}

describe("the faults of cf-container-warm-pool 0.1.2, which it has and ours has not", () => scenarios(FAULTS));
describe("what a call costs", () => scenarios(COSTS));

describe("whatever the id cache does, an id of ours is served, and by its own container", () => {
  const UUID = "00000000-0000-4000-8000-000000000000";
  const fails = { throws: "KV failed: 503 Service Unavailable" };
  /** What a cache may do, given a value that leads to somebody else's container, and one whose container is gone. */
  const caches = (others, stale) => ({
    "cannot be read": { get: fails },
    "cannot be written": { put: fails },
    "does nothing but fail": { get: fails, put: fails, delete: fails },
    "never answers a read": { get: { hangs: true } },
    "never answers a write": { put: { hangs: true }, delete: { hangs: true } },
    "has another id's container": { get: { gives: others.value } },
    "has another id's container, as cf-container-warm-pool writes it": { get: { gives: others.name } },
    "has another id's container at a later epoch": {
      get: { gives: JSON.stringify({ container: others.name, epoch: 1_000_000_000 }) },
    },
    "has a container that is gone": { get: { gives: stale.value } },
    "has a container that never was": { get: { gives: JSON.stringify({ container: UUID, epoch: 1 }) } },
    "has an empty text": { get: { gives: "" } },
    "has JSON of another kind": { get: { gives: "[[]]" } },
    "has a very long text": { get: { gives: "[".repeat(100_000) } },
    "answers no text": { get: { gives: 7 } },
  });

  for (const [kind, who] of [
    ["container", "a class of `@cloudflare/containers`"],
    ["agent", "a class that checks whom it serves"],
  ]) {
    test(`containers of ${who}`, async () => {
      await new Library(server, "ours").run(async (library) => {
        const pool = library.pool({ kind, warmTarget: 2, refreshInterval: 5_000, idCache: {} });
        /** What the containers' objects say of themselves, given a container's name. */
        const hexOf = async (name) => (await library.door("hex", { kind, name })).value;
        const saysItIs = async (answer, name) => {
          if (kind === "container") return answer.container === (await hexOf(name));
          return answer.hostname === name.replaceAll("-", "").slice(0, 12);
        };
        /** An id's container, by the pool's own word, and what its entry in the cache looks like. */
        const known = async (id) => {
          const { container: name, epoch } = await pool.object("getContainer", id);
          return { name, value: JSON.stringify({ container: name, epoch }) };
        };
        const fetched = await pool.calls([{ method: "fetch", args: ["bob"] }]);
        assert.ok(fetched[0].value, JSON.stringify(fetched[0]));
        const others = await known("bob");
        if (kind === "agent") {
          await until("the cache is written as this test thinks it is", async () => {
            return (await library.door("cache")).values.includes(others.value);
          });
        }
        const stale = await known("carol");
        await pool.object("release", "carol");

        for (const [what, idCache] of Object.entries(caches(others, stale))) {
          const id = what === "has a container that is gone" ? "carol" : `id of a cache that ${what}`;
          // Not by the client, which would remember it.
          const { name } = await known(id);
          const { reads } = await library.door("cache");
          for (const method of ["fetch", "getContainer"]) {
            const [{ value, error }] = await pool.with({ idCache }).calls([{ method, args: [id], then: "fetch" }]);
            assert.equal(error, undefined, `a cache that ${what} fails ${method}: ${error?.message}`);
            const answer = method === "fetch" ? value : value.answer;
            const led = `with a cache that ${what}, ${method} leads to ${JSON.stringify(answer)}`;
            assert.ok(await saysItIs(answer, name), led);
            if (method === "getContainer") assert.equal(value.container, await hexOf(name));
          }
          const read = (await library.door("cache")).reads > reads;
          assert.equal(read, kind === "agent", `a cache that ${what} is ${read ? "" : "not "}read`);
          const again = await known(id);
          assert.equal(again.name, name, `a cache that ${what} changes who has which container`);
        }
        const [bob] = await pool.calls([{ method: "fetch", args: ["bob"] }]);
        assert.ok(await saysItIs(bob.value, others.name), "bob keeps his container");
      });
    });
  }
});

describe("docs/comparison.md", () => {
  test("says what was observed", async () => {
    const rows = [...FAULTS, ...COSTS].map(({ number, what }) => {
      const { theirs, ours } = said.get(what) ?? {};
      return `| ${[number, what, theirs, ours].filter((cell) => cell !== undefined).join(" | ")} |`;
    });
    const page = (await readFile(PAGE, "utf8")).split("\n").filter((line) => line.startsWith("|"));
    const isBody = (line, n) => !/^\|[-| ]+\|$/.test(line) && !/^\|[-| ]+\|$/.test(page[n + 1] ?? "");
    assert.deepEqual(page.filter(isBody), rows);
  });
});
