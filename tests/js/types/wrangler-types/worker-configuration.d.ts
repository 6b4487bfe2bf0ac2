// As `wrangler types` declares the bindings of a Worker. It writes the types of the runtime into the same file.

declare namespace Cloudflare {
  interface GlobalProps {
    mainModule: typeof import("./worker");
    durableNamespaces: "WarmPool" | "PoolCoordinator" | "MyContainer" | "Python";
  }
  interface Env {
    ADMIN_TOKEN: string;
    WARM_POOL: DurableObjectNamespace<import("./worker").WarmPool>;
    POOL_COORDINATOR: DurableObjectNamespace<import("./worker").PoolCoordinator>;
    CONTAINER: DurableObjectNamespace<import("./worker").MyContainer>;
    PYTHON: DurableObjectNamespace<import("./worker").Python>;
  }
}
interface Env extends Cloudflare.Env {}
