import type { KeyedLock, Release, WaitOptions } from "@varve/locks";
import type { Lazy } from "./lazy.ts";

/** Locks of layers over all processes of a store, opened when a layer is unpacked. Other namespaces have snapshots of their own. */
export class ChainLocks implements KeyedLock {
  readonly #locks: Lazy<KeyedLock>;
  readonly #namespace: string;

  constructor(locks: Lazy<KeyedLock>, namespace: string) {
    this.#locks = locks;
    this.#namespace = namespace;
  }

  async acquire(key: string, options?: WaitOptions): Promise<Release> {
    const locks = await this.#locks.get();
    return locks.acquire(this.#keyOf(key), options);
  }

  async run<T>(key: string, body: () => Promise<T>, options?: WaitOptions): Promise<T> {
    const locks = await this.#locks.get();
    return locks.run(this.#keyOf(key), body, options);
  }

  #keyOf(key: string): string {
    return `${this.#namespace}/${key}`;
  }
}
