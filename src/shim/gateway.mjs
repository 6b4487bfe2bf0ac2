// The gateway as the handlers of a Worker's main module.
//
// A request for an id whose container this isolate remembers is sent from here, and so does without a promise of Rust's; all
// other requests are Rust's from the start, and those that the container does not serve go back there. See
// src/edge/gateway/entry.rs.

import { MAX_REPLAY_BYTES, copyRequest, copyResponse, discard, fenceWord } from "../edge/client/forward.mjs";

/**
 * @param rust the module that worker-build made of a crate which links cf-warm-pools
 * @param prepare makes the env that Rust gets of the Worker's
 */
export function gateway(rust, prepare = (env) => env) {
  // The runtime has one env for all requests, unless it has a reason.
  let latest;
  const behind = (env) => {
    if (latest?.env !== env) latest = { env, entry: new rust.Gateway(prepare(env)) };
    return latest.entry;
  };
  return {
    fetch: (request, env) => fetchThrough(behind(env), request, env),
    scheduled: (_event, env) => behind(env).prime(),
  };
}

function fetchThrough(entry, request, env) {
  const way = entry.wayTo(request.url, request.headers);
  return way === undefined ? entry.handle(request) : send(entry, request, env, way.split("\n"));
}

async function send(entry, request, env, [binding, container, epoch, pool, session, url]) {
  const namespace = env[binding];
  if (namespace === undefined) return entry.handle(request);
  let kept;
  if (request.body !== null) {
    if (request.method === "GET" || request.method === "HEAD") return entry.handle(request);
    const length = Number(request.headers.get("content-length") ?? Infinity);
    // A body that is sent once must not be lost at a container that does not serve the id any more: its shard is asked first.
    if (!(length <= MAX_REPLAY_BYTES)) return entry.handle(request);
    kept = await request.arrayBuffer();
  }
  let response;
  try {
    const copy = copyRequest(request, url || request.url.replace(/^https:/, "http:"), kept, pool, session, epoch);
    response = await namespace.getByName(container).fetch(copy);
  } catch (error) {
    return entry.resume(request, kept, container, epoch, undefined, error);
  }
  const word = fenceWord(response);
  if (word === undefined) return copyResponse(response, "sticky");
  discard(response);
  return entry.resume(request, kept, container, epoch, word, undefined);
}
