// The wasm instances of this isolate: to be imported before what makes them.

/** The newest. */
export let instance;

WebAssembly.Instance = class extends WebAssembly.Instance {
  constructor(...args) {
    super(...args);
    instance = this;
  }
};
