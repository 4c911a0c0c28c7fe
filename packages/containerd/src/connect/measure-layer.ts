import { streamBlob } from "@varve/content";
import type { Provider } from "@varve/content";
import type { ComparedLayer } from "@varve/diff";
import { createDigester } from "@varve/digest";
import type { Descriptor } from "@varve/oci";

/** Reads a layer to its end for what its descriptor does not say. */
export async function measureLayer(
  content: Provider,
  descriptor: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Omit<ComparedLayer, "descriptor">> {
  // Whoever only pulls needs neither.
  const { createTarReader } = await import("@varve/archive");
  const { decompress } = await import("@varve/compression");
  const subject = `layer ${descriptor.digest}`;
  const digester = createDigester();
  let entries = 0;
  const handler = { entry: () => (entries += 1), data: () => undefined, done: () => undefined };
  const reader = createTarReader(handler, { subject });
  for await (const block of decompress(streamBlob(content, descriptor, { signal }), { signal, subject })) {
    digester.update(block);
    reader.write(block);
  }
  reader.end();
  return { diffId: digester.digest(), size: digester.size, entries };
}
