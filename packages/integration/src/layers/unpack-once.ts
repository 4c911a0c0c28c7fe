// node unpack-once.ts BACKEND ROOT TAR
// Unpacks one layer into a snapshot, as an unpack does: from a new start if an earlier process left one, and committed in the end.
import { createReadStream, readFileSync } from "node:fs";
import { createDiffer } from "@varve/differ";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { openSnapshots } from "../faults/snapshot-world.ts";
import { listed } from "../faults/listed.ts";

const [backend = "", root = "", tar = ""] = process.argv.slice(2);
const snapshots = await openSnapshots(
  { backend: backend === "native" ? "native" : "overlay", durability: "none" },
  root,
);
const differ = createDiffer();
const left = (await listed(snapshots.walk())).map(({ name }) => name);
if (!left.includes("layer")) {
  // Never on top of what is half done.
  if (left.includes("unpacking")) await snapshots.remove("unpacking");
  const mounts = await snapshots.prepare("unpacking", undefined);
  const bytes = readFileSync(tar);
  const descriptor = { mediaType: mediaTypes.ociLayer, digest: digestOf(bytes), size: bytes.length };
  await differ.apply(descriptor, mounts, { source: createReadStream(tar, { highWaterMark: 1 << 18 }) });
  await snapshots.commit("layer", "unpacking");
}
await differ.close();
await snapshots.close();
