import { digestOf } from "@varve/digest";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send, sendError } from "./fake-registry.ts";
import { blobPath, layer } from "./fixtures.ts";
import { testRepository } from "./repository-fixtures.ts";

// M8
describe("a blob that is asked for", () => {
  test.each([undefined, layer.digest, digestOf("other", "sha512"), "nonsense"])(
    "is told with its size, and no byte of it comes, when the registry names it %s",
    async (told) => {
      const headers = {
        "content-length": String(layer.size),
        ...(told !== undefined && { "docker-content-digest": told }),
      };
      await using registry = await fakeRegistry((_seen, response) => send(response, 200, headers));
      await using place = testRepository(registry);
      const { digest, size } = layer;
      expect(await place.repository.blob(digest)).toEqual({ mediaType: "application/octet-stream", digest, size });
      expect(registry.log()).toEqual([`HEAD ${blobPath}`]);
    },
  );

  test.each([
    [404, "ERR_NOT_FOUND"],
    [403, "ERR_PERMISSION_DENIED"],
    [401, "ERR_UNAUTHENTICATED"],
  ])("fails with the reason when the answer is %i", async (status, code) => {
    await using registry = await fakeRegistry((_seen, response) => sendError(response, status, "DENIED", "because"));
    await using place = testRepository(registry);
    await expect(place.repository.blob(layer.digest)).rejects.toMatchObject({ code });
  });

  test("is a mismatch when the registry answers with another one", async () => {
    const headers = { "docker-content-digest": digestOf("other") };
    await using registry = await fakeRegistry((_seen, response) => send(response, 200, headers));
    await using place = testRepository(registry);
    await expect(place.repository.blob(layer.digest)).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  });

  test("is the registry's fault when it tells no size", async () => {
    await using registry = await fakeRegistry((_seen, response) => void response.writeHead(200).end());
    await using place = testRepository(registry);
    await expect(place.repository.blob(layer.digest)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  });

  test("is not asked for when it is aborted before", async () => {
    await using registry = await fakeRegistry((_seen, response) => send(response, 200));
    await using place = testRepository(registry);
    const reason = new Error("enough");
    await expect(place.repository.blob(layer.digest, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(registry.log()).toEqual([]);
  });
});
