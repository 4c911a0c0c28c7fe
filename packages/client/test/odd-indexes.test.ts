import { putImage, putJson, startRegistry } from "@varve-tools/test-registry";
import { openClient } from "@varve/client";
import { digestOf } from "@varve/digest";
import { mediaTypes, parsePlatform } from "@varve/oci";
import { expect, test } from "vitest";
import { tempDirectory } from "./temp.ts";

const [arm, riscv] = [parsePlatform("linux/arm64"), parsePlatform("linux/riscv64")];
const gone = { mediaType: mediaTypes.ociManifest, digest: digestOf("gone"), size: 4 };

// M10
test("an index may lack images that nobody asks for, and be one of indexes", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await openClient({ root: root.path, snapshotter: "native", durability: "none" });
  const indexOf = (...manifests: readonly object[]): ReturnType<typeof putJson> =>
    putJson(registry.content, mediaTypes.ociIndex, { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
  const manifest = await putImage(registry.content, [{ arch: "riscv" }], riscv);
  const inner = await indexOf({ ...gone, platform: arm }, { ...manifest, platform: riscv });
  const outer = await indexOf({ ...gone, platform: arm }, inner);
  const name = await registry.tag("team/sparse", outer);

  expect(await client.pull(name, { platform: "linux/riscv64" })).toMatchObject({
    target: outer,
    platform: "linux/riscv64",
  });
  await expect(client.pull(name, { platform: "linux/arm64" })).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: expect.stringContaining(gone.digest),
  });
});
