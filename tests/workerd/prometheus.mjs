// Prometheus and promtool for the tests: found on PATH or where the set-up unpacks them, run on loopback, and ended.

import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { sleep } from "./support.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const READY_MS = 30_000;

/** A file under ops/. */
export const ops = (name) => path.join(ROOT, "ops", name);

/** The text of a file of the repository. */
export const read = (name) => readFile(path.join(ROOT, name), "utf8");

/** Where both programs are; null when nowhere. */
const FOLDER = (() => {
  const tools = process.env.WARM_POOL_TOOLS ? path.resolve(ROOT, process.env.WARM_POOL_TOOLS) : path.join(ROOT, "target/tools");
  const folders = [...(process.env.PATH ?? "").split(path.delimiter), path.join(tools, "prometheus/usr/bin")];
  const both = (folder) => ["prometheus", "promtool"].every((program) => existsSync(path.join(folder, program)));
  return folders.filter(Boolean).find(both) ?? null;
})();

/** For a test's options: why it cannot run, or false. */
export const missing =
  process.env.WARM_POOL_NO_PROMETHEUS ??
  (FOLDER === null && "no Prometheus here: `cargo xtask test --only workerd` fetches it where there is apt-get");

/** Runs promtool; `{code, output}`, whatever comes of it. */
export function promtool(args, input = "") {
  return new Promise((resolve) => {
    const child = execFile(path.join(FOLDER, "promtool"), args, (error, stdout, stderr) => {
      resolve({ code: error ? (error.code ?? 1) : 0, output: `${stdout}${stderr}` });
    });
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

/** A Prometheus that scrapes a server by ops/prometheus.yml, every 2 s. */
export class Prometheus {
  #child;
  #folder;
  #log = "";

  static async start(server) {
    const prometheus = new Prometheus();
    try {
      await prometheus.#start(server);
    } catch (error) {
      await prometheus.stop();
      throw error;
    }
    return prometheus;
  }

  async #start(server) {
    this.#folder = await mkdtemp(path.join(tmpdir(), "warm-pool-prometheus-"));
    const token = path.join(this.#folder, "token");
    await writeFile(token, server.adminToken, { mode: 0o600 });
    const config = path.join(this.#folder, "prometheus.yml");
    await writeFile(config, await this.#config(server, token));
    const port = await freePort();
    this.url = `http://127.0.0.1:${port}`;
    const args = [
      `--config.file=${config}`,
      `--storage.tsdb.path=${path.join(this.#folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=warn",
    ];
    this.#child = spawn(path.join(FOLDER, "prometheus"), args, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on("data", (text) => (this.#log += text));
    const end = Date.now() + READY_MS;
    for (;;) {
      if (this.#child.exitCode !== null) throw new Error(`Prometheus ended:\n${this.#log}`);
      const ready = await fetch(`${this.url}/-/ready`).catch(() => null);
      if (ready?.ok) return;
      if (Date.now() > end) throw new Error(`Prometheus was not ready after ${READY_MS} ms:\n${this.#log}`);
      await sleep(100);
    }
  }

  /** The documented configuration, with what an operator puts in, and in a hurry. */
  async #config(server, token) {
    let text = await read("ops/prometheus.yml");
    const changes = {
      "scrape_interval: 30s": "scrape_interval: 2s\n  evaluation_interval: 2s",
      "scrape_timeout: 10s": "scrape_timeout: 2s",
      "rule_files: [alerts.yml]": `rule_files: [${ops("alerts.yml")}]`,
      "scheme: https": "scheme: http",
      "credentials_file: admin-token": `credentials_file: ${token}`,
      "my-worker.example.workers.dev": `"${new URL(server.url).host}"`,
    };
    for (const [from, to] of Object.entries(changes)) {
      if (!text.includes(from)) throw new Error(`ops/prometheus.yml has no ${from}`);
      text = text.replace(from, to);
    }
    return text;
  }

  /** The data of an answer of the HTTP API; throws the error that it tells. */
  async api(pathname, query = {}) {
    const answer = await fetch(`${this.url}/api/v1/${pathname}?${new URLSearchParams(query)}`);
    const body = await answer.json();
    if (body.status !== "success") throw new Error(`${pathname} ${JSON.stringify(query)}: ${body.error}`);
    return body.data;
  }

  /** The samples of an expression now: `[{labels, value}]`, labels without those of the target. */
  async query(expression) {
    const { result } = await this.api("query", { query: expression });
    return result.map(({ metric: { job, instance, ...labels }, value }) => ({ labels, value: Number(value[1]) }));
  }

  async stop() {
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      const killer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await gone;
      clearTimeout(killer);
    }
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
