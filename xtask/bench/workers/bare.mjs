// The limit of the platform: the least that a Worker can do for the same end.

import { DurableObject } from "cloudflare:workers";
import { inTurn, worker } from "./doors.mjs";
import { few } from "./few.mjs";

/** An object whose method does nothing: no call of one can cost less. */
export class NoOp extends DurableObject {
  noOp(id) {
    return id;
  }
}

/** An object that does for an assignment from warm what has to be done, and looks after nothing. */
export class LeastPool extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE containers (container TEXT PRIMARY KEY, state TEXT, session TEXT) WITHOUT ROWID");
  }

  /** Writes down who has a container now, and the container that is started in its place; and starts that. */
  assign(id) {
    const successor = crypto.randomUUID();
    this.ctx.storage.transactionSync(() => {
      this.#write(crypto.randomUUID(), "assigned", id);
      this.#write(successor, "starting", null);
    });
    this.ctx.waitUntil(few(this.env.CONTAINER).getByName(successor).startAndWaitForPorts());
    return successor;
  }

  #write(...row) {
    this.ctx.storage.sql.exec("INSERT INTO containers VALUES (?, ?, ?)", ...row);
  }
}

const noOp = (env, id) => env.NO_OP.get(env.NO_OP.idFromName("pool/0")).noOp(id);

/** What a Worker does that has no pool: each id has the container of its name. */
function gateway(request, env) {
  const id = request.headers.get("x-session-id");
  if (id === null) return new Response("no id", { status: 400 });
  return env.CONTAINER.get(env.CONTAINER.idFromName(id)).fetch(request);
}

const assign = (env, id) => env.LEAST_POOL.get(env.LEAST_POOL.idFromName("pool/0")).assign(id);

export default worker(
  {
    lookup: (env, options) => inTurn(options, (id) => noOp(env, id)),
    client: (env, options) => inTurn(options, (id) => assign(env, id)),
  },
  gateway,
);
