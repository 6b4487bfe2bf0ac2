// What the Docker tests share. Without an engine they do not pass: they are skipped, and say why.

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { fileURLToPath } from "node:url";
import { dockerUnavailable, start } from "../../xtask/harness/client.mjs";
import { docker } from "../../xtask/harness/docker.mjs";
import { lookup, stats, until } from "../workerd/support.mjs";

const FIXTURE = fileURLToPath(new URL("fixture/wrangler.jsonc", import.meta.url));
const reason = await dockerUnavailable();

/**
 * A suite with a server of its own on real containers. `body` gets a function that returns it.
 * @param {string} name
 * @param {object} options as for start()
 * @param {(server: () => import("../../xtask/harness/client.mjs").Server) => void} body
 */
export function suite(name, options, body) {
  describe(name, { skip: reason ?? false }, () => {
    let server;
    before(async () => void (server = await start({ config: FIXTURE, containers: "docker", ...options })));
    after(() => server?.stop());
    body(() => server);
  });
}

/** The Docker container of an id: its name, and whether it runs. */
export async function containerOf(server, id, pool = "p") {
  const { container } = await lookup(server, id, pool);
  const answer = await server.fetch("/object-id", {
    method: "POST",
    body: JSON.stringify({ binding: "COUNTER", object: container }),
  });
  const objectId = await answer.text();
  const found = (await server.containers()).find((each) => each.objectId === objectId);
  assert.ok(found, `${id}'s container is in docker ps`);
  return found;
}

/** Kills a container as if its process had crashed. */
export function kill({ name }) {
  return docker(["kill", name]);
}

/** Real containers that run. */
export async function running(server) {
  return (await server.containers()).filter((container) => container.running);
}

/** Waits until what Docker runs is what the pools have on their books, with nothing on its way in or out. */
export function booksAgree(server, pools = ["p"]) {
  return until(
    "docker ps and the stats agree",
    async () => {
      let onBooks = 0;
      for (const pool of pools) {
        const { warm, assigned, starting, draining } = await stats(server, pool);
        if (starting + draining > 0) return false;
        onBooks += warm + assigned;
      }
      return (await running(server)).length === onBooks;
    },
    30_000,
  );
}
