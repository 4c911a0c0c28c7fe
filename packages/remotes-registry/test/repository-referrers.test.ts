import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { RegistryResolverOptions } from "@varve/remotes-registry";
import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send, sendError } from "./fake-registry.ts";
import type { Script } from "./fake-registry.ts";
import { target } from "./fixtures.ts";
import { manifestRegistry } from "./manifest-registry.ts";
import { all, testRepository } from "./repository-fixtures.ts";

const artifactType = "application/vnd.example.sbom";
const config = { mediaType: "application/vnd.example.config.v1+json", digest: digestOf("{}"), size: 2 };

function artifact(name: string, type: string | undefined): { readonly bytes: Buffer; readonly descriptor: Descriptor } {
  const fields = { config, layers: [], subject: target, artifactType: type, annotations: { name } };
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, ...fields }));
  return { bytes, descriptor: { mediaType: mediaTypes.ociManifest, digest: digestOf(bytes), size: bytes.byteLength } };
}

const [sbom, signature] = [artifact("sbom", artifactType), artifact("signature", "application/vnd.example.signature")];
const listedSbom = { ...sbom.descriptor, artifactType };
const listedSignature = { ...signature.descriptor, artifactType: "application/vnd.example.signature" };
const tag = `sha256-${target.digest.slice(7)}`;

function sendList(response: ServerResponse, manifests: readonly unknown[], headers: Record<string, string> = {}): void {
  const body = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
  send(response, 200, { "content-type": `${mediaTypes.ociIndex}; charset=utf-8`, ...headers }, body);
}

async function referrers(
  registry: { readonly host: string },
  type?: string,
  settings: RegistryResolverOptions = {},
): Promise<Descriptor[]> {
  await using place = testRepository(registry, settings);
  return await all(place.repository.referrers(target.digest, { artifactType: type }));
}

// R1
describe("a registry that lists referrers", () => {
  test("is asked page by page; each is told once", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path.includes("page=2")) sendList(response, [listedSbom, listedSignature]);
      else sendList(response, [listedSbom], { link: `<${seen.path}?page=2>; rel="next"` });
    });
    expect(await referrers(registry)).toEqual([listedSbom, listedSignature]);
    expect(registry.log()[0]).toBe(`GET /v2/lib/app/referrers/${target.digest}`);
  });

  test("is believed when it says that it chose by type", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      sendList(response, [{ ...listedSbom, artifactType: undefined }], {
        "oci-filters-applied": "other, artifactType",
      });
    });
    expect(await referrers(registry, artifactType)).toEqual([sbom.descriptor]);
    expect(registry.log()[0]).toContain(`?artifactType=${encodeURIComponent(artifactType)}`);
    expect(registry.seen).toHaveLength(1);
  });

  test("and does not choose has its list chosen from here", async () => {
    await using registry = await fakeRegistry((_seen, response) => sendList(response, [listedSbom, listedSignature]));
    expect(await referrers(registry, artifactType)).toEqual([listedSbom]);
    expect(registry.seen).toHaveLength(1);
  });

  // R5
  test.each([
    ["none", undefined],
    ["the empty config's", mediaTypes.ociEmpty],
    ["a config's", mediaTypes.ociConfig],
  ])("and gives one the wrong type, %s, has its manifest read", async (_what, wrong) => {
    await using registry = await manifestRegistry({
      referrers: (_digest, response) =>
        sendList(response, [
          { ...sbom.descriptor, artifactType: wrong },
          { ...signature.descriptor, artifactType: wrong },
        ]),
    });
    for (const { bytes, descriptor } of [sbom, signature]) {
      registry.manifests.set(descriptor.digest, { type: descriptor.mediaType, bytes });
    }
    expect(await referrers(registry, artifactType)).toEqual([listedSbom]);
  });

  // R5: Harbor chooses by the type of the config
  test("and finds nothing by type is asked for all", async () => {
    await using registry = await manifestRegistry({
      referrers: (_digest, response, seen) => {
        if (seen.path.includes("artifactType")) sendList(response, [], { "oci-filters-applied": "artifactType" });
        else sendList(response, [{ ...sbom.descriptor, artifactType: mediaTypes.ociEmpty }]);
      },
    });
    registry.manifests.set(sbom.descriptor.digest, { type: mediaTypes.ociManifest, bytes: sbom.bytes });
    expect(await referrers(registry, artifactType)).toEqual([listedSbom]);
  });

  test("and whose manifest is another is not believed", async () => {
    await using registry = await manifestRegistry({
      referrers: (_digest, response) => sendList(response, [signature.descriptor]),
    });
    registry.manifests.set(signature.descriptor.digest, { type: mediaTypes.ociManifest, bytes: sbom.bytes });
    expect(await referrers(registry, artifactType)).toEqual([]);
  });

  // C-RES.9, U-FET.7
  test("ends with an error when a list is over the limit, with and without a length", async () => {
    const padding = "x".repeat(1_000_000);
    const scripts: Script[] = [
      (_seen, response) => sendList(response, [{ ...listedSbom, annotations: { padding } }]),
      (_seen, response) => {
        response.writeHead(200, { "content-type": mediaTypes.ociIndex });
        response.end(Buffer.alloc(1_000_000, 32));
      },
    ];
    for (const script of scripts) {
      await using registry = await fakeRegistry(script);
      const listing = referrers(registry, undefined, { maxManifestSize: 100_000 });
      await expect(listing).rejects.toMatchObject({ code: "ERR_RESOURCE_EXHAUSTED" });
    }
  });

  test("ends with an error when the list is malformed", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      send(response, 200, { "content-type": mediaTypes.ociIndex }, '{"manifests":3}');
    });
    await expect(referrers(registry)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  });

  // C-RES.9
  test("may leave out the length of the list", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      response.writeHead(200, { "content-type": mediaTypes.ociIndex });
      response.write(JSON.stringify({ schemaVersion: 2, manifests: [listedSbom] }));
      response.end();
    });
    expect(await referrers(registry)).toEqual([listedSbom]);
  });
});

// R2
describe("a registry that does not list referrers", () => {
  test("has them under the fallback tag", async () => {
    await using registry = await manifestRegistry();
    const bytes = Buffer.from(
      JSON.stringify({ schemaVersion: 2, manifests: [listedSbom, listedSignature, listedSbom] }),
    );
    registry.manifests.set(tag, { type: mediaTypes.ociIndex, bytes });
    expect(await referrers(registry)).toEqual([listedSbom, listedSignature]);
    expect(await referrers(registry, artifactType)).toEqual([listedSbom]);
  });

  test.each([400, 404, 405, 406, 500, 501])("and says so with %i has none without such a tag", async (status) => {
    await using registry = await manifestRegistry({ referrers: (_digest, response) => send(response, status) });
    expect(await referrers(registry)).toEqual([]);
  });

  test("has none where the list is a page for people", async () => {
    await using registry = await manifestRegistry({
      referrers: (_digest, response) => send(response, 200, { "content-type": "text/html" }, "<html>"),
    });
    expect(await referrers(registry)).toEqual([]);
  });

  test.each([
    [401, "ERR_UNAUTHENTICATED"],
    [403, "ERR_PERMISSION_DENIED"],
    [429, "ERR_RATE_LIMITED"],
    [503, "ERR_NETWORK"],
  ])("is something else than one that answers %i", async (status, code) => {
    await using registry = await manifestRegistry({
      referrers: (_digest, response) => sendError(response, status, "X", "y"),
    });
    await expect(referrers(registry, undefined, { retries: 0 })).rejects.toMatchObject({ code });
  });

  test("is also one whose servers are not to be asked for them", async () => {
    await using registry = await manifestRegistry();
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [listedSbom] }));
    registry.manifests.set(tag, { type: mediaTypes.ociIndex, bytes });
    const endpoint = { url: registry.url, capabilities: ["pull", "resolve"] } as const;
    expect(await referrers(registry, undefined, { endpoints: async () => [endpoint] })).toEqual([listedSbom]);
    expect(registry.log().some((line) => line.includes("/referrers/"))).toBe(false);
  });

  test("and whose tag is no list is not believed", async () => {
    await using registry = await manifestRegistry();
    registry.manifests.set(tag, { type: mediaTypes.ociManifest, bytes: sbom.bytes });
    await expect(referrers(registry)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  });
});
