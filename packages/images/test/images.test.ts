import {
  checkImage,
  childrenHandler,
  childrenOf,
  dispatch,
  filterPlatforms,
  limitManifests,
  manifestFor,
} from "@varve/images";
import type { Handler } from "@varve/images";
import { allPlatforms, onlyPlatform, parsePlatform } from "@varve/oci";
import { beforeEach, describe, expect, test } from "vitest";
import { Blobs, putImage, putIndex, types } from "./blobs.ts";

const amd64 = onlyPlatform(parsePlatform("linux/amd64"));
const context = { signal: new AbortController().signal };

let blobs: Blobs;
beforeEach(() => {
  blobs = new Blobs();
});

describe("childrenOf", () => {
  // U-IMG.4
  test("gives an index its manifests, and a manifest its config and then its layers", async () => {
    const image = putImage(blobs, "linux", "amd64");
    const index = putIndex(blobs, [image]);
    expect(await childrenOf(blobs, index)).toEqual([image]);
    const children = await childrenOf(blobs, image);
    expect(children.map((child) => child.mediaType)).toEqual([types.config, types.layer]);
    for (const child of children) expect(await childrenOf(blobs, child)).toEqual([]);
  });

  // U-IMG.4
  test("gives nothing for types it does not know, without reading them", async () => {
    const unknown = { ...putImage(blobs, "linux", "amd64"), mediaType: "application/vnd.example" };
    await blobs.delete(unknown.digest);
    expect(await childrenOf(blobs, unknown)).toEqual([]);
  });

  test("says so when the document is not in the store", async () => {
    const image = putImage(blobs, "linux", "amd64");
    await blobs.delete(image.digest);
    await expect(childrenOf(blobs, image)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  });

  // U-IMG.5, C-IMG.1
  test.each([
    [
      "a manifest under the type of an index",
      types.index,
      { schemaVersion: 2, mediaType: types.manifest, config: {}, layers: [] },
    ],
    [
      "an index under the type of a manifest",
      types.manifest,
      { schemaVersion: 2, mediaType: types.index, manifests: [] },
    ],
    ["a document that is both", types.manifest, { schemaVersion: 2, config: {}, layers: [], manifests: [] }],
    ["an index that has layers", types.index, { schemaVersion: 2, manifests: [], layers: [] }],
    ["what is no JSON", types.manifest, "<html>"],
  ])("refuses %s", async (_, mediaType, document) => {
    await expect(childrenOf(blobs, blobs.put(mediaType, document))).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  });

  // U-IMG.5
  test("refuses docker schema 1, under its own type and under another", async () => {
    const old = { schemaVersion: 1, fsLayers: [] };
    const signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    for (const mediaType of [signed, types.manifest]) {
      await expect(childrenOf(blobs, blobs.put(mediaType, old))).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
    }
  });
});

describe("platform filters", () => {
  // U-IMG.6
  test("drop what does not match and keep what names no platform", async () => {
    const wanted = putImage(blobs, "linux", "amd64");
    const open = putImage(blobs, "linux", "riscv64", false);
    const index = putIndex(blobs, [putImage(blobs, "linux", "s390x"), wanted, open]);
    const handler = filterPlatforms(childrenHandler(blobs), amd64);
    expect(await handler(index, context)).toEqual([wanted, open]);
  });

  // U-IMG.6, U-IMG.7
  test("follow the best ones only", async () => {
    const i386 = putImage(blobs, "linux", "386");
    const best = putImage(blobs, "linux", "amd64");
    const index = putIndex(blobs, [putImage(blobs, "linux", "riscv64", false), i386, best]);
    const children = childrenHandler(blobs);
    expect(await limitManifests(children, { matcher: amd64, limit: 1 })(index, context)).toEqual([best]);
    expect(await limitManifests(children, { matcher: amd64, limit: 2 })(index, context)).toEqual([best, i386]);
    expect(await limitManifests(children, { matcher: amd64, limit: 1 })(best, context)).toHaveLength(2);
  });

  // U-IMG.6
  test("fail when nothing matches, and say what there is", async () => {
    const index = putIndex(blobs, [putImage(blobs, "linux", "s390x")]);
    const handler = limitManifests(childrenHandler(blobs), { matcher: amd64, limit: 1 });
    await expect(handler(index, context)).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
      message: expect.stringContaining("linux/s390x"),
    });
  });

  test("make a walk see one image of an index", async () => {
    const index = putIndex(blobs, [putImage(blobs, "linux", "s390x"), putImage(blobs, "linux", "amd64")]);
    const seen: string[] = [];
    const children = limitManifests(childrenHandler(blobs), { matcher: amd64, limit: 1 });
    const recording: Handler = async (descriptor, handlerContext) => {
      seen.push(descriptor.mediaType);
      return children(descriptor, handlerContext);
    };
    await dispatch(recording, [index], { concurrency: 1 });
    expect(seen).toEqual([types.index, types.manifest, types.config, types.layer]);
  });
});

describe("manifestFor", () => {
  // U-IMG.7
  test("finds the best manifest of an index, with its config", async () => {
    const best = putImage(blobs, "linux", "amd64");
    const index = putIndex(blobs, [putImage(blobs, "linux", "386"), best]);
    const image = await manifestFor(blobs, index, amd64);
    expect(image.descriptor).toEqual(best);
    expect(image.config?.architecture).toBe("amd64");
    expect(image.platform).toEqual(parsePlatform("linux/amd64"));
    expect(image.manifest.layers).toHaveLength(1);
  });

  // U-IMG.7
  test("does not fall back to the second best when blobs of the best are gone", async () => {
    const best = putImage(blobs, "linux", "amd64");
    const index = putIndex(blobs, [putImage(blobs, "linux", "386"), best]);
    await blobs.delete(best.digest);
    await expect(manifestFor(blobs, index, amd64)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  });

  // U-IMG.7
  test("judges entries without a platform by their config", async () => {
    const other = putImage(blobs, "linux", "s390x", false);
    const right = putImage(blobs, "linux", "amd64", false);
    expect((await manifestFor(blobs, putIndex(blobs, [other, right]), amd64)).descriptor).toEqual(right);
    await expect(manifestFor(blobs, putIndex(blobs, [other]), amd64)).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
      message: expect.stringContaining("no match for platform linux/amd64"),
    });
  });

  // U-IMG.7
  test("believes the platform that an index names, not the config", async () => {
    const image = { ...putImage(blobs, "linux", "s390x", false), platform: parsePlatform("linux/amd64") };
    expect((await manifestFor(blobs, putIndex(blobs, [image]), amd64)).descriptor).toEqual(image);
  });

  // U-IMG.7
  test("takes a manifest that is given directly, whatever its platform", async () => {
    const image = await manifestFor(blobs, putImage(blobs, "linux", "s390x"), amd64);
    expect(image.platform?.architecture).toBe("s390x");
  });

  // M11
  test("gives an artifact without a config of ours", async () => {
    const config = blobs.put("application/vnd.example.config", "x");
    const artifact = blobs.put(types.manifest, { schemaVersion: 2, config, layers: [] });
    expect(await manifestFor(blobs, artifact, amd64)).toMatchObject({ config: undefined, platform: undefined });
  });

  test("finds an image in an index within an index", async () => {
    const image = putImage(blobs, "linux", "amd64");
    const index = putIndex(blobs, [putIndex(blobs, [image])]);
    expect((await manifestFor(blobs, index, amd64)).descriptor).toEqual(image);
  });

  test("gives up on an index that would have it read without end", async () => {
    const other = putImage(blobs, "linux", "s390x", false);
    const index = putIndex(
      blobs,
      Array.from({ length: 500 }, () => other),
    );
    await expect(manifestFor(blobs, index, amd64)).rejects.toMatchObject({ code: "ERR_RESOURCE_EXHAUSTED" });
  });
});

describe("checkImage", () => {
  // U-IMG.8
  test("lists what is there and what is missing", async () => {
    const image = putImage(blobs, "linux", "amd64");
    const index = putIndex(blobs, [image]);
    const { config, layers } = (await manifestFor(blobs, image, amd64)).manifest;
    const whole = await checkImage(blobs, index, amd64);
    expect(whole).toEqual({
      available: true,
      required: [image, config, ...layers],
      present: [image, config, ...layers],
      missing: [],
    });
    for (const layer of layers) await blobs.delete(layer.digest);
    expect((await checkImage(blobs, index, allPlatforms)).missing).toEqual(layers);
  });

  // U-IMG.8
  test("says that an image without its manifest is not available", async () => {
    const index = putIndex(blobs, [putImage(blobs, "linux", "s390x")]);
    expect(await checkImage(blobs, index, amd64)).toMatchObject({ available: false, missing: [index] });
  });
});
