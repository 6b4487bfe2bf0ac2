#!/usr/bin/env node
// Measures, and prints what was measured as one line of JSON: samples by question and series, `{questions, facts}`. What that
// means is `cargo xtask bench`'s to say, which runs this. Progress goes to standard error.

import { parseArgs } from "node:util";
import { makePools } from "./pools.mjs";
import { ASSIGNMENTS, assign } from "./questions/assign.mjs";
import { coldStart, memoryPerAssignment, wasmSize } from "./questions/footprint.mjs";
import { gateway } from "./questions/gateway.mjs";
import { lookup } from "./questions/lookup.mjs";
import { operations } from "./questions/operations.mjs";
import { bursts, refill, shards } from "./questions/starts.mjs";
import { tick } from "./questions/tick.mjs";
import { serve } from "./server.mjs";

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
/** How often each series is measured; few where a sample takes long by its nature. */
const SCALE = values.quick
  ? { rounds: 5, loadRounds: 2, seconds: 1, slowRounds: 1, coldRounds: 1 }
  : { rounds: 21, loadRounds: 7, seconds: 3, slowRounds: 3, coldRounds: 5 };
const SIZES = [100, 1_000, 10_000, 100_000];

function progress(text) {
  console.error(`  bench: ${text}`);
}

async function measure(server) {
  const { rounds, loadRounds, seconds, slowRounds, coldRounds } = SCALE;
  const questions = {};
  progress(`pools with ${SIZES.join(", ")} assignments`);
  // With the round that does not count.
  const pools = await makePools(server, SIZES, ASSIGNMENTS * (rounds + 1));
  progress("lookup");
  questions.lookup = await lookup(server, pools, { rounds });
  progress("first assignment");
  questions.assign = await assign(server, pools, { rounds });
  progress("refresh of an idle pool");
  questions.tick = await tick(server, [100, 10_000], { rounds });
  progress("shards");
  questions.shards = await shards(server, { rounds });
  progress("gateway");
  Object.assign(questions, await gateway(server, { rounds: loadRounds, seconds }));
  progress("refill (the peer takes 16 s a round)");
  questions.refill = await refill(server, { rounds: slowRounds });
  progress("cold bursts");
  questions.bursts = await bursts(server, { rounds: slowRounds });
  progress("rows and calls");
  const counts = await operations(server);
  await server.stop();
  progress("cold start, memory");
  questions.cold_start = await coldStart({ rounds: coldRounds });
  const memory = await memoryPerAssignment(100_000);
  return { questions, facts: { counts, wasmKibGz: await wasmSize(), memory } };
}

const server = await serve();
try {
  console.log(JSON.stringify(await measure(server)));
} finally {
  await server.stop();
}
process.exit();
