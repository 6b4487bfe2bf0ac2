// The metrics: a real Prometheus scrapes them, its tools find nothing wrong with them, and alerts, dashboard and docs are about them.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { missing, ops, promtool, Prometheus, read } from "./prometheus.mjs";
import { acquire, full, pools, rpc, scrape, serve, stats, until } from "./support.mjs";

const STATES = ["starting", "warm", "assigned", "draining", "moving"];

/** The metrics that a text names, without the endings of histograms. */
function named(text) {
  const names = text.match(/\bwarm_pool_[a-z_]+/g) ?? [];
  return new Set(names.map((name) => name.replace(/(_seconds)_(bucket|sum|count)$/, "$1")));
}

function queriesOf(dashboard) {
  const fill = (expression) => expression.replaceAll("$pool", ".*").replaceAll("$__rate_interval", "1m");
  const of = ({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expression: fill(expr) }));
  return dashboard.panels.flatMap(of);
}

describe("what is in ops/", () => {
  test("the alerts are rules, and their tests pass", { skip: missing }, async () => {
    for (const args of [["check", "rules", ops("alerts.yml")], ["test", "rules", ops("alerts.test.yml")]]) {
      const { code, output } = await promtool(args);
      assert.equal(code, 0, output);
    }
    const { code, output } = await promtool(["check", "config", "--syntax-only", ops("prometheus.yml")]);
    assert.equal(code, 0, output);
  });

  test("every alert is tested, and has a section in docs/operations.md that is about it", async () => {
    const [alerts, tests, docs] = await Promise.all(["ops/alerts.yml", "ops/alerts.test.yml", "docs/operations.md"].map(read));
    const names = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
    assert.ok(names.length >= 10, names.join());
    const sections = [...docs.matchAll(/^### (WarmPool\w+)$/gm)].map(([, name]) => name);
    assert.deepEqual(sections, names);
    for (const block of alerts.split("- alert: ").slice(1)) {
      const [name] = block.split("\n");
      for (const key of ["summary:", "description:", "severity:"]) assert.ok(block.includes(key), `${name} has a ${key}`);
      assert.ok(block.includes(`runbook: docs/operations.md#${name.toLowerCase()}\n`), `${name} names its section`);
      const fires = new RegExp(`alertname: ${name}\\n +eval_time: \\w+\\n +exp_alerts:\\n +- exp_labels`);
      assert.match(tests, fires, `${name} is seen to fire`);
    }
  });

  test("the dashboard's panels are apart, and each has queries", async () => {
    const { panels } = JSON.parse(await read("ops/grafana.json"));
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const taken = new Map();
    for (const { title, type, targets, gridPos: { x, y, w, h } } of panels) {
      assert.ok(type === "row" || targets.length > 0, title);
      assert.ok(x + w <= 24, title);
      for (let cell = 0; cell < w * h; cell++) {
        const at = `${x + (cell % w)},${y + Math.floor(cell / w)}`;
        assert.ok(!taken.has(at), `${title} lies on ${taken.get(at)}`);
        taken.set(at, title);
      }
    }
  });
});

describe("a pool that is used", () => {
  let server;
  let prometheus;
  const config = pools({ shards: 2, warm_target: 4, max_instances: 20, acquire_timeout: "500ms" });

  before(async () => {
    server = await serve(config);
    await full(server);
    if (missing) return;
    prometheus = await Prometheus.start(server);
    await until("it was scraped once", async () => (await prometheus.query("up == 1")).length === 1);
    for (const id of ["ann", "bob", "cid", "ann", "bob"]) assert.equal((await acquire(server, id)).status, 200);
    await full(server);
  });
  after(async () => {
    await prometheus?.stop();
    await server?.stop();
  });

  test("the text has its type, and is nobody's without the token", async () => {
    const answer = await server.admin("/_warm/metrics");
    assert.equal(answer.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert.equal(answer.headers.get("cache-control"), "no-store");
    assert.equal((await server.admin("/_warm/metrics", { method: "HEAD" })).status, 200);
    assert.equal((await server.admin("/_warm/metrics", { method: "POST" })).status, 405);
    for (const authorization of [undefined, "Bearer wrong"]) {
      const closed = await server.fetch("/_warm/metrics", { headers: authorization ? { authorization } : {} });
      assert.equal(closed.status, 401);
      assert.ok(!(await closed.text()).includes("warm_pool_containers"));
    }
  });

  test("promtool finds nothing wrong with it", { skip: missing }, async () => {
    const text = await (await server.admin("/_warm/metrics")).text();
    const { code, output } = await promtool(["check", "metrics"], text);
    assert.deepEqual([code, output], [0, ""]);
    const families = [...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name);
    const helped = [...text.matchAll(/^# HELP (\w+) ./gm)].map(([, name]) => name);
    assert.deepEqual(helped, families);
    for (const id of ["ann", "bob", "cid"]) assert.ok(!new RegExp(`\\b${id}\\b`).test(text), "no id is in it");
  });

  test("a real Prometheus scrapes it, and has the numbers of /pools", { skip: missing }, async () => {
    const numbers = await stats(server);
    const asked = Date.now() / 1_000;
    await until("a scrape from after that", async () => (await prometheus.query("timestamp(up)"))[0]?.value > asked);
    assert.deepEqual((await prometheus.query("up")).map(({ value }) => value), [1]);
    const { activeTargets } = await prometheus.api("targets");
    assert.deepEqual(activeTargets.map(({ health, lastError }) => [health, lastError]), [["up", ""]]);
    const value = async (expression) => {
      const samples = await prometheus.query(expression);
      assert.equal(samples.length, 1, expression);
      return samples[0].value;
    };
    for (const state of STATES) {
      assert.equal(await value(`warm_pool_containers{pool="p",state="${state}"}`), numbers[state], state);
    }
    assert.deepEqual([numbers.warm, numbers.assigned], [4, 3]);
    assert.equal(await value('warm_pool_warm_target{pool="p"}'), 4);
    assert.equal(await value('warm_pool_max_instances{pool="p"}'), 20);
    for (const { outcome, reason, count } of numbers.acquires) {
      const labels = `pool="p",outcome="${outcome}",reason="${reason ?? ""}"`;
      assert.equal(await value(`warm_pool_acquires_total{${labels}}`), count, labels);
    }
    assert.equal(await value("sum(warm_pool_acquires_total)"), 5);
    for (const [outcome, { count, sum, buckets }] of Object.entries(numbers.latencies.acquire)) {
      const of = (name) => `warm_pool_acquire_duration_seconds_${name}{pool="p",outcome="${outcome}"}`;
      assert.equal(await value(of("count")), count);
      assert.equal(await value(of("sum")), sum);
      const least = `warm_pool_acquire_duration_seconds_bucket{pool="p",outcome="${outcome}",le="0.005"}`;
      assert.equal(await value(least), buckets[0]);
    }
    assert.equal(await value('warm_pool_starts_total{pool="p",result="ready"}'), numbers.starts.ready);
    assert.ok(numbers.starts.ready >= 7, `${numbers.starts.ready}`);
    assert.equal(await value("warm_pool_start_duration_seconds_count"), numbers.latencies.start.count);
    assert.equal(await value("sum(warm_pool_shard_containers)"), 7);
    assert.equal(await value("sum(warm_pool_shard_up)"), 2);
    assert.equal(await value("sum(warm_pool_shard_warm_target)"), 4);
    // These go on by themselves.
    const later = await stats(server);
    const lived = await value('warm_pool_container_seconds_total{state="warm"}');
    assert.ok(numbers.containerSeconds.warm <= lived && lived <= later.containerSeconds.warm);
    const spent = await value("sum(warm_pool_cost_dollars_total)");
    assert.ok(0 < spent && numbers.cost.soFar <= spent + 1e-12 && spent <= later.cost.soFar + 1e-12);
    const perHour = await value("sum(warm_pool_cost_dollars_per_hour)");
    assert.ok(perHour > 0 && Math.abs(perHour / numbers.cost.perHour - 1) < 1e-9);
  });

  test("docs/operations.md has every metric, and alerts and dashboard ask for no other", async () => {
    const text = await (await server.admin("/_warm/metrics")).text();
    const told = new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name));
    const docs = await read("docs/operations.md");
    const listed = new Set([...docs.matchAll(/^\| `(warm_pool_\w+)` \|/gm)].map(([, name]) => name));
    assert.deepEqual([...listed].sort(), [...told].sort());
    for (const file of ["docs/operations.md", "ops/alerts.yml", "ops/alerts.test.yml", "ops/grafana.json"]) {
      for (const name of named(await read(file))) assert.ok(told.has(name), `${name} in ${file}`);
    }
  });

  test("every query of the dashboard has an answer, and every alert is evaluated", { skip: missing }, async () => {
    const dashboard = JSON.parse(await read("ops/grafana.json"));
    const queries = queriesOf(dashboard);
    assert.ok(queries.length > 25, `${queries.length}`);
    for (const { title, expression } of queries) {
      const samples = await prometheus.query(expression);
      // What only shows trouble shows nothing here.
      const shows = !/(> 0|== 0)$/.test(expression);
      assert.ok(samples.length > 0 || !shows, `${title}: ${expression}`);
    }
    for (const { expr } of dashboard.annotations.list) await prometheus.query(expr.replaceAll("$pool", ".*"));
    const { groups } = await prometheus.api("rules");
    const rules = groups.flatMap(({ rules }) => rules);
    assert.ok(rules.length >= 10);
    await until("all rules were evaluated", async () => {
      const { groups } = await prometheus.api("rules");
      const health = groups.flatMap(({ rules }) => rules).map(({ name, health, lastError }) => [name, health, lastError]);
      assert.deepEqual(health.filter(([, health]) => health === "err"), []);
      return health.every(([, health]) => health === "ok");
    });
    assert.deepEqual(rules.filter(({ state }) => state === "firing").map(({ name }) => name), []);
  });

  test("a shard that is silent is seen, and what it has counted stays in the sums", async () => {
    const before = await scrape(server);
    await rpc(server, "WARM_POOL", "p/1", "mute");
    const now = await scrape(server);
    const of = (samples) => [0, 1].map((shard) => samples.get(`warm_pool_shard_up{pool="p",shard="${shard}"}`));
    assert.deepEqual([of(before), of(now)], [[1, 1], [1, 0]]);
    assert.equal(now.get('warm_pool_shards_missing{pool="p"}'), 1);
    assert.ok(!now.has('warm_pool_shard_containers{pool="p",shard="1"}'), "what it has is not guessed");
    const acquires = ([series]) => series.startsWith("warm_pool_acquires_total{");
    assert.deepEqual([...now].filter(acquires), [...before].filter(acquires));
  });

  test("what was counted is counted on after a crash", async () => {
    const counted = ([series]) => /_(total|bucket|count|sum)\{/.test(series);
    const before = new Map([...(await scrape(server))].filter(counted));
    assert.ok(before.size > 80, `${before.size}`);
    await server.kill();
    await server.start();
    const now = await until("the counters are told", async () => {
      const samples = await scrape(server);
      return [...before.keys()].every((series) => samples.has(series)) && samples;
    });
    for (const [series, value] of before) assert.ok(now.get(series) >= value, `${series}: ${value}, then ${now.get(series)}`);
  });
});
