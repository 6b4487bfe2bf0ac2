// The Worker's main module: the gateway, the pools' Durable Objects, and one class per container image.

import * as rust from "../../build/index.js";
import { durableObjects } from "./durable_objects.mjs";
import { gateway } from "./gateway.mjs";

const classes = durableObjects(rust);

export const { WarmPool, PoolCoordinator } = classes;

/** The small HTTP API of `example/api`. */
export class ApiContainer extends classes.ContainerAgent {}

/** The counter of `example/counter`. */
export class CounterContainer extends classes.ContainerAgent {}

export default gateway(rust);
