import { describe, expect, test } from "vitest";
import { fakeRegistry, send, sendAndBreak, sendBlob } from "./fake-registry.ts";
import { blob, blobPath, fetchLayer, sendManifest, target, testResolver } from "./fixtures.ts";
import { until } from "./http-raw-server.ts";

const credentials = async (): Promise<{ registryToken: string }> => ({ registryToken: "top-secret" });

describe("a redirect", () => {
  // D1
  test.each([301, 302, 303, 307, 308])("by %i to another host is followed without secrets", async (status) => {
    await using storage = await fakeRegistry((seen, response) => {
      if (seen.headers.authorization === undefined) sendBlob(seen, response, blob);
      else send(response, 400, {}, "Only one auth mechanism allowed");
    });
    await using registry = await fakeRegistry((_seen, response) => {
      send(response, status, { location: `${storage.url}/bucket/blob?signature=abc`, "set-cookie": "a=b" });
    });
    const headers = { Cookie: "session=1", "X-Api-Key": "k" };
    await using resolver = testResolver({ credentials, headers });
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen[0]?.headers).toMatchObject({ authorization: "Bearer top-secret", "x-api-key": "k" });
    expect(Object.keys(storage.seen[0]?.headers ?? {}).toSorted()).toEqual([
      "accept",
      "accept-encoding",
      "connection",
      "host",
      "user-agent",
    ]);
  });

  // D2, U-RES.7
  test("on the same host keeps them, and a relative address is resolved", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path === "/data?x=1") sendBlob(seen, response, blob);
      else send(response, 307, { location: "/data?x=1" });
    });
    await using resolver = testResolver({ credentials });
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen[1]?.headers.authorization).toBe("Bearer top-secret");
  });

  test("there and back brings no secrets back", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path === "/data") sendBlob(seen, response, blob);
      else send(response, 307, { location: `${other.url}/` });
    });
    await using other = await fakeRegistry((_seen, response) => {
      send(response, 307, { location: `${registry.url}/data` });
    });
    await using resolver = testResolver({ credentials });
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen[1]?.headers.authorization).toBeUndefined();
  });

  // D3, N06
  test("is asked for anew when the transfer goes on", async () => {
    let grants = 0;
    await using storage = await fakeRegistry((seen, response) => {
      if (seen.path !== `/blob?grant=${grants}`) send(response, 403);
      else if (grants === 1) sendAndBreak(response, 200, { "content-length": "200000" }, blob.subarray(0, 7777));
      else sendBlob(seen, response, blob);
    });
    await using registry = await fakeRegistry((_seen, response) => {
      grants += 1;
      send(response, 307, { location: `${storage.url}/blob?grant=${grants}` });
    });
    await using resolver = testResolver({ credentials });
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen.map(({ headers }) => headers.range)).toEqual([undefined, "bytes=7777-"]);
  });

  // D3
  test("that has expired on the way is asked for once more", async () => {
    let grants = 0;
    await using storage = await fakeRegistry((seen, response) => {
      if (grants === 1) send(response, 403);
      else sendBlob(seen, response, blob);
    });
    await using registry = await fakeRegistry((_seen, response) => {
      grants += 1;
      send(response, 307, { location: storage.url });
    });
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(grants).toBe(2);
  });

  // N06
  test("to a host where nobody is, is asked for anew: the registry may know a better one", async () => {
    await using storage = await fakeRegistry((seen, response) => sendBlob(seen, response, blob));
    await using registry = await fakeRegistry((_seen, response) => {
      const location = registry.seen.length < 3 ? "http://127.0.0.1:1/blob" : storage.url;
      send(response, 307, { location });
    });
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen).toHaveLength(3);
    expect(storage.seen).toHaveLength(1);
  });

  // D4
  test("to a host that wants a login of its own gets none of ours", async () => {
    await using storage = await fakeRegistry((seen, response) => {
      send(response, 401, { "www-authenticate": `Basic realm="http://${seen.headers.host}"` });
    });
    await using registry = await fakeRegistry((_seen, response) => send(response, 307, { location: storage.url }));
    await using resolver = testResolver({ credentials: async () => ({ username: "ann", password: "secret" }) });
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({ code: "ERR_UNAUTHENTICATED" });
    expect(storage.seen.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  // D4
  test("to a host that wants a token of its own is followed with an anonymous one", async () => {
    await using storage = await fakeRegistry((seen, response) => {
      if (seen.path === "/token?service=s&scope=read") send(response, 200, {}, '{"token": "anon"}');
      else if (seen.headers.authorization === "Bearer anon") sendBlob(seen, response, blob);
      else {
        const realm = `Bearer realm="http://${seen.headers.host}/token",service="s",scope="read"`;
        send(response, 401, { "www-authenticate": realm });
      }
    });
    await using registry = await fakeRegistry((_seen, response) => send(response, 307, { location: storage.url }));
    await using resolver = testResolver({ credentials, headers: { "x-api-key": "k" } });
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(storage.seen.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined, "Bearer anon"]);
    expect(storage.seen.some(({ headers }) => "x-api-key" in headers)).toBe(false);
    expect(registry.seen).toHaveLength(1);
  });

  // D5, U-RES.7
  test("may lead on to others, ten in all", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      const step = Number(/^\/step\/(\d+)$/.exec(seen.path)?.[1] ?? 0);
      if (step === 10) send(response, 200, {}, blob);
      else send(response, 307, { location: `/step/${step + 1}` });
    });
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
  });

  // D5, U-RES.7
  test("in a circle, or on and on, is given up", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      const step = Number(/^\/step\/(\d+)$/.exec(seen.path)?.[1] ?? 0);
      send(response, 307, { location: seen.path.includes("/circle/") ? seen.path : `/step/${step + 1}` });
    });
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/circle/app:v1`)).rejects.toMatchObject({
      code: "ERR_INVALID_DATA",
      message: expect.stringContaining("redirected in a circle"),
    });
    const before = registry.seen.length;
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      message: expect.stringContaining("more than 10 redirects"),
    });
    expect(registry.seen.length - before).toBe(11);
  });

  test.each(["file:///etc/passwd", "gopher://x/", "http://"])("to %s is no redirect", async (location) => {
    // More than is read ahead: an answer that nobody ends would keep its connection.
    const body = Buffer.alloc(4 * 1024 * 1024);
    await using registry = await fakeRegistry((_seen, response) => send(response, 307, { location }, body));
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
    await until(() => registry.sockets.size === 0);
  });

  // D6
  test("of a HEAD counts the length of the last answer", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path === "/elsewhere") sendManifest(seen, response);
      else send(response, 307, { location: "/elsewhere", "content-length": "999" });
    });
    await using resolver = testResolver();
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
  });

  // A14
  test("that fails does not show the signature in its address", async () => {
    await using storage = await fakeRegistry((seen, response) => {
      send(response, 404, { "content-type": "text/plain" }, `no ${seen.path}`);
    });
    await using registry = await fakeRegistry((_seen, response) => {
      const [, address] = storage.url.split("//");
      send(response, 307, { location: `http://ann:pw@${address}/bucket?X-Amz-Signature=abcdef` });
    });
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
      message: `GET ${storage.url}/bucket?…: 404 Not Found`,
    });
    expect(storage.seen[0]?.headers.authorization).toBeUndefined();
    expect(blobPath).toContain("sha256");
  });
});
