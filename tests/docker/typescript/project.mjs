// A TypeScript project outside the tree, as a user has one: files, and packages in `node_modules`.

import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
/** What the project has installed, and where it is. */
const PACKAGES = {
  "cf-warm-pools": "npm",
  "@cloudflare/containers": "node_modules/@cloudflare/containers",
  "@cloudflare/sandbox": "node_modules/@cloudflare/sandbox",
};

/**
 * Writes the project into a temporary folder.
 * @param {Record<string, string | URL>} files path in the project to its text, or to the file to copy there
 * @returns {Promise<{config: string, remove: () => Promise<void>}>} the path of its `wrangler.jsonc`
 */
export async function project(files) {
  const folder = await mkdtemp(path.join(tmpdir(), "warm-pool-project-"));
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    await (content instanceof URL ? copyFile(content, file) : writeFile(file, content));
  }
  for (const [name, target] of Object.entries(PACKAGES)) {
    const link = path.join(folder, "node_modules", name);
    await mkdir(path.dirname(link), { recursive: true });
    await symlink(path.join(ROOT, target), link);
  }
  return { config: path.join(folder, "wrangler.jsonc"), remove: () => rm(folder, { recursive: true, force: true }) };
}
