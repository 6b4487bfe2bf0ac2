#!/usr/bin/env node
// How long it takes from `start` to the first byte of an answer: the Rust agent against the `Container` class of
// `@cloudflare/containers`, with real containers of one image, on one workerd.
//
//   node agent.mjs [--rounds N] [--quick]
//
// A sample is one HTTP request to the Worker of agent/worker.mjs, timed here until the first byte of the body: it makes a
// Durable Object that never was, starts its container, waits for its port, and passes a request on. So all that a user would wait
// for is in it, on both sides the same but for the class; the agent's has besides what only it does, the question to its owner for
// a lease. Samples alternate, agent first; between two of them nothing of the last one is left in Docker. The first pair, which
// loads code and creates the owner, does not count.
//
// Most of that time is none of either class's: Docker creates and starts two containers (workerd's sidecar is one), and the image
// boots. So each sample is split at the moment when the server in the container says that its port is open; what comes after is
// how late the class notices, and its own work. How late depends on when the port opens between two polls: the boot time of the
// image is spread evenly from 0 to 600 ms, twice the class's poll interval, and is the same within a pair.
//
// Prints, or `{"skipped": reason}` without a Docker engine, these lists, with one number for each round:
//
//   {"agent": [ms], "container_class": [ms],                  from the request to the first byte
//    "agent_after_open": [ms], "container_class_after_open": [ms],   from the open port to the first byte
//    "boot": [ms], "engine": version}

import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { dockerUnavailable, start } from "../harness/client.mjs";
import { docker, listContainers, removeContainers } from "../harness/docker.mjs";

const CONFIG = fileURLToPath(new URL("agent/wrangler.jsonc", import.meta.url));
const ROUNDS = 24;
const QUICK_ROUNDS = 8;
const LONGEST_BOOT_MS = 600;
/** Any first so many multiples of it, without what is before the point, are spread evenly. */
const GOLDEN_RATIO = 0.618034;

const { values } = parseArgs({ options: { rounds: { type: "string" }, quick: { type: "boolean", default: false } } });
const rounds = Number(values.rounds ?? (values.quick ? QUICK_ROUNDS : ROUNDS));
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds ${values.rounds}: it must be a positive number`);

const skipped = await dockerUnavailable();
console.log(JSON.stringify(skipped === null ? await measure() : { skipped }));

async function measure() {
  const server = await start({ config: CONFIG, containers: "docker" });
  try {
    await pair(server, 0);
    const pairs = [];
    for (let round = 1; round <= rounds; round++) {
      const boot = Math.round(((round * GOLDEN_RATIO) % 1) * LONGEST_BOOT_MS);
      const { agent, plain } = await pair(server, boot);
      pairs.push({ boot, agent, plain });
      const shown = ({ total, afterOpen }) => `${total} ms (${afterOpen} after the port opened)`;
      console.error(`agent ${round}/${rounds}: boot ${boot} ms: agent ${shown(agent)}, class ${shown(plain)}`);
    }
    return {
      agent: pairs.map(({ agent }) => agent.total),
      container_class: pairs.map(({ plain }) => plain.total),
      agent_after_open: pairs.map(({ agent }) => agent.afterOpen),
      container_class_after_open: pairs.map(({ plain }) => plain.afterOpen),
      boot: pairs.map(({ boot }) => boot),
      engine: server.ready.engine,
    };
  } finally {
    await server.stop();
  }
}

async function pair(server, boot) {
  return { agent: await sample(server, "agent", boot), plain: await sample(server, "class", boot) };
}

/** Milliseconds to the first byte of the container's answer: from the request, and from the open port. */
async function sample(server, kind, boot) {
  const path = `/${kind}/${randomUUID()}?boot=${boot}`;
  const begin = performance.now();
  const answer = await server.fetch(path);
  const reader = answer.body.getReader();
  await reader.read();
  const end = performance.now();
  await reader.cancel();
  if (answer.status !== 200) throw new Error(`${path} was answered ${answer.status}:\n${server.log}`);
  const opened = await portOpened(server);
  const ended = await server.fetch(path, { method: "DELETE" });
  if (ended.status !== 204) throw new Error(`${path} did not end: ${await ended.text()}`);
  // The sidecar outlives its container.
  await removeContainers((await listContainers(server.ready.worker)).map(({ name }) => name));
  return { total: rounded(end - begin), afterOpen: rounded(performance.timeOrigin + end - opened) };
}

/** When the only container's server said that it listens, in ms since 1970: the engine shares this machine's clock. */
async function portOpened(server) {
  const [{ name }] = await server.containers();
  const log = await docker(["logs", "--timestamps", name]);
  const line = log.split("\n").find((line) => line.includes(" listens on "));
  if (line === undefined) throw new Error(`the container did not say that it listens:\n${log}`);
  const [, seconds, fraction] = /^(\S+?)(\.\d+)Z /.exec(line);
  return Date.parse(`${seconds}Z`) + Number(fraction) * 1000;
}

function rounded(ms) {
  return Math.round(ms * 100) / 100;
}
