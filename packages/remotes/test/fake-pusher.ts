import type { Descriptor } from "@varve/oci";
import type { Pusher, PushOptions } from "@varve/remotes";

interface Sent {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
  readonly tags: readonly string[] | undefined;
}

export interface FakePusher extends Pusher {
  readonly sent: Sent[];
  readonly has: Set<string>;
  /** The repositories that may have a blob, by digest. */
  readonly candidates: Map<string, readonly string[] | undefined>;
}

/**
 * Takes everything that it does not have yet, and notes it in order. `upload` reads the body; default: once, from the first
 * byte. Blobs of a repository in `mounts` are mounted.
 */
export function fakePusher(
  upload: (body: PushOptions["body"], descriptor: Descriptor) => Promise<Buffer> = (body) => readFrom(body, 0),
  mounts: readonly string[] = [],
): FakePusher {
  const sent: Sent[] = [];
  const has = new Set<string>();
  const candidates = new Map<string, readonly string[] | undefined>();
  return {
    sent,
    has,
    candidates,
    async push(descriptor, { body, mountFrom, tags, signal }) {
      signal?.throwIfAborted();
      candidates.set(descriptor.digest, mountFrom);
      if (has.has(descriptor.digest)) return "exists";
      if (mountFrom?.some((from) => mounts.includes(from)) === true) return "mounted";
      const bytes = await upload(body, descriptor);
      has.add(descriptor.digest);
      sent.push({ descriptor, bytes, tags });
      return "sent";
    },
  };
}

export async function readFrom(
  body: PushOptions["body"],
  offset: number,
  end: number = Number.POSITIVE_INFINITY,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let position = offset;
  for await (const chunk of body(offset)) {
    chunks.push(chunk);
    position += chunk.byteLength;
    if (position >= end) break;
  }
  return Buffer.concat(chunks);
}
