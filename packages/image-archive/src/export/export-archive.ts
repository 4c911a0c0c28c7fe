import { streamBlob } from "@varve/content";
import { digestAlgorithm } from "@varve/digest";
import type { Descriptor } from "@varve/oci";
import type { ExportArchiveOptions, ImageToExport } from "../image-archive.ts";
import { layoutFile, layoutFileName } from "../layout-file.ts";
import { writeMembers } from "../tar/write-members.ts";
import type { Member } from "../tar/write-members.ts";
import { blobPath, dockerDocument } from "./docker-document.ts";
import { indexDocument, indexEntries } from "./index-document.ts";
import { planExport } from "./plan.ts";

/**
 * Yields a tar that is an OCI image layout, and by default what `docker load` reads as well. Each blob is there once and verified while it
 * is read. The same images under the same names, in the same order, give the same bytes, whatever the store, the time and the machine,
 * unless `platform` is left to the machine.
 *
 * Chunks are not to be written to: some are shared.
 *
 * Of an index that names more than goes along, its bytes are kept: it then names images that the archive has not.
 *
 * @throws ERR_NOT_FOUND a blob is not stored; before the first byte
 * @throws ERR_INVALID_ARGUMENT a name is no reference, a tag no tag, or a target no image
 * @throws ERR_DIGEST_MISMATCH, ERR_DATA_LOSS a stored blob is damaged
 */
export async function* exportArchive(
  images: readonly ImageToExport[],
  options: ExportArchiveOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { dockerCompatible = true, signal } = options;
  signal?.throwIfAborted();
  const entries = indexEntries(images);
  const plan = await planExport(images, options);
  const docker = dockerCompatible ? await dockerDocument(plan, options) : undefined;
  const algorithms = new Set(plan.blobs.map(({ digest }) => digestAlgorithm(digest)));
  yield* writeMembers([
    // First, so that a reader knows what the blobs are before they come.
    inMemory(layoutFileName, Buffer.from(layoutFile)),
    inMemory("index.json", indexDocument(entries)),
    ...(docker === undefined ? [] : [inMemory("manifest.json", docker)]),
    { name: "blobs/" },
    ...[...algorithms].toSorted().map((algorithm) => ({ name: `blobs/${algorithm}/` })),
    ...plan.blobs.map((blob) => stored(blob, options)),
  ]);
}

function inMemory(name: string, bytes: Uint8Array): Member {
  return {
    name,
    file: {
      size: bytes.length,
      // oxlint-disable-next-line typescript/require-await
      content: async function* () {
        yield bytes;
      },
    },
  };
}

function stored(blob: Descriptor, { provider, onBlob, signal }: ExportArchiveOptions): Member {
  const { digest, size } = blob;
  return {
    name: blobPath(digest),
    file: {
      size,
      content: async function* () {
        yield* streamBlob(provider, blob, { signal });
        onBlob?.({ digest, size });
      },
    },
  };
}
