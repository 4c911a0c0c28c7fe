import type { Provider } from "@varve/content";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import { isEncryptedLayerType, isLayerType } from "@varve/oci";

/** The bytes of one layer. */
export interface LayerBytes {
  /** What errors are about. */
  readonly subject: string;
  readonly size?: number | undefined;
  /** Gives them from the first one on; asked again if the layer must be applied again. */
  readonly open: (signal: AbortSignal | undefined) => AsyncIterable<Uint8Array>;
}

/**
 * Those of a layer from `source`, and if they are wanted again from the store: a followed download ends with its commit, and layers
 * are settled after it.
 */
export function layerBytes(
  layer: Descriptor,
  content: Provider | undefined,
  source: AsyncIterable<Uint8Array> | undefined,
): LayerBytes {
  const subject = `layer ${layer.digest}`;
  const stored = (): Provider => {
    if (content !== undefined) return content;
    throw new CodedError("ERR_NOT_FOUND", `${subject}: no content store and no source was given`);
  };
  if (source === undefined) stored();
  const isEncrypted = isEncryptedLayerType(layer.mediaType);
  if (isEncrypted || !isLayerType(layer.mediaType)) {
    const why = `media type ${layer.mediaType}: not supported${isEncrypted ? ", the layer is encrypted" : ""}`;
    throw new CodedError("ERR_NOT_IMPLEMENTED", `${subject}: ${why}`);
  }
  let first = source;
  const open = (signal: AbortSignal | undefined): AsyncIterable<Uint8Array> => {
    const given = first;
    first = undefined;
    return given ?? read(stored(), layer, signal);
  };
  return { subject, size: layer.size, open };
}

async function* read(
  content: Provider,
  layer: Descriptor,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = await content.open(layer, { signal });
  try {
    yield* reader.stream({ signal, reuse: true });
  } finally {
    await reader.close();
  }
}
