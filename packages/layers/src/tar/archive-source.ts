import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import type { LayerArchive } from "../layer-store.ts";

/** An archive that can be read as often as it takes. */
export interface RereadableArchive {
  readonly bytes: () => AsyncIterable<Uint8Array>;
  /** Frees what a reading still has that was left while it waited for bytes that never came. */
  readonly close: () => Promise<void>;
}

/** A plain iterable is kept in the file `spool` as it passes for the first time. */
export function rereadable(archive: LayerArchive, spool: string): RereadableArchive {
  if (typeof archive === "function") return { bytes: archive, close: async () => undefined };
  let file: Promise<FileHandle> | undefined;
  const bytes = (): AsyncIterable<Uint8Array> => {
    if (file !== undefined) return createReadStream(spool);
    file = open(spool, "wx", 0o600);
    // Whoever reads is told.
    file.catch(() => undefined);
    return kept(archive, file);
  };
  return { bytes, close: async () => (await file?.catch(() => undefined))?.close() };
}

async function* kept(
  archive: AsyncIterable<Uint8Array>,
  opening: Promise<FileHandle>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await opening;
  for await (const chunk of archive) {
    await file.writeFile(chunk);
    yield chunk;
  }
}
