// A container class of each kind, and the two requests of one sample: `GET /{kind}/{name}?boot=MS` makes a container object
// that never was, starts its container, and has it answer; `DELETE /{kind}/{name}` ends it. Each kind is called as it is
// meant to be: the agent by a shard's start request and then by a request with the fence's headers, for which it asks its
// owner; the class by its own two methods.

import { Container } from "@cloudflare/containers";
import { DurableObject } from "cloudflare:workers";
import * as rust from "../../../build/index.js";
import { durableObjects } from "../../../src/shim/durable_objects.mjs";

const PORT = 8080;
const POOL = "bench";
const MINUTE_MS = 60_000;

/** Our class. */
export class Agent extends durableObjects(rust).ContainerAgent {}

/** Theirs, set as the agent is by its start request. */
export class Plain extends Container {
  defaultPort = PORT;
  enableInternet = false;
  sleepAfter = "5m";
}

/** What an agent asks of its shard: whether it serves the id. */
export class Owner extends DurableObject {
  confirmLease() {
    return { granted: MINUTE_MS };
  }

  reportStopped() {
    return true;
  }
}

const kinds = {
  agent: {
    stub: (env, name) => env.AGENT.getByName(name),
    async start(agent, name, env) {
      const answer = await agent.startAndWaitForPorts({
        container: name,
        owner: { pool: POOL, index: 0 },
        start: { port: PORT, env },
        sleepAfter: 5 * MINUTE_MS,
        leaseTtl: MINUTE_MS,
        drainTimeout: 10_000,
      });
      if (answer !== "ready") throw new Error(`the agent is not ready: ${JSON.stringify(answer)}`);
    },
    headers: { "x-warm-pool-name": POOL, "x-warm-pool-session": "alice", "x-warm-pool-epoch": "1" },
  },
  class: {
    stub: (env, name) => env.PLAIN.getByName(name),
    start: (container, _name, envVars) => container.startAndWaitForPorts({ startOptions: { envVars } }),
    headers: {},
  },
};

export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const [, kind, name] = pathname.split("/");
    const { stub, start, headers } = kinds[kind];
    const container = stub(env, name);
    if (request.method === "DELETE") {
      await container.destroy();
      return new Response(null, { status: 204 });
    }
    await start(container, name, { BOOT_MS: searchParams.get("boot") });
    return container.fetch("http://container/", { headers });
  },
};
