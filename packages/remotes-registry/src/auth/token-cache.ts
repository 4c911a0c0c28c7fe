import { RecentMap } from "../hosts/recent-map.ts";
import type { Token } from "./token.ts";

// Whoever needs more at a time gets some of them twice.
const maxTokens = 256;

/** The tokens of one host, by what they were asked for (A9). */
export class TokenCache {
  readonly #tokens = new RecentMap<string, Token>(maxTokens);

  get(key: string): Token | undefined {
    return this.#tokens.get(key);
  }

  keep(key: string, token: Token): void {
    const now = Date.now();
    for (const [old, { expiresAt }] of this.#tokens.entries()) if (expiresAt <= now) this.#tokens.delete(old);
    this.#tokens.set(key, token);
  }

  /** Drops the token that a header was made of, and no other: somebody else may have got a new one meanwhile. */
  forget(header: string): void {
    for (const [key, { value }] of this.#tokens.entries()) if (header === `Bearer ${value}`) this.#tokens.delete(key);
  }

  values(): string[] {
    return this.#tokens.entries().map(([, { value }]) => value);
  }
}
