// The state directory of a local server: its storage, and who is using it.
//
// At most one runtime works on a directory. One that outlived a killed server (killing node does not end workerd) is
// ended before the directory is used again, because two runtimes on one database corrupt each other's view.

import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, realpath, rm, writeFile } from "node:fs/promises";
import path from "node:path";

/**
 * Takes the directory over, or fails when another server works on it.
 * @param {string} directory
 * @param {boolean} fresh empty the storage first
 */
export async function open(directory, fresh) {
  await mkdir(directory, { recursive: true });
  const root = await realpath(directory);
  const lock = path.join(root, "server.json");
  await takeOver(root, lock);
  if (fresh) {
    for (const part of ["do", "kv"]) await rm(path.join(root, part), { recursive: true, force: true });
  }
  // What a server that was killed left there is nobody's.
  const temporary = path.join(root, "tmp");
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary);
  await writeFile(lock, JSON.stringify({ pid: process.pid }));
  return {
    root,
    objects: path.join(root, "do"),
    kv: path.join(root, "kv"),
    /** Empty at start, and removed at the end. */
    temporary,
    /** Eight hex digits that are the same for every server on this directory, and differ between directories. */
    instance: createHash("sha256").update(root).digest("hex").slice(0, 8),
    /** @param {number | undefined} runtimePid */
    recordRuntime: (runtimePid) => writeFile(lock, JSON.stringify({ pid: process.pid, runtimePid })),
    release: async () => {
      await rm(temporary, { recursive: true, force: true });
      await rm(lock, { force: true });
    },
  };
}

/** The hex ids of the Durable Objects of a class that have storage. */
export async function storedObjects(objects, uniqueKey) {
  try {
    const files = await readdir(path.join(objects, uniqueKey));
    return new Set(files.filter((file) => file.endsWith(".sqlite")).map((file) => file.slice(0, -".sqlite".length)));
  } catch (error) {
    if (error.code === "ENOENT") return new Set();
    throw error;
  }
}

async function takeOver(root, lock) {
  let owner;
  try {
    owner = JSON.parse(await readFile(lock, "utf8"));
  } catch (error) {
    if (error.code === "ENOENT" || error instanceof SyntaxError) return;
    throw error;
  }
  if (owner.pid !== process.pid && (await runs(owner.pid, "serve.mjs"))) {
    throw new Error(`${root} is in use by the server with process id ${owner.pid}; end it, or choose another --state`);
  }
  if (await runs(owner.runtimePid, "workerd")) {
    process.kill(owner.runtimePid, "SIGKILL");
    while (await runs(owner.runtimePid, "workerd")) await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Whether a process lives and is the program we think it is: process ids are used again. */
async function runs(pid, program) {
  if (!Number.isInteger(pid)) return false;
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8");
    return commandLine.includes(program);
  } catch (error) {
    // No /proc on this system: believe the id. A process that ended in between has an empty command line or none.
    return error.code === "ENOENT" && process.platform !== "linux";
  }
}
