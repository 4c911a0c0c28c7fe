import type { ContentStore } from "@varve/content";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";

export async function storeBlob(
  content: ContentStore,
  bytes: Uint8Array,
  labels: Record<string, string> = {},
): Promise<Digest> {
  const writer = await content.writer(`store ${digestOf(bytes)}`);
  await writer.write(bytes);
  return writer.commit({}, { labels });
}

/** So many bytes that say where they are. */
export function bytesOf(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let position = 0; position + 4 <= size; position += 4) bytes.writeUInt32LE(position, position);
  return bytes;
}
