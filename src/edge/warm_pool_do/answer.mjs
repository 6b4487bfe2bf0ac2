// What a shard answers to a call of an id that has its container: by far the most frequent answer, so it crosses the
// border between wasm and JavaScript once, in words that take little.

/** An `Assignment` as serde writes it; see `answer.rs`. */
export function assignment(container, epoch, fenced, outcome, shard, binding) {
  return { container, epoch, fenced, outcome, shard, binding };
}
