import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { send } from "./fake-registry.ts";
import { target, testResolver } from "./fixtures.ts";
import { manifestRegistry } from "./manifest-registry.ts";
import type { ManifestRegistry, ManifestRegistryOptions } from "./manifest-registry.ts";

interface Document {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

function document(fields: Record<string, unknown>, mediaType: string = mediaTypes.ociManifest): Document {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, subject: target, ...fields }));
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.byteLength } };
}

const config = { mediaType: "application/vnd.example.config.v1+json", digest: digestOf("{}"), size: 2 };
const annotations = { "org.example.who": "me" };
const signature = document({ config, layers: [], artifactType: "application/vnd.example.signature", annotations });
const listed = { ...signature.descriptor, artifactType: "application/vnd.example.signature", annotations };
const tag = `sha256-${target.digest.slice(7)}`;

async function push(registry: ManifestRegistry, { descriptor, bytes }: Document, times = 1): Promise<void> {
  await using resolver = testResolver();
  const pusher = resolver.pusher(`${registry.host}/lib/app`);
  const body = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes;
  };
  for (let time = 0; time < times; time += 1) await pusher.push(descriptor, { body });
}

function entries(registry: ManifestRegistry): unknown {
  const stored = registry.manifests.get(tag);
  if (stored === undefined) return undefined;
  expect(stored.type).toBe(mediaTypes.ociIndex);
  return JSON.parse(stored.bytes.toString("utf8")).manifests;
}

const api: ManifestRegistryOptions["referrers"] = (_digest, response) => {
  const body = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] });
  send(response, 200, { "content-type": mediaTypes.ociIndex }, body);
};

const pageForPeople: ManifestRegistryOptions["referrers"] = (_digest, response) => {
  send(response, 200, { "content-type": "text/html" }, "<html>");
};

// R3
describe("a manifest with a subject", () => {
  test("is left to a registry that says that it noted it, and lists such manifests", async () => {
    await using registry = await manifestRegistry({ saysSubject: true, referrers: api });
    await push(registry, signature);
    expect(entries(registry)).toBeUndefined();
  });

  // R4: once for each repository
  test("makes the registry's list be asked for once", async () => {
    await using registry = await manifestRegistry({ saysSubject: true, referrers: api });
    await push(registry, signature, 3);
    expect(registry.steps().filter((step) => step.includes("referrers/"))).toHaveLength(1);
  });

  // R4
  test("is noted under the fallback tag when the registry says that it noted it, and has no list", async () => {
    await using registry = await manifestRegistry({ saysSubject: true });
    await push(registry, signature);
    expect(entries(registry)).toEqual([listed]);
  });

  // R4: some servers answer every address with a page for people
  test("is noted under the fallback tag when the list is none", async () => {
    await using registry = await manifestRegistry({ saysSubject: true, referrers: pageForPeople });
    await push(registry, signature);
    expect(entries(registry)).toEqual([listed]);
  });

  test("is noted under the fallback tag with its type and annotations when the registry says nothing", async () => {
    await using registry = await manifestRegistry();
    await push(registry, signature);
    expect(entries(registry)).toEqual([listed]);
  });

  test("is noted under the fallback tag when the registry says nothing, though it has a list", async () => {
    await using registry = await manifestRegistry({ referrers: api });
    await push(registry, signature);
    expect(entries(registry)).toEqual([listed]);
  });

  // R3, P12
  test("is noted once, and the second push sends nothing", async () => {
    await using registry = await manifestRegistry();
    await push(registry, signature, 2);
    expect(entries(registry)).toEqual([listed]);
    expect(registry.steps().filter((step) => step.startsWith("PUT"))).toHaveLength(2);
  });

  // K17
  test("that a killed push left unnoted is noted by the next one", async () => {
    await using registry = await manifestRegistry();
    registry.manifests.set(signature.descriptor.digest, { type: mediaTypes.ociManifest, bytes: signature.bytes });
    await push(registry, signature);
    expect(entries(registry)).toEqual([listed]);
  });

  test("has the type of its config where it says none; an index has none then", async () => {
    await using registry = await manifestRegistry();
    const plain = document({ config, layers: [] });
    const empty = document({ config, layers: [], artifactType: "" });
    const index = document({ manifests: [] }, mediaTypes.ociIndex);
    const typed = document({ manifests: [], artifactType: "application/x" }, mediaTypes.ociIndex);
    for (const one of [plain, empty, index, typed]) await push(registry, one);
    expect(entries(registry)).toEqual([
      { ...plain.descriptor, artifactType: config.mediaType },
      { ...empty.descriptor, artifactType: config.mediaType },
      index.descriptor,
      { ...typed.descriptor, artifactType: "application/x" },
    ]);
  });

  test("is added to what the list has, which stays as it is, unknown fields included", async () => {
    await using registry = await manifestRegistry();
    const other = { ...config, "org.example.unknown": [1] };
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [other], "x-note": true };
    registry.manifests.set(tag, { type: mediaTypes.ociIndex, bytes: Buffer.from(JSON.stringify(index)) });
    await push(registry, signature);
    expect(JSON.parse(String(registry.manifests.get(tag)?.bytes))).toEqual({ ...index, manifests: [other, listed] });
  });

  // R3: If-Match
  test("is not lost, nor another's, where both change the list at a time and the registry tells versions apart", async () => {
    await using registry = await manifestRegistry({ etags: "strong", onPut: meddler(2) });
    registry.manifests.set(tag, { type: mediaTypes.ociIndex, bytes: listOf([]) });
    await push(registry, signature);
    expect(entries(registry)).toEqual([stranger(1), stranger(2), listed]);
    expect(registry.seen.some(({ headers }) => headers["if-match"] !== undefined)).toBe(true);
  });

  test("is noted where a proxy makes weak what tells versions apart", async () => {
    await using registry = await manifestRegistry({ etags: "weak" });
    registry.manifests.set(tag, { type: mediaTypes.ociIndex, bytes: listOf([stranger(1)]) });
    await push(registry, signature);
    expect(entries(registry)).toEqual([stranger(1), listed]);
  });

  test("is added again when another's list, made without it, came after", async () => {
    let dropped = false;
    await using registry = await manifestRegistry({
      onPut: (reference, manifests) => {
        if (reference !== tag || dropped) return undefined;
        dropped = true;
        manifests.set(tag, { type: mediaTypes.ociIndex, bytes: listOf([stranger(1)]) });
        // Taken, and replaced at once.
        return 201;
      },
    });
    await push(registry, signature);
    expect(entries(registry)).toEqual([stranger(1), listed]);
  });

  test("fails when others are faster each time", async () => {
    await using registry = await manifestRegistry({ etags: "strong", onPut: meddler(1000) });
    registry.manifests.set(tag, { type: mediaTypes.ociIndex, bytes: listOf([]) });
    await expect(push(registry, signature)).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
    expect(registry.seen.length).toBeLessThan(30);
  });

  test.each([mediaTypes.ociManifest, mediaTypes.dockerIndex])("does not overwrite a tag that is %s", async (type) => {
    await using registry = await manifestRegistry();
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [] }));
    registry.manifests.set(tag, { type, bytes });
    await expect(push(registry, signature)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
    expect(registry.manifests.get(tag)?.bytes).toEqual(bytes);
  });

  test("is not added to a list that is over the limit", async () => {
    await using registry = await manifestRegistry();
    registry.manifests.set(tag, { type: mediaTypes.ociIndex, bytes: Buffer.alloc(9 * 1024 * 1024, 32) });
    await expect(push(registry, signature)).rejects.toMatchObject({ code: "ERR_RESOURCE_EXHAUSTED" });
  });

  test("that is pushed along with others is noted with all of them", async () => {
    await using registry = await manifestRegistry();
    await using resolver = testResolver();
    const pusher = resolver.pusher(`${registry.host}/lib/app`);
    const all = Array.from({ length: 5 }, (_, index) =>
      document({ config, layers: [], annotations: { n: `${index}` } }),
    );
    const pushes = all.map(({ descriptor, bytes }) => {
      const body = async function* (): AsyncGenerator<Uint8Array> {
        yield bytes;
      };
      return pusher.push(descriptor, { body });
    });
    await Promise.all(pushes);
    expect(entries(registry)).toHaveLength(5);
    // Who knows of each other does not get into each other's way.
    expect(registry.log().filter((line) => line.startsWith("PUT") && line.includes(tag))).toHaveLength(5);
  });
});

function stranger(number: number): Descriptor {
  return { ...config, digest: digestOf(`stranger ${number}`) };
}

function listOf(manifests: readonly unknown[]): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));
}

/** Somebody who adds an entry just before each of the first changes. */
function meddler(times: number): ManifestRegistryOptions["onPut"] {
  let count = 0;
  return (reference, manifests) => {
    if (reference !== tag || count === times) return undefined;
    count += 1;
    const strangers = Array.from({ length: count }, (_, index) => stranger(index + 1));
    manifests.set(tag, { type: mediaTypes.ociIndex, bytes: listOf(strangers) });
    return undefined;
  };
}
