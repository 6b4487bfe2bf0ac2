// What functions really have for a constructor. By it worker-build tells functions from async ones, each time that one is called; and
// where Workers are tested, in `@cloudflare/vitest-pool-workers`, another thing is under the global name.

const { constructor } = () => {};

export { constructor as Function };
