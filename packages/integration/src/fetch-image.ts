// node fetch-image.ts ROOT REFERENCE
// Fetches an image without unpacking it, and goes on where another process stopped. Prints what there is of it then.
import { openClient } from "@varve/client";

const [root = "", reference = ""] = process.argv.slice(2);
const client = await openClient({ root, registry: { plainHttp: true } });
try {
  const { blobs, bytes } = await client.fetch(reference);
  process.stdout.write(`${JSON.stringify({ blobs, bytes })}\n`);
} finally {
  await client.close();
}
