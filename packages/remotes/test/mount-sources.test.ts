import { labelDistributionSourcePrefix } from "@varve/content";
import type { Manager } from "@varve/content";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { labelDistributionSource, mountSources, pushImage } from "@varve/remotes";
import { describe, expect, test } from "vitest";
import { FakeContent } from "./fake-content.ts";
import { fakePusher } from "./fake-pusher.ts";

const host = "registry.example";

function stored(...repositories: string[]): { readonly content: FakeContent; readonly blob: Descriptor } {
  const content = new FakeContent();
  const digest = content.add(Buffer.from("blob"));
  content.labels.set(digest, { [`${labelDistributionSourcePrefix}${host}`]: repositories.join(",") });
  return { content, blob: { mediaType: mediaTypes.ociLayer, digest, size: 4 } };
}

// U-REM.5, C-RES.10
describe("where a blob may be mounted from", () => {
  test("are the repositories that it came from, those first whose path begins like the destination's", async () => {
    const { content, blob } = stored("other/app", "team/base", "team/app/x", "teamwork/app");
    const found = await mountSources(content, blob, { host, repository: "team/app/y" });
    expect(found).toEqual(["team/app/x", "team/base", "other/app", "teamwork/app"]);
  });

  test("is not the destination itself, and none where the label is of another host", async () => {
    const { content, blob } = stored("team/app", "", "team/base");
    expect(await mountSources(content, blob, { host, repository: "team/app" })).toEqual(["team/base"]);
    expect(await mountSources(content, blob, { host: "other.example", repository: "x" })).toEqual([]);
  });

  test("is what a pull has noted", async () => {
    const content = new FakeContent();
    const blob = { mediaType: mediaTypes.ociLayer, digest: content.add(Buffer.from("blob")), size: 4 };
    for (const repository of ["b", "a", "b"]) await labelDistributionSource(content, blob, { host, repository });
    expect(await mountSources(content, blob, { host, repository: "c" })).toEqual(["a", "b"]);
  });

  test("is nowhere for a store without labels, and for a blob that is not stored", async () => {
    const { content, blob } = stored("team/base");
    const plain: Manager = {
      info: (digest) => content.info(digest),
      walk: () => content.walk(),
      delete: (digest) => content.delete(digest),
    };
    expect(await mountSources(plain, blob, { host, repository: "x" })).toEqual([]);
    expect(await mountSources(content, { ...blob, digest: digestOf("gone") }, { host, repository: "x" })).toEqual([]);
  });
});

test("a push hands the sources of each blob on, those of manifests not, and counts what was mounted", async () => {
  const { content, blob } = stored("team/base");
  const bytes = Buffer.from("manifest");
  const manifest = { mediaType: mediaTypes.ociManifest, digest: content.add(bytes), size: bytes.byteLength };
  const pusher = fakePusher(undefined, ["team/base"]);
  const counts = await pushImage(manifest, {
    provider: content,
    pusher,
    children: async ({ digest }) => (digest === manifest.digest ? [blob] : []),
    mountFrom: (one) => mountSources(content, one, { host, repository: "team/app" }),
  });
  expect(counts).toEqual({ existed: 0, mounted: 1, sent: 1, sentBytes: bytes.byteLength });
  expect(pusher.candidates.get(blob.digest)).toEqual(["team/base"]);
  expect(pusher.candidates.get(manifest.digest)).toBeUndefined();
});
