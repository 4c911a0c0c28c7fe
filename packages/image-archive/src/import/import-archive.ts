import { CodedError } from "@varve/errors";
import type { ArchivedImage, ImportOptions } from "../image-archive.ts";
import { checkLayoutFile, layoutFileName } from "../layout-file.ts";
import { quote } from "../subject.ts";
import { takeIn } from "./archive-files.ts";
import type { ArchiveFiles } from "./archive-files.ts";
import { dockerImages } from "./docker-archive.ts";
import { withDockerNames } from "./docker-names.ts";
import { imagesOfIndex, mergeImages } from "./list-images.ts";
import { bringStored, settleImages } from "./settle.ts";

/**
 * Stores what a tar holds, plain or compressed by gzip or zstd: an OCI image layout, or what `docker save` wrote in any version
 * since 1.10. It is read once and in order; blobs go into the store as they come, each verified before it is visible. With
 * both `index.json` and `manifest.json` the former counts; the latter names images that the former leaves without a name.
 *
 * The chunks of the source are kept for a while, and must not be used again by whoever made them.
 *
 * The caller holds a lease: until it has written records for the images, nothing keeps them. After a failure or an abort no ingest is
 * left; blobs that had been stored stay.
 *
 * @throws ERR_INVALID_DATA neither of the two, malformed, incomplete, or ambiguous; the message names the entry
 * @throws ERR_DIGEST_MISMATCH a blob is not what its name, or a layer not what its config says
 * @throws ERR_RESOURCE_EXHAUSTED a limit
 * @throws ERR_NOT_IMPLEMENTED an archive of Docker before 1.10, another version of the layout, or a Docker schema 1 manifest
 */
export async function importArchive(
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<readonly ArchivedImage[]> {
  options.signal?.throwIfAborted();
  const files = await takeIn(source, options);
  return settleImages(await listImages(files, options), bringStored(options), options);
}

async function listImages(files: ArchiveFiles, options: ImportOptions): Promise<readonly ArchivedImage[]> {
  const layout = files.document(layoutFileName);
  const manifest = files.document("manifest.json");
  if (layout !== undefined) {
    checkLayoutFile(layout, `archive: entry ${quote(layoutFileName)}`);
    const index = files.document("index.json");
    if (index === undefined) throw new CodedError("ERR_INVALID_DATA", "archive: an image layout without index.json");
    const images = await imagesOfIndex(index, `archive: entry ${quote("index.json")}`);
    return manifest === undefined ? images : withDockerNames(images, manifest, { files, options });
  }
  if (manifest !== undefined) {
    return mergeImages(await dockerImages(manifest, files, options), `archive: entry ${quote("manifest.json")}`);
  }
  if (files.document("repositories") !== undefined) {
    throw new CodedError("ERR_NOT_IMPLEMENTED", "archive: written by Docker before 1.10: it has no manifest.json");
  }
  const why = "it has neither oci-layout nor manifest.json";
  throw new CodedError("ERR_INVALID_DATA", `archive: neither an OCI image layout nor of docker save: ${why}`);
}
