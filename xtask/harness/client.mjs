// Starts and ends local servers from a test: the same serve.mjs that `cargo xtask dev` runs.
//
//   const server = await start({ containers: "emulated" });
//   const answer = await server.fetch("/counter/", { headers: { "x-session-id": "alice" } });
//   await server.kill();            // as a crash: SIGKILL; real containers stay
//   await server.start();           // again, on the same storage
//   await server.stop();            // ends it, removes its containers and the storage start() made

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { findEngine, listContainers, removeContainers } from "./docker.mjs";

const SERVE = fileURLToPath(new URL("serve.mjs", import.meta.url));
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 30_000;
/** How much of a server's output is kept, in characters. */
const LOG_LIMIT = 200_000;

/**
 * @typedef {object} Options
 * @property {"docker" | "emulated" | "auto"} [containers] default "emulated"
 * @property {string} [state] a state directory to use and keep; default a new one that stop() removes
 * @property {unknown} [pools] POOLS_CONFIG: a string as it is, anything else as JSON
 * @property {string | null} [adminToken] default "test-token"; null for none
 * @property {Record<string, string | null>} [vars] further variables of the Worker; null takes one away
 * @property {Record<string, string>} [images] container class to image, instead of its Dockerfile
 * @property {string} [config] another wrangler configuration
 * @property {number} [port] default a free one
 * @property {boolean} [cron] default true: run the cron triggers once at start, which fills the pools
 */

/**
 * Starts a server and waits until it serves.
 * @param {Options} [options]
 */
export async function start(options = {}) {
  const ownState = options.state === undefined;
  const state = options.state ?? (await mkdtemp(path.join(tmpdir(), "warm-pool-")));
  const server = new Server(state, ownState, options);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

/** Whether real containers can run here; a reason when not. */
export async function dockerUnavailable() {
  const found = await findEngine();
  return "engine" in found ? null : found.reason;
}

export class Server {
  #options;
  #ownState;
  #child = null;
  #log = "";

  constructor(state, ownState, options) {
    this.state = state;
    this.#ownState = ownState;
    this.#options = options;
    /** What serve.mjs said when it was ready: url, pid, runtimePid, containers, engine, worker, state. */
    this.ready = null;
    this.adminToken = options.adminToken === undefined ? "test-token" : options.adminToken;
  }

  get url() {
    if (this.ready === null) throw new Error("the server does not run");
    return this.ready.url;
  }

  /**
   * Starts it again after kill() or end(), on the same storage; `changes` replace options from now on.
   * @param {Partial<Options>} [changes]
   */
  async start(changes = {}) {
    if (this.#child) throw new Error("the server runs already");
    Object.assign(this.#options, changes);
    if ("adminToken" in changes) this.adminToken = changes.adminToken;
    const environment = { ...process.env };
    delete environment.ADMIN_TOKEN;
    delete environment.POOLS_CONFIG;
    const child = spawn(process.execPath, [SERVE, ...this.#arguments()], {
      stdio: ["pipe", "pipe", "pipe"],
      env: environment,
    });
    this.#child = child;
    child.stdin.on("error", () => {});
    child.stderr.setEncoding("utf8").on("data", (text) => {
      this.#log = (this.#log + text).slice(-LOG_LIMIT);
    });
    this.ready = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        // So that it takes its workerd along. One that hangs is killed.
        child.kill("SIGTERM");
        const killer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
        child.once("exit", () => clearTimeout(killer));
        reject(new Error(`the server was not ready after ${START_TIMEOUT_MS} ms:\n${this.#log}`));
      }, START_TIMEOUT_MS);
      createInterface(child.stdout).once("line", (line) => {
        clearTimeout(timer);
        try {
          resolve(JSON.parse(line));
        } catch {
          reject(new Error(`the server said ${line}`));
        }
      });
      child.once("exit", (code, signal) => {
        clearTimeout(timer);
        if (this.#child === child) this.#child = null;
        reject(new Error(`the server ended (${signal ?? code}) before it was ready:\n${this.#log}`));
      });
    });
    return this;
  }

  #arguments() {
    const { containers = "emulated", pools, vars = {}, images = {}, config, port = 0, cron = true } = this.#options;
    const args = ["--json", "--port", String(port), "--containers", containers, "--state", this.state, "--on-exit", "keep"];
    if (config !== undefined) args.push("--config", config);
    if (!cron) args.push("--no-cron");
    const all = { ADMIN_TOKEN: this.adminToken, ...vars };
    if (pools !== undefined) all.POOLS_CONFIG = typeof pools === "string" ? pools : JSON.stringify(pools);
    for (const [name, value] of Object.entries(all)) args.push("--var", value === null ? name : `${name}=${value}`);
    for (const [name, image] of Object.entries(images)) args.push("--image", `${name}=${image}`);
    return args;
  }

  /** `fetch` with a path of this server; never follows redirects. */
  fetch(pathname, init = {}) {
    return fetch(new URL(pathname, this.url), { redirect: "manual", ...init });
  }

  /** `fetch` of an admin path with the token; a `body` that is not a string is sent as JSON. */
  admin(pathname, init = {}) {
    const body = init.body === undefined || typeof init.body === "string" ? init.body : JSON.stringify(init.body);
    return this.fetch(pathname, { ...init, body, headers: { authorization: `Bearer ${this.adminToken}`, ...init.headers } });
  }

  /** What the server and the Worker have written so far (the last 200,000 characters). */
  get log() {
    return this.#log;
  }

  /** The real containers, without their sidecars. */
  async containers() {
    return (await listContainers(this.ready.worker)).filter((container) => !container.sidecar);
  }

  /** As a crash: SIGKILL to the server and its workerd. Storage and real containers stay. */
  async kill() {
    const child = this.#child;
    if (!child) return;
    const gone = exited(child);
    child.kill("SIGKILL");
    if (this.ready?.runtimePid) killQuietly(this.ready.runtimePid);
    await gone;
    this.#child = null;
  }

  /** In good order: the server ends by itself. Storage and real containers stay. */
  async end() {
    const child = this.#child;
    if (!child) return;
    const gone = exited(child);
    child.stdin.end();
    const timer = setTimeout(() => void this.kill(), STOP_TIMEOUT_MS);
    await gone;
    clearTimeout(timer);
    this.#child = null;
  }

  /** Ends it, and removes its containers and the storage that start() made. */
  async stop() {
    await this.end();
    if (this.ready?.containers === "docker") {
      await removeContainers((await listContainers(this.ready.worker)).map(({ name }) => name));
    }
    if (this.#ownState) await rm(this.state, { recursive: true, force: true, maxRetries: 5 });
  }

  async [Symbol.asyncDispose]() {
    await this.stop();
  }
}

function exited(child) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once("exit", resolve));
}

function killQuietly(pid) {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}
