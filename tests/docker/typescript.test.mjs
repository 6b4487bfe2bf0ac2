// The programs in the README of `cf-container-warm-pool`, with the import line changed and nothing else, on real
// containers: the `Container` class of @cloudflare/containers, and the `Sandbox` class of @cloudflare/sandbox.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { dockerUnavailable, start } from "../../xtask/harness/client.mjs";
import { listContainers } from "../../xtask/harness/docker.mjs";
import { readmeConfig, readmeProgram } from "../js/readme.mjs";
import { sleep, until } from "../workerd/support.mjs";
import { kill } from "./support.mjs";
import { project } from "./typescript/project.mjs";

const file = (name) => new URL(name, import.meta.url);

/** The image that the README's configuration calls `./Dockerfile`. */
const IMAGE = {
  Dockerfile: file("../../example/counter/Dockerfile"),
  "bin/counter": file("../../example/counter/bin/counter"),
};
const DOOR = await readFile(file("typescript/door.ts"), "utf8");
/** What the README's configuration for the Sandbox leaves to the reader. */
const REST = `{
  "name": "my-sandbox-app",
  "main": "src/index.ts",
  "compatibility_date": "2025-01-13",
  "compatibility_flags": ["nodejs_compat"],`;
/** Longer than any test, and shorter than `sleepAfter`: what a test sees is not the work of a refresh. */
const SELDOM = "warmTarget: 3, refreshInterval: 120_000";

/** Why there can be no containers, or no sandboxes. */
const noEngine = await dockerUnavailable();
const noSandbox = existsSync(file("sandbox/root")) ? null : "its image is made of Debian's packages; none are here";

/** A suite on the Worker of a project with these files. `body` gets a function that returns its server. */
function suite(name, { files, skip = noEngine }, body) {
  describe(name, { skip: skip ?? false }, () => {
    let installed;
    let server;
    before(async () => {
      installed = await project(files);
      server = await start({ config: installed.config, containers: "docker" });
    });
    after(async () => {
      await server?.stop();
      await installed?.remove();
    });
    body(() => server);
  });
}

/** The README's image of the Sandbox class, which cannot be pulled here, replaced by our own. */
function withImage(config) {
  const dockerfile = fileURLToPath(file("sandbox/Dockerfile"));
  return config.replaceAll('"ghcr.io/cloudflare/sandbox:latest"', JSON.stringify(dockerfile));
}

const json = async (answer) => {
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
};
const stats = async (server) => json(await server.fetch("/test/stats"));
const ask = async (server, id, path = "/", init = {}) =>
  json(await server.fetch(path, { ...init, headers: { "x-session-id": id } }));
/** A command in the id's sandbox, by the same pool. */
const exec = async (server, id, command) =>
  json(await server.fetch(`/test/exec?id=${id}`, { method: "POST", body: command }));

/** Waits until the pool has its stock, and Docker runs what it has on its books. */
function full(server, assigned = 0) {
  return until(
    `the pool has 3 warm and ${assigned} assigned, and so has Docker`,
    async () => {
      const now = await stats(server);
      const containers = await real(server);
      return now.warm === 3 && now.assigned === assigned && containers.length === now.total && containers;
    },
    30_000,
  );
}

/** The containers that run, each with the name of its host: it shares its sidecar's network, and so the name. */
async function real(server) {
  const all = await listContainers(server.ready.worker);
  const sidecars = all.filter(({ sidecar }) => sidecar);
  const hostnames = new Map(sidecars.map(({ objectId, id }) => [objectId, id.slice(0, 12)]));
  const running = all.filter((container) => container.running && !container.sidecar);
  return running.map((container) => ({ ...container, hostname: hostnames.get(container.objectId) }));
}

const named = (containers, name) => containers.find(({ hostname }) => hostname === name);

suite(
  "the README's quick start",
  {
    files: {
      "wrangler.jsonc": readmeConfig("quick-start"),
      "src/index.ts": DOOR,
      "src/readme.ts": readmeProgram("quick-start"),
      ...IMAGE,
    },
  },
  (server) => {
    test("a first request is served by a container that ran before it, and the next by the same", async () => {
      const before = await full(server());
      const first = await ask(server(), "alice", "/increment", { method: "POST" });
      assert.ok(named(before, first.hostname), `${first.hostname} is one of the warm ones`);
      const next = await ask(server(), "alice", "/increment", { method: "POST" });
      assert.deepEqual([next.hostname, next.count], [first.hostname, 2]);
    });

    test("two ids have two containers, and docker ps shows them and the stock, as the stats do", async () => {
      const alice = await ask(server(), "alice");
      const bob = await ask(server(), "bob");
      assert.notEqual(bob.hostname, alice.hostname);
      assert.equal(bob.count, 0);
      const containers = await full(server(), 2);
      assert.equal(containers.length, 5);
      for (const { hostname } of [alice, bob]) assert.ok(named(containers, hostname), hostname);
      assert.deepEqual(new Set(containers.map(({ className }) => className)), new Set(["MyContainer"]));
    });

    test("the stats have the shape and the defaults of the library that it replaces", async () => {
      const { warm, assigned, total, config, maxInstances } = await stats(server());
      assert.deepEqual({ warm, assigned, total, maxInstances }, { warm: 3, assigned: 2, total: 5, maxInstances: null });
      assert.equal(config.warmTarget, 3);
      assert.equal(config.refreshInterval, 10_000);
    });

    test("an id keeps its container when the server is killed and started again", async () => {
      const before = await ask(server(), "alice", "/increment", { method: "POST" });
      await server().kill();
      await server().start();
      const after = await ask(server(), "alice", "/increment", { method: "POST" });
      assert.deepEqual([after.hostname, after.count], [before.hostname, before.count + 1]);
      await full(server(), 2);
    });

    test("shutdownPrewarmed stops every warm container and none that an id has, and the stock is renewed", async () => {
      const before = await full(server(), 2);
      const alice = await ask(server(), "alice");
      const bob = await ask(server(), "bob");
      await json(await server().fetch("/test/shutdown-prewarmed"));
      const kept = new Set([alice.hostname, bob.hostname]);
      await until("the former stock is gone from docker ps", async () => {
        const now = await real(server());
        return before.every(({ hostname }) => kept.has(hostname) || !named(now, hostname));
      });
      const after = await full(server(), 2);
      for (const hostname of kept) assert.ok(named(after, hostname), hostname);
      assert.equal((await ask(server(), "alice")).count, alice.count);
    });

    test("nothing is left in docker ps when the server has stopped", async () => {
      const { worker } = server().ready;
      assert.ok((await listContainers(worker)).length > 0);
      await server().stop();
      assert.deepEqual(await listContainers(worker), []);
    });
  },
);

suite(
  "the README's quick start, refreshed every two minutes",
  {
    files: {
      "wrangler.jsonc": readmeConfig("quick-start"),
      "src/index.ts": DOOR.replace("warmTarget: 3", SELDOM),
      "src/readme.ts": readmeProgram("quick-start").replace("warmTarget: 3", SELDOM),
      ...IMAGE,
    },
  },
  (server) => {
    test("onStop frees the slot of a killed container without a refresh, and its id gets a warm one", async () => {
      await full(server());
      const { hostname } = await ask(server(), "alice", "/increment", { method: "POST" });
      const before = await full(server(), 1);
      await kill(named(before, hostname));
      const after = await full(server(), 0);
      assert.equal(named(after, hostname), undefined);
      const next = await ask(server(), "alice", "/increment", { method: "POST" });
      assert.ok(named(after, next.hostname), `${next.hostname} is one of the warm ones`);
      assert.equal(next.count, 1);
    });

    test("onStop of a killed warm container has it replaced without a refresh", async () => {
      const before = await full(server(), 1);
      const { hostname } = await ask(server(), "alice");
      const warm = before.find((container) => container.hostname !== hostname);
      await kill(warm);
      await until("it is gone from docker ps", async () => !named(await real(server()), warm.hostname));
      await full(server(), 1);
    });
  },
);

suite(
  "the README's Sandbox example",
  {
    files: {
      "wrangler.jsonc": withImage(readmeConfig("sandbox").replace("{", REST)),
      "src/index.ts": DOOR,
      "src/readme.ts": readmeProgram("sandbox"),
    },
    skip: noEngine ?? noSandbox,
  },
  (server) => {
    test("its exec answers with what python3 printed, from a sandbox that ran before the request", async () => {
      const before = await full(server());
      assert.deepEqual(await ask(server(), "alice"), { output: "4\n" });
      const { stdout } = await exec(server(), "alice", "echo $HOSTNAME");
      assert.ok(named(before, stdout.trim()), `${stdout} is one of the warm ones`);
      await full(server(), 1);
    });

    test("a command's output, errors and exit code come back", async () => {
      const { stdout, stderr, exitCode, success } = await exec(server(), "alice", "echo out; echo err >&2; exit 3");
      assert.deepEqual([stdout, stderr, exitCode, success], ["out\n", "err\n", 3, false]);
    });

    test("an id keeps its sandbox and its files, and another id has another sandbox", async () => {
      await exec(server(), "alice", "echo alice > who");
      assert.equal((await exec(server(), "alice", "python3 -c 'print(open(\"who\").read())'")).stdout, "alice\n\n");
      assert.equal((await exec(server(), "bob", "read name < who")).success, false);
      await full(server(), 2);
    });
  },
);

suite(
  "several pools over several classes in one Worker",
  {
    files: {
      "wrangler.jsonc": withImage(await readFile(file("typescript/pools.jsonc"), "utf8")),
      "src/index.ts": file("typescript/pools.ts"),
      ...IMAGE,
    },
    skip: noEngine ?? noSandbox,
  },
  (server) => {
    const shell = (id, command) => ask(server(), id, "/sandboxes", { method: "POST", body: command });
    const settled = (assigned) =>
      until(
        `each pool has 2 warm, and ${JSON.stringify(assigned)} assigned, and so has Docker`,
        async () => {
          const pools = await json(await server().fetch("/stats"));
          const containers = Object.groupBy(await real(server()), ({ className }) => className);
          const agrees = (name, className) =>
            pools[name].warm === 2 &&
            pools[name].assigned === assigned[name] &&
            containers[className]?.length === pools[name].total;
          return agrees("containers", "MyContainer") && agrees("sandboxes", "MySandbox") && containers;
        },
        30_000,
      );

    test("each gives an id a container of its own class", async () => {
      const before = await settled({ containers: 0, sandboxes: 0 });
      const { hostname } = await ask(server(), "alice", "/containers");
      assert.ok(named(before.MyContainer, hostname));
      assert.ok(named(before.MySandbox, (await shell("alice", "echo $HOSTNAME")).stdout.trim()));
      await settled({ containers: 1, sandboxes: 1 });
    });

    test("onStop frees the slot in the pool of its class, and nothing in the other", async () => {
      const before = await settled({ containers: 1, sandboxes: 1 });
      const { hostname } = await ask(server(), "alice", "/containers");
      await kill(named(before.MySandbox, (await shell("alice", "echo $HOSTNAME")).stdout.trim()));
      await settled({ containers: 1, sandboxes: 0 });
      assert.equal((await ask(server(), "alice", "/containers")).hostname, hostname);
      assert.equal((await shell("alice", "echo again")).stdout, "again\n");
    });

    test("a container that ignores SIGTERM is destroyed at its deadline, and is on the books until then", async () => {
      const stubborn = async () => {
        const pools = await json(await server().fetch("/stats"));
        const containers = (await real(server())).filter(({ className }) => className === "Stubborn");
        return { assigned: pools.stubborn.assigned, draining: pools.stubborn.draining, running: containers.length };
      };
      assert.equal((await ask(server(), "alice", "/stubborn")).message, "pong");
      assert.deepEqual(await stubborn(), { assigned: 1, draining: 0, running: 1 });
      assert.equal(await ask(server(), "alice", "/stubborn/release"), true);
      const released = performance.now();
      await sleep(1_000);
      assert.deepEqual(await stubborn(), { assigned: 0, draining: 1, running: 1 });
      await until("it is gone", async () => (await stubborn()).running === 0);
      assert.ok(performance.now() - released >= 1_900, "not before its deadline");
      await until("it is off the books", async () => (await stubborn()).draining === 0);
    });
  },
);
