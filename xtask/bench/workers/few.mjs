// Durable Object namespaces that have room for every container of the bench.
//
// Local workerd has room for some 3,500 live objects, and a pool of the bench has up to 100,000 containers.

const OBJECTS = 16;

/** The views that were made, for clients compare the namespaces that they are given. */
const made = new WeakMap();

/**
 * One in which every name leads to one of a few objects.
 *
 * @param {globalThis.DurableObjectNamespace} namespace
 */
export function few(namespace) {
  let view = made.get(namespace);
  if (view === undefined) made.set(namespace, (view = new DurableObjectNamespace(namespace)));
  return view;
}

/**
 * One in which every name leads to `object`, which is called where it is: what a caller does by itself can be told from what its
 * calls take.
 */
export function here(namespace, object) {
  const view = new DurableObjectNamespace(namespace);
  view.getByName = () => object;
  return view;
}

/** Called as the real one is, for that is how it is told that a binding is a namespace. */
class DurableObjectNamespace {
  #real;
  #ids;

  constructor(real) {
    this.#real = real;
    this.#ids = Array.from({ length: OBJECTS }, (_, index) => real.idFromName(`few-${index}`));
  }

  idFromName(name) {
    return new FewId(this.#real, name);
  }

  get(id) {
    return this.getByName(id.name);
  }

  getByName(name) {
    // Names are UUIDs; of any other the first object will do.
    return this.#real.get(this.#ids[Number.parseInt(name.charAt(0), 16) % OBJECTS] ?? this.#ids[0]);
  }
}

class FewId {
  #real;

  constructor(real, name) {
    this.#real = real;
    this.name = name;
  }

  /** What the real namespace makes of the name, by which classes are told from each other. */
  toString() {
    return this.#real.idFromName(this.name).toString();
  }

  equals(other) {
    return this.toString() === other.toString();
  }
}
