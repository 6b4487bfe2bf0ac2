// The Docker side of local serving: finding the engine, building images, and the containers that workerd made.
//
// workerd names a container `workerd-<worker>-<Class>-<hex id of the Durable Object>`, and its sidecar the same with
// `-proxy` behind it. The worker's name is unique per state directory, so that everything here touches only the
// containers of one directory.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const DEFAULT_SOCKET = "unix:///var/run/docker.sock";
const ENGINE_TIMEOUT_MS = 5_000;
const BUILD_TIMEOUT_MS = 10 * 60_000;

/** @typedef {{version: string, socket: string}} Engine */

/**
 * The engine that answers, or the reason why none does.
 * @returns {Promise<{engine: Engine} | {reason: string}>}
 */
export async function findEngine() {
  let socket;
  try {
    socket = process.env.DOCKER_HOST || (await docker(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]));
  } catch (error) {
    if (error.code === "ENOENT") return { reason: "the `docker` command is not installed" };
    socket = DEFAULT_SOCKET;
  }
  if (!socket.startsWith("unix://")) {
    return { reason: `workerd needs a Unix socket, and Docker's is at ${socket}` };
  }
  try {
    return { engine: { version: await docker(["version", "--format", "{{.Server.Version}}"]), socket } };
  } catch (error) {
    return { reason: `no Docker engine answers at ${socket} (${firstLine(error.stderr || error.message)})` };
  }
}

/**
 * Builds an image from its Dockerfile; quick when nothing changed.
 * @param {{tag: string, dockerfile: string, context: string}} image
 */
export async function buildImage({ tag, dockerfile, context }) {
  // Cloudflare runs amd64; elsewhere the engine has to be told.
  const platform = process.arch === "x64" ? [] : ["--platform", "linux/amd64"];
  try {
    await docker(["build", "--quiet", ...platform, "--tag", tag, "--file", dockerfile, context], BUILD_TIMEOUT_MS);
  } catch (error) {
    throw new Error(`cannot build the image of ${dockerfile}:\n${String(error.stderr || error.message).trim()}`);
  }
}

/**
 * Every container of one worker, sidecars included, stopped ones too.
 * @param {string} worker the worker's unique name
 * @returns {Promise<{name: string, id: string, className: string, objectId: string, sidecar: boolean, running: boolean}[]>}
 */
export async function listContainers(worker) {
  const prefix = `workerd-${worker}-`;
  const format = "{{.ID}}\t{{.Names}}\t{{.State}}";
  const lines = await docker(["ps", "--all", "--no-trunc", "--filter", `name=${prefix}`, "--format", format]);
  const containers = [];
  for (const line of lines.split("\n")) {
    const [id, name, state] = line.split("\t");
    const parsed = name?.startsWith(prefix) && /^(.+)-([0-9a-f]{64})(-proxy)?$/.exec(name.slice(prefix.length));
    if (!parsed) continue;
    const [, className, objectId, proxy] = parsed;
    containers.push({ name, id, className, objectId, sidecar: proxy !== undefined, running: state === "running" });
  }
  return containers;
}

/**
 * Removes containers by name; one that is gone already is no error.
 * @param {string[]} names
 */
export async function removeContainers(names) {
  if (names.length === 0) return;
  try {
    await docker(["rm", "--force", "--volumes", ...names], 60_000);
  } catch (error) {
    const other = String(error.stderr).split("\n").filter((line) => line && !/no such container|already in progress/i.test(line));
    if (other.length > 0) throw new Error(`cannot remove containers: ${other.join("; ")}`);
  }
}

/**
 * Runs one docker command and returns what it printed.
 * @param {string[]} args
 * @param {number} [timeout] in milliseconds
 */
export async function docker(args, timeout = ENGINE_TIMEOUT_MS * 2) {
  const { stdout } = await run("docker", args, { timeout, maxBuffer: 64 * 1024 * 1024 });
  return stdout.trim();
}

function firstLine(text) {
  return String(text).trim().split("\n", 1)[0];
}
