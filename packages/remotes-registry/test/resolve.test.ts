import type { IncomingHttpHeaders } from "node:http";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send, sendAndBreak, sendError } from "./fake-registry.ts";
import { blob, fetchOf, layer, manifest, sendManifest, tagPath, target, testResolver } from "./fixtures.ts";

describe("a tag", () => {
  // M1, M2, T6, U-RES.1
  test("is resolved by one HEAD that names what we can read", async () => {
    await using registry = await fakeRegistry(sendManifest);
    await using resolver = testResolver();
    const resolved = await resolver.resolve(`${registry.host}/lib/app:v1`);
    expect(resolved).toEqual({ name: `${registry.host}/lib/app:v1`, descriptor: target });
    expect(registry.log()).toEqual([`HEAD ${tagPath}`]);
    const headers: IncomingHttpHeaders = registry.seen[0]?.headers ?? {};
    expect(headers.accept).toBe(
      [mediaTypes.ociIndex, mediaTypes.ociManifest, mediaTypes.dockerIndex, mediaTypes.dockerManifest, "*/*"].join(
        ", ",
      ),
    );
    expect(headers["user-agent"]).toMatch(/^varve\/\d+\.\d+\.\d+/);
    expect(headers["accept-encoding"]).toBe("identity");
    expect(headers.authorization).toBeUndefined();
  });

  // M2, M3, B7, D6
  test.each([
    ["without a digest", { "docker-content-digest": "" }],
    ["with a digest that is none", { "docker-content-digest": "latest" }],
    ["with a type that tells nothing", { "content-type": "application/json; charset=utf-8" }],
    ["with an encoding", { "content-encoding": "gzip" }],
  ])("whose HEAD is answered %s is resolved by GET", async (_what, headers) => {
    await using registry = await fakeRegistry((seen, response) => {
      sendManifest(seen, response, seen.method === "HEAD" ? headers : {});
    });
    await using resolver = testResolver();
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect(registry.log()).toEqual([`HEAD ${tagPath}`, `GET ${tagPath}`]);
  });

  // M3
  test("of a registry that does not know HEAD is resolved by GET", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.method === "HEAD") send(response, 405);
      else sendManifest(seen, response, { "docker-content-digest": "" });
    });
    await using resolver = testResolver();
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
  });

  // M3, U-RES.6, C-RES.8
  test("that is forbidden is asked for once more by GET, for the reason", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.method === "HEAD") send(response, 403);
      else sendError(response, 403, "DENIED", "your plan has no pulls left");
    });
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_PERMISSION_DENIED",
      message: expect.stringContaining("403 Forbidden: DENIED: your plan has no pulls left"),
    });
    expect(registry.log()).toEqual([`HEAD ${tagPath}`, `GET ${tagPath}`]);
  });

  // C-RES.8, U-RES.6
  test.each([
    ["breaks off", undefined],
    ["fails", 503],
  ])(
    "that is forbidden stays so when the request for the reason %s, and is not asked a third time",
    async (_what, status) => {
      await using registry = await fakeRegistry((seen, response) => {
        if (seen.method === "HEAD") send(response, 403);
        else if (status === undefined) response.destroy();
        else send(response, status);
      });
      await using resolver = testResolver();
      await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
        code: "ERR_PERMISSION_DENIED",
        message: expect.stringContaining("403 Forbidden"),
      });
      expect(registry.log()).toEqual([`HEAD ${tagPath}`, `GET ${tagPath}`]);
    },
  );

  // M14: Harbor and Red Hat, whose HEAD says even less
  test("that is unknown but means not found is not found", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.method === "HEAD") send(response, 400);
      else sendError(response, 400, "UNKNOWN", "artifact lib/app:v1 not found");
    });
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  });

  // C-RES.8
  test.each([404, 401, 500])("that is answered with %i is not asked for by GET", async (status) => {
    await using registry = await fakeRegistry((_seen, response) => send(response, status));
    await using resolver = testResolver({ retries: 0 });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({ code: /^ERR_/ });
    expect(registry.log().filter((line) => line.startsWith("GET /v2/lib"))).toEqual([]);
  });

  // M4
  test("whose body is not what the header says is refused", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      sendManifest(seen, response, {
        "docker-content-digest": digestOf("other"),
        ...(seen.method === "HEAD" && { "content-type": "text/plain" }),
      });
    });
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_DIGEST_MISMATCH",
      message: expect.stringMatching(new RegExp(`${target.digest}.*${digestOf("other")}`)),
    });
  });

  // M6, U-RES.1
  test("of an endless manifest is refused, whether by its length or by its bytes", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path.endsWith("told")) sendManifest(seen, response, { "content-length": "9000000" });
      else if (seen.method === "HEAD") send(response, 405);
      else {
        response.writeHead(200, { "content-type": mediaTypes.ociManifest });
        const more = (): void => {
          if (!response.destroyed) response.write(Buffer.alloc(65_536, " "), () => setImmediate(more));
        };
        more();
      }
    });
    await using resolver = testResolver({ maxManifestSize: 100_000 });
    for (const tag of ["told", "untold"]) {
      await expect(resolver.resolve(`${registry.host}/lib/app:${tag}`)).rejects.toMatchObject({
        code: "ERR_RESOURCE_EXHAUSTED",
        message: expect.stringContaining("limit of 100000"),
      });
    }
  });

  // T2
  test("whose body breaks off is asked for again, and not for ever", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      const broken = seen.path.endsWith("always") || registry.seen.length < 5;
      if (seen.method === "HEAD") send(response, 405);
      else if (broken) sendAndBreak(response, 200, { "content-length": "1000" }, Buffer.from("{"));
      else sendManifest(seen, response);
    });
    await using resolver = testResolver();
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
    const before = registry.seen.length;
    await expect(resolver.resolve(`${registry.host}/lib/app:always`)).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(registry.seen.length - before).toBe(10);
  });

  // M7
  test.each([
    [mediaTypes.dockerSchema1Signed, "{}"],
    ["text/plain", '{"schemaVersion": 1, "fsLayers": []}'],
  ])("of a schema 1 manifest served as %s is refused with advice", async (type, body) => {
    await using registry = await fakeRegistry((seen, response) => {
      const headers = { "content-type": type, "content-length": String(body.length) };
      send(response, 200, headers, seen.method === "HEAD" ? "" : body);
    });
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_NOT_IMPLEMENTED",
      message: expect.stringContaining("push the image again"),
    });
  });

  // M5
  test("of a manifest that calls itself something else is refused", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      sendManifest(seen, response, { "content-type": mediaTypes.ociIndex, "docker-content-digest": "" });
    });
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  });

  // M5
  test.each([
    ["with layers and manifests", JSON.stringify({ schemaVersion: 2, layers: [], manifests: [] })],
    ["with layers, as an index", JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, layers: [] })],
    ["with manifests, as a manifest", JSON.stringify({ mediaType: mediaTypes.ociManifest, manifests: [] })],
    ["that is a page", "<html>log in first</html>"],
    ["that is no object", "[]"],
    ["that is nothing", ""],
  ])("of a document %s is refused", async (_what, body) => {
    for (const type of ["text/html", "application/json", mediaTypes.ociIndex]) {
      await using registry = await fakeRegistry((seen, response) => {
        if (seen.method === "HEAD") send(response, 405);
        else send(response, 200, { "content-type": type }, body);
      });
      await using resolver = testResolver();
      await expect(resolver.resolve(`${registry.host}/lib/app:v1`), type).rejects.toMatchObject({
        code: "ERR_INVALID_DATA",
        message: expect.stringContaining(`image ${registry.host}/lib/app:v1: `),
      });
    }
  });

  // M5: servers of files do not know what they serve
  test("served without a useful type has the type that the document says", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      sendManifest(seen, response, { "content-type": "application/octet-stream" });
    });
    await using resolver = testResolver();
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor.mediaType).toBe(mediaTypes.ociManifest);
  });

  // M14, A13
  test("that is not there is not found, with the status", async () => {
    await using registry = await fakeRegistry((_seen, response) => send(response, 404));
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
      message: `image ${registry.host}/lib/app:v1: not found: HEAD ${registry.url}${tagPath}: 404 Not Found`,
    });
    expect(registry.seen).toHaveLength(1);
  });
});

describe("a digest", () => {
  const path = `/v2/lib/app/manifests/${target.digest}`;

  // N3
  test("decides over the tag beside it", async () => {
    await using registry = await fakeRegistry(sendManifest);
    await using resolver = testResolver();
    const name = `${registry.host}/lib/app:v1@${target.digest}`;
    expect(await resolver.resolve(name)).toEqual({ name, descriptor: target });
    expect(registry.log()).toEqual([`HEAD ${path}`]);
  });

  // M4
  test("that the registry answers with another one is a mismatch", async () => {
    await using registry = await fakeRegistry(sendManifest);
    await using resolver = testResolver();
    const resolving = resolver.resolve(`${registry.host}/lib/app@${digestOf("other")}`);
    await expect(resolving).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  });

  test("by sha512 is computed when the registry tells only sha256", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      sendManifest(seen, response, { "docker-content-digest": "" });
    });
    await using resolver = testResolver();
    const digest = digestOf(manifest, "sha512");
    const { descriptor } = await resolver.resolve(`${registry.host}/lib/app@${digest}`);
    expect(descriptor).toEqual({ ...target, digest });
  });

  // M8, U-RES.2
  test("of a blob is found after manifests said 404", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path.includes("/blobs/")) send(response, 200, { "content-length": String(blob.byteLength) });
      else send(response, 404);
    });
    await using resolver = testResolver();
    const { descriptor } = await resolver.resolve(`${registry.host}/lib/app@${layer.digest}`);
    expect(descriptor).toEqual({ ...layer, mediaType: "application/octet-stream" });
  });

  // M8, C-RES.7
  test("is not looked for among blobs when the registry failed", async () => {
    await using registry = await fakeRegistry((_seen, response) => send(response, 500));
    await using resolver = testResolver({ retries: 1 });
    const resolving = resolver.resolve(`${registry.host}/lib/app@${layer.digest}`);
    await expect(resolving).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(registry.log().every((line) => line.includes("/manifests/"))).toBe(true);
  });

  test("of unknown form or algorithm asks nobody", async () => {
    await using registry = await fakeRegistry(sendManifest);
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/lib/app@sha256:12`)).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
    });
    await expect(resolver.resolve(`${registry.host}/lib/app@md5:${"0".repeat(32)}`)).rejects.toMatchObject({
      code: "ERR_NOT_IMPLEMENTED",
    });
    expect(registry.seen).toEqual([]);
  });
});

// M8
test("a manifest that is kept as a blob is fetched from there", async () => {
  await using registry = await fakeRegistry((seen, response) => {
    if (seen.path.includes("/manifests/")) send(response, 404);
    else send(response, 200, {}, manifest);
  });
  await using resolver = testResolver();
  expect(await fetchOf(resolver.fetcher(`${registry.host}/lib/app`), target)).toEqual(manifest);
});
