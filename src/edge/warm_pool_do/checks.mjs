// Health checks: many calls at once, of which a refresh of a full shard makes some hundred. Not one by one in Rust, where each
// is a future, a promise, a timer and a race.

/**
 * Asks the objects of these names how they are. `tell(name, status)` is called as each answers; without a status for one that
 * failed, says nothing that is a status, or has not answered in `millis`. Resolves when all have been told of.
 *
 * @param {DurableObjectNamespace} namespace
 * @param {string[]} names
 */
export function checkAll(namespace, names, millis, tell) {
  const open = new Set(names);
  const told = (name, status) => {
    if (open.delete(name)) tell(name, typeof status === "string" ? status : undefined);
  };
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, millis);
  }).then(() => {
    for (const name of open) told(name);
  });
  const all = Promise.all(names.map((name) => statusOf(namespace, name).then((status) => told(name, status))));
  return Promise.race([all, late]).finally(() => clearTimeout(timer));
}

/** Nothing else is read: what else a class of the user's has to say is nobody's business here. */
async function statusOf(namespace, name) {
  try {
    return (await namespace.getByName(name).getState()).status;
  } catch {
    // That a call failed proves nothing, whatever it says.
  }
}
