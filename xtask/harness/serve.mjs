#!/usr/bin/env node
// Serves the Worker of a wrangler configuration on local workerd, with storage that persists, and with containers that
// are either real (a Docker engine) or emulated inside the container's Durable Object.
//
// For people: `cargo xtask dev`. For programs: `--json` prints one line of JSON when ready, and the end of standard
// input ends the server; see client.mjs.
//
// A container belongs to the storage that knows of it. A server that is killed leaves its containers running, and the
// next one on the same state directory finds them. A server that is asked to end removes them (`--on-exit keep` does
// not). At start, containers of this directory whose Durable Object has no storage are orphans, and are removed.

import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions, unstable_readConfig } from "wrangler";
import { bundle } from "./bundle.mjs";
import { buildImage, findEngine, listContainers, removeContainers } from "./docker.mjs";
import * as state from "./state.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const OWN_CONFIG = path.join(ROOT, "wrangler.jsonc");
const HELP = `node serve.mjs [options]
  --config FILE       wrangler configuration (default: the repository's wrangler.jsonc)
  --port N            default 8787; 0 takes a free one
  --containers MODE   auto (default), docker or emulated
  --state DIR         default .wrangler/dev
  --fresh             empty the storage first
  --on-exit WHAT      remove (default) or keep the containers when asked to end
  --var NAME=VALUE    a variable for the Worker; NAME alone takes one away; may be repeated
  --image CLASS=NAME  run this image for a container class and do not build its own; may be repeated
  --egress-image NAME the sidecar's image (default: the stand-in in xtask/egress)
  --no-cron           do not run the cron triggers once at start, which fills the pools before any request
  --json              for programs: one line of JSON when ready; end of standard input ends the server`;
const SHUTDOWN_TIMEOUT_MS = 10_000;

class UsageError extends Error {}

function readArguments() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        config: { type: "string", default: OWN_CONFIG },
        port: { type: "string", default: "8787" },
        containers: { type: "string", default: "auto" },
        state: { type: "string", default: path.join(ROOT, ".wrangler/dev") },
        fresh: { type: "boolean", default: false },
        "on-exit": { type: "string", default: "remove" },
        var: { type: "string", multiple: true, default: [] },
        image: { type: "string", multiple: true, default: [] },
        "egress-image": { type: "string" },
        "no-cron": { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new UsageError(`--port ${values.port}: not a port`);
  oneOf("--containers", values.containers, ["auto", "docker", "emulated"]);
  oneOf("--on-exit", values["on-exit"], ["remove", "keep"]);
  const images = new Map();
  for (const image of values.image) {
    const at = image.indexOf("=");
    if (at < 1) throw new UsageError(`--image ${image}: it must be CLASS=NAME`);
    images.set(image.slice(0, at), image.slice(at + 1));
  }
  return { ...values, port, images };
}

function oneOf(option, value, allowed) {
  if (!allowed.includes(value)) throw new UsageError(`${option} ${value}: it may be ${allowed.join(", ")}`);
}

/** The engine to use, or null for emulated containers. */
async function chooseEngine(mode) {
  if (mode === "emulated") return { engine: null, reason: "as asked" };
  const found = await findEngine();
  if ("engine" in found) return { engine: found.engine };
  if (mode === "docker") throw new Error(`--containers docker: ${found.reason}`);
  return { engine: null, reason: found.reason };
}

/** The Worker's variables: the configuration's, then the environment's, then the command line's. */
function variables(configured, emulated, given) {
  const bindings = { ...configured, ADMIN_TOKEN: process.env.ADMIN_TOKEN ?? configured.ADMIN_TOKEN ?? "dev" };
  if (process.env.POOLS_CONFIG !== undefined) bindings.POOLS_CONFIG = process.env.POOLS_CONFIG;
  delete bindings.WARM_POOL_CONTAINERS;
  if (emulated) bindings.WARM_POOL_CONTAINERS = "emulated";
  for (const variable of given) {
    const at = variable.indexOf("=");
    if (at < 0) delete bindings[variable];
    else bindings[variable.slice(0, at)] = variable.slice(at + 1);
  }
  return bindings;
}

/** Builds what has to be built and returns the image of each container class. */
async function prepareImages(config, given, progress) {
  const images = new Map(given);
  for (const container of config.containers ?? []) {
    if (images.has(container.class_name)) continue;
    if (!/dockerfile/i.test(path.basename(container.image))) {
      images.set(container.class_name, container.image);
      continue;
    }
    const tag = `cf-warm-pools-local/${container.class_name.toLowerCase()}:latest`;
    progress(`image of ${container.class_name}`);
    await buildImage({
      tag,
      dockerfile: container.image,
      context: container.image_build_context ?? path.dirname(container.image),
    });
    images.set(container.class_name, tag);
  }
  return images;
}

async function prepareEgress(given) {
  if (given !== undefined) return given;
  const context = path.join(ROOT, "xtask/egress");
  const tag = "cf-warm-pools-local/egress:latest";
  await buildImage({ tag, dockerfile: path.join(context, "Dockerfile"), context });
  return tag;
}

async function removeOrphans(worker, objects) {
  const orphans = [];
  const stored = new Map();
  for (const { name, className, objectId } of await listContainers(worker)) {
    if (!stored.has(className)) stored.set(className, await state.storedObjects(objects, `${worker}-${className}`));
    if (!stored.get(className).has(objectId)) orphans.push(name);
  }
  await removeContainers(orphans);
  return orphans.filter((name) => !name.endsWith("-proxy")).length;
}

/** What workerd says of alarms that are due at once, or that a restart finds moved to later. It is right about them. */
const ALARMS = [
  "SQLite alarm overdue, running despite AlarmManager mismatch",
  "SQLite alarm handler canceled with requestScheduledAlarm",
];

/** Passes on what workerd says, but for addresses in its own code and `ALARMS`. */
function passOn(stderr) {
  createInterface({ input: stderr }).on("line", (line) => {
    // Miniflare says in words what these two are about.
    if (line.startsWith("stack: ") || /^\*\*\* Fatal uncaught kj::Exception: .*Address already in use/.test(line)) return;
    if (ALARMS.some((words) => line.includes(words))) return;
    process.stderr.write(`${line}\n`);
  });
}

/** The process id of the runtime that miniflare started. */
function runtimePid() {
  // Miniflare does not tell; its child is the only one that still runs.
  const children = process._getActiveHandles().filter((handle) => handle.constructor.name === "ChildProcess");
  return children.find((child) => String(child.spawnfile).includes("workerd"))?.pid;
}

async function main() {
  const options = readArguments();
  if (options.help) {
    console.log(HELP);
    return;
  }
  const progress = (text) => console.error(`  ${text}`);
  const { engine, reason } = await chooseEngine(options.containers);
  const config = unstable_readConfig({ config: options.config }, { hideWarnings: true });
  if (!config.main) throw new Error(`${options.config} names no \`main\``);
  const { workerOptions, define } = unstable_getMiniflareWorkerOptions(options.config, undefined, {
    overrides: { enableContainers: false },
  });

  const storage = await state.open(options.state, options.fresh);
  // Miniflare's temporary files outlive a server that is killed; here the next one removes them.
  process.env.TMPDIR = storage.temporary;
  const worker = `${config.name}-${storage.instance}`;
  const modules = await bundle(config.main, define);
  const durableObjects = workerOptions.durableObjects ?? {};
  let containerEngine;
  if (engine) {
    const images = await prepareImages(config, options.images, progress);
    for (const binding of Object.values(durableObjects)) {
      const imageName = images.get(binding.className);
      if (imageName !== undefined) binding.container = { imageName };
    }
    containerEngine = {
      localDocker: {
        socketPath: engine.socket,
        containerEgressInterceptorImage: await prepareEgress(options["egress-image"]),
      },
    };
    const removed = await removeOrphans(worker, storage.objects);
    if (removed > 0) progress(`removed ${removed} containers that no storage knows of`);
  }

  const { modulesRules: _, ...bindings } = workerOptions;
  const miniflare = new Miniflare({
    ...bindings,
    name: worker,
    modules,
    durableObjects,
    containerEngine,
    bindings: variables(workerOptions.bindings, engine === null, options.var),
    host: "127.0.0.1",
    port: options.port,
    durableObjectsPersist: storage.objects,
    kvPersist: storage.kv,
    // Nothing here asks the internet for anything.
    cf: false,
    telemetry: { enabled: false },
    handleRuntimeStdio: (out, err) => {
      out.pipe(options.json ? process.stderr : process.stdout, { end: false });
      passOn(err);
    },
  });

  let ending = false;
  let reported;
  const end = async (code) => {
    if (ending) return;
    ending = true;
    const pid = runtimePid();
    const timer = setTimeout(() => {
      if (pid !== undefined) process.kill(pid, "SIGKILL");
    }, SHUTDOWN_TIMEOUT_MS);
    try {
      await miniflare.dispose().catch((error) => {
        if (error.message !== reported) throw error;
      });
      if (engine && options["on-exit"] === "remove") {
        await removeContainers((await listContainers(worker)).map(({ name }) => name));
      }
      await storage.release();
    } catch (error) {
      console.error(`error: ${error.message}`);
      code = 1;
    }
    clearTimeout(timer);
    process.exit(code);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    // Miniflare's own listeners exit at once, before the containers are removed.
    process.removeAllListeners(signal).on(signal, () => void end(0));
  }
  if (options.json) {
    process.stdin.on("end", () => void end(0)).on("error", () => void end(0)).resume();
  }

  let url;
  try {
    url = (await miniflare.ready).origin;
  } catch (error) {
    console.error(`error: workerd cannot serve the Worker: ${error.message}`);
    // Miniflare fails again with the same error while it is disposed of.
    reported = error.message;
    return end(1);
  }
  await storage.recordRuntime(runtimePid());
  if (!options["no-cron"]) await runCron(miniflare, config.triggers?.crons ?? []);
  const ready = {
    url,
    pid: process.pid,
    runtimePid: runtimePid(),
    containers: engine ? "docker" : "emulated",
    engine: engine?.version ?? null,
    worker,
    state: storage.root,
  };
  if (options.json) console.log(JSON.stringify(ready));
  else banner(ready, reason, options.config === OWN_CONFIG);
}

/** Local workerd has no clock for cron triggers. One run is what the first minute after a deploy brings. */
async function runCron(miniflare, crons) {
  if (crons.length === 0) return;
  try {
    const worker = await miniflare.getWorker();
    const { outcome } = await worker.scheduled({ cron: crons[0], scheduledTime: new Date() });
    if (outcome !== "ok") console.error(`warning: the cron trigger ended with "${outcome}"`);
  } catch (error) {
    console.error(`warning: the cron trigger failed: ${error.message}`);
  }
}

function banner({ url, containers, engine, state: directory }, reason, isOwn) {
  const what =
    containers === "docker"
      ? `real containers, Docker ${engine} (\`docker ps\` shows them)`
      : `EMULATED CONTAINERS: no process runs behind them (${reason})`;
  const token = process.env.ADMIN_TOKEN ? "$ADMIN_TOKEN" : "dev";
  const examples = isOwn
    ? [
        `curl -i -H 'x-session-id: alice' ${url}/counter/`,
        `curl -H 'Authorization: Bearer ${token}' ${url}/_warm/v1/pools`,
        `${url}/_warm/ is the dashboard, for who signs in with the token ${token}`,
      ]
    : [`curl -i -H 'x-session-id: alice' ${url}/`];
  console.log(`
  cf-warm-pools on ${url}
  ${what}
  storage in ${path.relative(process.cwd(), directory) || "."}; Ctrl-C ends everything

  ${examples.join("\n  ")}
`);
}

main().catch((error) => {
  console.error(`error: ${error.message}`);
  if (error instanceof UsageError) console.error(HELP);
  process.exit(error instanceof UsageError ? 2 : 1);
});
