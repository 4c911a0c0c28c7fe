import { describe, expect, test } from "vitest";
import type { RegistryExchange, RegistryResolverOptions } from "@varve/remotes-registry";
// The rules are tables; a server for each row would only hide them.
import { parseNoProxy } from "../src/http/no-proxy.ts";
import { chooseProxies } from "../src/http/proxies.ts";
import { fakeRegistry, send, sendBlob } from "./fake-registry.ts";
import { blob, blobPath, errorOf, fetchLayer, sendManifest, target, testResolver } from "./fixtures.ts";
import { makeAuthority } from "./http-certificates.ts";
import { fakeProxy } from "./http-proxy-server.ts";

const authority = makeAuthority("proxy authority");
const tls = authority?.issue("DNS:registry.example,DNS:localhost,IP:127.0.0.1");
const certificateAuthorities = [authority?.certificate ?? ""];
const password = "planted-secret-proxy";

// D7, cli.md 2.5
describe("NO_PROXY", () => {
  test.each([
    ["registry.example", "https://registry.example/", true],
    ["registry.example", "https://a.registry.example/", true],
    ["registry.example", "https://aregistry.example/", false],
    ["registry.example", "https://registry.example.org/", false],
    [".registry.example", "https://a.registry.example/", true],
    [".registry.example", "https://registry.example/", false],
    ["*.registry.example", "https://a.b.registry.example/", true],
    ["*.registry.example", "https://registry.example/", false],
    ["REGISTRY.example.", "https://Registry.Example/", true],
    ["registry.example", "https://registry.example./", true],
    ["registry.example:5000", "https://registry.example:5000/", true],
    ["registry.example:5000", "https://registry.example/", false],
    ["registry.example:443", "https://registry.example/", true],
    ["registry.example:443", "http://registry.example/", false],
    ["registry.example:80", "http://registry.example/", true],
    ["*", "https://anything.example/", true],
    ["*:443", "http://anything.example/", false],
    ["other.example, registry.example", "https://registry.example/", true],
    ["other.example registry.example", "https://registry.example/", true],
    ["10.0.0.0/8", "https://10.1.2.3:5000/", true],
    ["10.0.0.0/8", "https://11.1.2.3:5000/", false],
    ["10.0.0.0/8", "https://10.example/", false],
    ["10.1.2.3", "https://10.1.2.3/", true],
    ["10.1.2.3:5000", "https://10.1.2.3:5000/", true],
    ["10.1.2.3:5000", "https://10.1.2.3:5001/", false],
    ["fd00::/8", "https://[fd12::1]/", true],
    ["[fd00::]/8", "https://[fe80::1]/", false],
    ["::1", "http://[::1]:5000/", true],
    ["[::1]", "http://[::1]:5000/", true],
    ["[::1]:5000", "http://[::1]:5000/", true],
    ["[::1]:5000", "http://[::1]:5001/", false],
    ["10.0.0.0/99, 999.0.0.0/8, , ., :, [, 1::2::3", "https://registry.example/", false],
    ["", "https://registry.example/", false],
  ])("of %j says of %s: %j", (list, url, direct) => {
    expect(parseNoProxy(list)(new URL(url))).toBe(direct);
  });
});

// D7, cli.md 2.5
describe("the environment", () => {
  const https = "https://registry.example/";
  const http = "http://registry.example/";
  test.each([
    [{ HTTPS_PROXY: "http://p:1" }, https, "p:1"],
    [{ HTTPS_PROXY: "http://p:1" }, http, undefined],
    [{ HTTP_PROXY: "http://p:1" }, http, "p:1"],
    [{ HTTP_PROXY: "http://p:1" }, https, undefined],
    [{ ALL_PROXY: "http://p:1" }, https, "p:1"],
    [{ all_proxy: "http://p:1" }, http, "p:1"],
    [{ https_proxy: "http://lower:1", HTTPS_PROXY: "http://upper:1" }, https, "lower:1"],
    [{ https_proxy: "", HTTPS_PROXY: "http://upper:1" }, https, undefined],
    [{ HTTPS_PROXY: "http://p:1", ALL_PROXY: "http://all:1" }, https, "p:1"],
    [{ HTTPS_PROXY: "p.example:3128" }, https, "p.example:3128"],
    [{ HTTPS_PROXY: "https://p.example" }, https, "p.example"],
    [{ HTTPS_PROXY: "http://p:1", NO_PROXY: "registry.example" }, https, undefined],
    [{ HTTPS_PROXY: "http://p:1", no_proxy: "other.example", NO_PROXY: "registry.example" }, https, "p:1"],
    // The header `Proxy` of whoever asks a CGI script stands there.
    [{ HTTP_PROXY: "http://p:1", REQUEST_METHOD: "GET" }, http, undefined],
    [{ http_proxy: "http://p:1", REQUEST_METHOD: "GET" }, http, "p:1"],
    [{ HTTPS_PROXY: "http://p:1" }, "https://localhost:5000/", undefined],
    [{ HTTPS_PROXY: "http://p:1" }, "https://127.0.0.2:5000/", undefined],
    [{ HTTPS_PROXY: "http://p:1" }, "https://[::1]:5000/", undefined],
    [{}, https, undefined],
  ])("of %j has for %s the proxy %s", (environment, url, host) => {
    expect(chooseProxies(undefined, environment)(new URL(url))?.host).toBe(host);
  });

  test("does not count where proxies are given, or refused", () => {
    const environment = { HTTPS_PROXY: "http://p:1", HTTP_PROXY: "http://p:1", NO_PROXY: "registry.example" };
    expect(chooseProxies(false, environment)(new URL("https://other.example"))).toBeUndefined();
    const given = chooseProxies({ https: "http://mine:1" }, environment);
    expect(given(new URL(https))?.host).toBe("mine:1");
    expect(given(new URL("https://127.0.0.1/"))?.host).toBe("mine:1");
    expect(given(new URL(http))).toBeUndefined();
  });
});

// A14
test.each([
  [
    `socks5://ann:${password}@p.example:1080`,
    "ERR_NOT_IMPLEMENTED",
    "proxy p.example:1080: socks5 is not supported, only http and https",
  ],
  [`http://ann:${password}@:x`, "ERR_INVALID_ARGUMENT", "proxy: not an address"],
])("a proxy that cannot be used (%#) is an error that does not show its password", async (https, code, message) => {
  await using resolver = testResolver({ plainHttp: false, proxy: { https } });
  await expect(resolver.resolve("registry.example/lib/app:v1")).rejects.toMatchObject({ code, message });
});

function openResolver(options: RegistryResolverOptions): ReturnType<typeof testResolver> {
  return testResolver({ plainHttp: false, certificateAuthorities, retries: 0, ...options });
}

// D7
describe.skipIf(authority === undefined)("through a proxy (needs openssl)", () => {
  test("https goes by CONNECT, to names that only the proxy knows, and to each host for itself", async () => {
    await using proxy = await fakeProxy();
    await using storage = await fakeRegistry((seen, response) => sendBlob(seen, response, blob), { tls });
    await using direct = await fakeRegistry((seen, response) => sendBlob(seen, response, blob), {
      tls,
      name: "localhost",
    });
    let location = storage.url;
    await using registry = await fakeRegistry(
      (seen, response) => {
        if (seen.path === blobPath) send(response, 307, { location });
        else sendManifest(seen, response);
      },
      { tls, name: "registry.example" },
    );
    await using resolver = openResolver({ proxy: { https: `http://${proxy.host}`, noProxy: "localhost" } });
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect(proxy.log).toEqual([`CONNECT ${registry.host}`]);
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    // How many connections there are is not this test's matter.
    expect(new Set(proxy.log)).toEqual(new Set([`CONNECT ${registry.host}`, `CONNECT ${storage.host}`]));
    location = direct.url;
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(direct.seen).toHaveLength(1);
    expect(new Set(proxy.log).size).toBe(2);
  });

  test("that is spoken to by https works as well", async () => {
    await using proxy = await fakeProxy({ tls });
    await using registry = await fakeRegistry(sendManifest, { tls, name: "registry.example" });
    await using resolver = openResolver({ proxy: { https: `https://${proxy.host}` } });
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect(proxy.log).toEqual([`CONNECT ${registry.host}`]);
  });

  test("that is spoken to by https is verified, whatever is true of registries", async () => {
    await using proxy = await fakeProxy({ tls });
    await using resolver = openResolver({
      certificateAuthorities: [],
      skipVerify: true,
      proxy: { https: `https://${proxy.host}` },
    });
    await expect(resolver.resolve("registry.example/lib/app:v1")).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: expect.stringMatching(/^registry registry\.example: proxy 127\.0\.0\.1:\d+: unable to verify/),
    });
    expect(proxy.log).toEqual([]);
  });

  test("http is asked for by full addresses", async () => {
    await using proxy = await fakeProxy();
    await using registry = await fakeRegistry(sendManifest, { name: "registry.example" });
    await using resolver = openResolver({ plainHttp: true, proxy: { http: `http://${proxy.host}` } });
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect(proxy.log).toEqual([`HEAD ${registry.url}/v2/lib/app/manifests/v1`]);
    expect(registry.seen[0]?.headers.host).toBe(registry.host);
  });

  // A14
  test.each([
    ["https", { tls }],
    ["http", {}],
  ])(
    "%s is asked for with user and password, which no registry and nobody else gets to see",
    async (scheme, options) => {
      const login = `ann:${password}/ü`;
      await using proxy = await fakeProxy({ login });
      await using registry = await fakeRegistry(
        (seen, response) => {
          if (seen.path === blobPath) send(response, 404, { "content-type": "text/plain" }, `no: ${login}`);
          else sendManifest(seen, response);
        },
        { ...options, name: "registry.example" },
      );
      const url = `http://ann:${encodeURIComponent(`${password}/ü`)}@${proxy.host}`;
      const exchanges: RegistryExchange[] = [];
      await using resolver = openResolver({
        plainHttp: scheme === "http",
        proxy: { http: url, https: url },
        onExchange: (exchange) => exchanges.push(exchange),
      });
      expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
      const failure = await errorOf(fetchLayer(resolver, registry.host));
      expect(failure).toMatchObject({ code: "ERR_NOT_FOUND", message: expect.stringContaining("no: ann:…") });
      expect(registry.seen).toHaveLength(2);
      expect(registry.seen.some(({ headers }) => "proxy-authorization" in headers)).toBe(false);
      expect(JSON.stringify(exchanges)).not.toContain(password);
    },
  );

  test.each([
    ["https", { tls }],
    ["http", {}],
  ])("that does not know us is no registry that does not: %s", async (scheme, options) => {
    await using proxy = await fakeProxy({ login: "ann:other" });
    await using registry = await fakeRegistry(sendManifest, { ...options, name: "registry.example" });
    const url = `http://ann:${password}@${proxy.host}`;
    await using resolver = openResolver({ retries: 3, plainHttp: scheme === "http", proxy: { http: url, https: url } });
    const failure = await errorOf(resolver.resolve(`${registry.host}/lib/app:v1`));
    expect(failure).toMatchObject({
      code: "ERR_UNAUTHENTICATED",
      message: expect.stringContaining(
        `registry ${registry.host}: proxy ${proxy.host}: it wants a user and a password`,
      ),
    });
    expect(proxy.log).toHaveLength(1);
    expect(registry.seen).toEqual([]);
  });

  test.each([
    ["HTTP/1.1 401 No\r\n\r\n", "ERR_UNAUTHENTICATED", "it wants a user and a password", 1],
    ["HTTP/1.1 403 No\r\n\r\n", "ERR_PERMISSION_DENIED", "it does not allow this", 1],
    ["HTTP/1.1 502 No\r\n\r\n", "ERR_NETWORK", "it answers 502", 3],
    ["HTTP/1.1 302 There\r\nlocation: http://a.example/\r\n\r\n", "ERR_NETWORK", "it answers 302", 1],
    ["what?\r\n\r\n", "ERR_NETWORK", "Parse Error", 3],
  ])("that answers %j: %s", async (refuse, code, message, asked) => {
    await using proxy = await fakeProxy({ refuse });
    await using resolver = openResolver({ retries: 2, proxy: { https: `http://${proxy.host}` } });
    await expect(resolver.resolve("registry.example/lib/app:v1")).rejects.toMatchObject({
      code,
      message: expect.stringContaining(`registry registry.example: proxy ${proxy.host}: ${message}`),
    });
    expect(proxy.log).toHaveLength(asked);
    while (proxy.sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  test("where nobody listens is named", async () => {
    await using resolver = openResolver({ proxy: { https: "http://127.0.0.1:1" } });
    await expect(resolver.resolve("registry.example/lib/app:v1")).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: expect.stringContaining("registry registry.example: proxy 127.0.0.1:1: connection refused"),
    });
  });

  // N12
  test("that does not answer is given up when the time for connecting is over, and its socket closed", async () => {
    await using proxy = await fakeProxy({ refuse: "" });
    await using resolver = openResolver({ connectTimeout: 500, proxy: { https: `http://${proxy.host}` } });
    await expect(resolver.resolve("registry.example/lib/app:v1")).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: expect.stringContaining("connecting took too long"),
    });
    while (proxy.sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(proxy.log).toEqual(["CONNECT registry.example:443"]);
  });

  // T8, N15
  test("that does not answer is given up at an abort, and its socket closed", async () => {
    await using proxy = await fakeProxy({ refuse: "" });
    await using resolver = openResolver({ proxy: { https: `http://${proxy.host}` } });
    const stop = new AbortController();
    const refused = errorOf(resolver.resolve("registry.example/lib/app:v1", { signal: stop.signal }));
    while (proxy.log.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    stop.abort("enough");
    expect(await refused).toBe("enough");
    while (proxy.sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  // D8: the proxy answers in the registry's place, with certificates of its own
  test("that looks into TLS is trusted if its authority is", async () => {
    const inside = makeAuthority("of the company");
    const forged = inside?.issue("DNS:registry.example");
    await using interceptor = await fakeRegistry(sendManifest, { tls: forged, name: "registry.example" });
    await using proxy = await fakeProxy();
    const ask = async (authorities: readonly string[]): Promise<unknown> => {
      await using resolver = openResolver({
        certificateAuthorities: authorities,
        proxy: { https: `http://${proxy.host}` },
      });
      return (await resolver.resolve(`${interceptor.host}/lib/app:v1`)).descriptor;
    };
    await expect(ask(certificateAuthorities)).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(await ask([...certificateAuthorities, inside?.certificate ?? ""])).toEqual(target);
  });
});
