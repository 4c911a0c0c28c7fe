import { createRegistryResolver } from "@varve/remotes-registry";
import type { EndpointsCallback, RegistryNotice } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send, sendBlob } from "./fake-registry.ts";
import {
  blob,
  blobPath,
  errorOf,
  fetchLayer,
  fetchOf,
  layer,
  manifest,
  sendManifest,
  tagPath,
  target,
  testResolver,
} from "./fixtures.ts";
import { always, breaking, breakOff, hasAll, mirrored, nobody } from "./hosts-servers.ts";
import { until } from "./http-raw-server.ts";

describe("a mirror", () => {
  // T3, T4, U-RES.4, C-RES.4
  test("is asked instead of the registry, and told which one is meant", async () => {
    await using mirror = await hasAll();
    await using origin = await hasAll();
    await using resolver = testResolver({ endpoints: mirrored(mirror, origin) });
    expect((await resolver.resolve(`${origin.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect(await fetchLayer(resolver, origin.host)).toEqual(blob);
    const ns = `ns=${encodeURIComponent(origin.host)}`;
    expect(mirror.log()).toEqual([`HEAD ${tagPath}?${ns}`, `GET ${blobPath}?${ns}`]);
    expect(origin.seen).toEqual([]);
  });

  // C-RES.4: AddQuery; a page stays with the server that named it
  test("is told by ns besides what is asked anyway, and not in addresses of its own", async () => {
    await using mirror = await fakeRegistry((seen, response) => {
      const next = { link: '</v2/lib/app/tags/list?n=2&last=b&own=1>; rel="next"' };
      const isFirst = !seen.path.includes("last");
      const tags = JSON.stringify({ name: "lib/app", tags: isFirst ? ["a", "b"] : ["c"] });
      send(response, 200, { "content-type": "application/json", ...(isFirst && next) }, tags);
    });
    await using empty = await always(404);
    await using origin = await hasAll();
    const endpoints = mirrored(empty, { url: mirror.url, headers: { "x-key": "1" } }, origin);
    const resolver = createRegistryResolver({ endpoints });
    const tags = await Array.fromAsync(resolver.repository(`${origin.host}/lib/app`).tags());
    await resolver.close();
    expect(tags).toEqual(["a", "b", "c"]);
    const [first, second] = mirror.seen.map(({ path }) => path);
    expect(first).toMatch(/^\/v2\/lib\/app\/tags\/list\?n=\d+&ns=127\.0\.0\.1%3A\d+$/);
    expect(second).toBe("/v2/lib/app/tags/list?n=2&last=b&own=1");
    expect(mirror.seen.map(({ headers }) => headers["x-key"])).toEqual(["1", "1"]);
    expect(empty.seen).toHaveLength(1);
    expect(origin.seen).toEqual([]);
  });

  // U-RES.4: the registry itself is not a mirror, in whichever place of the list
  test("is told by ns; the registry itself is not", async () => {
    await using origin = await hasAll();
    await using resolver = testResolver({ endpoints: mirrored(origin) });
    await resolver.resolve(`${origin.host}/lib/app:v1`);
    expect(origin.log()).toEqual([`HEAD ${tagPath}`]);
  });

  // T3: also where a lone server would be waited for
  test.each([
    [400, {}, "400 Bad Request"],
    [401, {}, "401 Unauthorized"],
    [401, { "www-authenticate": "Basic" }, "not logged in: it wants a user and a password"],
    [403, {}, "403 Forbidden"],
    [404, {}, "404 Not Found"],
    [429, { "retry-after": "3600" }, "429 Too Many Requests"],
    [500, {}, "500 Internal Server Error"],
    [503, { "retry-after": "20" }, "503 Service Unavailable"],
  ])("that answers %i %j is left at once for the next server, with notice", async (status, headers, reason) => {
    await using mirror = await always(status, headers);
    await using origin = await hasAll();
    const notices: RegistryNotice[] = [];
    const onNotice = (notice: RegistryNotice): unknown => notices.push(notice);
    await using resolver = testResolver({ endpoints: mirrored(mirror, origin), onNotice, retryDelay: 60_000 });
    expect(await fetchLayer(resolver, origin.host)).toEqual(blob);
    expect(await fetchLayer(resolver, origin.host)).toEqual(blob);
    // One that wants a login which we do not have need not be asked again.
    expect(mirror.log()[0]).toContain(blobPath);
    expect(mirror.seen.length).toBe(reason.startsWith("not logged in") ? 1 : status === 401 ? 4 : 2);
    expect(origin.seen).toHaveLength(2);
    const fallbacks = notices.filter(({ type }) => type === "fallback");
    expect(fallbacks).toEqual([{ type: "fallback", host: mirror.host, to: origin.host, reason }]);
  });

  // T3, C-RES.3
  test("that breaks connections is left at once, and asked again next time", async () => {
    await using mirror = await fakeRegistry((_seen, response) => void response.destroy());
    await using origin = await hasAll();
    await using resolver = testResolver({ endpoints: mirrored(mirror, origin), retryDelay: 60_000 });
    await fetchLayer(resolver, origin.host);
    await fetchLayer(resolver, origin.host);
    expect([mirror.seen.length, origin.seen.length]).toEqual([2, 2]);
  });

  // T3: sixty layers must not wait sixty times for a connection
  test("that cannot be reached is asked last for a while", async () => {
    await using origin = await hasAll();
    let mirror = nobody;
    const endpoints: EndpointsCallback = async () => [{ url: mirror }, { url: origin.url }];
    await using second = await hasAll();
    const notices: RegistryNotice[] = [];
    await using resolver = testResolver({ endpoints, onNotice: (notice) => notices.push(notice) });
    await fetchLayer(resolver, origin.host);
    await fetchLayer(resolver, origin.host);
    // What another repository found out about a server holds for all.
    mirror = nobody;
    await fetchOf(resolver.fetcher(`${origin.host}/other/app`), layer);
    expect(origin.seen).toHaveLength(3);
    expect(second.seen).toHaveLength(0);
    expect(notices).toEqual([{ type: "fallback", host: "127.0.0.1:1", to: origin.host, reason: "connection refused" }]);
  });

  test("that cannot be reached is still asked when the registry does not have it, and then its silence is not the error", async () => {
    await using origin = await always(404);
    await using resolver = testResolver({ endpoints: mirrored({ url: nobody }, origin) });
    for (let round = 0; round < 2; round += 1) {
      await expect(fetchLayer(resolver, origin.host)).rejects.toMatchObject({
        code: "ERR_NOT_FOUND",
        message: `GET ${origin.url}${blobPath}: 404 Not Found (also asked: 127.0.0.1:1: connection refused)`,
      });
    }
  });

  // T3
  test("gets one attempt, the last server gets all of them", async () => {
    await using mirror = await always(503);
    await using origin = await fakeRegistry((seen, response) => {
      if (origin.seen.length < 3) send(response, 503);
      else sendManifest(seen, response);
    });
    await using resolver = testResolver({ endpoints: mirrored(mirror, origin) });
    expect((await resolver.resolve(`${origin.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect([mirror.seen.length, origin.seen.length]).toEqual([1, 3]);
  });

  // T3: when a mirror is put in the place of the registry
  test("that is the only server is waited for like a registry", async () => {
    await using mirror = await fakeRegistry((seen, response) => {
      if (mirror.seen.length < 3) send(response, 503);
      else sendManifest(seen, response);
    });
    await using resolver = testResolver({ endpoints: mirrored(mirror) });
    expect((await resolver.resolve("registry.example/lib/app:v1")).descriptor).toEqual(target);
    expect(mirror.seen).toHaveLength(3);
  });

  // M3: what the caller knows to deal with does not make it useless
  test("that does not know HEAD is asked by GET", async () => {
    await using mirror = await fakeRegistry((seen, response) => {
      if (seen.method === "HEAD") send(response, 405);
      else sendManifest(seen, response);
    });
    await using origin = await hasAll();
    await using resolver = testResolver({ endpoints: mirrored(mirror, origin) });
    expect((await resolver.resolve(`${origin.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect(origin.seen).toEqual([]);
  });

  // T3: the public mirror
  test("that serves digests is not asked what a tag means", async () => {
    await using mirror = await hasAll();
    await using origin = await hasAll();
    const endpoints = mirrored({ url: mirror.url, capabilities: ["pull"] }, origin);
    await using resolver = testResolver({ endpoints });
    const { descriptor } = await resolver.resolve(`${origin.host}/lib/app:v1`);
    expect(origin.log()).toEqual([`HEAD ${tagPath}`]);
    expect(mirror.seen).toEqual([]);
    expect(await fetchOf(resolver.fetcher(`${origin.host}/lib/app:v1`), descriptor)).toEqual(manifest);
    await resolver.resolve(`${origin.host}/lib/app@${target.digest}`);
    expect(mirror.seen.map(({ method }) => method)).toEqual(["GET", "HEAD"]);
    expect(origin.seen).toHaveLength(1);
  });

  // U-FET.2, T3
  test("whose body breaks off is left, and the next server goes on from there", async () => {
    await using mirror = await breaking(70_000);
    await using origin = await hasAll();
    await using resolver = testResolver({ endpoints: mirrored(mirror, origin) });
    expect(await fetchLayer(resolver, origin.host)).toEqual(blob);
    expect(mirror.seen).toHaveLength(1);
    expect(origin.seen.map(({ headers }) => headers.range)).toEqual([expect.stringMatching(/^bytes=\d+-$/)]);
  });

  // T3: two of them that take turns would never come to an end
  test("whose body breaks off leaves the blob to all others before it is asked again", async () => {
    await using first = await breaking(10);
    await using second = await breaking(10);
    await using origin = await hasAll();
    await using resolver = testResolver({ endpoints: mirrored(first, second, origin) });
    expect(await fetchLayer(resolver, origin.host)).toEqual(blob);
    expect([first, second, origin].map(({ seen }) => seen.length)).toEqual([1, 1, 1]);
  });

  test("whose body breaks off is asked again once all others have broken off, too", async () => {
    const log: string[] = [];
    await using mirror = await fakeRegistry((_seen, response) => {
      log.push("mirror");
      breakOff(response, 0);
    });
    await using origin = await fakeRegistry((seen, response) => {
      log.push("origin");
      if (origin.seen.length === 1) breakOff(response, 0);
      else sendBlob(seen, response, blob);
    });
    await using resolver = testResolver({ endpoints: mirrored(mirror, origin) });
    expect(await fetchLayer(resolver, origin.host)).toEqual(blob);
    expect(log).toEqual(["mirror", "origin", "mirror", "origin"]);
  });

  // T8
  test("that hangs does not keep an abort, and nobody else is asked then", async () => {
    await using mirror = await fakeRegistry(() => undefined);
    await using origin = await hasAll();
    await using resolver = testResolver({ endpoints: mirrored(mirror, origin) });
    const stop = new AbortController();
    const reason = new Error("enough");
    const refused = errorOf(fetchOf(resolver.fetcher(`${origin.host}/lib/app`), layer, stop.signal));
    await until(() => mirror.seen.length === 1);
    stop.abort(reason);
    expect(await refused).toBe(reason);
    expect(origin.seen).toEqual([]);
  });

  test("for several registries gives all of them together as many places as one host has", async () => {
    let open = 0;
    let most = 0;
    await using mirror = await fakeRegistry(async (_seen, response) => {
      open += 1;
      most = Math.max(most, open);
      await until(() => most >= 2);
      // Long enough for a third one to come, if it may.
      await new Promise((resolve) => setTimeout(resolve, 10));
      open -= 1;
      send(response, 200, {}, blob);
    });
    await using resolver = testResolver({ endpoints: mirrored(mirror), maxConcurrentPerHost: 2 });
    const names = ["a.example/lib/app", "a.example/lib/other", "b.example/lib/app", "b.example/lib/other"];
    await Promise.all(names.map((name) => fetchOf(resolver.fetcher(name), layer)));
    expect(mirror.seen).toHaveLength(4);
    expect(most).toBe(2);
  });
});
