// The npm package as its users get it: packed, installed in a folder that has nothing to do with this one, compiled,
// bundled by wrangler, and served as wrangler would have uploaded it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import ts from "typescript";
import { until } from "../workerd/support.mjs";
import { serveWorkers } from "./miniflare.mjs";

/** The most that script and wasm may have together, compressed, in KiB: 5 % more than was measured. The goal is 250. */
const MOST_KIB = 670;

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PACKAGE = path.join(ROOT, "npm");
const TSC = path.join(ROOT, "node_modules/typescript/bin/tsc");
const WRANGLER = path.join(ROOT, "node_modules/wrangler/bin/wrangler.js");
const RUNTIME_TYPES = path.join(ROOT, "node_modules/@cloudflare/workers-types");
/** Nobody listens there, so that whatever asks a registry fails. */
const NOWHERE = "http://127.0.0.1:9/";

/** What the package has to run and to say what it is. */
const FILES = ["LICENSE", "README.md", "dist/index.d.ts", "dist/index.js", "dist/index_bg.wasm", "package.json"];
/** Where the types are that `index.d.ts` puts together: in the package, and in the repository. */
const TYPES = { packed: "dist/types", source: "src/shim/types" };
/** What it exports, among others. */
const EXPORTS = ["ContainerAgent", "PoolCoordinator", "WarmPool", "createWarmPool", "createWarmPools", "getWarmPool"];

const PROGRAM = `
import { DurableObject } from "cloudflare:workers";
import * as library from "cf-warm-pools";
import { createWarmPool, getWarmPool, type PoolStats, WarmPool, type WarmPoolError } from "cf-warm-pools";

export { WarmPool };

interface Env {
  CONTAINER: DurableObjectNamespace<MyContainer>;
  AGENT: DurableObjectNamespace<MyAgent>;
  WARM_POOL: DurableObjectNamespace<WarmPool>;
}

/** As a class of \`@cloudflare/containers\`, without a process. */
export class MyContainer extends DurableObject<Env> {
  #status: "stopped" | "healthy" = "stopped";

  async startAndWaitForPorts(): Promise<void> {
    this.#status = "healthy";
  }

  async getState() {
    return { status: this.#status, lastChange: Date.now() };
  }

  async stop(): Promise<void> {
    this.#status = "stopped";
    await getWarmPool(this.env.WARM_POOL).reportStopped(this.ctx.id.toString());
  }

  async destroy(): Promise<void> {
    this.#status = "stopped";
  }

  async renewActivityTimeout(): Promise<void> {}

  async exec(command: string): Promise<{ stdout: string }> {
    return { stdout: \`\${command} in \${this.ctx.id.name}\` };
  }

  override async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    return Response.json({ container: this.ctx.id.name, status: this.#status, pathname });
  }
}

export class MyAgent extends library.ContainerAgent<Env> {}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const id = searchParams.get("id") ?? "default";
    const pool = createWarmPool(env.WARM_POOL, env.CONTAINER, { warmTarget: 2, refreshInterval: "1s" });
    const agents = createWarmPool(env.WARM_POOL, env.AGENT, { poolName: "agents", warmTarget: 1 });
    try {
      if (pathname === "/exports") return Response.json(Object.keys(library));
      if (pathname === "/stats") {
        const stats: PoolStats = await pool.stats();
        return Response.json(stats);
      }
      if (pathname === "/exec") return Response.json(await (await pool.getContainer(id)).exec("uname"));
      if (pathname === "/agent") return await agents.fetch(id, request);
      return await (await pool.getContainer(id)).fetch(request);
    } catch (error) {
      const { code = "none", message } = error as WarmPoolError;
      return Response.json({ code, message }, { status: 500 });
    }
  },
} satisfies ExportedHandler<Env>;
`;

const CONFIGURATION = {
  name: "elsewhere",
  main: "src/index.ts",
  compatibility_date: "2026-07-01",
  send_metrics: false,
  containers: [{ class_name: "MyContainer", image: "./Dockerfile" }, { class_name: "MyAgent", image: "./Dockerfile" }],
  durable_objects: {
    bindings: [
      { name: "CONTAINER", class_name: "MyContainer" },
      { name: "AGENT", class_name: "MyAgent" },
      { name: "WARM_POOL", class_name: "WarmPool" },
    ],
  },
  migrations: [{ tag: "v1", new_sqlite_classes: ["MyContainer", "MyAgent", "WarmPool"] }],
};

const COMPILER_OPTIONS = {
  strict: true,
  noEmit: true,
  target: "es2024",
  lib: ["es2024"],
  module: "es2022",
  moduleResolution: "bundler",
  types: [RUNTIME_TYPES],
};

const run = promisify(execFile);
let scratch;
let project;
let packed;
before(async () => {
  scratch = await realpath(await mkdtemp(path.join(tmpdir(), "warm-pool-")));
  project = path.join(scratch, "elsewhere");
  await mkdir(path.join(project, "src"), { recursive: true });
  const files = {
    ".npmrc": `registry=${NOWHERE}\n`,
    "package.json": JSON.stringify({ name: "elsewhere", private: true, type: "module" }),
    "src/index.ts": PROGRAM,
    "wrangler.jsonc": JSON.stringify(CONFIGURATION),
    "tsconfig.json": JSON.stringify({ compilerOptions: COMPILER_OPTIONS, include: ["src"] }),
    Dockerfile: "FROM scratch\n",
  };
  for (const [file, text] of Object.entries(files)) await writeFile(path.join(project, file), text);
  const { stdout } = await program("npm", ["pack", "--offline", "--json", "--pack-destination", scratch], PACKAGE);
  [packed] = JSON.parse(stdout);
  const tarball = path.join(scratch, packed.filename);
  await program("npm", ["install", tarball, "--offline", "--ignore-scripts", "--no-audit", "--no-fund"]);
});
after(() => rm(scratch, { recursive: true, force: true, maxRetries: 5 }));

/** Runs a program on this Node.js, without what a user's settings might add, and with nothing to tell anybody. */
async function program(name, args, cwd = project) {
  const environment = {
    PATH: [path.dirname(process.execPath), process.env.PATH].join(path.delimiter),
    HOME: scratch,
    npm_config_update_notifier: "false",
    npm_config_cache: path.join(scratch, "npm"),
    WRANGLER_SEND_METRICS: "false",
    CI: "true",
  };
  try {
    return await run(name, args, { cwd, env: environment, timeout: 120_000 });
  } catch (error) {
    throw new Error(`${name} ${args.join(" ")}\n${error.stdout}\n${error.stderr}`, { cause: error });
  }
}

const installed = (file) => path.join(project, "node_modules/cf-warm-pools", file);
const manifest = async () => JSON.parse(await readFile(installed("package.json"), "utf8"));

describe("`npm pack`", () => {
  test("packs what the package needs, and nothing else", async () => {
    const types = (await readdir(path.join(ROOT, TYPES.source))).map((file) => `${TYPES.packed}/${file}`);
    assert.deepEqual(packed.files.map((file) => file.path).sort(), [...FILES, ...types].sort());
    assert.deepEqual(packed.bundled, []);
  });

  test("gives the package the version of the crate, and a file name that says so", async () => {
    const [, version] = (await readFile(path.join(ROOT, "Cargo.toml"), "utf8")).match(/^version = "(.*)"$/m);
    assert.equal((await manifest()).version, version);
    assert.equal(packed.filename, `cf-warm-pools-${version}.tgz`);
  });

  test("packs the types and the license as they stand in the repository", async () => {
    const parts = await readdir(path.join(ROOT, TYPES.source));
    for (const [file, source] of [
      ["dist/index.d.ts", "src/shim/index.d.ts"],
      ["LICENSE", "LICENSE"],
      ...parts.map((part) => [`${TYPES.packed}/${part}`, `${TYPES.source}/${part}`]),
    ]) {
      const text = await readFile(path.join(ROOT, source), "utf8");
      assert.equal(await readFile(installed(file), "utf8"), text, source);
    }
  });
});

describe("the installed package", () => {
  test("brings nothing along, runs nothing when it is installed, and is an ES module", async () => {
    const { name, type, license, dependencies, scripts, ...more } = await manifest();
    assert.deepEqual([name, type, license], ["cf-warm-pools", "module", "MIT"]);
    assert.deepEqual([dependencies, scripts], [undefined, undefined]);
    const { peerDependencies, peerDependenciesMeta } = more;
    const compulsory = Object.keys(peerDependencies ?? {}).filter((peer) => !peerDependenciesMeta?.[peer]?.optional);
    assert.deepEqual(compulsory, []);
    const there = await readdir(path.join(project, "node_modules"));
    assert.deepEqual(there.filter((entry) => !entry.startsWith(".")), ["cf-warm-pools"]);
  });

  test("leads to its script and its types, whichever field is read", async () => {
    const { main, types, exports } = await manifest();
    const [script, declarations] = ["./dist/index.js", "./dist/index.d.ts"];
    assert.deepEqual([main, types], [script, declarations]);
    // The first condition that fits is taken, so that the types have to come first.
    assert.deepEqual(Object.entries(exports["."]), [["types", declarations], ["import", script]]);
  });

  test("is found by what imports it", async () => {
    const script = 'process.stdout.write(import.meta.resolve("cf-warm-pools"))';
    const { stdout } = await program(process.execPath, ["--input-type=module", "--eval", script]);
    assert.equal(fileURLToPath(stdout), installed("dist/index.js"));
  });

  for (const [kind, options] of Object.entries({
    bundler: { module: ts.ModuleKind.ES2022, moduleResolution: ts.ModuleResolutionKind.Bundler },
    nodenext: { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
  })) {
    test(`has its types found by TypeScript with the module resolution "${kind}"`, () => {
      const file = path.join(project, "src/index.ts");
      const mode = ts.ModuleKind.ESNext;
      const found = ts.resolveModuleName("cf-warm-pools", file, options, ts.sys, undefined, undefined, mode);
      assert.equal(found.resolvedModule?.resolvedFileName, installed("dist/index.d.ts"));
    });
  }

  test("does not mention anything of the machine that built it", async () => {
    for (const file of ["dist/index.js", "dist/index_bg.wasm"]) {
      const text = await readFile(installed(file), "latin1");
      for (const trace of [ROOT, `${homedir()}${path.sep}.`]) assert.ok(!text.includes(trace), `${file}: ${trace}`);
    }
  });
});

describe("a Worker in another folder that has the package installed", () => {
  test("compiles with `tsc --strict`, the declarations of the package included", async () => {
    await program(process.execPath, [TSC, "--project", project]);
  });

  test("does not compile with a mistake in a setting", async () => {
    const folder = path.join(project, "mistake");
    await mkdir(folder);
    await writeFile(path.join(folder, "index.ts"), PROGRAM.replace("warmTarget: 2", "warmTaget: 2"));
    const config = { extends: "../tsconfig.json", include: ["*.ts"] };
    await writeFile(path.join(folder, "tsconfig.json"), JSON.stringify(config));
    await assert.rejects(program(process.execPath, [TSC, "--project", folder]), /'warmTaget' does not exist/);
  });

  describe("bundled by `wrangler deploy --dry-run`", () => {
    let server;
    let modules;
    const ask = async (pathname, id) => (await server.fetch(`${pathname}?id=${id}`)).json();

    before(async () => {
      const dryRun = ["deploy", "--dry-run", "--containers-rollout=none", "--outdir", "out"];
      await program(process.execPath, [WRANGLER, ...dryRun]);
      const folder = path.join(project, "out");
      const types = { ".js": "ESModule", ".wasm": "CompiledWasm" };
      const files = (await readdir(folder)).filter((file) => path.extname(file) in types);
      // The entry point first.
      files.sort((one, other) => path.extname(one).localeCompare(path.extname(other)));
      modules = files.map((file) => ({ type: types[path.extname(file)], path: path.join(folder, file) }));
      const { compatibility_date: compatibilityDate, durable_objects: objects } = CONFIGURATION;
      server = await serveWorkers({
        compatibilityDate,
        modules,
        modulesRoot: folder,
        durableObjects: Object.fromEntries(
          objects.bindings.map(({ name, class_name: className }) => [name, { className, useSQLite: true }]),
        ),
        bindings: { WARM_POOL_CONTAINERS: "emulated" },
      });
    });
    after(() => server?.stop());

    test("is one script and one wasm", () => {
      assert.deepEqual(modules.map(({ type }) => type), ["ESModule", "CompiledWasm"]);
    });

    test(`has at most ${MOST_KIB} KiB of script and wasm, compressed`, async (t) => {
      const kib = async (...files) => {
        const contents = await Promise.all(files.map((file) => readFile(file)));
        return contents.reduce((sum, content) => sum + gzipSync(content).length, 0) / 1024;
      };
      const [script, wasm] = [installed("dist/index.js"), installed("dist/index_bg.wasm")];
      const [all, ofScript, ofWasm] = [await kib(script, wasm), await kib(script), await kib(wasm)];
      t.diagnostic(`${all.toFixed(1)} KiB: script ${ofScript.toFixed(1)}, wasm ${ofWasm.toFixed(1)}`);
      const bundled = await kib(...modules.map((module) => module.path));
      t.diagnostic(`as wrangler bundles it, with the Worker: ${bundled.toFixed(1)} KiB`);
      assert.ok(all <= MOST_KIB, `${all} KiB`);
    });

    test("exports what the types declare, and nothing else", async () => {
      const exported = await (await server.fetch("/exports")).json();
      const declaring = ts.createProgram([installed("dist/index.d.ts")], { types: [RUNTIME_TYPES], noEmit: true });
      const checker = declaring.getTypeChecker();
      const module = checker.getSymbolAtLocation(declaring.getSourceFile(installed("dist/index.d.ts")));
      const values = checker.getExportsOfModule(module).filter(({ flags }) => flags & ts.SymbolFlags.Value);
      assert.deepEqual(exported.sort(), values.map(({ name }) => name).sort());
      assert.deepEqual(EXPORTS.filter((name) => !exported.includes(name)), []);
    });

    test("serves: each id has a container of its own, and keeps it", async () => {
      const alice = await ask("/hello", "alice");
      const bob = await ask("/hello", "bob");
      assert.deepEqual([alice.status, alice.pathname], ["healthy", "/hello"]);
      assert.notEqual(alice.container, bob.container);
      assert.deepEqual(await ask("/hello", "alice"), alice);
      assert.deepEqual(await ask("/exec", "alice"), { stdout: `uname in ${alice.container}` });
      const stats = await until("the stock is full", async () => {
        const now = await ask("/stats");
        return now.warm === 2 && now;
      });
      assert.deepEqual([stats.name, stats.assigned, stats.total], ["global-pool", 2, 4]);
    });

    test("serves from a container class that needs no code", async () => {
      const alice = await ask("/agent", "alice");
      const bob = await ask("/agent", "bob");
      assert.deepEqual([alice.emulated, alice.path], [true, "/agent"]);
      assert.notEqual(alice.hostname, bob.hostname);
      assert.equal((await ask("/agent", "alice")).hostname, alice.hostname);
    });
  });
});
