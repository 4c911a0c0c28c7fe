import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { copyImage } from "@varve/remotes";
import type { Fetcher, Repository } from "@varve/remotes";
import { describe, expect, test } from "vitest";
import { fakePusher, readFrom } from "./fake-pusher.ts";

function missing(): never {
  throw new Error("not asked for");
}

/** A registry in memory that is read from. */
class Source implements Fetcher {
  readonly things = new Map<string, Buffer>();
  readonly fetched: { readonly digest: Digest; readonly offset: number }[] = [];
  readonly referrersOf = new Map<Digest, Descriptor[]>();

  add(mediaType: string, content: Buffer | object): Descriptor {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
    const digest = digestOf(bytes);
    this.things.set(digest, bytes);
    return { mediaType, digest, size: bytes.byteLength };
  }

  manifest(layers: readonly Descriptor[], fields: object = {}): Descriptor {
    const config = this.add(mediaTypes.ociConfig, { architecture: "amd64", os: "linux", ...fields });
    const mediaType = mediaTypes.ociManifest;
    return this.add(mediaType, { schemaVersion: 2, mediaType, config, layers, ...fields });
  }

  index(manifests: readonly Descriptor[]): Descriptor {
    return this.add(mediaTypes.ociIndex, { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
  }

  async *fetch({ digest }: Descriptor, { offset = 0 } = {}): AsyncGenerator<Uint8Array, void, undefined> {
    this.fetched.push({ digest, offset });
    const bytes = this.things.get(digest);
    if (bytes === undefined) throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
    const step = Math.max(1000, bytes.byteLength >> 4);
    for (let at = offset; at < bytes.byteLength; at += step) yield bytes.subarray(at, at + step);
  }

  get repository(): Repository {
    const { referrersOf } = this;
    return {
      tags: missing,
      blob: missing,
      deleteBlob: missing,
      deleteManifest: missing,
      async *referrers(subject) {
        yield* referrersOf.get(subject) ?? [];
      },
    };
  }
}

function twoPlatforms(): { readonly source: Source; readonly index: Descriptor; readonly shared: Descriptor } {
  const source = new Source();
  const shared = source.add(mediaTypes.ociLayerGzip, Buffer.alloc(10_000, 1));
  const own = source.add(mediaTypes.ociLayerGzip, Buffer.alloc(5000, 2));
  const amd = { ...source.manifest([shared]), platform: { os: "linux", architecture: "amd64" } };
  const arm = {
    ...source.manifest([shared, own], { architecture: "arm64" }),
    platform: { os: "linux", architecture: "arm64" },
  };
  return { source, index: source.index([amd, arm]), shared };
}

describe("an image that is copied", () => {
  test("arrives whole, byte for byte, blobs first, the target last and under its tags", async () => {
    const { source, index } = twoPlatforms();
    const pusher = fakePusher();
    const counts = await copyImage({ fetcher: source, target: index }, { pusher, tags: ["v1"] });
    const kinds = pusher.sent.map(({ descriptor }) => descriptor.mediaType);
    expect(kinds.slice(4)).toEqual([mediaTypes.ociManifest, mediaTypes.ociManifest, mediaTypes.ociIndex]);
    for (const { descriptor, bytes } of pusher.sent) expect(bytes).toEqual(source.things.get(descriptor.digest));
    expect(pusher.sent.at(-1)).toMatchObject({ descriptor: { digest: index.digest }, tags: ["v1"] });
    const total = [...source.things.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(counts).toEqual({ existed: 0, mounted: 0, sent: 7, sentBytes: total });
    // Everything was fetched once, shared blobs too.
    expect(source.fetched).toHaveLength(7);
  });

  // P12
  test("fetches no blob that the other side has", async () => {
    const { source, index, shared } = twoPlatforms();
    const pusher = fakePusher();
    pusher.has.add(shared.digest);
    const counts = await copyImage({ fetcher: source, target: index }, { pusher });
    expect(counts).toMatchObject({ existed: 1, sent: 6 });
    expect(source.fetched.some(({ digest }) => digest === shared.digest)).toBe(false);
  });

  test("may leave out platforms", async () => {
    const { source, index } = twoPlatforms();
    const pusher = fakePusher();
    await copyImage(
      { fetcher: source, target: index },
      { pusher },
      {
        children: (all) => async (descriptor, context) => {
          const children = await all(descriptor, context);
          return children.filter(({ platform }) => platform === undefined || platform.architecture === "arm64");
        },
      },
    );
    expect(pusher.sent.filter(({ descriptor }) => descriptor.mediaType === mediaTypes.ociManifest)).toHaveLength(1);
    expect(pusher.sent.at(-1)?.descriptor).toEqual(index);
  });

  test("offers mounts for blobs", async () => {
    const { source, index } = twoPlatforms();
    const pusher = fakePusher(undefined, ["lib/app"]);
    const counts = await copyImage({ fetcher: source, target: index }, { pusher }, { mountFrom: ["lib/app"] });
    expect(counts).toMatchObject({ mounted: 4, sent: 3 });
  });

  // K17: what breaks off on the way there goes on, and is asked for from there
  test("asks the source only for what is missing after an upload broke off", async () => {
    const { source, index, shared } = twoPlatforms();
    const pusher = fakePusher(async (body, { digest }) => {
      if (digest !== shared.digest) return readFrom(body, 0);
      const first = await readFrom(body, 0, 4000);
      return Buffer.concat([first, await readFrom(body, first.byteLength)]);
    });
    await copyImage({ fetcher: source, target: index }, { pusher });
    expect(source.fetched.filter(({ digest }) => digest === shared.digest).map(({ offset }) => offset)).toEqual([
      0, 4000,
    ]);
  });

  test("is not copied when a manifest is another than its digest says", async () => {
    const { source, index } = twoPlatforms();
    source.things.set(index.digest, Buffer.alloc(index.size, 32));
    const pusher = fakePusher();
    await expect(copyImage({ fetcher: source, target: index }, { pusher })).rejects.toMatchObject({
      code: "ERR_DIGEST_MISMATCH",
    });
    expect(pusher.sent).toEqual([]);
  });

  test("is not copied when its manifests are too large to be held", async () => {
    const source = new Source();
    const large = Array.from({ length: 5 }, (_, index) =>
      source.manifest([], { annotations: { n: `${index}`, x: "x".repeat(7_900_000) } }),
    );
    const target = source.index(large);
    const copying = copyImage({ fetcher: source, target }, { pusher: fakePusher() });
    await expect(copying).rejects.toMatchObject({ code: "ERR_RESOURCE_EXHAUSTED" });
    const one = { ...target, size: 9 * 1024 * 1024 };
    await expect(copyImage({ fetcher: source, target: one }, { pusher: fakePusher() })).rejects.toMatchObject({
      code: "ERR_RESOURCE_EXHAUSTED",
    });
  });

  test("of docker schema 1 is refused", async () => {
    const target = { mediaType: mediaTypes.dockerSchema1, digest: digestOf("x"), size: 1 };
    const copying = copyImage({ fetcher: new Source(), target }, { pusher: fakePusher() });
    await expect(copying).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
  });

  // U-REM.4
  test("goes without layers that registries may not hold, unless they are asked for", async () => {
    const source = new Source();
    const foreign = source.add(mediaTypes.dockerForeignLayerGzip, Buffer.from("windows"));
    const target = source.manifest([foreign]);
    expect(await copyImage({ fetcher: source, target }, { pusher: fakePusher() })).toMatchObject({ sent: 2 });
    const all = await copyImage({ fetcher: source, target }, { pusher: fakePusher() }, { nonDistributable: true });
    expect(all).toMatchObject({ sent: 3 });
  });

  test("rejects with the reason when it is aborted", async () => {
    const { source, index } = twoPlatforms();
    const stop = new AbortController();
    const reason = new Error("enough");
    const pusher = fakePusher(async () => {
      stop.abort(reason);
      return Buffer.alloc(0);
    });
    const copying = copyImage({ fetcher: source, target: index }, { pusher }, { signal: stop.signal });
    await expect(copying).rejects.toBe(reason);
  });
});

function signed(): { readonly source: Source; readonly target: Descriptor; readonly chain: Descriptor[] } {
  const source = new Source();
  const target = source.manifest([]);
  const signature = source.manifest([source.add("text/plain", Buffer.from("sig"))], { subject: target });
  const countersign = source.manifest([], { subject: signature, annotations: { n: "2" } });
  source.referrersOf.set(target.digest, [signature, signature]);
  source.referrersOf.set(signature.digest, [countersign]);
  // A circle cannot be made with digests, but can be claimed.
  source.referrersOf.set(countersign.digest, [target, signature]);
  return { source, target, chain: [signature, countersign] };
}

describe("referrers of an image that is copied", () => {
  test("go along, with what refers to them, after what they belong to", async () => {
    const { source, target, chain } = signed();
    const pusher = fakePusher();
    const from = { fetcher: source, target, repository: source.repository };
    const counts = await copyImage(from, { pusher, tags: ["v1"] }, { referrers: true });
    expect(counts).toMatchObject({ existed: 0, sent: 7 });
    const manifests = pusher.sent.filter(({ descriptor }) => descriptor.mediaType === mediaTypes.ociManifest);
    expect(manifests.map(({ descriptor }) => descriptor.digest)).toEqual(
      [target, ...chain].map(({ digest }) => digest),
    );
    expect(manifests.map(({ tags }) => tags)).toEqual([["v1"], undefined, undefined]);
  });

  test("stay behind when nobody asked for them", async () => {
    const { source, target } = signed();
    const pusher = fakePusher();
    await copyImage({ fetcher: source, target, repository: source.repository }, { pusher });
    expect(pusher.sent).toHaveLength(2);
  });

  test("are not believed when they name another subject", async () => {
    const { source, target } = signed();
    const stranger = source.manifest([], { subject: source.manifest([], { annotations: { n: "other" } }) });
    source.referrersOf.set(target.digest, [stranger]);
    const pusher = fakePusher();
    await copyImage({ fetcher: source, target, repository: source.repository }, { pusher }, { referrers: true });
    expect(pusher.sent.some(({ descriptor }) => descriptor.digest === stranger.digest)).toBe(false);
  });

  test("need a repository to be listed", async () => {
    const { source, target } = signed();
    const copying = copyImage({ fetcher: source, target }, { pusher: fakePusher() }, { referrers: true });
    await expect(copying).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  });
});
