import { mkdir, realpath } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { streamBlob } from "@varve/content";
import { digestAlgorithm, digestHex, digestStream } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { parseIndex } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { indexDocument, indexEntries } from "../export/index-document.ts";
import { planExport } from "../export/plan.ts";
import type { ExportOptions, ImageToExport } from "../image-archive.ts";
import { checkLayoutFile, layoutFile, layoutFileName } from "../layout-file.ts";
import { hasNameOf } from "../names.ts";
import { about } from "../subject.ts";
import { readHandle } from "./import-layout.ts";
import { withIndexLock } from "./index-lock.ts";
import { LayoutDirectory } from "./layout-directory.ts";
import { removeStale, replaceFile } from "./temporary-files.ts";

const indexName = "index.json";

/**
 * Puts images into a directory as an OCI image layout. A layout that is there keeps its images, but those of the same name; what nothing
 * names any more is left to its owner to collect. Files appear whole, and `index.json` last, so that readers always see a layout that is in
 * order, also after a power cut. Several may write to one layout at the same time.
 *
 * No link in the directory is followed. A blob that is there is read again, and replaced if it is not what its name says.
 *
 * @throws ERR_NOT_FOUND a blob is not stored; before anything is written
 * @throws ERR_INVALID_ARGUMENT a name is no reference, a tag no tag, or a target no image
 * @throws ERR_INVALID_DATA what is there is no layout that could be added to
 * @throws ERR_DIGEST_MISMATCH, ERR_DATA_LOSS a stored blob is damaged
 */
export async function exportLayout(
  images: readonly ImageToExport[],
  directory: string,
  options: ExportOptions,
): Promise<void> {
  const { onBlob, signal } = options;
  signal?.throwIfAborted();
  const entries = indexEntries(images);
  const { blobs } = await planExport(images, options);
  await mkdir(directory, { recursive: true });
  const layout = await LayoutDirectory.open(await realpath(directory));
  try {
    await startLayout(layout);
    for (const blob of blobs) {
      await addBlob(layout, blob, options);
      onBlob?.({ digest: blob.digest, size: blob.size });
    }
    await layout.syncBlobs();
    await withIndexLock(layout.root, () => addEntries(layout, entries), { signal });
  } finally {
    await layout.close();
  }
}

async function startLayout(layout: LayoutDirectory): Promise<void> {
  const marker = await layout.document(layoutFileName);
  if (marker !== undefined) checkLayoutFile(marker, layout.subject(layoutFileName));
  await removeStale(layout.root);
  if (marker !== undefined) return;
  const place = { directory: layout.root, name: layoutFileName };
  await replaceFile(layout.root, place, (handle) => handle.writeFile(layoutFile));
}

async function addBlob(layout: LayoutDirectory, blob: Descriptor, options: ExportOptions): Promise<void> {
  const { provider, signal } = options;
  signal?.throwIfAborted();
  if (await hasBlob(layout, blob)) return;
  const place = { directory: await layout.blobDirectory(blob.digest), name: digestHex(blob.digest) };
  await replaceFile(layout.root, place, (handle) => write(handle, streamBlob(provider, blob, { signal, reuse: true })));
}

async function write(handle: FileHandle, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length;) at += (await handle.write(chunk, at)).bytesWritten;
  }
}

/** Whether the layout has the blob as it should be. Somebody may have cut it short, or put something else there. */
async function hasBlob(layout: LayoutDirectory, { digest, size }: Descriptor): Promise<boolean> {
  let handle: FileHandle | undefined;
  try {
    handle = await layout.blob(digest);
  } catch (error) {
    // A link where the blob belongs: it is replaced.
    if (hasCode(error, "ERR_INVALID_DATA")) return false;
    throw error;
  }
  if (handle === undefined) return false;
  try {
    const stats = await handle.stat();
    return stats.size === size && (await digestStream(readHandle(handle), digestAlgorithm(digest))) === digest;
  } finally {
    await handle.close();
  }
}

async function addEntries(layout: LayoutDirectory, entries: readonly Descriptor[]): Promise<void> {
  const bytes = await layout.document(indexName);
  const { manifests, ...rest } =
    bytes === undefined ? { manifests: [] } : await about(layout.subject(indexName), () => parseIndex(bytes));
  const kept = manifests.filter((old) => !entries.some((entry) => hasNameOf(entry, old)));
  const place = { directory: layout.root, name: indexName };
  const document = indexDocument([...kept, ...entries], rest);
  await replaceFile(layout.root, place, (handle) => handle.writeFile(document));
  await layout.root.sync();
}
