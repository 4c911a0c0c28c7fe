import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { fakeUpstream } from "./fake-upstream.ts";
import type { FakeUpstream } from "./fake-upstream.ts";
import { artifactOf, emptyConfig } from "./harness.ts";

export const layer: Buffer = Buffer.from("0123456789".repeat(500));
export const layerDigest: Digest = digestOf(layer);

export interface Scene {
  readonly upstream: FakeUpstream;
  readonly manifest: Buffer;
  readonly digest: Digest;
}

/** An upstream with the image `a:v1`. */
export function scene(): Scene {
  const upstream = fakeUpstream();
  upstream.put(emptyConfig);
  const layers = [{ mediaType: "application/vnd.example.layer", digest: upstream.put(layer), size: layer.byteLength }];
  const manifest = artifactOf({ layers });
  const digest = upstream.put(manifest);
  upstream.tagged.set("a:v1", digest);
  return { upstream, manifest, digest };
}

/** Reads until at least `count` bytes have come. */
export async function readSome(reader: ReadableStreamDefaultReader<Uint8Array>, count: number): Promise<string> {
  let text = "";
  while (text.length < count) {
    const { value, done } = await reader.read();
    if (done) break;
    text += Buffer.from(value).toString();
  }
  return text;
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

export function fetches(upstream: FakeUpstream): readonly string[] {
  return upstream.asked.filter((what) => what.startsWith("fetch"));
}
