import { labelGcRefContent } from "@varve/content";
import type { Manager } from "@varve/content";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { childLabels, labelChildrenHandler, labelDistributionSource } from "@varve/remotes";
import { describe, expect, test } from "vitest";
import { FakeContent } from "./fake-content.ts";

const noChildren = async (): Promise<Descriptor[]> => [];
const of = (mediaType: string, text: string): Descriptor => ({ mediaType, digest: digestOf(text), size: text.length });
const context = { signal: new AbortController().signal };

describe("labels of children", () => {
  // U-GC.9, S3.13
  test("name the config, layers and manifests by kind and number", () => {
    expect(
      childLabels([
        of(mediaTypes.ociConfig, "c"),
        of(mediaTypes.ociLayerGzip, "l0"),
        of(mediaTypes.dockerLayerGzip, "l1"),
        of("text/plain", "x"),
        of(mediaTypes.ociManifest, "m0"),
        of(mediaTypes.ociIndex, "m1"),
      ]),
    ).toEqual({
      [`${labelGcRefContent}.config`]: digestOf("c"),
      [`${labelGcRefContent}.l.0`]: digestOf("l0"),
      [`${labelGcRefContent}.l.1`]: digestOf("l1"),
      [`${labelGcRefContent}.0`]: digestOf("x"),
      [`${labelGcRefContent}.m.0`]: digestOf("m0"),
      [`${labelGcRefContent}.m.1`]: digestOf("m1"),
    });
  });

  // S3.12 d
  test("are set on a blob that was there before", async () => {
    const content = new FakeContent();
    const digest = content.add(Buffer.from("manifest"));
    const manifest = { mediaType: mediaTypes.ociManifest, digest, size: 8 };
    const children = [of(mediaTypes.ociConfig, "c")];
    const handler = labelChildrenHandler(content, async () => children);
    expect(await handler(manifest, context)).toBe(children);
    expect(content.labels.get(digest)).toEqual({ [`${labelGcRefContent}.config`]: digestOf("c") });
  });

  test("are left out where there are no children, or no labels", async () => {
    const content = new FakeContent();
    const handler = labelChildrenHandler(content, noChildren);
    expect(await handler(of("text/plain", "not stored"), context)).toEqual([]);
    const plain: Manager = {
      info: (digest) => content.info(digest),
      walk: () => content.walk(),
      delete: (digest) => content.delete(digest),
    };
    expect(labelChildrenHandler(plain, noChildren)).toBe(noChildren);
  });
});

describe("the label of where a blob came from", () => {
  const name = "containerd.io/distribution.source.example.test";

  // U-REM.5, C-RES.10
  test("collects repositories in order, each once", async () => {
    const content = new FakeContent();
    const digest = content.add(Buffer.from("blob"));
    const descriptor = { mediaType: "text/plain", digest, size: 4 };
    for (const repository of ["lib/b", "lib/a", "lib/b"]) {
      await labelDistributionSource(content, descriptor, { host: "example.test", repository });
    }
    content.label = () => expect.fail("what is noted need not be written again");
    await labelDistributionSource(content, descriptor, { host: "example.test", repository: "lib/a" });
    expect(content.labels.get(digest)).toEqual({ [name]: "lib/a,lib/b" });
  });

  test("stays as it is when it is full", async () => {
    const content = new FakeContent();
    const digest = content.add(Buffer.from("blob"));
    const full = "x".repeat(4090 - name.length);
    await content.label(digest, { [name]: full });
    const source = { host: "example.test", repository: "another" };
    await labelDistributionSource(content, { mediaType: "text/plain", digest, size: 4 }, source);
    expect(content.labels.get(digest)).toEqual({ [name]: full });
  });
});
