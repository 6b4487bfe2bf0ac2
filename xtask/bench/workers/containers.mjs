// What stands in for containers in the bench: a Durable Object with the methods that pools call, and with no process.
//
// Both libraries and the bare Worker reach the same objects, so that what differs is theirs. Many names lead to a few
// objects (see few.mjs), which therefore know nothing of any one container.

import { DurableObject } from "cloudflare:workers";

/** How long a start takes, in ms; the same for all objects, which run in one isolate. */
let startMillis = 0;

/** Answers as a `Container` class of `@cloudflare/containers` whose container is well. */
export class FakeContainer extends DurableObject {
  async startAndWaitForPorts() {
    if (startMillis > 0) await new Promise((resolve) => setTimeout(resolve, startMillis));
  }

  getState() {
    return { status: "healthy", lastChange: 0 };
  }

  stop() {}

  destroy() {}

  renewActivityTimeout() {}

  fetch() {
    return new Response("ok");
  }
}

/** Answers as an agent does, by which the pools know that it has a fence. */
export class FakeAgent extends FakeContainer {
  async startAndWaitForPorts() {
    await super.startAndWaitForPorts();
    return "ready";
  }
}

/** `/start?millis=N` sets how long a start takes. */
export default {
  fetch(request) {
    const url = new URL(request.url);
    if (url.pathname !== "/start") return new Response("no such door", { status: 404 });
    startMillis = Number(url.searchParams.get("millis"));
    return new Response(null, { status: 204 });
  },
};
