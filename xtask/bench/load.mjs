// An HTTP load generator in a process of its own would be better than one in this; but it does nothing else meanwhile.

import autocannon from "autocannon";

/** Ids that requests are for, in turn. */
const IDS = 64;

/**
 * Sends GET requests for known ids over so many connections for so many seconds.
 *
 * @returns {Promise<{throughput: number, p50: number, p99: number}>} requests a second, and latencies in ms
 */
export async function load(url, connections, seconds) {
  const latencies = [];
  const requests = Array.from({ length: IDS }, (_, index) => ({ headers: { "x-session-id": `load-${index}` } }));
  const run = autocannon({ url, connections, duration: seconds, requests });
  run.on("response", (_client, status, _bytes, millis) => {
    if (status === 200) latencies.push(millis);
  });
  const { non2xx, errors, duration } = await run;
  if (non2xx > 0 || errors > 0) throw new Error(`${url}: ${non2xx} answers that are no 2xx, ${errors} errors`);
  latencies.sort((a, b) => a - b);
  const quantile = (q) => latencies[Math.min(latencies.length - 1, Math.floor(q * latencies.length))];
  return { throughput: latencies.length / duration, p50: quantile(0.5), p99: quantile(0.99) };
}
