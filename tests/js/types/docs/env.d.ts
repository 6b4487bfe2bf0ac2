// The bindings of the examples in the documentation.
interface Env {
  CONTAINER: DurableObjectNamespace;
  WARM_POOL: DurableObjectNamespace;
}
