// The admin API is as docs/openapi.json says: the document is valid, every example works, and schemathesis, which makes requests
// of the document, right ones and wrong ones, gets no answer that it does not describe.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { full, serve } from "./support.mjs";

const at = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const FILE = at("../../docs/openapi.json");
const PAGE = at("../../docs/admin-api.md");
const PYTHON = at("../../target/tools/python/bin/");
/** For a test's options: why there are no programs in Python, or false. */
const noPython = process.env.WARM_POOL_NO_PYTHON ?? false;
/** Requests of each operation that are made up, beside those at the limits of what may be sent. */
const EXAMPLES = "20";
/** The same requests each time: what is new is found when it is written, and not in somebody else's change. */
const SEED = "20261128";

const START = { env: { BOOT_MS: "50" }, ready: { path: "/healthz", timeout: "10s" } };
const CONFIG = {
  // A container that has an id is idle soon: the runtime bears some thousand.
  pools: { counter: { container: "COUNTER", warm_target: 2, refresh_interval: "1s", sleep_after: "5s", start: START } },
  routes: [{ pool: "counter", path: "/counter/*", strip_prefix: true, id: { header: "x-session-id" } }],
};

/** Runs a program of target/tools/python; resolves with `{code, output}`. */
function python(program, args, env = {}) {
  return new Promise((resolve, reject) => {
    const options = { env: { ...process.env, ...env }, maxBuffer: 64 << 20, timeout: 170_000 };
    execFile(path.join(PYTHON, program), args, options, (error, stdout, stderr) => {
      if (error?.code === "ENOENT") reject(new Error("run `cargo xtask setup` first"));
      else resolve({ code: error ? (error.code ?? error.signal) : 0, output: `${stdout}${stderr}` });
    });
  });
}

/** The document with the answers' objects closed, so that a key which it does not describe is a mistake. */
function closed(document) {
  const close = (schema) => {
    if (typeof schema !== "object" || schema === null) return;
    if (schema.properties) schema.additionalProperties ??= false;
    for (const [keyword, value] of Object.entries(schema)) if (keyword !== "allOf") close(value);
  };
  close(document.components.schemas);
  return document;
}

describe("the description of the admin API", () => {
  let server;
  let folder;
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "openapi-"));
    server = await serve(CONFIG);
    await full(server, "counter");
  });
  after(async () => {
    await server?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  test("is valid", { skip: noPython }, async () => {
    const { code, output } = await python("openapi-spec-validator", ["--schema", "3.1.0", FILE]);
    assert.equal(code, 0, output);
  });

  test("is what the Worker tells the bearer of the token", async () => {
    const told = await server.admin("/_warm/openapi.json");
    assert.equal(told.headers.get("content-type"), "application/json");
    assert.ok((await told.text()) === (await readFile(FILE, "utf8")), "it is docs/openapi.json, as it was when the Worker was built");
    assert.equal((await server.fetch("/_warm/openapi.json")).status, 401);
  });

  test("every example of the page works", async () => {
    const lines = (await readFile(PAGE, "utf8")).split("\n").filter((line) => line.startsWith("curl "));
    assert.ok(lines.length > 10);
    for (const line of lines) {
      const [, url] = line.match(/"?\$warm(\/[^"\s]*)/);
      const method = line.match(/-X (\S+)/)?.[1] ?? "GET";
      const headers = Object.fromEntries([...line.matchAll(/-H '([^:]+): ([^']*)'/g)].map(([, name, value]) => [name, value]));
      const body = line.includes("--json @") ? CONFIG : line.match(/--json '([^']*)'/)?.[1];
      const ask = line.includes('"$token"') ? server.admin.bind(server) : server.fetch.bind(server);
      const answer = await ask(`/_warm${url}`, { method, headers, body });
      assert.ok(answer.ok, `${line}: ${answer.status} ${answer.ok || (await answer.text())}`);
      await answer.body?.cancel();
    }
  });

  test("holds for whatever is asked", { timeout: 180_000, skip: noPython }, async () => {
    const document = path.join(folder, "openapi.json");
    await writeFile(document, JSON.stringify(closed(JSON.parse(await readFile(FILE, "utf8")))));
    const { code, output } = await python(
      "schemathesis",
      [
        ...["--config-file", at("openapi/schemathesis.toml"), "run", document, "--url", server.url],
        ...["--checks", "all", "--max-examples", EXAMPLES, "--seed", SEED, "--generation-deterministic"],
        ...["--no-color", "--output-truncate", "false"],
      ],
      { ADMIN_TOKEN: server.adminToken, SCHEMATHESIS_HOOKS: "hooks", PYTHONPATH: at("openapi"), PYTHONDONTWRITEBYTECODE: "1" },
    );
    assert.equal(code, 0, output);
    // The Worker is none the worse for it.
    await server.admin("/_warm/v1/config", { method: "DELETE" });
    await full(server, "counter");
  });
});
