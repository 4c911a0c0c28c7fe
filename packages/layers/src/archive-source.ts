import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import type { LayerArchive } from "./layer-store.ts";

/** An archive that can be read as often as it takes: a plain iterable is kept in the file `spool` as it passes for the first time. */
export function rereadable(archive: LayerArchive, spool: string): () => AsyncIterable<Uint8Array> {
  if (typeof archive === "function") return archive;
  let isFirst = true;
  return () => {
    if (!isFirst) return createReadStream(spool);
    isFirst = false;
    return kept(archive, spool);
  };
}

async function* kept(archive: AsyncIterable<Uint8Array>, spool: string): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await open(spool, "wx", 0o600);
  try {
    for await (const chunk of archive) {
      await file.writeFile(chunk);
      yield chunk;
    }
  } finally {
    await file.close();
  }
}
