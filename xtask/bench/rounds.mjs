// Rounds of measurements that take turns, so that what slows the machine down for a while slows all of them down.

/**
 * Measures each series once a round. A first round, in which caches fill and code is compiled, does not count; every other round
 * goes backwards, so that no series always comes after the same one.
 *
 * @param {number} rounds
 * @param {Record<string, () => Promise<number>>} series
 * @returns {Promise<Record<string, number[]>>} what was measured, round by round
 */
export async function takeTurns(rounds, series) {
  const names = Object.keys(series);
  const samples = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    const order = round % 2 === 0 ? names : names.toReversed();
    for (const name of order) {
      const sample = await series[name]();
      if (round >= 0) samples[name].push(sample);
    }
  }
  return samples;
}

/** Waits until it is true. */
export async function until(what, check, within = 60_000) {
  const end = performance.now() + within;
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`not within ${within} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
