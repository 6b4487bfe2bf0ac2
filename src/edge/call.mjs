// Calls of RPC methods with a deadline: not in Rust, because a promise, a timer and a race of theirs cost Rust a dozen crossings of
// the border.

/** What a call that is late is rejected with. No other object can throw it, for a symbol cannot be sent. */
export const LATE = Symbol("late");

/** Calls a method of a stub. */
export function call(stub, method, args, millis) {
  // First, for when it throws there is nobody to wait.
  const answer = stub[method](...args);
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(reject, millis, LATE);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}
