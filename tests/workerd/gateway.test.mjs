// The gateway: routes, ids, headers, streams, errors.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { ask, full, lookup, pools, rpc, serve, until } from "./support.mjs";

const routes = [
  { pool: "p", path: "/p/*", strip_prefix: true, id: { header: "x-session-id" } },
  { pool: "p", path: "/cookie/*", id: { cookie: "session" } },
  { pool: "p", path: "/query", id: { query: "user" } },
  { pool: "p", path: "/users/*", id: { segment: 1 } },
  { pool: "p", path: "/default/*", id: { header: "x-session-id", default: "everyone" } },
  { pool: "p", host: "py.example.com", id: { header: "x-session-id" } },
];

let server;
before(async () => {
  server = await serve(pools({ warm_target: 2 }, { routes }));
  await full(server);
});
after(() => server?.stop());

async function errorOf(answer) {
  assert.match(answer.headers.get("content-type"), /^application\/json/);
  const { error } = await answer.json();
  assert.equal(typeof error.message, "string");
  return { status: answer.status, code: error.code };
}

describe("ids", () => {
  test("come from header, cookie, query and path segment: one id, one container", async () => {
    const answers = await Promise.all([
      server.fetch("/p/", { headers: { "x-session-id": "same" } }),
      server.fetch("/cookie/x", { headers: { cookie: "a=b; session=same; c=d" } }),
      server.fetch("/query?user=same&x=1"),
      server.fetch("/users/same/profile"),
    ]);
    const hostnames = await Promise.all(answers.map(async (answer) => (await answer.json()).hostname));
    assert.equal(new Set(hostnames).size, 1, String(hostnames));
  });

  test("are taken as they are, whatever they contain", async () => {
    const strange = "ä/ö ?#%25 \u{1F600}";
    const answer = await server.fetch(`/query?user=${encodeURIComponent(strange)}`);
    assert.equal(answer.status, 200);
    assert.ok(await lookup(server, strange));
  });

  test("that are missing or bad are refused with 400 and change nothing", async () => {
    assert.deepEqual(await errorOf(await server.fetch("/p/")), { status: 400, code: "missing_id" });
    for (const bad of ["x".repeat(257)]) {
      assert.deepEqual(await errorOf(await ask(server, bad)), { status: 400, code: "bad_id" });
    }
    assert.deepEqual(await errorOf(await server.fetch("/query?user=a%00b")), { status: 400, code: "bad_id" });
  });

  test("that are no UTF-8 are refused: the runtime makes one of all of them", async () => {
    // As clients send header values in Latin-1, many of which know nothing else.
    for (const name of ["Jos\xe9", "Jos\xe8"]) {
      assert.deepEqual(await errorOf(await ask(server, name)), { status: 400, code: "bad_id" });
    }
  });

  test("may have a default", async () => {
    assert.equal((await server.fetch("/default/x")).status, 200);
    assert.ok(await lookup(server, "everyone"));
  });
});

describe("routes", () => {
  test("a path that none matches is 404", async () => {
    assert.deepEqual(await errorOf(await server.fetch("/nowhere")), { status: 404, code: "no_route" });
    assert.deepEqual(await errorOf(await server.fetch("/pp")), { status: 404, code: "no_route" });
  });

  test("that only the configuration in force has are found by an isolate that has just begun", async () => {
    const server = await serve(pools({ warm_target: 1 }));
    try {
      const { config } = await (await server.admin("/_warm/v1/config")).json();
      config.routes.push({ pool: "p", path: "/new/*", strip_prefix: true, id: { header: "x-session-id" } });
      const put = await server.admin("/_warm/v1/config", { method: "PUT", body: JSON.stringify(config) });
      assert.equal(put.status, 200, await put.clone().text());
      const askNew = () => server.fetch("/new/", { headers: { "x-session-id": "alice" } });
      await server.end();
      await server.start();
      assert.equal((await askNew()).status, 200);
      const asked = Date.now();
      assert.deepEqual(await errorOf(await server.fetch("/nowhere")), { status: 404, code: "no_route" });
      assert.ok(Date.now() - asked < 1_500, "the coordinator has answered, and is not asked again so soon");

      await server.end();
      await server.start();
      await rpc(server, "POOL_COORDINATOR", "coordinator", "hang");
      const began = Date.now();
      assert.deepEqual(await errorOf(await askNew()), { status: 404, code: "no_route" });
      const waited = Date.now() - began;
      assert.ok(waited >= 1_500 && waited < 5_000, `the coordinator was waited for ${waited} ms`);
      assert.deepEqual(await errorOf(await askNew()), { status: 404, code: "no_route" });
      assert.ok(Date.now() - began - waited >= 1_500, "it has never answered: what is carried may be far from what is in force");
      assert.equal((await ask(server, "alice")).status, 200, "who has a route does not wait");
    } finally {
      await server.stop();
    }
  });

  test("strip_prefix removes the prefix and keeps the query; without it the path stays", async () => {
    const seen = async (answer) => {
      const { path, query } = await answer.json();
      return { path, query };
    };
    assert.deepEqual(await seen(await ask(server, "alice", "/a/b?c=d")), { path: "/a/b", query: "c=d" });
    const bare = await server.fetch("/p", { headers: { "x-session-id": "alice" } });
    assert.deepEqual(await seen(bare), { path: "/", query: null });
    assert.deepEqual(await seen(await server.fetch("/users/alice/x?y=z")), { path: "/users/alice/x", query: "y=z" });
  });

  test("/_warm is never routed to a pool, not even by a route that matches every path", async () => {
    const all = [{ pool: "p", path: "/*", id: { header: "x-session-id" } }];
    const server = await serve(pools({ warm_target: 1 }, { routes: all }));
    try {
      const get = (path) => server.fetch(path, { headers: { "x-session-id": "a" } });
      assert.equal((await get("/warm")).headers.get("x-emulated"), "true");
      for (const path of ["/_warm", "/_warm/", "/_warm/nothing", "/a/../_warm/x"]) {
        const answer = await get(path);
        assert.equal(answer.headers.get("x-emulated"), null, path);
        assert.equal(answer.status, 401, path);
      }
    } finally {
      await server.stop();
    }
  });
});

describe("headers", () => {
  test("from outside under our prefixes never reach a container", async () => {
    const answer = await ask(server, "alice", "/", {
      headers: {
        "x-warm-pool-epoch": "999",
        "x-warm-pool-session": "bob",
        "x-warm-pool-fence": "gone",
        "cf-container-target-port": "22",
        "x-sandbox-id": "root",
        "x-mine": "kept",
      },
    });
    assert.equal(answer.status, 200);
    const { headers } = await answer.json();
    assert.equal(headers["x-mine"], "kept");
    assert.equal(headers["cf-container-target-port"], undefined);
    assert.equal(headers["x-sandbox-id"], undefined);
    assert.notEqual(headers["x-warm-pool-session"], "bob");
    assert.notEqual(headers["x-warm-pool-epoch"], "999");
  });

  test("say how the id came by its container, on every answer", async () => {
    const id = "outcome";
    assert.match((await ask(server, id)).headers.get("x-warm-pool"), /^(warm|cold)$/);
    assert.equal((await ask(server, id)).headers.get("x-warm-pool"), "sticky");
    for (const name of ["x-warm-pool-session", "x-warm-pool-epoch", "x-warm-pool-fence"]) {
      assert.equal((await ask(server, id)).headers.get(name), null, name);
    }
  });
});

describe("what a container says under our names", () => {
  test("does not get through, and is no reason to ask again", async () => {
    const served = async () => (await (await ask(server, "impostor")).json()).served;
    const before = await served();
    for (const word of ["not-yours", "gone", "unconfirmed", "a-word-of-tomorrow"]) {
      const said = `x-warm-pool-fence=${word}&x-warm-pool=borrowed&x-warm-pool-reason=filling&x-kept=yes`;
      const answer = await ask(server, "impostor", `/__emulated/headers?${said}`);
      assert.deepEqual([answer.status, await answer.text()], [200, "said"], word);
      assert.equal(answer.headers.get("x-kept"), "yes");
      assert.equal(answer.headers.get("x-warm-pool-fence"), null);
      assert.equal(answer.headers.get("x-warm-pool"), "sticky");
      assert.equal(answer.headers.get("x-warm-pool-reason"), null);
    }
    assert.equal(await served(), before + 5, "each was sent once");
  });
});

describe("bodies", () => {
  test("are passed on: small and large, in both directions", async () => {
    for (const size of [10, 100_000, 3_000_000]) {
      const body = "x".repeat(size);
      const answer = await ask(server, "alice", "/echo", { method: "POST", body });
      assert.equal(answer.status, 200);
      assert.equal((await answer.text()).length >= size, true, `${size}`);
    }
  });

  test("of a GET cannot be passed on, and are refused before anything is sent", async () => {
    for (const id of ["get-with-body", "alice", "alice"]) {
      const get = (body) => {
        const headers = [`Host: ${new URL(server.url).host}`, `X-Session-Id: ${id}`, `Content-Length: ${body.length}`, "Connection: close"];
        return raw(server, ["GET /p/echo HTTP/1.1", ...headers, "", body].join("\r\n"));
      };
      assert.match(await get("body"), /^HTTP\/1\.1 400 [^]*"body_not_allowed"/, id);
      assert.match(await get(""), /^HTTP\/1\.1 200 /, "one of no bytes is none");
    }
  });

  test("a stream of unknown length is passed on too", async () => {
    const body = new ReadableStream({
      async start(controller) {
        for (let n = 0; n < 10; n++) controller.enqueue(new TextEncoder().encode("0123456789"));
        controller.close();
      },
    });
    const answer = await ask(server, "alice", "/echo", { method: "POST", body, duplex: "half" });
    assert.equal(answer.status, 200);
    assert.ok((await answer.text()).includes("0123456789".repeat(10)));
  });

  test("a compressed stream keeps its container awake, and arrives as it was sent", async () => {
    const server = await serve(pools({ warm_target: 0, sleep_after: "1500ms" }));
    try {
      const answer = await ask(server, "alice", "/__emulated/ticks?count=8");
      assert.equal(answer.headers.get("content-encoding"), "gzip");
      const times = [];
      let text = "";
      for await (const chunk of answer.body) {
        times.push(Date.now());
        text += new TextDecoder().decode(chunk);
      }
      assert.equal(text, "tick\n".repeat(8));
      assert.ok(times.at(-1) - times[0] > 2_500, "each tick came when it was sent");
      await until("it sleeps once the stream has ended", async () => (await lookup(server, "alice")) === null);
    } finally {
      await server.stop();
    }
  });

  test("every method is passed on", async () => {
    for (const method of ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
      assert.equal((await (await ask(server, "alice", "/m", { method })).json()).method, method);
    }
    assert.equal((await ask(server, "alice", "/m", { method: "HEAD" })).status, 200);
  });
});

test("a WebSocket passes through", { skip: typeof WebSocket === "undefined" && "this node has no WebSocket" }, async () => {
  const socket = new WebSocket(new URL("/query?user=socket", server.url).href.replace("http", "ws"));
  const heard = await new Promise((resolve, reject) => {
    socket.addEventListener("open", () => socket.send("hello"));
    socket.addEventListener("message", ({ data }) => resolve(data));
    socket.addEventListener("error", () => reject(new Error("the socket failed")));
  });
  assert.ok(String(heard).includes("hello"));
  socket.close();
});

/** Sends a request as it stands, which `fetch` would not send, and returns the response as it stands. */
async function raw({ url }, request) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.end(request);
  let response = "";
  for await (const chunk of socket) response += chunk;
  return response;
}
