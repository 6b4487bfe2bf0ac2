// The types of the npm package: what they allow and refuse, that the programs people have compile with them, and that
// they say what is true of the Rust types and of the schema behind them.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { readmeProgram } from "./readme.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TSC = path.join(ROOT, "node_modules/typescript/bin/tsc");
const BASE = path.join(ROOT, "tests/js/types/tsconfig.base.json");
/** Where programs are put together; below the root, so that they find `node_modules`. */
const SCRATCH = path.join(ROOT, "target/js-types");
const DECLARATIONS = "src/shim/index.d.ts";
/** What that puts together. */
const PARTS = "src/shim/types";

const read = (file) => readFile(path.join(ROOT, file), "utf8");

/** What `tsc` says of a project. */
function mistakes(project) {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [TSC, "--project", project, "--pretty", "false"], { cwd: ROOT }, (error, output) => {
      if (error && !output) reject(error);
      else resolve(output.trim());
    });
  });
}

/** What `tsc --strict` says of a program that is made of these files. */
async function mistakesOf(name, files, config = BASE) {
  const folder = path.join(SCRATCH, name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const project = { extends: path.relative(folder, config), include: ["*.ts"] };
  for (const [file, text] of Object.entries({ ...files, "tsconfig.json": JSON.stringify(project) })) {
    await writeFile(path.join(folder, file), text);
  }
  return mistakes(folder);
}

describe("the types of the package", () => {
  for (const [promise, folder] of [
    ["give callers what they are to have, and refuse what they must not pass", ""],
    ["are sound by themselves, also where nothing is skipped", "declarations"],
    ["let classes and bindings name each other", "circle"],
    ["go with the bindings that `wrangler types` writes", "wrangler-types"],
    ["go with every check that a compiler has", "strictest"],
  ]) {
    test(promise, async () => assert.equal(await mistakes(path.join(ROOT, "tests/js/types", folder)), ""));
  }
});

describe("the programs of cf-container-warm-pool's README compile with the import changed and nothing else", () => {
  for (const bindings of ["untyped", "typed"]) {
    test(`the quick start, with ${bindings} bindings`, async () => {
      const env = await read(`tests/js/types/readme/${bindings}.d.ts`);
      const files = { "program.ts": readmeProgram("quick-start"), "env.d.ts": env };
      assert.equal(await mistakesOf(`quick-start-${bindings}`, files), "");
    });
  }

  test("the Sandbox example", async () => {
    assert.equal(await mistakesOf("sandbox", { "program.ts": readmeProgram("sandbox") }), "");
  });

  test("and a mistake in them would be found", async () => {
    const program = readmeProgram("sandbox").replace("warmTarget", "warmTaget");
    assert.match(await mistakesOf("mistake", { "program.ts": program }), /program\.ts\(.*'warmTaget' does not exist/);
  });
});

describe("the example", () => {
  const config = path.join(ROOT, "example/typescript/tsconfig.json");

  test("compiles", async () => assert.equal(await mistakes(config), ""));

  test("compiles with the Sandbox variant that is in a comment", async () => {
    const source = await read("example/typescript/src/index.ts");
    const [program, variant] = source.split(/^(?=\/\/ import \{ Sandbox \})/m);
    assert.match(variant, /^\/\/ export class MySandbox/m);
    const taken = variant.replace(/^\/\/ ?/gm, "");
    assert.equal(await mistakesOf("example", { "index.ts": program + taken }, config), "");
  });
});

describe("the documentation", () => {
  test("has examples that compile", async () => {
    const files = { "env.d.ts": await read("tests/js/types/docs/env.d.ts") };
    const parts = (await readdir(path.join(ROOT, PARTS))).map((part) => `${PARTS}/${part}`);
    for (const file of [...parts, "docs/migrating.md", "npm/README.md"]) {
      const text = (await read(file)).replace(/^ *\* ?/gm, (margin) => (file.endsWith(".d.ts") ? "" : margin));
      const examples = [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code]) => code);
      assert.ok(examples.length > 0 || parts.includes(file), file);
      for (const [index, code] of examples.entries()) files[`${file.replaceAll(/\W/g, "-")}-${index}.ts`] = code;
    }
    assert.ok(Object.keys(files).filter((file) => file.startsWith("src-")).length > 5);
    assert.equal(await mistakesOf("docs", files), "");
  });

  test("covers every export of the package, and every member of it", () => {
    const { checker, exports } = declarations();
    const isDocumented = (symbol) => symbol.getDocumentationComment(checker).length > 0;
    const undocumented = exports.flatMap((symbol) => [
      ...(isDocumented(symbol) ? [] : [symbol.name]),
      ...membersOf(symbol).filter((member) => !isDocumented(member)).map((member) => `${symbol.name}.${member.name}`),
    ]);
    assert.deepEqual(undocumented, []);
    assert.ok(exports.length > 30);
  });
});

describe("settings are those of the schema", async () => {
  const schema = JSON.parse(await read("config/pools.schema.json"));
  const { checker, type } = declarations();

  for (const [name, table, more] of [
    ["WarmPoolConfig", "Pool", ["poolName"]],
    ["PoolConfig", "Pool", []],
    ["StartSettings", "Start", []],
    ["ReadySettings", "Ready", []],
    ["SetupSettings", "Setup", []],
    ["InstanceSize", "Size", []],
    ["Prices", "Prices", []],
    ["Route", "Route", []],
  ]) {
    test(`${name}: its keys, defaults and limits`, () => {
      const { properties } = schema.definitions[table];
      // Either spelling in a configuration; in code, that of the language.
      const eitherSpelling = ["PoolConfig", "Route"].includes(name);
      const keys = Object.keys(properties).filter((key) => eitherSpelling || !key.includes("_"));
      const members = new Map(type(name).getProperties().map((member) => [member.name, member]));
      assert.deepEqual([...members.keys()].sort(), [...keys, ...more].sort());
      // The compiler knows those of snake_case only as copies, without their documentation.
      for (const key of keys.filter((key) => !key.includes("_"))) {
        const doc = ts.displayPartsToString(members.get(key).getDocumentationComment(checker));
        const tag = members.get(key).getJsDocTags(checker).find((tag) => tag.name === "defaultValue");
        const told = tag && ts.displayPartsToString(tag.text);
        const { default: expected, description, minimum, maximum } = properties[key];
        assert.equal(told, expected === undefined ? undefined : `\`${expected}\``, key);
        const [, first, last] = description.match(/From (\w+) to (\w+),/) ?? [null, minimum, maximum];
        if (last === undefined) continue;
        const limits = `From ${count(first)} to ${count(last)}`;
        assert.ok(doc.replace(/\s+/g, " ").includes(limits), `${key}: "${limits}" in "${doc}"`);
      }
    });
  }

  test("RouteId: each of its keys", () => {
    const { properties } = schema.definitions.Id;
    const keys = new Set(type("RouteId").types.flatMap((option) => option.getProperties().map(({ name }) => name)));
    assert.deepEqual([...keys].sort(), Object.keys(properties).sort());
  });
});

describe("what comes back is what Rust sends", async () => {
  const { checker, type } = declarations();
  const outcome = await read("src/core/outcome.rs");
  const failure = await read("src/core/failure.rs");
  const denial = await read("src/core/gateway/denial.rs");
  const files = ["mod", "counters", "histogram", "merge", "cost"].map((file) => read(`src/core/stats/${file}.rs`));
  const stats = (await Promise.all(files)).join("\n");
  const plan = await read("src/core/plan.rs");
  const agent = await read("src/wire/agent.rs");
  const document = await read("src/config/document.rs");

  const words = (name) => type(name).types.map(({ value }) => value).sort();
  const namesOf = (members) => members.map((member) => member.name).sort();
  const keys = (name) => namesOf(type(name).getProperties());
  const optional = (name) =>
    namesOf(type(name).getProperties().filter((member) => member.flags & ts.SymbolFlags.Optional));

  test("Outcome, Reason, FailureClass: the words", () => {
    assert.deepEqual(words("Outcome"), wordsOf(outcome, "Outcome"));
    assert.deepEqual(words("Reason"), wordsOf(outcome, "Reason"));
    assert.deepEqual(words("FailureClass"), wordsOf(failure, "FailureClass"));
  });

  test("RefusalCode, WarmPoolErrorCode: the codes, without those that only a response of the gateway has", () => {
    assert.deepEqual(words("RefusalCode"), variantsOf(outcome, "RefusalCode").map(snakeCase).sort());
    // What these are thrown as has no code, for only other code can mend it.
    const others = ["missing_id", "bad_id", "no_route", "misconfigured"];
    const codes = wordsOf(denial, "DenialCode").filter((code) => !others.includes(code));
    assert.deepEqual(words("WarmPoolErrorCode"), [...codes, ...words("RefusalCode")].sort());
  });

  test("Assignment, PlanVersion, WarmPoolRefusal: the fields, and which may be missing", () => {
    for (const [name, source] of [["Assignment", outcome], ["PlanVersion", plan]]) {
      const fields = fieldsOf(source, name);
      assert.deepEqual(keys(name), fields.map((field) => field.name).sort());
      const skipped = fields.filter((field) => field.skipped).map((field) => field.name);
      assert.deepEqual(optional(name), skipped.sort());
    }
    const refusal = fieldsOf(outcome, "Refusal").map((field) => field.name);
    const ofErrors = ["name", "stack", "cause"];
    assert.deepEqual(keys("WarmPoolRefusal").filter((key) => !ofErrors.includes(key)), refusal.sort());
  });

  test("ContainerCounts, PoolCounters, ShardStats, PoolStats: the fields", () => {
    const names = (struct) => fieldsOf(stats, struct).filter((field) => !field.flattened).map((field) => field.name);
    const counts = names("Counts");
    const counters = names("Counters");
    assert.deepEqual(keys("ContainerCounts"), counts.sort());
    assert.deepEqual(keys("PoolCounters"), counters.sort());
    assert.deepEqual(keys("ShardStats"), [...counts, ...counters, ...names("ShardStats")].sort());
    const coordinators = ["name", "config", "maxInstances", "starts", "migration", "capacity"];
    assert.deepEqual(keys("PoolStats"), [...counts, ...counters, ...names("MergedStats"), ...coordinators].sort());
  });

  test("ShardDetail, LatencySummary, PoolCost: the fields", () => {
    for (const [name, struct] of [["ShardDetail", "Detail"], ["LatencySummary", "Summary"], ["PoolCost", "Cost"]]) {
      assert.deepEqual(keys(name), fieldsOf(stats, struct).map((field) => field.name).sort());
    }
    const latencies = checker.getTypeOfSymbol(type("PoolStats").getProperty("latencies"));
    assert.deepEqual(namesOf(latencies.getProperties()), fieldsOf(stats, "Latencies").map(({ name }) => name).sort());
  });

  test("PoolStatsConfig: the settings that the stats tell", () => {
    const body = document.slice(document.indexOf("fn to_stats_json"));
    const told = [...body.slice(0, body.indexOf("\n    }\n")).matchAll(/\.with(_some)?\("(\w+)"/g)];
    assert.deepEqual(keys("PoolStatsConfig"), told.map(([, , key]) => key).sort());
    const sometimes = told.filter(([, some]) => some).map(([, , key]) => key);
    assert.deepEqual(optional("PoolStatsConfig"), sometimes.sort());
  });

  test("ContainerState: the fields and the words", () => {
    assert.deepEqual(keys("ContainerState"), fieldsOf(agent, "StateReply").map((field) => field.name).sort());
    const status = checker.getTypeOfSymbol(type("ContainerState").getProperty("status"));
    const told = status.types.map(({ value }) => value).sort();
    assert.deepEqual(told, variantsOf(agent, "Status").map(snakeCase).sort());
  });

  test("WarmPool, PoolCoordinator, ContainerAgent: every method is one that callers may use", async () => {
    const shim = await read("src/shim/durable_objects.mjs");
    for (const name of ["WarmPool", "PoolCoordinator", "ContainerAgent"]) {
      const [, body] = shim.match(new RegExp(`class ${name} extends DurableObject \\{\\n([\\s\\S]*?)^  \\}`, "m"));
      const real = [...body.matchAll(/^    (\w+)\(.*\{$/gm)].map(([, method]) => method);
      const own = namesOf(type(name).getProperties().filter((member) => isOurs(member.valueDeclaration)));
      assert.deepEqual(own.filter((method) => !real.includes(method)), [], name);
      // A subclass that takes one of these names would break the pool.
      const runtimes = ["constructor", "alarm"];
      const wanted = name === "PoolCoordinator" ? own : real.filter((method) => !runtimes.includes(method));
      assert.deepEqual(wanted.filter((method) => !own.includes(method)), [], name);
    }
  });
});

/** The declarations as the compiler sees them. */
function declarations() {
  const folder = path.join(ROOT, "tests/js/types/declarations");
  const { config } = ts.readConfigFile(path.join(folder, "tsconfig.json"), ts.sys.readFile);
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, folder);
  const program = ts.createProgram(fileNames, options);
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(path.join(ROOT, DECLARATIONS)));
  const exports = checker.getExportsOfModule(module);
  const type = (name) => checker.getDeclaredTypeOfSymbol(exports.find((symbol) => symbol.name === name));
  return { checker, exports, type };
}

/** The members that the declarations write down for an exported interface or class. */
function membersOf(symbol) {
  const kinds = ts.SymbolFlags.Property | ts.SymbolFlags.Method;
  return [...(symbol.members?.values() ?? [])].filter(({ flags }) => flags & kinds);
}

const isOurs = (declaration) => declaration?.getSourceFile().fileName.includes(PARTS);

/** A number as it is written in a sentence. */
const count = (number) => (typeof number === "number" ? number.toLocaleString("en") : number);

const snakeCase = (name) => name.replace(/\B[A-Z]/g, "_$&").toLowerCase();
const camelCase = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

/** The body of a `pub struct` or `pub enum`. */
function bodyOf(source, name) {
  const [, body] = source.match(new RegExp(`^pub (?:struct|enum) ${name} \\{\\n([\\s\\S]*?)^\\}`, "m"));
  return body;
}

/** The variants of an enum. */
const variantsOf = (source, name) => [...bodyOf(source, name).matchAll(/^    (\w+),$/gm)].map(([, variant]) => variant);

/** The words of an enum's `as_str`. */
function wordsOf(source, name) {
  const [, body] = source.match(new RegExp(`^impl ${name} \\{[\\s\\S]*?fn as_str([\\s\\S]*?)^    \\}`, "m"));
  return [...body.matchAll(/=> "([\w-]+)"/g)].map(([, word]) => word).sort();
}

/** The fields of a struct as JSON has them. */
function fieldsOf(source, name) {
  const fields = [...bodyOf(source, name).matchAll(/((?:^    #\[.*\]\n)*)^    pub (\w+):/gm)];
  return fields.map(([, attributes, field]) => ({
    name: camelCase(field),
    skipped: attributes.includes("skip_serializing_if"),
    flattened: attributes.includes("flatten"),
  }));
}
