import { createKeyedLock } from "@varve/locks";
import type { KeyedLock } from "@varve/locks";
import { RecentMap } from "../hosts/recent-map.ts";

const maxKept = 100;

/**
 * Identity tokens, by what was found for them first: a server may give a new one each time, and take each only once. So
 * they are used one call after the other.
 */
export class IdentityTokens {
  readonly #locks: KeyedLock = createKeyedLock();
  readonly #newest = new RecentMap<string, string>(maxKept);

  /**
   * Runs a call with the newest token in the place of `original`.
   *
   * @param body what replaces the token is in its result's `identityToken`
   */
  use<T extends { readonly identityToken: string | undefined }>(
    original: string,
    body: (identityToken: string) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const work = async (): Promise<T> => {
      const result = await body(this.#newest.get(original) ?? original);
      if (result.identityToken !== undefined) this.#newest.set(original, result.identityToken);
      return result;
    };
    return this.#locks.run(original, work, { signal });
  }
}
