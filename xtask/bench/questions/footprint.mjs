// How large is what is deployed, how long does an isolate take to begin, and how much memory does an assignment take?

import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { takeTurns } from "../rounds.mjs";
import { serve } from "../server.mjs";

const WASM = new URL("../../../build/index_bg.wasm", import.meta.url);
const PAGE = 65_536;

/** The wasm as it is deployed, in KiB gzipped. */
export async function wasmSize() {
  return gzipSync(await readFile(WASM), { level: 9 }).length / 1024;
}

/** From the start of workerd with one Worker to its first answer, in ms. */
export async function coldStart({ rounds }) {
  const sample = (worker, path) => async () => {
    const began = performance.now();
    const server = await serve(["containers", worker]);
    try {
      await fetch(server.url(worker) + path, { headers: { "x-session-id": "first" } }).then((answer) => answer.text());
      return performance.now() - began;
    } finally {
      await server.stop();
    }
  };
  return takeTurns(rounds, { bare: sample("bare", "/x"), ours: sample("gateway", "/_warm/healthz") });
}

/**
 * How much the memory of the wasm instance grows with a pool that has so many assignments, in bytes an assignment, to a page.
 * The pool is loaded from its rows, so that what loading takes for a while is in it.
 */
export async function memoryPerAssignment(assignments) {
  const server = await serve(["containers", "ours"]);
  try {
    const pool = { pool: "memory", warmTarget: 1, refreshInterval: 3_600_000 };
    await server.door("ours", "client", { ...pool, n: 1 });
    const before = await server.door("ours", "wasmMemory");
    await server.door("ours", "seed", { ...pool, n: assignments });
    const { assigned } = await server.door("ours", "stats", pool);
    if (assigned !== assignments + 1) throw new Error(`${assigned} assigned after seeding ${assignments}`);
    const grown = (await server.door("ours", "wasmMemory")) - before;
    return { bytes: grown / assignments, exactTo: PAGE / assignments };
  } finally {
    await server.stop();
  }
}
