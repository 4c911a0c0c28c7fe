// A process of its own that writes one image, says so, and waits to be killed.
import { digestOf } from "@varve/digest";
import { openIn } from "./temp.ts";

const path = process.argv[2] ?? "";
const metadata = await openIn({ path, [Symbol.asyncDispose]: async () => {} });
await metadata.images.put({
  name: "from the child",
  target: { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digestOf("m"), size: 1 },
});
process.stdout.write("written\n");
setInterval(() => {}, 1000);
