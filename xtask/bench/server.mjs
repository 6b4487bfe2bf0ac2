// One workerd with every Worker that the bench compares: see workers/.

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Miniflare } from "miniflare";
import { bundle } from "../harness/bundle.mjs";

const COMPATIBILITY_DATE = "2026-07-01";

/** The Worker of the crate, with a configuration of its own. */
const GATEWAY_POOLS = {
  defaults: { container: "CONTAINER", warm_target: 8, refresh_interval: "60s" },
  pools: { known: {}, cached: { id_cache: "CONTAINER_ID_CACHE" } },
  routes: [
    { pool: "cached", path: "/cached/*", id: { header: "x-session-id" } },
    { pool: "known", path: "/*", id: { header: "x-session-id" } },
  ],
};

const source = (file) => fileURLToPath(new URL(file, import.meta.url));
const own = (className) => ({ className, useSQLite: true });
const fake = (className) => ({ className, scriptName: "containers", useSQLite: true });

/** The Workers, by name. */
const WORKERS = {
  containers: {
    main: source("workers/containers.mjs"),
    // A script has only the classes that it binds itself.
    durableObjects: { CONTAINER: own("FakeContainer"), AGENT: own("FakeAgent") },
  },
  bare: {
    main: source("workers/bare.mjs"),
    durableObjects: { NO_OP: own("NoOp"), LEAST_POOL: own("LeastPool"), CONTAINER: fake("FakeAgent") },
  },
  gateway: {
    main: source("../../src/shim/index.mjs"),
    durableObjects: {
      WARM_POOL: own("WarmPool"),
      POOL_COORDINATOR: own("PoolCoordinator"),
      CONTAINER: fake("FakeAgent"),
    },
    bindings: { POOLS_CONFIG: JSON.stringify(GATEWAY_POOLS) },
    kvNamespaces: ["CONTAINER_ID_CACHE"],
  },
  ours: {
    main: source("workers/ours.mjs"),
    durableObjects: { WARM_POOL: own("WarmPool"), CONTAINER: fake("FakeContainer") },
  },
  alone: {
    main: source("workers/ours.mjs"),
    durableObjects: { WARM_POOL: own("WarmPool"), CONTAINER: fake("FakeContainer") },
    bindings: { ALONE: true },
  },
  peer: {
    main: source("workers/peer.mjs"),
    durableObjects: { WARM_POOL: own("WarmPool"), CONTAINER: fake("FakeContainer") },
  },
};

/** The same Workers, with what they do counted: counting has a price, so that time is not taken of these. */
const COUNTED = { "ours-counted": "ours", "peer-counted": "peer" };

/** Starts workerd with these Workers; all of them by default. */
export async function serve(names = [...Object.keys(WORKERS), ...Object.keys(COUNTED)]) {
  const folder = await mkdtemp(path.join(tmpdir(), "warm-pool-bench-"));
  const workers = await Promise.all(names.map(options));
  const before = process.env.TMPDIR;
  // Miniflare leaves files behind.
  process.env.TMPDIR = folder;
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    cf: false,
    telemetry: { enabled: false },
    workers,
    handleRuntimeStdio: discardOutput,
  });
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
  await miniflare.ready;
  const urls = new Map();
  for (const name of names) urls.set(name, (await miniflare.unsafeGetDirectURL(name)).origin);
  return new Server(miniflare, urls, folder, await workerdPid());
}

/** The newest workerd that this program has started; none where there is no /proc. */
async function workerdPid() {
  const children = await readFile(`/proc/self/task/${process.pid}/children`, "utf8").catch(() => "");
  const name = (pid) => readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
  for (const pid of children.trim().split(" ").reverse()) {
    if (pid !== "" && (await name(pid)).trim() === "workerd") return pid;
  }
}

/** What Workers log is of no interest, and would cost time; nor is what the runtime says of alarms that are due at once. */
function discardOutput(out, err) {
  out.resume();
  createInterface({ input: err }).on("line", (line) => {
    if (!line.includes("SQLite alarm overdue")) console.error(line);
  });
}

async function options(name) {
  const counted = name in COUNTED;
  const { main, bindings, ...rest } = WORKERS[COUNTED[name] ?? name];
  return {
    name,
    compatibilityDate: COMPATIBILITY_DATE,
    modules: await bundle(main, {}),
    bindings: { ...bindings, ...(counted && { COUNTED: true }) },
    // Past miniflare's own Worker, whose share would be in every ratio.
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
    ...rest,
  };
}

class Server {
  #miniflare;
  #urls;
  #folder;
  #pid;

  constructor(miniflare, urls, folder, pid) {
    this.#miniflare = miniflare;
    this.#urls = urls;
    this.#folder = folder;
    this.#pid = pid;
  }

  url(worker) {
    return this.#urls.get(worker);
  }

  /** Opens a door of a Worker, and returns what it gives. */
  async door(worker, door, query = {}) {
    const answer = await fetch(`${this.url(worker)}/bench/${door}?${new URLSearchParams(query)}`);
    if (answer.status !== 200) throw new Error(`${worker}/${door}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** The same, and returns how long it took, in ms. */
  async timed(worker, door, query) {
    const began = performance.now();
    await this.door(worker, door, query);
    return performance.now() - began;
  }

  /** The processor's time that workerd has taken since it began, in ms. Linux tells it; elsewhere it is the clock's. */
  async cpu() {
    const threads = this.#pid === undefined ? [] : await readdir(`/proc/${this.#pid}/task`);
    if (threads.length === 0) return performance.now();
    const nanos = threads.map(async (thread) => {
      // A thread may have ended meanwhile.
      const stat = await readFile(`/proc/${this.#pid}/task/${thread}/schedstat`, "utf8").catch(() => "0");
      return Number(stat.split(" ")[0]);
    });
    return (await Promise.all(nanos)).reduce((sum, each) => sum + each, 0) / 1e6;
  }

  /** How long containers take to start from now on, in ms. */
  async startsTake(millis) {
    await fetch(`${this.url("containers")}/start?millis=${millis}`);
  }

  /** Ends it; once is enough. */
  async stop() {
    await this.#miniflare?.dispose();
    this.#miniflare = undefined;
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
