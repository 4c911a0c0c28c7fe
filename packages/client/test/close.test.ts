import { putImage } from "@varve-tools/test-registry";
import { openClient } from "@varve/client";
import { createMemoryContentStore } from "@varve/content-memory";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { expect, test } from "vitest";
import { resolverOf } from "./resolver.ts";
import { tempDirectory } from "./temp.ts";

test("what cannot be closed keeps nothing else open, and is told at the end", async () => {
  await using temp = await tempDirectory();
  const content = createMemoryContentStore();
  const registry = resolverOf("registry.example/app:latest", await putImage(content, [{ file: "text" }]), content);
  const client = await openClient({
    root: temp.path,
    snapshotter: "stuck",
    registry,
    snapshotters: {
      stuck: async (root) => {
        const snapshotter = await openNativeSnapshotter({ root });
        return Object.assign(snapshotter, { close: () => Promise.reject(new Error("stuck")) });
      },
    },
  });
  await client.pull("registry.example/app");
  await expect(client.close()).rejects.toThrow("stuck");
  expect(registry.closed).toBe(1);
  await expect(Array.fromAsync(client.images.list())).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
});
