import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { describe, expect, test } from "vitest";
// The rule cannot be seen from outside with a registry that is not on this machine.
import { leadsInside } from "../src/auth/realm.ts";
import { fakeRegistry, send, sendAndBreak, sendBlob, sendError } from "./fake-registry.ts";
import type { FakeRegistry } from "./fake-registry.ts";
import { blob, blobPath, fetchOf, layer, testResolver } from "./fixtures.ts";

const size = blob.byteLength;

function foreignLayer(...urls: string[]): Descriptor {
  return { ...layer, mediaType: mediaTypes.dockerForeignLayerGzip, urls };
}

/** Has no blob. */
function emptyRegistry(): Promise<FakeRegistry> {
  return fakeRegistry((_seen, response) => sendError(response, 404, "BLOB_UNKNOWN", "not kept here"));
}

const credentials = async (): Promise<{ registryToken: string }> => ({ registryToken: "planted-secret-1" });

// B10, U-FET.1
describe("a layer that its descriptor says is elsewhere", () => {
  test("is fetched from there when the registry does not have it, without anything of ours", async () => {
    await using registry = await emptyRegistry();
    await using elsewhere = await fakeRegistry((seen, response) => sendBlob(seen, response, blob));
    await using resolver = testResolver({ credentials, headers: { "X-Api-Key": "planted-secret-2", Cookie: "a=b" } });
    const fetcher = resolver.fetcher(`${registry.host}/lib/app`);
    expect(await fetchOf(fetcher, foreignLayer(`${elsewhere.url}/layers/x?sig=1`))).toEqual(blob);
    expect(registry.seen[0]?.headers.authorization).toContain("planted");
    expect(elsewhere.log()).toEqual(["GET /layers/x?sig=1"]);
    expect(Object.keys(elsewhere.seen[0]?.headers ?? {}).toSorted()).toEqual([
      "accept",
      "accept-encoding",
      "connection",
      "host",
      "user-agent",
    ]);
  });

  test("at the registry's own host is asked for without credentials as well", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path === "/static/x") sendBlob(seen, response, blob);
      else sendError(response, 404, "BLOB_UNKNOWN", "not kept here");
    });
    await using resolver = testResolver({ credentials });
    const away = foreignLayer(`http://planted-secret:planted-secret@${registry.host}/static/x`);
    expect(await fetchOf(resolver.fetcher(`${registry.host}/lib/app`), away)).toEqual(blob);
    expect(registry.seen.map(({ headers }) => headers.authorization === undefined)).toEqual([false, true]);
  });

  test("comes from the registry if that has it", async () => {
    await using registry = await fakeRegistry((seen, response) => sendBlob(seen, response, blob));
    await using elsewhere = await emptyRegistry();
    await using resolver = testResolver();
    expect(await fetchOf(resolver.fetcher(`${registry.host}/lib/app`), foreignLayer(elsewhere.url))).toEqual(blob);
    expect(elsewhere.seen).toEqual([]);
  });

  test.each([403, 500])("is not looked for elsewhere when the registry answers %i", async (status) => {
    await using registry = await fakeRegistry((_seen, response) => send(response, status));
    await using elsewhere = await fakeRegistry((seen, response) => sendBlob(seen, response, blob));
    await using resolver = testResolver({ retries: 0 });
    const fetching = fetchOf(resolver.fetcher(`${registry.host}/lib/app`), foreignLayer(elsewhere.url));
    await expect(fetching).rejects.toMatchObject({ message: expect.stringContaining(String(status)) });
    expect(elsewhere.seen).toEqual([]);
  });

  test("is looked for at one address after the other, and goes on at the one that has it", async () => {
    await using registry = await emptyRegistry();
    await using elsewhere = await fakeRegistry((seen, response) => {
      if (seen.path === "/gone") send(response, 410);
      else if (seen.headers.range !== undefined) sendBlob(seen, response, blob);
      else sendAndBreak(response, 200, { "content-length": String(size) }, blob.subarray(0, 70_000));
    });
    await using resolver = testResolver();
    const urls = ["ftp://registry.example/x", "no address", `${elsewhere.url}/gone`, `${elsewhere.url}/here`];
    expect(await fetchOf(resolver.fetcher(`${registry.host}/lib/app`), foreignLayer(...urls))).toEqual(blob);
    expect(elsewhere.log()).toEqual(["GET /gone", "GET /here", "GET /here"]);
    expect(elsewhere.seen[2]?.headers.range).toBe("bytes=70000-");
    expect(registry.log()).toEqual([`GET ${blobPath}`]);
  });

  test("that is nowhere fails with what everybody said, and without signatures", async () => {
    await using registry = await emptyRegistry();
    await using elsewhere = await fakeRegistry((_seen, response) => send(response, 404, {}, "planted-secret-3"));
    await using resolver = testResolver();
    const away = foreignLayer(`${elsewhere.url}/a?sig=planted-secret-4`);
    await expect(fetchOf(resolver.fetcher(`${registry.host}/lib/app`), away)).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
      message:
        `GET ${registry.url}${blobPath}: 404 Not Found: BLOB_UNKNOWN: not kept here; ` +
        `GET ${elsewhere.url}/a?…: 404 Not Found`,
    });
  });

  test("is tried at four addresses at most", async () => {
    await using registry = await emptyRegistry();
    await using resolver = testResolver();
    const urls = Array.from({ length: 500 }, (_, index) => `${registry.url}/${index}`);
    const fetching = fetchOf(resolver.fetcher(`${registry.host}/lib/app`), foreignLayer(...urls));
    await expect(fetching).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
    expect(registry.seen).toHaveLength(5);
  });

  // A12's rule: whoever writes a manifest must not send us into networks that only we can reach.
  test.each([
    "http://169.254.169.254/latest/meta-data",
    "http://10.1.2.3/x",
    "https://192.168.0.1/x",
    "http://[fd00::1]/x",
    "http://[::ffff:10.0.0.1]/x",
    "http://0x0a000001/x",
  ])("is not asked for at %s", async (url) => {
    await using registry = await emptyRegistry();
    await using resolver = testResolver();
    const fetching = fetchOf(resolver.fetcher(`${registry.host}/lib/app`), foreignLayer(url));
    await expect(fetching).rejects.toMatchObject({
      code: "ERR_PERMISSION_DENIED",
      message: expect.stringContaining("an address of an inner network"),
    });
  });

  test("is not asked for there by a redirect either", async () => {
    await using registry = await emptyRegistry();
    await using elsewhere = await fakeRegistry((_seen, response) => {
      send(response, 302, { location: "http://169.254.169.254/latest/meta-data" });
    });
    await using resolver = testResolver();
    const fetching = fetchOf(resolver.fetcher(`${registry.host}/lib/app`), foreignLayer(elsewhere.url));
    await expect(fetching).rejects.toMatchObject({ code: "ERR_PERMISSION_DENIED" });
    expect(elsewhere.seen).toHaveLength(1);
  });

  test.each([
    ["http://127.0.0.1/x", "https://registry.example", true],
    ["http://localhost:8080/x", "https://registry.example", true],
    ["http://[::1]/x", undefined, true],
    ["http://10.0.0.7/x", "http://10.0.0.7:5000", false],
    ["http://127.0.0.1/x", "http://localhost:5000", false],
    ["https://cdn.example/x", "https://registry.example", false],
    ["https://8.8.8.8/x", undefined, false],
  ])("at %s leads inside for %s: %s", (url, registry, expected) => {
    expect(leadsInside(new URL(url), registry === undefined ? undefined : new URL(registry))).toBe(expected);
  });
});
