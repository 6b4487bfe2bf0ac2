// The limit of the platform: the least that a Worker can do for the same end.

import { DurableObject } from "cloudflare:workers";
import { inTurn, worker } from "./doors.mjs";

/** An object whose method does nothing: no call of one can cost less. */
export class NoOp extends DurableObject {
  noOp(id) {
    return id;
  }
}

const noOp = (env, id) => env.NO_OP.get(env.NO_OP.idFromName("pool/0")).noOp(id);

/** What a Worker does that has no pool: each id has the container of its name. */
function gateway(request, env) {
  const id = request.headers.get("x-session-id");
  if (id === null) return new Response("no id", { status: 400 });
  return env.CONTAINER.get(env.CONTAINER.idFromName(id)).fetch(request);
}

export default worker({ lookup: (env, options) => inTurn(options, (id) => noOp(env, id)) }, gateway);
