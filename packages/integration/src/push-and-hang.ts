// node push-and-hang.ts ROOT REFERENCE DESCRIPTOR COUNT
// Pushes an image from a content store. Once the registry has COUNT of its blobs and manifests, prints `hangs`, and stands still.
import { openContentStore } from "@varve/content-fs";
import { isDigest } from "@varve/digest";
import { isManifestType, parseManifest } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { pushImage } from "@varve/remotes";
import { createRegistryResolver } from "@varve/remotes-registry";
import { readBlob } from "@varve/content";
import { writeSync } from "node:fs";

const [root = "", reference = "", json = "", count = ""] = process.argv.slice(2);
const target: Descriptor = JSON.parse(json);
if (!isDigest(target.digest)) throw new Error("no digest");
const content = await openContentStore({ root });
const resolver = createRegistryResolver({ plainHttp: true });
let pushed = 0;
await pushImage(target, {
  provider: content,
  pusher: resolver.pusher(reference),
  tags: ["v1"],
  concurrency: 1,
  children: async (descriptor) => {
    if (!isManifestType(descriptor.mediaType)) return [];
    const { config, layers } = parseManifest(await readBlob(content, descriptor));
    return [config, ...layers];
  },
  onProgress: ({ type }) => {
    if (type !== "pushed") return;
    pushed += 1;
    if (pushed < Number(count)) return;
    writeSync(1, "hangs");
    // Not a byte more, whatever is on its way.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
});
