import { hash } from "node:crypto";

/** What a person can read, and what no hash looks like. */
const plain = /^[!-"$-~][ -~]{0,199}$/;

/** Names a key's row: the key itself, or the hash of one that is long or has unusual letters. */
export function rowKey(key: string): string {
  // The letters as they are in memory: in UTF-8 different halves of pairs would look the same.
  return plain.test(key) ? key : `#${hash("sha256", Buffer.from(key, "utf16le"))}`;
}
