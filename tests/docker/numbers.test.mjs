// The numbers that people see are true: what Docker runs is what the admin API, the metrics and the dashboard in a real Chromium say.

import assert from "node:assert/strict";
import { test } from "node:test";
import { launch, load, open, picture, shown, signIn, told, updated } from "../browser/support.mjs";
import { scrape, sleep } from "../workerd/support.mjs";
import { booksAgree, running, suite } from "./support.mjs";

const CLASSES = { api: "ApiContainer", counter: "CounterContainer" };
/** For a test's options: why there is no browser, or false. */
const noBrowser = process.env.WARM_POOL_NO_CHROMIUM ?? false;
const STATES = ["starting", "warm", "assigned", "draining", "moving"];

suite("two pools that had load", {}, (server) => {
  test("the dashboard, the API, the metrics and docker ps have the same numbers", { skip: noBrowser }, async () => {
    const names = Object.keys(CLASSES);
    const busy = load(server(), names, { ids: 6, workers: 2 });
    await sleep(6_000);
    const given = await busy.end();
    await booksAgree(server(), names);

    const browser = await launch();
    try {
      const { page, problems } = await open(browser);
      await signIn(page, server());
      await updated(page);
      const [seen, documents, samples] = [await shown(page), await told(server()), await scrape(server())];
      const byClass = Object.groupBy(await running(server()), ({ className }) => className);
      await picture(page, "overview-docker", { fullPage: true });
      for (const name of names) {
        const document = documents[name];
        const sum = STATES.reduce((sum, state) => sum + document[state], 0);
        assert.ok(document.assigned > 0 && document.warm > 0, `${name}: ${JSON.stringify(document)}`);
        assert.equal(byClass[CLASSES[name]]?.length, sum, `${name}: docker ps`);
        for (const state of STATES) {
          assert.equal(seen[name][`state-${state}`], document[state], `${name}: ${state} on the page`);
          const series = `warm_pool_containers{pool="${name}",state="${state}"}`;
          assert.equal(samples.get(series), document[state], series);
        }
        for (const [outcome, count] of Object.entries(given[name])) {
          assert.equal(seen[name][`outcome-${outcome}`], count, `${name}: ${outcome} on the page`);
          const of = (series) => series.startsWith(`warm_pool_acquires_total{pool="${name}",outcome="${outcome}"`);
          const counted = [...samples].filter(([series]) => of(series)).reduce((sum, [, value]) => sum + value, 0);
          assert.equal(counted, count, `${name}: ${outcome} in the metrics`);
        }
      }
      assert.deepEqual(problems, []);
    } finally {
      await browser.close();
    }
  });
});
