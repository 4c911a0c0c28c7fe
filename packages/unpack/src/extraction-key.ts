import { randomBytes } from "node:crypto";
import type { Digest } from "@varve/digest";

const prefix = "extract-";

/** What every extraction key matches, for filters. */
export const extractionKeyPattern: string = `^${prefix}`;

/** A fresh key for an active snapshot that will be committed as `chainId`: `extract-<nanoseconds>-<random> <chain ID>`. */
export function extractionKey(chainId: Digest): string {
  const nanoseconds = process.hrtime.bigint() % 1_000_000_000n;
  return `${prefix}${nanoseconds}-${randomBytes(3).toString("base64url")} ${chainId}`;
}

/** Whether `key` has the form of an extraction key. */
export function isExtractionKey(key: string): boolean {
  return key.startsWith(prefix);
}
