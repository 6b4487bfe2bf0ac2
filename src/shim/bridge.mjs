// The routes by which the Sandbox SDK's bridge tells of its pool, for Workers whose clients know them.
//
// What the bridge leaves open when it has no token is closed here.

const encoder = new TextEncoder();

/** Answers the three routes for a pool; null for any other request. */
export function poolRoutes(pool, { token, prefix = "/v1" }) {
  const routes = new Map([
    ["GET /pool/stats", () => pool.stats()],
    ["POST /pool/prime", () => pool.stats().then(done)],
    ["POST /pool/shutdown-prewarmed", () => pool.shutdownPrewarmed().then(done)],
  ]);
  return async (request) => {
    const { pathname } = new URL(request.url);
    const answer = pathname.startsWith(prefix) && routes.get(`${request.method} ${pathname.slice(prefix.length)}`);
    if (!answer) return null;
    if (!(await isAllowed(request, token))) return refusal(401, "unauthorized", "Unauthorized");
    try {
      return Response.json(await answer());
    } catch (error) {
      return refusal(502, "pool_error", `pool error: ${error.message}`);
    }
  };
}

function done() {
  return { ok: true };
}

function refusal(status, code, error) {
  return Response.json({ error, code }, { status });
}

/** Whether the request has the token. In constant time, by the digests, which have one length. */
async function isAllowed(request, token) {
  const [, given] = /^bearer (.+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
  if (typeof token !== "string" || token === "" || given === undefined) return false;
  const [expected, actual] = await Promise.all(
    [token, given].map((text) => crypto.subtle.digest("SHA-256", encoder.encode(text))),
  );
  return crypto.subtle.timingSafeEqual(expected, actual);
}
