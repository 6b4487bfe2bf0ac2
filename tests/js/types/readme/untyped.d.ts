// What the quick start of the README leaves out, as its configuration has it.
interface Env {
  CONTAINER: DurableObjectNamespace;
  WARM_POOL: DurableObjectNamespace;
}
