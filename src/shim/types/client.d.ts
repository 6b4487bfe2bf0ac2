// One pool, which is set up by code, and what its client can do.

import type { ContainerAgent, WarmPool } from "./objects.js";
import type { WarmPoolError } from "./outcomes.js";
import type { PoolSettings, WarmPoolConfig } from "./settings.js";
import type { PoolStats } from "./stats.js";

/**
 * A client of one pool, which is set up by code. Cheap: make one for each request, or one for all. It asks nobody yet;
 * the pool's shards learn the settings with the first call, and again when they have changed.
 *
 * The container class is whichever `containerNamespace` leads to; its binding may have any name, for it is found by
 * comparing ids. Where two bindings lead to the same class, say which with {@link PoolSettings.container}.
 *
 * @param poolNamespace - The binding of {@link WarmPool}, whatever its name; or `ctx.exports.WarmPool`, beside the
 * binding.
 * @param containerNamespace - The binding of the container class (or `ctx.exports`, too): one that extends `Container` of
 * `@cloudflare/containers`, `Sandbox` of `@cloudflare/sandbox`, or {@link ContainerAgent}. When it is typed
 * (`DurableObjectNamespace<MyContainer>`), so are the stubs.
 * @param config - Settings; see there for the defaults. A key that is `undefined` counts as not given.
 * @returns The client.
 * @throws `TypeError` that lists every mistake in `config`; also when a namespace is none, when more than one binding
 * leads to the container class and `config` names none, and when the pool's name was taken for another class before.
 *
 * @example
 * ```ts
 * import { createWarmPool } from "cf-warm-pools";
 *
 * export default {
 *   async fetch(request: Request, env: Env): Promise<Response> {
 *     const pool = createWarmPool(env.WARM_POOL, env.CONTAINER, { warmTarget: 3, maxInstances: 20 });
 *     const container = await pool.getContainer(request.headers.get("x-session-id") ?? "default");
 *     return container.fetch(request);
 *   },
 * };
 * ```
 */
export declare function createWarmPool<Container extends Rpc.DurableObjectBranded | undefined = undefined>(
  poolNamespace: PoolNamespace,
  containerNamespace: DurableObjectNamespace<Container>,
  config?: WarmPoolConfig,
): WarmPoolClient<Container>;

/**
 * A stub of one of the pool's shards: any will do to report to, since it reaches the one that has the container.
 *
 * @param poolNamespace - The binding of {@link WarmPool}.
 * @param poolName - The name that {@link createWarmPool} was given. Default `"global-pool"`.
 * @returns A stub of the object `{poolName}/0`.
 *
 * @example A container that stops frees its place at once, and not only with the next health check
 * ```ts
 * import { Container } from "@cloudflare/containers";
 * import { getWarmPool } from "cf-warm-pools";
 *
 * export class MyContainer extends Container<Env> {
 *   override async onStop() {
 *     await getWarmPool(this.env.WARM_POOL).reportStopped(this.ctx.id.toString());
 *   }
 * }
 * ```
 */
export declare function getWarmPool(poolNamespace: PoolNamespace, poolName?: string): DurableObjectStub<WarmPool>;

/**
 * The binding of {@link WarmPool}: `DurableObjectNamespace<WarmPool>`, that of a subclass, or `DurableObjectNamespace`
 * without a type. A container class's namespace, when it is typed, is not taken for one.
 */
export type PoolNamespace = DurableObjectNamespace<WarmPool<any>> | UntypedPoolNamespace;

/** What an untyped `DurableObjectNamespace` has, and that of a container class has not. */
export interface UntypedPoolNamespace {
  /** The id of the object of a name. */
  idFromName(name: string): DurableObjectId;
  /** A stub of an object. */
  get(id: DurableObjectId): { readonly id: DurableObjectId; readonly startAndWaitForPorts?: never };
}

/**
 * One pool. What its methods cannot do they reject with a {@link WarmPoolError}; what only other code can mend (an id
 * that is none, a pool that no configuration has, a binding that is missing), with a `TypeError`.
 *
 * An id is whatever a container is for: a session, a user, a job. 1 to 256 bytes of UTF-8, without control characters and U+FFFD.
 *
 * The methods may be taken off: `const { getContainer } = createWarmPool(...)`.
 *
 * @typeParam Container - The container class; `undefined` or `any` when it is not known.
 */
export interface WarmPoolClient<Container extends Rpc.DurableObjectBranded | undefined = any> {
  /**
   * The id's container. An id that has none gets one: a warm one, else one that starts for it, for which it waits
   * `acquireTimeout` at most. Concurrent calls for one id get the same container.
   *
   * One RPC, to the shard that has the id. A container that has ended since is found at the next health check, or at
   * once when it reports itself; see {@link getWarmPool}.
   *
   * @returns A stub from the namespace that was passed. Keep it for one request: an id may have another container
   * later.
   */
  getContainer(id: string): Promise<ContainerStub<Container>>;
  /** The id's container, or null when it has none. Gives it none. */
  lookupContainer(id: string): Promise<ContainerStub<Container> | null>;
  /**
   * The id is done with its container, which is stopped and never given to another id. The id's next call gets a new
   * one.
   *
   * @returns Whether it had one.
   */
  release(id: string): Promise<boolean>;
  /**
   * Gets the id's container and sends it a request; again, where that is safe, when the container has changed or ended
   * meanwhile. Headers under `x-warm-pool`, `cf-container-` and `x-sandbox-`, which steer containers, are taken off
   * first. The response says in `x-warm-pool` how the id came by its container, and in `x-warm-pool-reason` why that
   * one was not warm.
   *
   * The arguments after the id are those of the global `fetch`.
   */
  fetch(id: string, input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** The pool in numbers, over all shards. Asks each shard; for dashboards, not for each request. */
  stats(): Promise<PoolStats>;
  /**
   * Replaces every container that is not assigned, as after a change of what they are started from. Those that are
   * assigned stay.
   *
   * @returns How many were sent away.
   */
  shutdownPrewarmed(): Promise<number>;
  /**
   * A container has stopped: its place is free at once, and its id gets a new one.
   *
   * @param container - Its UUID, or `this.ctx.id.toString()` of its object.
   * @returns Whether the pool had it.
   */
  reportStopped(container: string): Promise<boolean>;
}

/**
 * What `getContainer` gives: a `DurableObjectStub` of the class, when the namespace was typed; else an
 * {@link UntypedContainerStub}.
 *
 * With {@link ContainerAgent} its `fetch` carries the id and the epoch that the container checks: use this stub, not
 * one of your own.
 */
export type ContainerStub<Container extends Rpc.DurableObjectBranded | undefined> = [Container] extends [
  Rpc.DurableObjectBranded,
]
  ? IsAny<Container> extends true
    ? UntypedContainerStub
    : DurableObjectStub<Container>
  : UntypedContainerStub;

/**
 * A stub of a class that is not known: `fetch`, `id` and `name` are typed, and any other method may be called. To have
 * them checked, declare the binding as `DurableObjectNamespace<MyContainer>`.
 */
export type UntypedContainerStub = DurableObjectStub & { readonly [method: string]: any };

type IsAny<T> = 0 extends 1 & T ? true : false;

// So that the helpers are not exported.
export {};
