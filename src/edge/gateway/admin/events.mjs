// The live stream of events: `text/event-stream`, as the browsers' `EventSource` reads it.
//
// In JavaScript, because all of it is waiting: the coordinator is asked again and again for as long as somebody listens. A stream
// ends by itself, and the client comes again with the number of the last event it got (`Last-Event-ID`): so no request of the
// Worker lasts for ever, and none goes on by old code.

import { call } from "../../call.mjs";

/** How often the coordinator is asked, in ms. */
const POLL = 1_000;
/** After so many times that there was nothing, the client is told that somebody is still there. */
const QUIET = 15;
/** How long a stream lasts, in ms. */
const LIFETIME = 5 * 60_000;
/** How long the coordinator has to answer, in ms. */
const DEADLINE = 15_000;

const encoder = new TextEncoder();

/** The response that tells what has happened from the answer `first` to `query` on. */
export function eventStream(namespace, name, query, first) {
  const end = Date.now() + LIFETIME;
  let answer = first;
  let listens = true;
  const poll = async () => {
    // Where there was all that was asked for, there is more.
    if (answer.events.length < query.limit) await new Promise((resolve) => setTimeout(resolve, POLL));
    const nothing = { events: [], next: answer.next, dropped: 0 };
    const question = { ...query, since: answer.next };
    // What fails is asked again.
    answer = (await call(namespace.getByName(name), "events", [question], DEADLINE).catch(() => null)) ?? nothing;
  };
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(encoder.encode(`retry: ${POLL}\n\n${frames(first)}`));
    },
    async pull(controller) {
      for (let quiet = 0; listens && Date.now() < end; quiet++) {
        await poll();
        if (!listens) return;
        const text = frames(answer);
        if (text !== "") return controller.enqueue(encoder.encode(text));
        if (quiet >= QUIET) return controller.enqueue(encoder.encode(": still here\n\n"));
      }
      if (listens) controller.close();
    },
    cancel() {
      listens = false;
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
}

function frames({ events, dropped }) {
  // What a shard could not keep, its next event says.
  const forgotten = events.reduce((count, event) => count - (event.dropped ?? 0), dropped);
  const missing = forgotten > 0 ? `event: dropped\ndata: {"dropped":${forgotten}}\n\n` : "";
  const frame = (event) => `id: ${event.seq}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`;
  return missing + events.map(frame).join("");
}
