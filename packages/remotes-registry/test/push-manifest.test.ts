import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send, sendError } from "./fake-registry.ts";
import { manifest, tagPath, target, testResolver } from "./fixtures.ts";
import { manifestRegistry } from "./manifest-registry.ts";

async function* body(offset: number): AsyncGenerator<Uint8Array> {
  yield manifest.subarray(offset);
}

async function push(
  registry: { readonly host: string },
  tags?: readonly string[],
  descriptor: Descriptor = target,
): Promise<unknown> {
  await using resolver = testResolver();
  return await resolver.pusher(`${registry.host}/lib/app`).push(descriptor, { body, tags });
}

const short = target.digest.slice(0, 13);

describe("a manifest", () => {
  // P9, C-PSH.1
  test("is put under its tag with its own type", async () => {
    await using registry = await manifestRegistry();
    expect(await push(registry, ["v1"])).toBe("sent");
    expect(registry.log()).toEqual([`HEAD ${tagPath}`, `PUT ${tagPath}`]);
    expect(registry.manifests.get("v1")).toEqual({ type: mediaTypes.ociManifest, bytes: manifest });
  });

  test("without a tag is put under its digest", async () => {
    await using registry = await manifestRegistry();
    expect(await push(registry)).toBe("sent");
    expect(registry.steps()).toEqual([`HEAD ${short}`, `PUT ${short}`]);
  });

  // P12, P1
  test("that its tag names already is not sent; a tag that names another is moved", async () => {
    await using registry = await manifestRegistry();
    await push(registry, ["v1"]);
    expect(await push(registry, ["v1"])).toBe("exists");
    registry.manifests.set("v1", { type: mediaTypes.ociManifest, bytes: Buffer.from("older") });
    expect(await push(registry, ["v1"])).toBe("sent");
    expect(registry.manifests.get("v1")?.bytes).toEqual(manifest);
  });

  // P10
  test("gets several tags by one request, under its digest", async () => {
    await using registry = await manifestRegistry({ knowsTags: true });
    expect(await push(registry, ["v1", "v2", "latest"])).toBe("sent");
    expect(registry.steps().slice(3)).toEqual([`PUT ${short}?tag=v1&tag=v2&tag=latest`]);
    expect(registry.manifests.has("latest")).toBe(true);
  });

  // P10
  test("gets the tags one by one that the registry did not take together", async () => {
    await using registry = await manifestRegistry({ knowsTags: (tag) => tag !== "v2" });
    await push(registry, ["v1", "v2", "latest"]);
    expect(registry.steps().slice(3)).toEqual([`PUT ${short}?tag=v1&tag=v2&tag=latest`, "PUT v2"]);
  });

  // P10
  test.each([400, 404, 405])(
    "gets its tags one by one from a registry that answers several with %i",
    async (tagsStatus) => {
      await using registry = await manifestRegistry({ tagsStatus });
      await push(registry, ["v1", "v2"]);
      expect(registry.steps().slice(3)).toEqual(["PUT v1", "PUT v2"]);
    },
  );

  // P10, P12
  test("is sent only for the tags that it does not have", async () => {
    await using registry = await manifestRegistry({ knowsTags: true });
    await push(registry, ["v1", "v2"]);
    expect(await push(registry, ["v1", "v2"])).toBe("exists");
    await push(registry, ["v1", "v2", "v3"]);
    expect(registry.steps().at(-1)).toBe("PUT v3");
  });

  // P9, U-PSH.4
  test("that the registry stores under another digest is a mismatch", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      send(response, seen.method === "HEAD" ? 404 : 201, { "docker-content-digest": digestOf("other") });
    });
    await expect(push(registry, ["v1"])).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  });

  // C-PSH.3
  test("is stored by a registry that does not name digests", async () => {
    await using registry = await fakeRegistry((seen, response) => send(response, seen.method === "HEAD" ? 404 : 201));
    expect(await push(registry, ["v1"])).toBe("sent");
  });

  // P13
  test("named by sha512 is put under that name, for a registry that answers with sha256", async () => {
    await using registry = await manifestRegistry({ knowsTags: true });
    const digest = digestOf(manifest, "sha512");
    expect(await push(registry, ["v1"], { ...target, digest })).toBe("sent");
    expect(registry.manifests.get(digest)?.bytes).toEqual(manifest);
    expect(registry.manifests.get("v1")?.bytes).toEqual(manifest);
  });

  // P11
  test.each([
    [
      400,
      "TAG_INVALID",
      "The image tag 'v1' already exists in the 'app' repository: the repository is immutable",
      "ERR_FAILED_PRECONDITION",
    ],
    [400, "ImageTagAlreadyExistsException", "", "ERR_FAILED_PRECONDITION"],
    [412, "PRECONDITION", "configured as immutable", "ERR_FAILED_PRECONDITION"],
    [403, "DENIED", "tag is immutable", "ERR_FAILED_PRECONDITION"],
    [409, "TAG_IMMUTABLE", "", "ERR_FAILED_PRECONDITION"],
    [403, "DENIED", "no", "ERR_PERMISSION_DENIED"],
    [400, "MANIFEST_INVALID", "no", "ERR_INVALID_ARGUMENT"],
    [413, "SIZE_INVALID", "no", "ERR_RESOURCE_EXHAUSTED"],
    [507, "UNKNOWN", "no", "ERR_RESOURCE_EXHAUSTED"],
    [405, "UNSUPPORTED", "no artifacts", "ERR_NOT_IMPLEMENTED"],
    [429, "TOOMANYREQUESTS", "later", "ERR_RATE_LIMITED"],
  ])("refused with %i %s %s fails so that it can be told", async (status, code, message, expected) => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.method === "HEAD") send(response, 404);
      else sendError(response, status, code, message);
    });
    await expect(push(registry, ["v1"])).rejects.toMatchObject({
      code: expected,
      message: expect.stringContaining(code),
    });
  });

  // C-PSH.6
  test("that may not even be looked for fails with the words of the answer that has some", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.method === "HEAD") send(response, 403);
      else sendError(response, 403, "DENIED", "the quota is used up");
    });
    await expect(push(registry, ["v1"])).rejects.toMatchObject({
      code: "ERR_PERMISSION_DENIED",
      message: expect.stringContaining("the quota is used up"),
    });
  });

  test("is not sent if it is not what its descriptor says, or over the limit", async () => {
    await using registry = await manifestRegistry();
    const other = { ...target, digest: digestOf("other") };
    await expect(push(registry, ["v1"], other)).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
    const large = { ...target, size: 9 * 1024 * 1024 };
    await expect(push(registry, ["v1"], large)).rejects.toMatchObject({ code: "ERR_RESOURCE_EXHAUSTED" });
    expect(registry.log()).toEqual([]);
  });

  test.each(["", "../x", "a/b", "v1?tag=x", "sha256:0"])("is not put under %j, which is no tag", async (tag) => {
    await using registry = await manifestRegistry();
    await expect(push(registry, [tag])).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    expect(registry.log()).toEqual([]);
  });
});
