/**
 * Warm pools for Cloudflare Containers: containers are started before anyone needs them, and each id gets one of its
 * own and keeps it.
 *
 * - One pool, set up in the Worker's code: {@link createWarmPool}, and {@link getWarmPool} in a container class's
 *   `onStop`.
 * - Pools, routes and an admin API from one configuration: {@link createWarmPools}.
 * - To be exported from the Worker's main module: {@link WarmPool}, and, for what needs it, {@link PoolCoordinator}.
 *
 * The global types of the Workers runtime must be there: from `wrangler types`, or from `@cloudflare/workers-types`.
 *
 * @packageDocumentation
 */

export * from "./types/client.js";
export * from "./types/settings.js";
export * from "./types/configuration.js";
export * from "./types/outcomes.js";
export * from "./types/stats.js";
export * from "./types/events.js";
export * from "./types/objects.js";
export * from "./types/bridge.js";
