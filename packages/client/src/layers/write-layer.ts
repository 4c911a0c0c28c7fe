import type { Compression } from "@varve/compression";
import type { ComparedLayer } from "@varve/diff";
import { CodedError } from "@varve/errors";
import { overlayOptions } from "@varve/mount";
import type { Mount } from "@varve/mount";
import type { Trees } from "@varve/archive";
import { existingDirectory } from "./existing-directory.ts";
import type { ConsumeLayer } from "./write-compared.ts";

/** How a layer is written. */
export interface WriteLayerOptions {
  /** Rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
  /** Default `none`. */
  readonly compression?: Compression | undefined;
  /** 1 to 9 for gzip (default 6), 1 to 19 for zstd (default 3). */
  readonly level?: number | undefined;
  /** Seconds since 1970: later times are written as this one, so that a build can be repeated (SOURCE_DATE_EPOCH). */
  readonly sourceDateEpoch?: number | undefined;
  /** Called with the bytes of the uncompressed archive that were written so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/**
 * Writes what `trees.upper` has differently from `trees.lower` as a layer, and hands it to `consume`, which reads it to the end:
 * `(layer) => writeFile("layer.tar", layer)`. No store is needed. The stream fails if the layer does.
 *
 * @throws ERR_NOT_FOUND, ERR_INVALID_ARGUMENT a tree is not there, or no directory, or half of an overlay; there is no such level
 * @throws ERR_INVALID_DATA a tree holds what no layer can say: a name that starts with `.wh.`
 * @throws ERR_ABORTED `consume` stopped before the end
 */
export async function writeLayer(
  trees: Trees,
  consume: ConsumeLayer,
  options: WriteLayerOptions = {},
): Promise<ComparedLayer> {
  if (trees.form === "overlay" && trees.lower === undefined) {
    throw new CodedError(
      "ERR_INVALID_ARGUMENT",
      `directory ${trees.upper}: only on a lower one is it half of an overlay`,
    );
  }
  const upper = await existingDirectory(trees.upper);
  const lower = trees.lower === undefined ? undefined : await existingDirectory(trees.lower);
  const compared = {
    lower: lower === undefined ? [] : [bind(lower)],
    upper: [upperMount(trees, upper, lower)],
  };
  const { writeCompared } = await import("./write-compared.ts");
  const { createDiffer } = await import("@varve/differ");
  return writeCompared(
    async (content) => createDiffer({ content, ownership: trees.ownership, concurrency: 1 }),
    compared,
    consume,
    options,
  );
}

/** It is never mounted: the differ takes the directories out of it. */
function upperMount({ form, userxattr }: Trees, upper: string, lower: string | undefined): Mount {
  if (form !== "overlay") return bind(upper);
  const directories = overlayOptions({ upper, lower: lower === undefined ? [] : [lower], data: [] });
  return {
    type: "overlay",
    source: "overlay",
    options: [...directories, ...(userxattr === true ? ["userxattr"] : [])],
  };
}

function bind(source: string): Mount {
  return { type: "bind", source, options: ["ro", "rbind"] };
}
