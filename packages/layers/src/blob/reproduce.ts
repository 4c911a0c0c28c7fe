import { createDigester, digestAlgorithm, verifyStream } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { isEncryptedLayerType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { packed, recipesFor, typeOfNew } from "./recipes.ts";
import type { BlobRecipe } from "./recipes.ts";
import type { CallOptions, Layer } from "../layer-store.ts";

export interface ReproduceOptions extends CallOptions {
  /**
   * What is tried, in this order; a new blob is written by the first. Each that fails costs as much as compressing the layer. Default:
   * all that the recorded descriptor's type and size allow, and gzip at level 6 alone if none was recorded.
   */
  readonly recipes?: readonly BlobRecipe[] | undefined;
  /** Called before each is tried. */
  readonly onTry?: ((recipe: BlobRecipe) => void) | undefined;
}

/** A blob of a layer that nobody needs to have kept. */
export interface ReproducedBlob {
  /** The recorded one if `isSame`; otherwise type, digest and size of the new blob, and a manifest has to be written anew. */
  readonly descriptor: Descriptor;
  /** Whether these are the bytes that the layer was distributed as. Its diff ID is the same in any case. */
  readonly isSame: boolean;
  readonly recipe: BlobRecipe;
  /**
   * The bytes, compressed anew each time, as long as the reference is held.
   *
   * @throws ERR_DATA_LOSS the layer's files or records have changed
   * @throws ERR_DIGEST_MISMATCH at the end: the bytes are not those of the descriptor
   */
  open(options?: CallOptions): AsyncGenerator<Uint8Array, void, undefined>;
}

/** Bytes of a blob for which no level takes long. */
const smallBlob = 512 * 1024;
const fallback: BlobRecipe = { writer: "compress", compression: "gzip", level: 6 };

/**
 * Compresses a layer's archive again, in the hope that it becomes the blob that the recorded descriptor names. The layer is read once
 * for each recipe that is tried; nothing is kept but a digest.
 *
 * @throws ERR_DATA_LOSS the layer's files or records have changed
 * @throws ERR_FAILED_PRECONDITION the reference was released
 * @throws ERR_INVALID_ARGUMENT `recipes` is empty, or one of them does not exist
 * @throws ERR_NOT_IMPLEMENTED the layer was distributed encrypted
 */
export async function reproduceBlob(layer: Layer, options: ReproduceOptions = {}): Promise<ReproducedBlob> {
  const { descriptor } = layer;
  if (descriptor !== undefined && isEncryptedLayerType(descriptor.mediaType)) {
    // A new blob in the clear is not what anybody would expect.
    throw new CodedError("ERR_NOT_IMPLEMENTED", `layer ${layer.chainId}: its blob was encrypted`);
  }
  let first: Packed | undefined;
  let fewest = Infinity;
  for (const recipe of options.recipes ?? recipesOf(layer)) {
    if (options.recipes === undefined && isHopeless(recipe, descriptor, fewest)) continue;
    options.onTry?.(recipe);
    // What is longer is not it; but the first one may be needed though it is wrong.
    const most = first === undefined ? undefined : descriptor?.size;
    const blob = await measure(layer, recipe, { most, signal: options.signal });
    if (blob === undefined) continue;
    if (descriptor?.digest === blob.digest && descriptor.size === blob.size) return blobOf(layer, blob, descriptor);
    first ??= blob;
    fewest = Math.min(fewest, blob.size);
  }
  if (first === undefined) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `layer ${layer.chainId}: no recipes for its blob`);
  }
  return blobOf(layer, first, undefined);
}

/**
 * The high levels of zstd take an hour for a gigabyte, and make less of a layer than the others do, or hardly more of odd ones: they
 * are left out for a blob that is clearly larger than what another has made.
 */
function isHopeless(
  { compression, level = 0 }: BlobRecipe,
  descriptor: Descriptor | undefined,
  fewest: number,
): boolean {
  if (compression !== "zstd" || level < 10 || descriptor === undefined) return false;
  return descriptor.size > smallBlob && descriptor.size > fewest * 1.02;
}

function recipesOf({ descriptor, diffId }: Layer): readonly BlobRecipe[] {
  if (descriptor === undefined) return [fallback];
  // Then it was the tar itself, whatever its type says.
  if (descriptor.digest === diffId) return [{ writer: "compress", compression: "none" }];
  return recipesFor(descriptor.mediaType);
}

/** What a recipe makes of a layer. */
interface Packed {
  readonly recipe: BlobRecipe;
  readonly digest: Digest;
  readonly size: number;
}

/** @returns nothing if there are more than `most` bytes */
async function measure(
  layer: Layer,
  recipe: BlobRecipe,
  { most = Infinity, signal }: { readonly most: number | undefined; readonly signal: AbortSignal | undefined },
): Promise<Packed | undefined> {
  const { descriptor } = layer;
  const digester = createDigester(descriptor === undefined ? "sha256" : digestAlgorithm(descriptor.digest));
  for await (const chunk of packed(layer.tarStream({ signal }), recipe, { reuse: true, signal })) {
    digester.update(chunk);
    if (digester.size > most) return undefined;
  }
  return { recipe, digest: digester.digest(), size: digester.size };
}

/** @param recorded the descriptor that the layer has, if the blob is of it */
function blobOf(layer: Layer, { digest, recipe, size }: Packed, recorded: Descriptor | undefined): ReproducedBlob {
  const mediaType = typeOfNew(layer.descriptor?.mediaType, recipe.compression);
  return {
    descriptor: recorded ?? { mediaType, digest, size },
    isSame: recorded !== undefined,
    recipe,
    open({ signal }: CallOptions = {}) {
      return verifyStream(packed(layer.tarStream({ signal }), recipe, { reuse: false, signal }), digest, size);
    },
  };
}
