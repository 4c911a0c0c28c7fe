import { rm, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { applyTar, createTarSplitter, listChanges, packLayer } from "@varve/archive";
import { decompress } from "@varve/compression";
import type { ArchiveApplier, ArchiveComparer } from "@varve/diff";
import { createDigester } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { onlyDirectory } from "@varve/mount";
import type { Mount } from "@varve/mount";

/** Unpacks into directories, in this thread. */
export const applier: ArchiveApplier = {
  async applyArchive(archive, mounts, { onProgress, records, signal, subject }) {
    const lines: Uint8Array[] = [];
    const splitter = createTarSplitter((line) => lines.push(line), { subject });
    const digester = createDigester();
    async function* given(): AsyncGenerator<Uint8Array, void, undefined> {
      let bytes = 0;
      for await (const chunk of archive()) {
        yield chunk;
        bytes += chunk.length;
        onProgress?.(bytes);
      }
    }
    async function* seen(): AsyncGenerator<Uint8Array, void, undefined> {
      for await (const chunk of decompress(given(), { signal, subject })) {
        digester.update(chunk);
        splitter.write(chunk);
        yield chunk;
      }
    }
    try {
      const ownership = process.geteuid?.() === 0 ? "keep" : "skip";
      await applyTar(seen(), directoryOf(mounts), { ownership, signal, subject });
      const { contentBytes, entries, replaced } = splitter.end();
      await writeFile(records, gzipSync(Buffer.concat(lines)));
      return { diffId: digester.digest(), size: digester.size, entries, contentBytes, replaced };
    } catch (error) {
      await rm(records, { force: true });
      throw error;
    } finally {
      splitter.abort();
    }
  },
};

/** Compares directories, in this thread. */
export const comparer: ArchiveComparer = {
  async *changes(lower, upper) {
    yield* listChanges(treesOf(lower, upper));
  },
  async *archiveChanges(lower, upper) {
    yield* packLayer(treesOf(lower, upper));
  },
};

function treesOf(lower: readonly Mount[], upper: readonly Mount[]): { upper: string; lower: string | undefined } {
  return { upper: directoryOf(upper), lower: lower.length === 0 ? undefined : directoryOf(lower) };
}

function directoryOf(mounts: readonly Mount[]): string {
  const directory = onlyDirectory(mounts);
  if (directory !== undefined) return directory;
  throw new CodedError("ERR_NOT_IMPLEMENTED", "mounts: more than one directory");
}
