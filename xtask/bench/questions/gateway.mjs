// How many requests for known ids does a gateway pass on, and how long do they take?

import { load } from "../load.mjs";
import { takeTurns } from "../rounds.mjs";

const CONNECTIONS = [1, 8, 64];

/** Of each number of connections: requests a second, and the median and 99th percentile of latencies in ms. */
export async function gateway(server, { rounds, seconds }) {
  const targets = {
    bare: `${server.url("bare")}/x`,
    ours: `${server.url("gateway")}/x`,
    ours_kv: `${server.url("gateway")}/cached/x`,
    peer: `${server.url("peer")}/x`,
  };
  // So that every id has its container.
  for (const url of Object.values(targets)) await load(url, 8, seconds);
  const answers = {};
  for (const connections of CONNECTIONS) {
    const results = { throughput: {}, p50: {}, p99: {} };
    const measure = (name, url) => async () => {
      const { throughput, p50, p99 } = await load(url, connections, seconds);
      for (const [what, value] of Object.entries({ p50, p99 })) (results[what][name] ??= []).push(value);
      return throughput;
    };
    const series = Object.entries(targets).map(([name, url]) => [name, measure(name, url)]);
    results.throughput = await takeTurns(rounds, Object.fromEntries(series));
    for (const [what, samples] of Object.entries(results)) {
      // Of the first round, which does not count, there are latencies too.
      const counted = Object.entries(samples).map(([name, values]) => [name, values.slice(-rounds)]);
      answers[`gateway_${what}_${connections}`] = Object.fromEntries(counted);
    }
  }
  return answers;
}
