// Bundles the Worker of a wrangler configuration as `wrangler deploy` does: one ES module, and the wasm next to it.

import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** The npm package, as it was built here. */
const PACKAGE = fileURLToPath(new URL("../../npm/dist/index.js", import.meta.url));

/**
 * The modules for miniflare, entry point first.
 * @param {string} main path of the entry point
 * @param {Record<string, string>} define
 */
export async function bundle(main, define) {
  const wasm = new Map();
  const result = await build({
    entryPoints: [main],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    mainFields: ["browser", "module", "main"],
    external: ["cloudflare:*", "node:*"],
    keepNames: true,
    define,
    logLevel: "silent",
    plugins: [wasmModules(wasm), ownPackage],
  }).catch((error) => {
    const first = error.errors?.[0];
    const place = first?.location ? ` (${first.location.file}:${first.location.line})` : "";
    throw new Error(`cannot bundle ${main}: ${first?.text ?? error.message}${place}`, { cause: error });
  });
  const modules = [{ type: "ESModule", path: "worker.mjs", contents: result.outputFiles[0].text }];
  for (const [file, name] of wasm) {
    modules.push({ type: "CompiledWasm", path: name, contents: await readFile(file) });
  }
  return modules;
}

/** A Worker of this repository has the npm package without installing it; one that has installed it keeps what it has. */
const ownPackage = {
  name: "own-package",
  setup(builder) {
    builder.onResolve({ filter: /^cf-warm-pools$/ }, async ({ path: name, resolveDir, kind, pluginData }) => {
      if (pluginData === ownPackage) return undefined;
      const installed = await builder.resolve(name, { resolveDir, kind, pluginData: ownPackage });
      return installed.errors.length === 0 ? installed : { path: PACKAGE };
    });
  },
};

function wasmModules(found) {
  return {
    name: "wasm-modules",
    setup(builder) {
      builder.onResolve({ filter: /\.wasm(\?module)?$/ }, (args) => {
        const file = path.resolve(args.resolveDir, args.path.replace(/\?module$/, ""));
        if (!found.has(file)) found.set(file, `${found.size}-${path.basename(file)}`);
        return { path: `./${found.get(file)}`, external: true };
      });
    },
  };
}
