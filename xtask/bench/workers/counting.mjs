// Counts what an object does, from outside of it: rows that its SQL reads and writes, values that it puts, calls of other objects.

const counts = {};

/** What was counted since the last time. */
export function takeCounts() {
  const taken = { ...counts };
  for (const key of Object.keys(counts)) delete counts[key];
  return taken;
}

function count(what, n = 1) {
  counts[what] = (counts[what] ?? 0) + n;
}

/** Counts what an object does to its storage; all objects of its isolate from then on. */
export function countStorage(storage) {
  const sql = Object.getPrototypeOf(storage.sql);
  if (sql.isCounted) return;
  sql.isCounted = true;
  const { exec } = sql;
  sql.exec = function (...args) {
    const cursor = exec.apply(this, args);
    // The rows that are read by and by are not in it; a statement that writes has written by now.
    count("rowsWritten", cursor.rowsWritten);
    count("rowsRead", cursor.rowsRead);
    return cursor;
  };
  const ofStorage = Object.getPrototypeOf(storage);
  for (const method of ["get", "put", "delete"]) {
    const original = ofStorage[method];
    ofStorage[method] = function (...args) {
      count(method);
      return original.apply(this, args);
    };
  }
}

/** The namespace, with the calls of its objects counted under a name. */
export function countCalls(name, namespace) {
  const counted = (stub) =>
    new Proxy(stub, {
      get(target, key) {
        const value = Reflect.get(target, key);
        if (typeof value !== "function" || typeof key !== "string") return value;
        return (...args) => {
          count(`calls.${name}.${key}`);
          return Reflect.apply(value, target, args);
        };
      },
    });
  return new (class DurableObjectNamespace {
    idFromName(id) {
      return namespace.idFromName(id);
    }
    get(id) {
      return counted(namespace.get(id));
    }
    getByName(id) {
      return counted(namespace.getByName(id));
    }
  })();
}
