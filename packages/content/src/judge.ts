import { createDigester, digestAlgorithm } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import type { Provider } from "./provider.ts";
import { canQuarantine } from "./quarantine.ts";

export interface JudgeOptions {
  /** Stored blobs of more bytes are not looked at. */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Says what to throw when reading a blob has failed with `error`. If the bytes in the store are to blame they are
 * quarantined first, where that is possible (F11).
 *
 * They are read once more before that. The descriptor may be wrong about the size, which must not cost anybody a sound
 * blob; and somebody else may have mended the blob since.
 */
export async function judge(
  provider: Provider,
  descriptor: Descriptor,
  error: unknown,
  options: JudgeOptions = {},
): Promise<unknown> {
  if (!hasCode(error, "ERR_DIGEST_MISMATCH") && !hasCode(error, "ERR_DATA_LOSS")) return error;
  if (!canQuarantine(provider)) return error;
  const { digest } = descriptor;
  let why = error.message;
  try {
    const stored = await inspect(provider, descriptor, options);
    if (stored === undefined || stored.digest === digest) return error;
    if (stored.digest !== undefined)
      why = `content ${digest}: the ${stored.size} bytes stored have digest ${stored.digest}`;
    const { id } = await provider.quarantine(digest, { signal: options.signal });
    return new CodedError(error.code, `${why}: quarantined as ${id}`, { cause: error });
  } catch (failure) {
    // That the bytes are wrong is what the caller has to know, whatever else goes wrong.
    if (options.signal?.aborted === true || hasCode(failure, "ERR_NOT_FOUND")) return error;
    return new CodedError(error.code, `${why}: could not be quarantined`, { cause: failure });
  }
}

interface Stored {
  readonly size: number;
  /** Absent if the bytes cannot be read to their end. */
  readonly digest: Digest | undefined;
}

async function inspect(provider: Provider, descriptor: Descriptor, options: JudgeOptions): Promise<Stored | undefined> {
  const { limit = Infinity, signal } = options;
  const reader = await provider.open(descriptor, { signal });
  try {
    const { size } = reader;
    if (size > limit) return undefined;
    const digester = createDigester(digestAlgorithm(descriptor.digest));
    for await (const chunk of reader.stream({ reuse: true, signal })) digester.update(chunk);
    return { size, digest: digester.digest() };
  } catch (error) {
    if (!hasCode(error, "ERR_DATA_LOSS")) throw error;
    return { size: reader.size, digest: undefined };
  } finally {
    await reader.close();
  }
}
