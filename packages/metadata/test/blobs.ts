import { writeBlob } from "@varve/content";
import type { ContentStore } from "@varve/content";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { SQLInputValue } from "node:sqlite";

export interface Sample {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly size: number;
  readonly descriptor: Descriptor;
}

export function sample(text: string): Sample {
  const bytes = new TextEncoder().encode(text);
  const [digest, size] = [digestOf(bytes), bytes.byteLength];
  return { bytes, digest, size, descriptor: { mediaType: "application/octet-stream", digest, size } };
}

export async function store(into: ContentStore, blob: Sample, labels?: Record<string, string>): Promise<void> {
  await writeBlob(into, `ref-${blob.digest}`, blob.bytes, { expected: blob, labels });
}

export async function read(from: ContentStore, blob: Sample): Promise<Uint8Array> {
  await using reader = await from.open(blob.descriptor);
  const bytes = new Uint8Array(reader.size);
  await reader.read(bytes, 0);
  return bytes;
}

/** Looks at the database, or changes it, behind the back of who has it open: as another process would. */
export function sql(path: string, statement: string, ...values: readonly SQLInputValue[]): Record<string, unknown>[] {
  const database = new DatabaseSync(join(path, "metadata.db"));
  try {
    return database.prepare(statement).all(...values);
  } finally {
    database.close();
  }
}
