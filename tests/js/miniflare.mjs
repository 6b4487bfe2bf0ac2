// Serves what the harness cannot: a Worker that is bundled already, or more than one of them.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Miniflare } from "miniflare";

/** @param {import("miniflare").MiniflareOptions} options */
export async function serveWorkers(options) {
  const folder = await mkdtemp(path.join(tmpdir(), "warm-pool-"));
  const miniflare = inFolder(folder, () => {
    return new Miniflare({ host: "127.0.0.1", cf: false, telemetry: { enabled: false }, ...options });
  });
  const server = {
    /** `fetch` with a path of the first Worker. */
    fetch: (pathname, init) => miniflare.dispatchFetch(`http://worker${pathname}`, init),

    async stop() {
      await miniflare.dispose();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  try {
    await miniflare.ready;
  } catch (error) {
    await server.stop().catch(() => {});
    throw error;
  }
  return server;
}

/** Makes it with its temporary files in a folder, for it leaves some behind. */
function inFolder(folder, make) {
  const before = process.env.TMPDIR;
  process.env.TMPDIR = folder;
  try {
    return make();
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}
