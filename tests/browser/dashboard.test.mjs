// The dashboard in a real Chromium: its numbers are the API's, it keeps itself up to date, anybody can use it, and nothing that
// others wrote becomes markup. Pictures for people to look at are in target/screenshots.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { acquire, sleep, until } from "../workerd/support.mjs";
import { HOSTILE } from "./fixture/hostile.mjs";
import { accessible, launch, load, open, picture, serve, shown, signIn, told, updated } from "./support.mjs";

const PHONE = { width: 390, height: 844 };
const quick = { refresh_interval: "1s", drain_timeout: "1s", acquire_timeout: "2s" };
const pool = (settings, boot = "150") => ({
  ...quick,
  start: { env: { BOOT_MS: boot }, ready: { path: "/healthz", timeout: "5s" } },
  ...settings,
});

let browser;
before(async () => void (browser = await launch()));
after(() => browser?.close());

/** What the page has to show of a pool, by what the API tells of it. */
function expected(document) {
  const numbers = {
    warm: document.warm,
    "warm-target": document.config.warmTarget,
    "starts-ready": document.startsReady,
    "starts-retried": document.startsRetried,
  };
  for (const state of ["starting", "warm", "assigned", "draining", "moving"]) numbers[`state-${state}`] = document[state];
  for (const outcome of ["sticky", "warm", "borrowed", "cold"]) {
    numbers[`outcome-${outcome}`] = document.outcomes[outcome] ?? 0;
  }
  for (const [reason, count] of Object.entries(document.reasons)) if (count) numbers[`reason-${reason}`] = count;
  for (const [code, count] of Object.entries(document.refusals)) if (count) numbers[`refusal-${code}`] = count;
  return numbers;
}

function assertShown(seen, document, what) {
  for (const [name, number] of Object.entries(expected(document))) assert.equal(seen[name], number, `${what}: ${name}`);
}

/** The page has the last events that the API tells, newest first. */
async function assertTimeline(page, server) {
  const { events } = await (await server.admin("/_warm/v1/events?limit=25")).json();
  const kinds = await page.locator(".timeline .kind").allInnerTexts();
  assert.deepEqual(kinds, events.map(({ kind }) => kind).reverse());
}

describe("two pools under load", () => {
  let server;
  before(async () => {
    server = await serve({
      python: pool({ container: "COUNTER", warm_target: 8, shards: 6, max_instances: 40 }),
      render: pool({ container: "API", warm_target: 3, shards: 1, max_instances: 16 }, "600"),
    });
  });
  after(() => server?.stop());

  test("the page shows what the API tells, while it changes and when it is still", async () => {
    const { page, problems, close } = await open(browser);
    await signIn(page, server);
    const busy = load(server, ["python", "render"]);
    try {
      for (let round = 0; round < 3; round++) {
        const earlier = await told(server);
        await updated(page);
        const seen = await shown(page);
        const later = await told(server);
        for (const name of ["python", "render"]) {
          // A counter only rises, so what is shown lies between.
          const rising = (document) => ({ ...document.outcomes, ready: document.startsReady });
          const [low, high] = [rising(earlier[name]), rising(later[name])];
          for (const outcome of ["sticky", "warm", "borrowed", "cold"]) {
            const number = seen[name][`outcome-${outcome}`];
            assert.ok((low[outcome] ?? 0) <= number && number <= (high[outcome] ?? 0), `${name} ${outcome}: ${number}`);
          }
          assert.ok(low.ready <= seen[name]["starts-ready"] && seen[name]["starts-ready"] <= high.ready, `${name} starts`);
        }
      }
      await picture(page, "overview-light", { fullPage: true });
      // What docs/dashboard.png was made of.
      await picture(page, "readme", { fullPage: true, clip: { x: 0, y: 0, width: 1280, height: 1180 } });
      await page.emulateMedia({ colorScheme: "dark" });
      await picture(page, "overview-dark", { fullPage: true });
    } finally {
      var given = await busy.end();
    }
    const still = (documents) => JSON.stringify(Object.values(documents).map(expected));
    const final = await until("nothing changes any more", async () => {
      const first = await told(server);
      await sleep(2_500);
      const second = await told(server);
      return still(first) === still(second) && Object.values(second).every((each) => each.complete) && second;
    }, 40_000);
    await updated(page);
    const seen = await shown(page);
    await assertTimeline(page, server);
    for (const name of ["python", "render"]) {
      assertShown(seen[name], final[name], name);
      // And the API tells what happened: the load's own count.
      for (const [outcome, count] of Object.entries(given[name])) {
        assert.equal(seen[name][`outcome-${outcome}`], count, `${name}: ${outcome}`);
      }
      await page.goto(`${server.url}/_warm/pools/${name}`);
      assertShown((await shown(page))[name], final[name], `the page of ${name}`);
      const shards = await page.evaluate(() =>
        [...document.querySelectorAll("[data-shard]")].map((row) =>
          [...row.querySelectorAll("[data-n]")].map((cell) => Number(cell.textContent)),
        ),
      );
      assert.deepEqual(shards, final[name].shards.map(({ assigned, warm }) => [assigned, warm]), `shards of ${name}`);
    }
    assert.deepEqual(problems, []);
    await close();
  });

  test("it keeps what the reader does: focus, what is open, what is typed; and pauses when asked, or not seen", async () => {
    const { page, problems, close } = await open(browser);
    await signIn(page, server, "/_warm/pools/python");
    await page.getByLabel("Id", { exact: true }).fill("half an i");
    await page.getByText("Shut down what is warm").click();
    await page.locator(".scroll").focus();
    const busy = load(server, ["python"]);
    try {
      await updated(page);
      await updated(page);
      assert.equal(await page.evaluate(() => document.activeElement.className), "scroll");
      assert.equal(await page.getByLabel("Id", { exact: true }).inputValue(), "half an i");
      assert.ok(await page.getByRole("button", { name: "Shut them down" }).isVisible());
      const updates = () => page.evaluate(() => document.body.dataset.updates);
      await page.getByRole("button", { name: "Pause updates" }).click();
      let count = await updates();
      await sleep(6_500);
      assert.equal(await updates(), count, "paused");
      await page.getByRole("button", { name: "Resume updates" }).click();
      await updated(page);
      const hide = (hidden) =>
        page.evaluate((hidden) => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }, hidden);
      await hide(true);
      await sleep(500);
      count = await updates();
      await sleep(6_500);
      assert.equal(await updates(), count, "hidden");
      await hide(false);
      await updated(page);
    } finally {
      await busy.end();
    }
    assert.deepEqual(problems, []);
    await close();
  });

  test("without JavaScript it is the same page, and its forms work", async () => {
    const { page, close } = await open(browser, { javaScriptEnabled: false });
    await signIn(page, server, "/_warm/pools/python");
    assert.equal(await page.getByRole("link", { name: "Reload" }).count(), 1);
    const { container } = await acquire(server, "somebody", "python");
    await page.getByLabel("Id", { exact: true }).fill("somebody");
    await page.getByRole("button", { name: "Look up" }).click();
    assert.match(await page.locator("#found").innerText(), new RegExp(container));
    await page.getByText("Shut down what is warm").click();
    await page.getByRole("button", { name: "Shut them down" }).click();
    assert.match(await page.locator(".notice").innerText(), /warm containers? w\w+ told to stop/);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL((url) => url.pathname === "/_warm/login");
    await page.goto(`${server.url}/_warm/`);
    assert.equal(await page.getByLabel("Admin token").count(), 1);
    await close();
  });

  test("a configuration is checked, shown as a difference, applied, and rolled back", async () => {
    const { page, problems, close } = await open(browser);
    await signIn(page, server, "/_warm/config");
    const field = page.getByLabel("As JSON");
    const config = JSON.parse(await field.inputValue());
    await field.fill(JSON.stringify({ ...config, pools: { python: { ...config.pools.python, shards: 0 } } }));
    await page.getByRole("button", { name: "Check" }).click();
    assert.match(await page.getByRole("alert").innerText(), /pools\.python\.shards/);
    await picture(page, "config-refused", { fullPage: true });
    config.pools.python.warm_target = 5;
    await field.fill(JSON.stringify(config, null, 2));
    await page.getByRole("button", { name: "Check" }).click();
    const change = page.locator("#change");
    assert.match(await change.innerText(), /pools\.python\.warm_target\s+8\s+5/);
    await picture(page, "config-change", { fullPage: true });
    await accessible(page, "a checked configuration");
    await page.getByRole("button", { name: "Put it in force" }).click();
    assert.match(await page.locator(".notice").innerText(), /in force/);
    assert.equal((await told(server)).python.config.warmTarget, 5);
    const rollBack = page.getByRole("button", { name: /Roll back to version/ });
    await rollBack.last().click();
    assert.match(await page.locator(".notice").innerText(), /former configuration/);
    assert.equal((await told(server)).python.config.warmTarget, 8);
    assert.deepEqual(problems, []);
    await close();
  });

  test("by keyboard alone: signing in, skipping the navigation, every control in order", async () => {
    const { page, close } = await open(browser);
    await page.goto(`${server.url}/_warm/`);
    assert.equal(await page.evaluate(() => document.activeElement.id), "token", "the field has the focus");
    await page.keyboard.type(server.adminToken);
    await page.keyboard.press("Enter");
    await page.locator("#pools").waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main", "the skip link leads to the content");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "python");
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(outline, "none", "and the focus is seen");
    await close();
  });

  test("axe finds nothing wrong, in light, dark and on a phone, where no page is wider than the screen", async () => {
    const { page, close } = await open(browser);
    await page.goto(`${server.url}/_warm/login`);
    await picture(page, "sign-in");
    await accessible(page, "sign in");
    await signIn(page, server);
    for (const [scheme, viewport] of [["light", { width: 1280, height: 900 }], ["dark", PHONE]]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize(viewport);
      for (const [name, path] of [["overview", "/_warm/"], ["pool", "/_warm/pools/python"], ["config", "/_warm/config"]]) {
        await page.goto(server.url + path);
        await accessible(page, `${name}, ${scheme}, ${viewport.width}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.equal(wide, 0, `${name} at ${viewport.width}`);
        await picture(page, `${name}-${viewport === PHONE ? "phone-" : ""}${scheme}${name === "overview" ? "-still" : ""}`, { fullPage: true });
      }
    }
    await close();
  });
});

test("ids, messages of containers and whatever else others wrote are text", async () => {
  const server = await serve({
    broken: pool({ container: "HOSTILE", warm_target: 1 }),
    fine: pool({ container: "COUNTER", warm_target: 1 }),
  });
  try {
    await until("a start has failed", async () => JSON.stringify(await told(server)).includes("onerror"));
    await acquire(server, HOSTILE, "fine");
    const { page, problems, close } = await open(browser);
    await page.goto(`${server.url}/_warm/`);
    await page.getByLabel("Admin token").fill(HOSTILE);
    await page.getByRole("button", { name: "Sign in" }).click();
    assert.match(await page.getByRole("alert").innerText(), /did not work/);
    await signIn(page, server);
    await updated(page);
    const isText = async (what) => {
      assert.ok((await page.locator("body").innerText()).includes(HOSTILE), `${what} shows it`);
      assert.equal(await page.locator("img").count(), 0, what);
      assert.equal(await page.evaluate(() => window.pwned), undefined, what);
    };
    await page.goto(`${server.url}/_warm/pools/broken`);
    await isText("the failure's message");
    await updated(page);
    await isText("the same, brought up to date");
    await picture(page, "pool-broken", { fullPage: true });
    await page.goto(`${server.url}/_warm/pools/fine`);
    for (const id of [HOSTILE, `nobody ${HOSTILE}`]) {
      await page.getByLabel("Id", { exact: true }).fill(id);
      await page.getByRole("button", { name: "Look up" }).click();
      await isText("the id");
      assert.equal(await page.getByLabel("Id", { exact: true }).inputValue(), id);
    }
    await picture(page, "pool-looked-up");
    await page.goto(`${server.url}/_warm/config`);
    await page.getByLabel("As JSON").fill(JSON.stringify({ pools: { [HOSTILE]: {} } }));
    await page.getByRole("button", { name: "Check" }).click();
    assert.equal(await page.locator("img").count(), 0);
    assert.ok(JSON.parse(await page.getByLabel("As JSON").inputValue()).pools[HOSTILE]);
    assert.deepEqual(problems, []);
    await close();
  } finally {
    await server.stop();
  }
});
