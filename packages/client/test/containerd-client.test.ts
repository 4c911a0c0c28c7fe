import { join } from "node:path";
import { putImage } from "@varve-tools/test-registry";
import { openContainerdClient } from "@varve/client";
import type { Client } from "@varve/client";
import { createMemoryContentStore } from "@varve/content-memory";
import { describe, expect, test } from "vitest";
import { resolverOf } from "./resolver.ts";
import { tempDirectory } from "./temp.ts";

const nowhere = "/nonexistent/containerd.sock";

test("a client over a containerd is named after it, and connects when it is needed", async () => {
  await using temp = await tempDirectory();
  const address = join(temp.path, "containerd.sock");
  await using client = await openContainerdClient({ address, namespace: "k8s.io" });
  expect(client).toMatchObject({ root: address, namespace: "k8s.io", defaultSnapshotter: "overlayfs" });
  await expect(Array.fromAsync(client.images.list())).rejects.toMatchObject({ code: "ERR_NETWORK" });
});

describe("what needs a store of varve's own is refused over a containerd, which is named", () => {
  test.each<[string, (client: Client) => Promise<unknown>]>([
    ["check", (client) => client.check()],
    ["gc", (client) => client.gc()],
    ["layerStore", (client) => client.layerStore()],
    ["listing namespaces", async (client) => Array.fromAsync(client.namespaces.list())],
    ["making a namespace", (client) => client.namespaces.create("a")],
    ["repair", (client) => client.repair()],
    ["usage", (client) => client.usage()],
    ["why", (client) => client.why({ type: "image", id: "a" })],
    ["a look at the disk", (client) => client.pull("127.0.0.1:9/app", { checkSpace: true })],
  ])("%s", async (_name, call) => {
    await using client = await openContainerdClient({ address: nowhere });
    await expect(call(client)).rejects.toMatchObject({
      code: "ERR_NOT_IMPLEMENTED",
      message: expect.stringMatching(new RegExp(`^containerd ${nowhere}: `)),
    });
  });
});

test("a pull without a containerd says so, and that trying again may help", async () => {
  const content = createMemoryContentStore();
  const target = await putImage(content, [{ file: "text" }]);
  const registry = resolverOf("registry.example/app:latest", target, content);
  await using client = await openContainerdClient({ address: nowhere, registry });
  await expect(client.pull("registry.example/app")).rejects.toMatchObject({ code: "ERR_NETWORK" });
});

test("after it was closed it does nothing any more", async () => {
  const client = await openContainerdClient({ address: nowhere });
  await client.close();
  await client.close();
  await expect(client.fetch("registry.example/app")).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
});
