// What `forward.rs` does to requests and responses, on this side of the border: each crossing between wasm and
// JavaScript costs about as much as all that is done here with one header.

// As in src/wire/headers.rs; a test compares them.
const RESERVED = ["x-warm-pool", "cf-container-", "x-sandbox-"];

/** The longest body that is kept at hand to be sent again. As in src/core/gateway/dispatch.rs; a test compares them. */
export const MAX_REPLAY_BYTES = 64 * 1024;

/** A header by a name that Rust keeps as JavaScript's own string. */
export function header(headers, name) {
  return headers.get(name) ?? undefined;
}

/** A copy of a request for `url`, without what callers may not say. `kept` replaces its body. */
export function copyRequest(request, url, kept, pool, session, epoch) {
  // A GET may have a body of no bytes, which must not be given to its copy.
  const body = request.method === "GET" || request.method === "HEAD" ? null : (kept ?? request.body);
  // A request serves as its own description, but for redirects, which go to the caller.
  const copy =
    body === request.body && request.redirect === "manual"
      ? new Request(url, request)
      : new Request(url, {
          method: request.method,
          headers: request.headers,
          body,
          redirect: "manual",
          signal: request.signal,
        });
  const { headers } = copy;
  strip(headers);
  if (epoch !== undefined) {
    headers.set("x-warm-pool-name", pool);
    headers.set("x-warm-pool-session", session);
    headers.set("x-warm-pool-epoch", epoch);
  }
  return copy;
}

/** Sends a request to the object `name` of a binding. */
export function post(env, binding, name, request) {
  const namespace = env[binding];
  if (namespace === undefined) throw new Error(`the Worker has no Durable Object binding ${binding}`);
  return namespace.getByName(name).fetch(request);
}

/** What the fence of an agent says instead of the container; undefined when it let the request pass. */
export function fenceWord(response) {
  return response.headers.get("x-warm-pool-fence") ?? undefined;
}

/** A response for the caller, without what containers may not say. Status text and WebSocket come along. */
export function copyResponse(response, outcome, reason) {
  const copy = new Response(response.body, response);
  const { headers } = copy;
  strip(headers);
  headers.set("x-warm-pool", outcome);
  if (reason !== undefined) headers.set("x-warm-pool-reason", reason);
  return copy;
}

/** Lets a body go that nobody will read. */
export function discard(response) {
  // Its end is of no interest, nor is a failure.
  response.body?.cancel().catch(() => {});
}

function strip(headers) {
  // The names are in lower case. They are collected first: deleting while iterating skips some.
  let reserved;
  for (const name of headers.keys()) if (isReserved(name)) (reserved ??= []).push(name);
  reserved?.forEach((name) => headers.delete(name));
}

function isReserved(name) {
  return RESERVED.some((prefix) => name.startsWith(prefix));
}
