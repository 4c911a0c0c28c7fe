import { randomUUID } from "node:crypto";
import type { QuarantinedBlob } from "@varve/content";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";

/** What was taken away, with its bytes. */
export class Quarantine {
  readonly #kept: Map<string, { readonly entry: QuarantinedBlob; readonly bytes: Uint8Array }> = new Map();

  add(digest: Digest, bytes: Uint8Array): QuarantinedBlob {
    const entry = { id: randomUUID(), digest, size: bytes.byteLength, quarantinedAt: new Date() };
    this.#kept.set(entry.id, { entry, bytes });
    return entry;
  }

  entries(): QuarantinedBlob[] {
    return Array.from(this.#kept.values(), ({ entry }) => entry);
  }

  discard(id: string): void {
    if (!this.#kept.delete(id)) throw new CodedError("ERR_NOT_FOUND", `quarantined blob ${id}: not found`);
  }

  clear(): void {
    this.#kept.clear();
  }
}
