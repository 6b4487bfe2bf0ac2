// The same with the classes, as `wrangler types` writes it.
interface Env {
  CONTAINER: DurableObjectNamespace<import("./program").MyContainer>;
  WARM_POOL: DurableObjectNamespace<import("cf-warm-pools").WarmPool>;
}
