import { verifyStream } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import { judge } from "./judge.ts";
import { openBlob } from "./open-blob.ts";
import type { Provider, StreamOptions } from "./provider.ts";

/**
 * Yields a whole blob, and throws instead of ending if size or digest is not what the descriptor says. What was yielded
 * before that is not verified. Data that the descriptor carries itself is used instead of the store if it fits (U-CS.7).
 * The bytes are hashed on this thread, a chunk at a time.
 *
 * If it is the store that holds wrong bytes, and it implements `Quarantiner`, they are quarantined, so that the blob can
 * be fetched again (F11). A descriptor that gives a sound blob a wrong size harms nothing.
 *
 * @throws ERR_INVALID_ARGUMENT the digest is malformed
 * @throws ERR_NOT_FOUND no such blob
 * @throws ERR_DIGEST_MISMATCH size or digest is another; the message names both
 * @throws ERR_DATA_LOSS the stored blob ended early
 */
export async function* streamBlob(
  provider: Provider,
  descriptor: Descriptor,
  options: StreamOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { signal } = options;
  const { digest, size } = descriptor;
  const reader = await openBlob(provider, descriptor, { signal });
  try {
    if (reader.size !== size) throw sizeMismatch(descriptor, reader.size);
    yield* verifyStream(reader.stream(options), digest, size);
  } catch (error) {
    throw await judge(provider, descriptor, error, { signal });
  } finally {
    await reader.close();
  }
}

export function sizeMismatch({ digest, size }: Descriptor, stored: number): CodedError {
  return new CodedError("ERR_DIGEST_MISMATCH", `content ${digest}: stored ${stored} bytes, expected ${size}`);
}
