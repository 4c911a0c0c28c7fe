import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send } from "./fake-registry.ts";
import { blob, fetchLayer, fetchOf, layer, manifest, sendManifest, tagPath, target, testResolver } from "./fixtures.ts";
import { always, hasAll, mirrored } from "./hosts-servers.ts";

describe("a mirror", () => {
  // T4: OCI-Namespace
  test("that answers for another registry than the one meant is not believed", async () => {
    await using mirror = await fakeRegistry((seen, response) => {
      sendManifest(seen, response, { "oci-namespace": "quay.example" });
    });
    await using origin = await hasAll();
    await using resolver = testResolver({ endpoints: mirrored(mirror, origin) });
    await resolver.resolve(`${origin.host}/lib/app:v1`);
    expect(origin.log()).toEqual([`HEAD ${tagPath}`]);

    await using alone = testResolver({ endpoints: mirrored(mirror) });
    await expect(alone.resolve("registry.example/lib/app:v1")).rejects.toMatchObject({
      code: "ERR_INVALID_DATA",
      message: `registry ${mirror.host}: asked for registry.example, it answered for "quay.example"`,
    });
  });

  // T4
  test("that says it answers for the registry meant is believed", async () => {
    await using mirror = await fakeRegistry((seen, response) => {
      sendManifest(seen, response, { "oci-namespace": "rEgistry.example" });
    });
    await using resolver = testResolver({ endpoints: mirrored(mirror) });
    expect((await resolver.resolve("Registry.example/lib/app:v1")).descriptor).toEqual(target);
  });

  // M5, M6: a page that asks for a login, a manifest of another registry
  test.each([
    ["a page", "text/html", "<html>log in first</html>"],
    ["a page called a manifest", mediaTypes.ociManifest, "<html>log in first</html>"],
    ["too much", mediaTypes.ociManifest, " ".repeat(20_000)],
  ])("that answers with %s is left for the next server", async (_what, type, body) => {
    await using mirror = await fakeRegistry((seen, response) => {
      send(response, 200, { "content-type": type }, seen.method === "HEAD" ? "" : body);
    });
    await using second = await fakeRegistry((seen, response) => {
      send(response, 200, { "content-type": type }, seen.method === "HEAD" ? "" : body);
    });
    await using origin = await hasAll();
    const endpoints = mirrored(mirror, second, origin);
    await using resolver = testResolver({ endpoints, maxManifestSize: 10_000, retries: 0 });
    expect((await resolver.resolve(`${origin.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect([mirror, second, origin].map(({ seen }) => seen.length)).toEqual([2, 2, 1]);

    await using nothing = await always(404);
    await using lost = testResolver({ endpoints: mirrored(mirror, nothing), maxManifestSize: 10_000 });
    await expect(lost.resolve(`${nothing.host}/lib/app:v1`)).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(?:INVALID_DATA|RESOURCE_EXHAUSTED)$/),
    });
    expect(nothing.seen.length).toBeLessThan(4);
  });

  test.each([201, 204, 206, 304, 405, 416])(
    "that answers %i to a GET that does not ask for it is left for the next server",
    async (status) => {
      await using mirror = await always(status);
      await using origin = await hasAll();
      await using resolver = testResolver({ endpoints: mirrored(mirror, origin) });
      expect(await fetchLayer(resolver, origin.host)).toEqual(blob);
    },
  );

  test("that answers 206 to a HEAD is left for the next server", async () => {
    await using mirror = await always(206);
    await using origin = await hasAll();
    await using resolver = testResolver({ endpoints: mirrored(mirror, origin) });
    expect((await resolver.resolve(`${origin.host}/lib/app:v1`)).descriptor).toEqual(target);
  });

  // M8
  test("that does not know HEAD of blobs is left for the next server", async () => {
    await using mirror = await fakeRegistry((seen, response) =>
      send(response, seen.path.includes("/blobs/") ? 405 : 404),
    );
    await using origin = await fakeRegistry((seen, response) => {
      if (seen.path.includes("/blobs/")) send(response, 200, { "content-length": String(blob.byteLength) });
      else send(response, 404);
    });
    await using resolver = testResolver({ endpoints: mirrored(mirror, origin) });
    const { descriptor } = await resolver.resolve(`${origin.host}/lib/app@${layer.digest}`);
    expect(descriptor).toMatchObject({ digest: layer.digest, size: layer.size });
  });

  // M4
  test("that answers with another digest than the one asked for is left for the next server", async () => {
    await using mirror = await fakeRegistry((seen, response) => {
      sendManifest(seen, response, { "docker-content-digest": digestOf("other") });
    });
    await using origin = await hasAll();
    await using resolver = testResolver({ endpoints: mirrored(mirror, origin) });
    const resolved = await resolver.resolve(`${origin.host}/lib/app@${target.digest}`);
    expect(resolved.descriptor).toEqual(target);
    expect(await fetchOf(resolver.fetcher(`${origin.host}/lib/app`), target)).toEqual(manifest);
    expect([mirror.seen.length, origin.seen.length]).toEqual([2, 2]);
  });

  // M4, T3
  test("that serves wrong bytes is not asked when they are asked for again", async () => {
    await using mirror = await fakeRegistry((_seen, response) =>
      send(response, 200, {}, Buffer.alloc(blob.byteLength)),
    );
    await using origin = await hasAll();
    await using resolver = testResolver({ endpoints: mirrored(mirror, origin) });
    const fetcher = resolver.fetcher(`${origin.host}/lib/app`);
    expect(await fetchOf(fetcher, layer)).not.toEqual(blob);
    expect(await fetchOf(fetcher, layer)).toEqual(blob);
  });
});
