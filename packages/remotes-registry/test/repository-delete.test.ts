import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { RegistryNotice } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send, sendError } from "./fake-registry.ts";
import { layer, target } from "./fixtures.ts";
import { manifestRegistry } from "./manifest-registry.ts";
import type { ManifestRegistry } from "./manifest-registry.ts";
import { testRepository } from "./repository-fixtures.ts";
import { sendJson } from "./token-registry.ts";

// R7
describe("deleting", () => {
  test.each([200, 202, 204])("a tag, a manifest and a blob is done when the answer is %i", async (status) => {
    await using registry = await fakeRegistry((seen, response) =>
      send(response, seen.method === "DELETE" ? status : 404),
    );
    await using place = testRepository(registry);
    await place.repository.deleteManifest("v1");
    await place.repository.deleteManifest(target.digest);
    await place.repository.deleteBlob(layer.digest);
    expect(registry.log().filter((line) => line.startsWith("DELETE"))).toEqual([
      "DELETE /v2/lib/app/manifests/v1",
      `DELETE /v2/lib/app/manifests/${target.digest}`,
      `DELETE /v2/lib/app/blobs/${layer.digest}`,
    ]);
  });

  test.each([
    [405, "UNSUPPORTED", "ERR_NOT_IMPLEMENTED"],
    [400, "UNSUPPORTED", "ERR_NOT_IMPLEMENTED"],
    [501, "UNSUPPORTED", "ERR_NOT_IMPLEMENTED"],
    [404, "MANIFEST_UNKNOWN", "ERR_NOT_FOUND"],
    [409, "DENIED", "ERR_FAILED_PRECONDITION"],
    [403, "DENIED", "ERR_PERMISSION_DENIED"],
  ])("fails with the reason when the answer is %i %s", async (status, code, expected) => {
    await using registry = await fakeRegistry((_seen, response) => sendError(response, status, code, "because"));
    await using place = testRepository(registry);
    const failure = { code: expected, message: expect.stringContaining("because") };
    await expect(place.repository.deleteManifest("v1")).rejects.toMatchObject(failure);
    await expect(place.repository.deleteBlob(layer.digest)).rejects.toMatchObject(failure);
  });

  test.each(["", "../../x", "a b", "sha256:1", "v1?x"])("%j is refused: neither a tag nor a digest", async (name) => {
    await using registry = await fakeRegistry((_seen, response) => send(response, 202));
    await using place = testRepository(registry);
    await expect(place.repository.deleteManifest(name)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    expect(registry.log()).toEqual([]);
  });

  // Quay gives nobody a token to delete only
  test("asks for the right to delete, and for all rights where that is not enough", async () => {
    const asked: (string | null)[] = [];
    await using registry = await fakeRegistry((seen, response) => {
      const url = new URL(seen.path, "http://registry");
      if (url.pathname === "/token") {
        const scope = url.searchParams.get("scope");
        asked.push(scope);
        return sendJson(response, {
          token: scope?.endsWith("*") === true ? "planted-secret-all" : "planted-secret-del",
        });
      }
      if (seen.headers.authorization === "Bearer planted-secret-all") return send(response, 202);
      const challenge = `Bearer realm="http://${seen.headers.host}/token",service="reg"`;
      return send(response, 401, { "www-authenticate": challenge });
    });
    await using place = testRepository(registry);
    await place.repository.deleteManifest("v1");
    expect(asked[0]).toBe("repository:lib/app:delete");
    expect(asked.at(-1)).toBe("repository:lib/app:*");
  });

  test("ends with the reason when it is aborted", async () => {
    const stop = new AbortController();
    await using registry = await fakeRegistry(() => stop.abort(new Error("enough")));
    await using place = testRepository(registry);
    await expect(place.repository.deleteManifest("v1", { signal: stop.signal })).rejects.toThrow("enough");
  });
});

// R3: distribution specification, "Deleting Manifests"
describe("deleting a manifest with a subject", () => {
  const fields = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: layer, layers: [], subject: target };
  const bytes = Buffer.from(JSON.stringify(fields));
  const digest = digestOf(bytes);
  const tag = `sha256-${target.digest.slice(7)}`;

  function fill(registry: ManifestRegistry): void {
    const manifests = [layer, { ...layer, digest }];
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));
    registry.manifests.set(digest, { type: mediaTypes.ociManifest, bytes });
    registry.manifests.set(tag, { type: mediaTypes.ociIndex, bytes: index });
  }

  test("takes it out of the list under the fallback tag", async () => {
    await using registry = await manifestRegistry();
    fill(registry);
    await using place = testRepository(registry);
    await place.repository.deleteManifest(digest);
    expect(registry.manifests.has(digest)).toBe(false);
    expect(JSON.parse(String(registry.manifests.get(tag)?.bytes)).manifests).toEqual([layer]);
  });

  test("is done, with a notice, when the list cannot be changed", async () => {
    const notices: RegistryNotice[] = [];
    await using registry = await manifestRegistry({ onPut: () => 403 });
    fill(registry);
    await using place = testRepository(registry, { onNotice: (notice) => void notices.push(notice) });
    await place.repository.deleteManifest(digest);
    expect(notices).toMatchObject([{ type: "warning", text: expect.stringContaining("still listed") }]);
  });
});
