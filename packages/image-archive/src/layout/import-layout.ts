import type { FileHandle } from "node:fs/promises";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import type { ArchivedImage, ImportOptions } from "../image-archive.ts";
import { imagesOfIndex } from "../import/list-images.ts";
import { bringStored, settleImages } from "../import/settle.ts";
import type { Bring } from "../import/settle.ts";
import { storeBlob } from "../import/store-blob.ts";
import { checkLayoutFile, layoutFileName } from "../layout-file.ts";
import { blobPath } from "../export/docker-document.ts";
import { LayoutDirectory } from "./layout-directory.ts";

const chunkSize = 256 * 1024;
const defaultMaxEntries = 100_000;

/**
 * Stores the images of an OCI image layout in a directory. Only what the images name is read, each blob is verified before it
 * is visible, and no link in the directory is followed. Leases, failures and errors are as with `importArchive`.
 *
 * @throws ERR_NOT_FOUND there is no layout
 */
export async function importLayout(directory: string, options: ImportOptions): Promise<readonly ArchivedImage[]> {
  options.signal?.throwIfAborted();
  const layout = await LayoutDirectory.open(directory);
  try {
    const marker = await layout.document(layoutFileName);
    if (marker === undefined) throw noLayout(layout, layoutFileName);
    checkLayoutFile(marker, layout.subject(layoutFileName));
    const index = await layout.document("index.json");
    if (index === undefined) throw noLayout(layout, "index.json");
    const images = await imagesOfIndex(index, layout.subject("index.json"));
    return await settleImages(images, bringFrom(layout, options), options);
  } finally {
    await layout.close();
  }
}

function noLayout(layout: LayoutDirectory, name: string): CodedError {
  return new CodedError("ERR_NOT_FOUND", `${layout.subject(name)}: missing: not an OCI image layout`);
}

function bringFrom(layout: LayoutDirectory, options: ImportOptions): Bring {
  const { content, onBlob, maxBytes = Infinity, maxEntries = defaultMaxEntries, signal } = options;
  const otherwise = bringStored(options);
  let bytes = 0;
  let entries = 0;
  return async (descriptor) => {
    const { digest, size } = descriptor;
    const handle = await layout.blob(digest);
    if (handle === undefined) return otherwise(descriptor);
    try {
      const subject = layout.subject(blobPath(digest));
      entries += 1;
      bytes += size;
      if (entries > maxEntries) throw exhausted(`${subject}: more than ${maxEntries} blobs (maxEntries)`);
      if (bytes > maxBytes) throw exhausted(`${subject}: more than ${maxBytes} bytes (maxBytes)`);
      await mustHaveSize(handle, descriptor, subject);
      await storeBlob(readHandle(handle), { content, subject, ref: `import-${digest}`, digest, size, signal });
    } finally {
      await handle.close();
    }
    onBlob?.({ digest, size });
    // The store may have had it, in a size that this file only claims.
    return otherwise(descriptor);
  };
}

async function mustHaveSize(handle: FileHandle, { size }: Descriptor, subject: string): Promise<void> {
  const stats = await handle.stat();
  if (stats.size === size) return;
  throw new CodedError("ERR_DIGEST_MISMATCH", `${subject}: ${stats.size} bytes, its descriptor says ${size}`);
}

/** Yields a file from its first byte. */
export async function* readHandle(handle: FileHandle): AsyncGenerator<Uint8Array, void, undefined> {
  for (let position = 0; ;) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafeSlow(chunkSize), 0, chunkSize, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

function exhausted(why: string): CodedError {
  return new CodedError("ERR_RESOURCE_EXHAUSTED", why);
}
