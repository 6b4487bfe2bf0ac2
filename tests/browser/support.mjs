// What the tests of the dashboard share: a server, a browser, signing in, reading numbers off a page, and load.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { acquire, serveInMemory } from "../workerd/support.mjs";

const FIXTURE = fileURLToPath(new URL("fixture/wrangler.jsonc", import.meta.url));
const SCREENSHOTS = fileURLToPath(new URL("../../target/screenshots/", import.meta.url));
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** Starts the Worker with these pools. */
export function serve(pools) {
  const routes = Object.keys(pools).map((pool) => ({ pool, path: `/${pool}/*`, id: { header: "x-session-id" } }));
  return serveInMemory({ pools, routes }, { config: FIXTURE });
}

/** Starts the browser that the set-up has found. */
export function launch() {
  // As root Chromium has no sandbox; it sees nothing here but our own pages.
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
}

/** A tab of its own, with everything that goes wrong in it in `problems`. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    // What the browser says of every answer that is an error, though the test asked for it.
    const expected = /^Failed to load resource/.test(message.text());
    if (message.type() === "error" && !expected) problems.push(message.text());
  });
  return { page, problems, close: () => context.close() };
}

/** Signs in by the form. */
export async function signIn(page, server, to = "/_warm/") {
  await page.goto(new URL(to, server.url).href);
  await page.getByLabel("Admin token").fill(server.adminToken);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname === to);
}

/** Every number that a page shows of its pools: `{pool: {name: number or text}}`. */
export function shown(page) {
  return page.evaluate(() => {
    const number = (text) => (/^[\d,]+$/.test(text) ? Number(text.replaceAll(",", "")) : text);
    const of = (section) =>
      Object.fromEntries([...section.querySelectorAll("[data-n]")].map((e) => [e.dataset.n, number(e.textContent)]));
    return Object.fromEntries([...document.querySelectorAll("[data-pool]")].map((e) => [e.dataset.pool, of(e)]));
  });
}

/** Waits until the page has brought itself up to date once more. */
export async function updated(page) {
  const before = await page.evaluate(() => Number(document.body.dataset.updates ?? 0));
  await page.waitForFunction((before) => Number(document.body.dataset.updates ?? 0) > before, before, { timeout: 20_000 });
}

/** The pools by the admin API, by name. */
export async function told(server) {
  const { pools } = await (await server.admin("/_warm/v1/pools")).json();
  return Object.fromEntries(pools.map((pool) => [pool.name, pool]));
}

/** Asks for containers and gives them back, until `end()`, which tells how often each pool gave one, by outcome. */
export function load(server, pools, { ids = 40, workers = 3 } = {}) {
  const given = Object.fromEntries(pools.map((pool) => [pool, {}]));
  let over = false;
  // The same order each time.
  let seed = 7;
  const draw = (below) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const work = async (pool) => {
    while (!over) {
      const { status, outcome } = await acquire(server, `id-${draw(ids)}`, pool);
      if (status === 200) given[pool][outcome] = (given[pool][outcome] ?? 0) + 1;
      if (draw(3) === 0) await server.admin(`/_warm/v1/pools/${pool}/ids/id-${draw(ids)}`, { method: "DELETE" });
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  };
  const working = Promise.all(pools.flatMap((pool) => Array.from({ length: workers }, () => work(pool))));
  return {
    async end() {
      over = true;
      await working;
      return given;
    },
  };
}

/** Takes a picture into target/screenshots, for people to look at. */
export async function picture(page, name, options = {}) {
  await mkdir(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), ...options });
}

/** Fails with what axe-core finds wrong for people who see, hear or point otherwise. */
export async function accessible(page, what) {
  // Evaluated by the debugger, which the page's policy does not bind.
  await page.evaluate(await readFile(AXE, "utf8"));
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  const lines = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join("; ")}`);
  assert.deepEqual(lines, [], what);
}
