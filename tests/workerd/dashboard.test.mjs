// The dashboard's door: who gets in, how, and what a form must bring along.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { acquire, full, pools, serve, stats, until } from "./support.mjs";

const PAGES = ["/_warm", "/_warm/", "/_warm/pools/p", "/_warm/config"];
const FORMS = [
  "/_warm/logout",
  "/_warm/pools/p/look-up",
  "/_warm/pools/p/shutdown-prewarmed",
  "/_warm/config/check",
  "/_warm/config/apply",
  "/_warm/config/drop",
  "/_warm/config/rollback",
];

/** Sends a form as a browser does from a page of this origin. */
function submit(server, path, fields, headers = {}) {
  return server.fetch(path, {
    method: "POST",
    body: new URLSearchParams(fields),
    headers: { origin: new URL(server.url).origin, "sec-fetch-site": "same-origin", ...headers },
  });
}

async function signIn(server) {
  const answer = await submit(server, "/_warm/login", { token: server.adminToken });
  assert.equal(answer.status, 303);
  return answer.headers.get("set-cookie").split(";")[0];
}

async function formToken(server, cookie, path = "/_warm/") {
  const page = await (await server.fetch(path, { headers: { cookie } })).text();
  return page.match(/name="csrf" value="([0-9a-f]{64})"/)[1];
}

test("without a token in the Worker everything is closed, and says how to open it", async () => {
  const server = await serve(pools(), { adminToken: null });
  try {
    for (const path of [...PAGES, "/_warm/login"]) {
      const answer = await server.fetch(path);
      assert.equal(answer.status, 403, path);
      assert.match(await answer.text(), /wrangler secret put ADMIN_TOKEN/);
    }
    for (const token of ["", "undefined", "null"]) {
      assert.equal((await submit(server, "/_warm/login", { token })).status, 403);
    }
  } finally {
    await server.stop();
  }
});

describe("with a token", () => {
  let server;
  before(async () => void (server = await serve(pools({ shards: 2 }))));
  after(() => server?.stop());

  test("whoever has not signed in gets the form to do so, the assets, and nothing else", async () => {
    for (const path of PAGES) {
      const answer = await server.fetch(path);
      assert.equal(answer.status, 401, path);
      const page = await answer.text();
      assert.match(page, /name="token"/);
      assert.doesNotMatch(page, /data-pool|csrf/);
    }
    for (const path of FORMS) assert.equal((await submit(server, path, { csrf: "" })).status, 401, path);
    assert.equal((await server.fetch("/_warm/login")).status, 200);
    for (const [file, type] of [["css", "text/css"], ["js", "text/javascript"]]) {
      const answer = await server.fetch(`/_warm/assets/dashboard.${file}`);
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get("content-type"), new RegExp(type));
    }
  });

  test("a wrong token is refused with 401, as is a right one from another site or in an address", async () => {
    for (const token of ["", "wrong", `${server.adminToken}x`, "x".repeat(20_000)]) {
      const answer = await submit(server, "/_warm/login", { token });
      assert.deepEqual([answer.status, answer.headers.get("set-cookie")], [401, null]);
    }
    const token = server.adminToken;
    for (const headers of [{ "sec-fetch-site": "cross-site" }, { "sec-fetch-site": "same-site" }]) {
      assert.equal((await submit(server, "/_warm/login", { token }, headers)).status, 401);
    }
    assert.equal((await server.fetch("/_warm/login", { method: "POST", body: new URLSearchParams({ token }) })).status, 401);
    assert.equal((await server.fetch(`/_warm/?token=${token}`)).status, 401);
  });

  test("the cookie opens the pages and reads the API, and changes nothing there", async () => {
    const answer = await submit(server, "/_warm/login", { token: server.adminToken, next: "/_warm/pools/p" });
    assert.equal(answer.headers.get("location"), "/_warm/pools/p");
    const header = answer.headers.get("set-cookie");
    assert.match(header, /^warm=[0-9]+\.[0-9a-f]{32}\.[0-9a-f]{64}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/);
    assert.ok(!header.includes(server.adminToken));
    const cookie = header.split(";")[0];
    for (const path of [...PAGES, "/_warm/v1/pools", "/_warm/v1/config"]) {
      assert.equal((await server.fetch(path, { headers: { cookie } })).status, 200, path);
    }
    for (const [method, path] of [["PUT", "/_warm/v1/pools/p/ids/a"], ["DELETE", "/_warm/v1/config"], ["POST", "/_warm/v1/pools/p/shutdown-prewarmed"]]) {
      assert.equal((await server.fetch(path, { method, headers: { cookie } })).status, 401, path);
    }
    // The token itself opens pages too, for programs.
    assert.equal((await server.admin("/_warm/")).status, 200);
    const elsewhere = await submit(server, "/_warm/login", { token: server.adminToken, next: "//evil.example/" });
    assert.equal(elsewhere.headers.get("location"), "/_warm/");
  });

  test("a cookie that was changed in any part opens nothing", async () => {
    const cookie = await signIn(server);
    const [ends, nonce, signature] = cookie.slice("warm=".length).split(".");
    const flipped = signature.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
    for (const forged of [
      `${Number(ends) - 1}.${nonce}.${signature}`,
      `${Number(ends) + 60_000}.${nonce}.${signature}`,
      `${ends}.${nonce.slice(1)}.${signature}`,
      `${ends}.${nonce}.${flipped}`,
      `${ends}.${nonce}.`,
      `${ends}.${nonce}.${await formToken(server, cookie)}`,
    ]) {
      assert.equal((await server.fetch("/_warm/", { headers: { cookie: `warm=${forged}` } })).status, 401, forged);
    }
  });

  test("pages may run nothing but the Worker's own script, stand in no frame, and are kept by nobody", async () => {
    const { headers } = await server.fetch("/_warm/", { headers: { cookie: await signIn(server) } });
    assert.equal(
      headers.get("content-security-policy"),
      "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; " +
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    );
    assert.deepEqual([headers.get("cache-control"), headers.get("x-content-type-options")], ["no-store", "nosniff"]);
  });

  test("a form counts only from this origin and with its own session's token", async () => {
    await full(server);
    const [cookie, other] = [await signIn(server), await signIn(server)];
    const [csrf, foreign] = [await formToken(server, cookie), await formToken(server, other)];
    assert.notEqual(csrf, foreign);
    for (const path of FORMS) {
      for (const fields of [{}, { csrf: "" }, { csrf: foreign }]) {
        assert.equal((await submit(server, path, fields, { cookie })).status, 403, path);
      }
      for (const headers of [{ "sec-fetch-site": "cross-site" }, { "sec-fetch-site": "none" }]) {
        assert.equal((await submit(server, path, { csrf }, { cookie, ...headers })).status, 403, path);
      }
      const body = new URLSearchParams({ csrf });
      const fromElsewhere = { cookie, origin: "https://evil.example" };
      assert.equal((await server.fetch(path, { method: "POST", body, headers: fromElsewhere })).status, 403, path);
      // Whoever bears the token has no session, and so no forms.
      assert.equal((await submit(server, path, { csrf: "" }, { authorization: `Bearer ${server.adminToken}` })).status, 403);
    }
    assert.equal((await stats(server)).warm, 2, "nothing was done");
    const done = await submit(server, "/_warm/pools/p/shutdown-prewarmed", { csrf }, { cookie });
    assert.deepEqual([done.status, done.headers.get("location")], [303, "/_warm/pools/p?stopped=2"]);
    const out = await submit(server, "/_warm/logout", { csrf }, { cookie });
    assert.match(out.headers.get("set-cookie"), /^warm=; .*Max-Age=0/);
  });

  test("an id is looked up without giving it a container, and stands in no address", async () => {
    const cookie = await signIn(server);
    const csrf = await formToken(server, cookie);
    const lookUp = async (id) => (await submit(server, "/_warm/pools/p/look-up", { csrf, id }, { cookie })).text();
    const { assigned } = await stats(server);
    for (const id of ["nobody", "..", "a/b"]) assert.match(await lookUp(id), /has no container/);
    assert.equal((await stats(server)).assigned, assigned);
    const { container } = await acquire(server, "a/b");
    assert.match(await lookUp("a/b"), new RegExp(container));
    assert.match(await lookUp(""), /role="status"/);
  });

  test("a configuration is checked, compared, applied and dropped; one that is stale or wrong changes nothing", async () => {
    const cookie = await signIn(server);
    const csrf = await formToken(server, cookie);
    const send = (path, fields) => submit(server, `/_warm/config/${path}`, { csrf, ...fields }, { cookie });
    const wrong = await send("check", { config: JSON.stringify(pools({ warm_taget: 3, shards: 0 })) });
    assert.equal(wrong.status, 422);
    const text = await wrong.text();
    for (const expected of ["pools.p.warm_taget", "pools.p.shards", "warm_target"]) assert.ok(text.includes(expected));
    const config = JSON.stringify(pools({ warm_target: 3, shards: 2 }));
    const checked = await (await send("check", { config })).text();
    assert.match(checked, /<code>pools\.p\.warm_target<\/code>.*<del>2<\/del>.*<ins>3<\/ins>/);
    assert.equal(checked.match(/<del>/g).length, 1, "nothing else differs");
    const version = checked.match(/name="version" value="(\d+)"/)[1];
    const applied = await send("apply", { config, version });
    assert.deepEqual([applied.status, applied.headers.get("location")], [303, "/_warm/config?done=applied"]);
    await until("it is in force", async () => (await stats(server)).config.warmTarget === 3);
    const stale = await send("apply", { config: JSON.stringify(pools({ warm_target: 4, shards: 2 })), version });
    assert.equal(stale.status, 412);
    assert.match(await stale.text(), /another configuration has come in force/);
    assert.equal((await stats(server)).config.warmTarget, 3);
    const now = await (await server.admin("/_warm/v1/config")).json();
    const dropped = await send("drop", { version: String(now.version) });
    assert.equal(dropped.status, 303);
    await until("it is dropped", async () => (await stats(server)).config.warmTarget === 2);
    const page = await (await server.fetch("/_warm/config", { headers: { cookie } })).text();
    assert.match(page, /action="\/_warm\/config\/rollback"/);
    const [, latest] = page.match(/name="version" value="(\d+)"/);
    assert.equal((await send("rollback", { to: String(now.version) })).status, 412, "over an unknown version");
    const back = await send("rollback", { to: String(now.version), version: latest });
    assert.equal(back.headers.get("location"), "/_warm/config?done=rolled-back");
    await until("it is back", async () => (await stats(server)).config.warmTarget === 3);
  });
});
