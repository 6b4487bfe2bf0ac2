// How the bench drives a Worker: `GET /bench/{door}?...` does something so many times, one after the other or all at once.
//
// Workers have no clock that runs while they compute, so the time is taken outside: many operations to a request make
// the request's own cost small.

const PREFIX = "/bench/";

/**
 * A Worker with these doors, and with a gateway for all other requests.
 *
 * @param {Record<string, (env: object, options: URLSearchParams) => unknown>} doors what they give is answered as JSON
 * @param {(request: Request, env: object) => Promise<Response>} [gateway]
 */
export function worker(doors, gateway) {
  return {
    async fetch(request, env) {
      if (gateway !== undefined && !request.url.includes(PREFIX)) return gateway(request, env);
      const url = new URL(request.url);
      const door = doors[url.pathname.slice(PREFIX.length)];
      if (door === undefined) return new Response("no such door", { status: 404 });
      try {
        return Response.json((await door(env, url.searchParams)) ?? null);
      } catch (error) {
        return new Response(String(error?.stack ?? error), { status: 500 });
      }
    },
  };
}

/** Does it `n` times, one after the other, with the name of each. */
export async function inTurn(options, act) {
  const n = Number(options.get("n"));
  const first = Number(options.get("first") ?? 0);
  for (let index = first; index < first + n; index++) await act(idOf(options, index));
}

/** Does it `n` times at the same moment. */
export async function atOnce(options, act) {
  const n = Number(options.get("n"));
  await Promise.all(Array.from({ length: n }, (_, index) => act(idOf(options, index))));
}

/** Of `ids` ids in turn, or each time another. */
function idOf(options, index) {
  const among = options.get("among");
  const name = options.get("prefix") ?? "id";
  return `${name}-${among === null ? index : index % Number(among)}`;
}
