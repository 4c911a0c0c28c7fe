// Pulls an image whose layer never ends into a snapshotter that is written to through a mount, until it is killed.
import { once } from "node:events";
import { putImage } from "@varve-tools/test-registry";
import { openClient } from "@varve/client";
import { createMemoryContentStore } from "@varve/content-memory";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { resolverOf } from "./resolver.ts";

const [root = ""] = process.argv.slice(2);
const content = createMemoryContentStore();
// Of its own: processes wait for each other's layers.
const image = await putImage(content, [{ file: `text of ${process.pid}` }]);
const registry = resolverOf("example.com/app:latest", image, content, async ({ mediaType }, signal) => {
  if (signal !== undefined && mediaType.includes("layer")) await once(signal, "abort");
});
const client = await openClient({
  root,
  durability: "none",
  registry,
  snapshotter: "mounted",
  snapshotters: {
    mounted: async (directory) => {
      const snapshotter = await openNativeSnapshotter({ root: directory, durability: "none" });
      const prepare = snapshotter.prepare.bind(snapshotter);
      snapshotter.prepare = async (key, parent, options) => {
        await prepare(key, parent, options);
        return [{ type: "tmpfs", source: "tmpfs", options: [] }];
      };
      return snapshotter;
    },
  },
});
process.stdin.resume().on("end", () => void client.close());
await client.pull("app").catch(() => undefined);
