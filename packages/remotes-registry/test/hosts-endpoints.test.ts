import type { EndpointsCallback, RegistryEndpoint } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { fakeRegistry, portOf, send, sendBlob } from "./fake-registry.ts";
import type { FakeRegistry, Script } from "./fake-registry.ts";
import { blob, errorOf, fetchLayer, fetchOf, layer, manifest, sendManifest, target, testResolver } from "./fixtures.ts";
import { tokenRegistry } from "./token-registry.ts";
import { RegistryHosts } from "../src/hosts/registry-hosts.ts";
import { Transport } from "../src/http/transport.ts";
import { settingsFrom } from "../src/options.ts";

const name = "registry.example/lib/app:v1";

function answering(): Promise<FakeRegistry> {
  return fakeRegistry((seen, response) => {
    if (seen.path.includes("/blobs/")) sendBlob(seen, response, blob);
    else sendManifest(seen, response);
  });
}

function only(...endpoints: readonly RegistryEndpoint[]): EndpointsCallback {
  return async () => endpoints;
}

const challenge = { "www-authenticate": 'Basic realm="x"' };

/** A server that wants a login, and then does what the script says. */
function behindLogin(script: Script): Promise<FakeRegistry> {
  return fakeRegistry((seen, response) => {
    if (seen.headers.authorization !== undefined) return script(seen, response);
    return send(response, 401, challenge);
  });
}

function as(username: string): () => Promise<{ readonly username: string; readonly password: string }> {
  return async () => ({ username, password: "planted-secret" });
}

function basicOf(user: string): string {
  return `Basic ${Buffer.from(`${user}:planted-secret`).toString("base64")}`;
}

function sent({ seen }: FakeRegistry): (string | undefined)[] {
  return seen.map(({ headers }) => headers.authorization);
}

/** A server that takes whatever is pushed. */
function accepting(): Promise<FakeRegistry> {
  return fakeRegistry((seen, response) => send(response, seen.method === "HEAD" ? 404 : 201));
}

async function* body(): AsyncGenerator<Uint8Array> {
  yield manifest;
}

describe("the address of an endpoint", () => {
  // U-HOST.1: override_path, and paths in front of the API's
  test.each([
    ["", false, "/v2/lib/app/"],
    ["/", false, "/v2/lib/app/"],
    ["/proxy", false, "/proxy/v2/lib/app/"],
    ["/proxy//", false, "/proxy/v2/lib/app/"],
    ["/proxy/v2", false, "/proxy/v2/lib/app/"],
    ["/v2/hub", true, "/v2/hub/lib/app/"],
    ["", true, "/lib/app/"],
    ["//other.example", true, "//other.example/lib/app/"],
  ])("%j with override %j leads to %s", async (path, overridePath, expected) => {
    await using server = await answering();
    await using resolver = testResolver({ endpoints: only({ url: `${server.url}${path}`, overridePath }) });
    await resolver.resolve(name);
    expect(server.log()).toEqual([`HEAD ${expected}manifests/v1?ns=registry.example`]);
  });

  test.each([
    ["that is none", "no address", "its address is no http or https URL"],
    ["of another scheme", "ftp://mirror.example", "its address is no http or https URL"],
    ["with a password", "https://me:planted-secret@mirror.example", "credentials do not belong into its address"],
    ["with a query", "https://mirror.example/?key=planted-secret", "https://mirror.example/ has a query"],
    ["with a fragment", "https://mirror.example/#planted-secret", "https://mirror.example/ has a query"],
  ])("%s is refused", async (_what, url, why) => {
    await using resolver = testResolver({ endpoints: only({ url }) });
    await expect(resolver.resolve(name)).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: `endpoint of registry registry.example: ${why}`,
    });
  });

  test.each(["", "../up", "UP", "a//b", "a/", "a?b", "x".repeat(256)])(
    "with the repository %j is refused",
    async (repository) => {
      await using resolver = testResolver({ endpoints: only({ url: "https://mirror.example", repository }) });
      await expect(resolver.resolve(name)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    },
  );

  test("of a registry whose name is no address is refused", async () => {
    await using resolver = testResolver();
    await expect(resolver.resolve("256.1.1.1/lib/app")).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: "endpoint of registry 256.1.1.1: its address is no http or https URL",
    });
  });

  // N4: an address is meant as it is written
  test("of a mirror is not asked by http because all else is", async () => {
    await using server = await fakeRegistry(sendManifest);
    const endpoints = only({ url: `https://${server.host}`, httpFallback: false });
    await using resolver = testResolver({ endpoints, plainHttp: true, retries: 0 });
    await expect(resolver.resolve(name)).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(server.seen).toEqual([]);
  });

  // N4, C-RES.3, U-HOST.3
  test("of a loopback mirror falls back to http when it does not speak TLS, unless TLS is set up for it", async () => {
    await using server = await fakeRegistry(sendManifest);
    const url = `https://${server.host}`;
    await using resolver = testResolver({ endpoints: only({ url }), plainHttp: false });
    expect((await resolver.resolve(name)).descriptor).toEqual(target);
    expect(server.seen).toHaveLength(1);

    await using strict = testResolver({ endpoints: only({ url, skipVerify: false }), plainHttp: false, retries: 0 });
    await expect(strict.resolve(name)).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(server.seen).toHaveLength(1);
  });
});

// C-RES.3, U-HOST.3: who listens for TLS and is slow must not get the request in the clear
test("a loopback host that does not finish the handshake is not asked by http", async () => {
  const first: number[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on("error", () => undefined));
    socket.once("data", (chunk) => first.push(chunk[0] ?? 0));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await using resolver = testResolver({ plainHttp: false, retries: 0, connectTimeout: 1000 });
    await expect(resolver.resolve(`127.0.0.1:${portOf(server)}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_NETWORK",
    });
    // A handshake begins with this byte, a request with a letter; a busy machine may be too late for either.
    expect(first.filter((byte) => byte !== 0x16)).toEqual([]);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

describe("an endpoint's own settings", () => {
  // U-HOST.1
  test("as headers go to that server only, and never into messages", async () => {
    await using mirror = await fakeRegistry((_seen, response) => send(response, 404, {}, "no key-planted-secret here"));
    await using other = await fakeRegistry((seen, response) => {
      send(
        response,
        404,
        { "content-type": "text/plain" },
        `you sent ${String(seen.headers["x-key"])} key-planted-secret`,
      );
    });
    const endpoints = only(
      { url: mirror.url, headers: { "X-Key": "key-planted-secret" } },
      { url: other.url, headers: { "X-Other": "key-planted-secret" } },
    );
    await using resolver = testResolver({ endpoints, headers: { "x-meta": "all" } });
    const error = await errorOf(fetchLayer(resolver, "registry.example"));
    expect(mirror.seen[0]?.headers).toMatchObject({ "x-key": "key-planted-secret", "x-meta": "all" });
    expect(other.seen[0]?.headers["x-key"]).toBeUndefined();
    expect(String(error)).toContain("you sent undefined …");
    expect(String(error)).not.toContain("planted-secret");
  });

  // T4, A15: spegel's rule
  test("do not include the registry's credentials: each server is known by its own name", async () => {
    await using mirror = await behindLogin((_seen, response) => send(response, 500));
    await using origin = await behindLogin(sendManifest);
    const asked: string[] = [];
    const credentials = async (host: string, repository: string) => {
      asked.push(`${host} ${repository}`);
      return { username: host, password: "planted-secret" };
    };
    const endpoints = only({ url: mirror.url, repository: "cache/app" }, { url: origin.url });
    await using resolver = testResolver({ endpoints, credentials });
    await resolver.resolve(`${origin.host}/lib/app:v1`);
    expect(asked.toSorted()).toEqual([`${mirror.host} cache/app`, `${origin.host} lib/app`].toSorted());
    expect(sent(mirror)).toEqual([undefined, basicOf(mirror.host)]);
    expect(sent(origin)).toEqual([undefined, basicOf(origin.host)]);
  });

  // T4
  test("do not include a login that stands among the headers for all registries", async () => {
    await using mirror = await fakeRegistry((_seen, response) => send(response, 404));
    await using origin = await answering();
    const headers = { Authorization: "Basic planted-secret", Cookie: "planted-secret", "X-Team": "blue" };
    await using resolver = testResolver({ endpoints: only({ url: mirror.url }, { url: origin.url }), headers });
    await resolver.resolve(`${origin.host}/lib/app:v1`);
    expect(mirror.seen[0]?.headers).toMatchObject({ "x-team": "blue" });
    expect(JSON.stringify(mirror.seen[0]?.headers)).not.toContain("planted-secret");
    expect(origin.seen[0]?.headers).toMatchObject({ authorization: "Basic planted-secret", cookie: "planted-secret" });
  });

  // G-21: what one may see is not for the other
  test("as credentials make another server of the same address", async () => {
    await using server = await behindLogin(sendManifest);
    const [one, other] = [as("one"), as("other")];
    const endpoints: EndpointsCallback = async (host) => [
      { url: server.url, credentials: host === "other.example" ? other : one },
    ];
    await using resolver = testResolver({ endpoints });
    for (const host of ["one.example", "other.example", "third.example"]) await resolver.resolve(`${host}/lib/app`);
    // The third knows what the first found out.
    const [asOne, asOther] = [basicOf("one"), basicOf("other")];
    expect(sent(server)).toEqual([undefined, asOne, undefined, asOther, asOne]);
  });

  // A2, A10
  test("as another repository name stand in the path and in the scope", async () => {
    await using server = await tokenRegistry({ more: "" });
    const endpoints = only({ url: server.url, repository: "hub/lib/app" });
    await using resolver = testResolver({ endpoints });
    await resolver.resolve(name);
    await resolver.resolve(name);
    const paths = server.seen.map(({ path }) => new URL(path, server.url));
    const scopes = paths.flatMap((url) => url.searchParams.getAll("scope"));
    expect(scopes).toEqual(["repository:hub/lib/app:pull"]);
    expect(paths.filter(({ pathname }) => pathname.startsWith("/v2/")).map(({ pathname }) => pathname)).toEqual(
      Array.from({ length: 3 }, () => "/v2/hub/lib/app/manifests/v1"),
    );
  });
});

describe("what an endpoint can do", () => {
  // U-HOST.1, P3
  test("decides where pushes go: to the registry itself, before mirrors that take them", async () => {
    await using mirror = await accepting();
    await using origin = await accepting();
    await using resolver = testResolver({ endpoints: only({ url: mirror.url }, { url: origin.url }) });
    await resolver.pusher(`${origin.host}/lib/app`).push(target, { body });
    expect(mirror.seen).toEqual([]);
    expect(origin.seen.map(({ method }) => method)).toEqual(["HEAD", "PUT"]);

    const capabilities = ["resolve", "pull"] as const;
    await using readOnly = testResolver({ endpoints: only({ url: mirror.url }, { url: origin.url, capabilities }) });
    await readOnly.pusher(`${origin.host}/lib/app`).push(target, { body });
    expect(mirror.seen.map(({ method }) => method)).toEqual(["HEAD", "PUT"]);
  });

  test("is refused with the operation's name when no server can do it", async () => {
    await using resolver = testResolver({ endpoints: only({ url: "https://mirror.example", capabilities: ["pull"] }) });
    const wanted = {
      code: "ERR_FAILED_PRECONDITION",
      message: "registry registry.example: none of its 1 configured servers can resolve",
    };
    await expect(resolver.resolve(name)).rejects.toMatchObject(wanted);
    await using none = testResolver({ endpoints: only() });
    await expect(fetchLayer(none, "registry.example")).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  });
});

describe("endpoints", () => {
  test("are asked for once for each repository, by the name the registry has in references", async () => {
    await using server = await answering();
    const asked: string[] = [];
    const endpoints: EndpointsCallback = async (host, repository) => {
      asked.push(`${host} ${repository}`);
      return [{ url: server.url }];
    };
    await using resolver = testResolver({ endpoints });
    for (const reference of ["nginx", "index.docker.io/library/nginx", "registry-1.docker.io/library/nginx:2", name]) {
      await resolver.resolve(reference);
      await fetchOf(resolver.fetcher(reference), layer);
    }
    // N2
    expect(asked).toEqual(["docker.io library/nginx", "registry.example lib/app"]);
    const ns = server.seen.map(({ path }) => new URL(path, server.url).searchParams.get("ns"));
    expect(new Set(ns.slice(0, 6))).toEqual(new Set(["docker.io"]));
  });

  // N2: whichever name a file gives to Docker Hub; asked of the routes themselves, since no test can ask Docker Hub
  test.each(["docker.io", "index.docker.io", "registry-1.docker.io", "registry-1.docker.io:443"])(
    "at %s are Docker Hub itself, where it answers, with the credentials of docker.io",
    (host) => {
      const settings = settingsFrom({});
      const hosts = new RegistryHosts(settings, { transport: () => new Transport(settings) });
      const own = hosts.route({ url: `https://${host}` }, "docker.io", "library/nginx");
      expect(own).toMatchObject({ isRegistry: true, host: { name: "docker.io" } });
      expect(own.host.owns(new URL("https://registry-1.docker.io/v2/"))).toBe(true);
      const mirror = hosts.route({ url: `https://${host}` }, "registry.example", "library/nginx");
      expect(mirror).toMatchObject({ isRegistry: false, host: { name: "docker.io" } });
    },
  );

  test("that cannot be told end the request with that error, and are asked for again", async () => {
    await using server = await answering();
    const asked: string[] = [];
    const endpoints: EndpointsCallback = async (host) => {
      asked.push(host);
      if (asked.length === 1) throw new Error("the file is broken");
      return [{ url: server.url }];
    };
    await using resolver = testResolver({ endpoints });
    await expect(fetchLayer(resolver, "registry.example")).rejects.toThrow("the file is broken");
    expect(await fetchLayer(resolver, "registry.example")).toEqual(blob);
  });

  // T8
  test("that take for ever to tell do not keep an abort", async () => {
    await using resolver = testResolver({ endpoints: () => new Promise(() => undefined) });
    const reason = new Error("enough");
    for (const signal of [AbortSignal.abort(reason), abortedSoon(reason)]) {
      expect(await errorOf(resolver.resolve(name, { signal }))).toBe(reason);
      expect(await errorOf(fetchOf(resolver.fetcher(name), layer, signal))).toBe(reason);
    }
  });
});

function abortedSoon(reason: Error): AbortSignal {
  const stop = new AbortController();
  setImmediate(() => stop.abort(reason));
  return stop.signal;
}
