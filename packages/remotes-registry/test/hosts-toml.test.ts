import { join } from "node:path";
import { firstOf, hostsDirectories } from "@varve/remotes-registry";
import type { EndpointsCallback, RegistryEndpoint } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send } from "./fake-registry.ts";
import { fileTree } from "./hosts-files.ts";
import { makeAuthority } from "./http-certificates.ts";
import { sendManifest, target, testResolver } from "./fixtures.ts";

const host = "registry.example";
const itself = { url: `https://${host}` };

/** What a `hosts.toml` for a registry comes to. */
async function read(text: string, registry = host): Promise<readonly RegistryEndpoint[] | undefined> {
  await using tree = await fileTree({ [`${registry}/hosts.toml`]: text });
  return await hostsDirectories([tree.path])(registry, "lib/app");
}

// U-HOST.1, C-RES.14
describe("a hosts.toml", () => {
  test("names hosts, which are asked in the order of the file, and the registry last", async () => {
    const text = `
      [host."https://b.example"]
      capabilities = ["pull"]
      [host."http://a.example:5000/x"]
      capabilities = ["Pull", "resolve", "push", "referrers"]
      [host."c.example"]
      skip_verify = true
      [host."https://b.example".header]
      x-late = "1"
    `;
    expect(await read(text)).toEqual([
      { url: "https://b.example/", capabilities: ["pull"], headers: { "x-late": "1" } },
      { url: "http://a.example:5000/x", capabilities: ["pull", "resolve", "push", "referrers"] },
      { url: "https://c.example/", skipVerify: true },
      itself,
    ]);
  });

  test("may name another server, and what it needs", async () => {
    const text = `
      server = "https://other.example/v2/cache"
      capabilities = ["pull", "resolve"]
      override_path = true
      dial_timeout = "1m1.5s"
      [header]
      x-one = "1"
      x-list = ["a", "b"]
    `;
    expect(await read(text)).toEqual([
      {
        url: "https://other.example/v2/cache",
        capabilities: ["pull", "resolve"],
        overridePath: true,
        connectTimeout: 61_500,
        headers: { "x-one": "1", "x-list": "a, b" },
      },
    ]);
  });

  // N2
  test("for Docker Hub leads to where it answers", async () => {
    expect(await read(`[host."https://m.example"]`, "docker.io")).toEqual([
      { url: "https://m.example/" },
      { url: "https://registry-1.docker.io" },
    ]);
  });

  test("that names the server among the hosts does not have it asked twice, and loses nothing it can do", async () => {
    const limited = `server = "${itself.url}/"\n[host."${itself.url}"]\ncapabilities = ["pull", "resolve"]`;
    expect(await read(limited)).toEqual([
      { url: `${itself.url}/`, capabilities: ["pull", "resolve"] },
      { url: `${itself.url}/`, capabilities: ["push", "referrers"] },
    ]);
    expect(await read(`[host."${itself.url}"]\nskip_verify = true`)).toEqual([
      { url: `${itself.url}/`, skipVerify: true },
    ]);
    expect(await read(`server = "https://a.example/x/"\n[host."A.example/x"]`)).toHaveLength(1);
  });

  test.each([
    ["500ms", 500],
    ["1s", 1000],
    ["2h", 7_200_000],
    ["1.5s", 1500],
    ["1us", 1],
  ])("has a dial_timeout of %s", async (text, expected) => {
    expect((await read(`dial_timeout = "${text}"`))?.[0]?.connectTimeout).toBe(expected);
  });

  test("that is empty says nothing", async () => {
    expect(await read("")).toBeUndefined();
  });
});

// G-21
describe("a credential helper", () => {
  const text = `[host."https://m.example"]\ncredential_helper = "ecr-login"`;

  test("may be named for one host, and is asked for that one only", async () => {
    await using mirror = await fakeRegistry((seen, response) => {
      const { authorization } = seen.headers;
      if (authorization === undefined) send(response, 401, { "www-authenticate": 'Basic realm="x"' });
      else send(response, 404);
    });
    await using origin = await fakeRegistry(sendManifest);
    await using tree = await fileTree({
      [`${origin.host}/hosts.toml`]: `server = "${origin.url}"\n[host."${mirror.url}"]\ncredential_helper = "mine"`,
    });
    const asked: string[] = [];
    const credentialHelper = (name: string) => async (registry: string, repository: string) => {
      asked.push(`${name} ${registry} ${repository}`);
      return { username: "u", password: "planted-secret" };
    };
    const endpoints = hostsDirectories([tree.path], { credentialHelper });
    await using resolver = testResolver({ endpoints, credentials: async (registry) => void asked.push(registry) });
    await resolver.resolve(`${origin.host}/lib/app:v1`);
    expect(asked.toSorted()).toEqual([origin.host, `mine ${mirror.host} lib/app`].toSorted());
    expect(mirror.seen.map(({ headers }) => headers.authorization)).toEqual([
      undefined,
      `Basic ${Buffer.from("u:planted-secret").toString("base64")}`,
    ]);
  });

  test("is not left out where nothing can run it, and has a plain name", async () => {
    await expect(read(text)).rejects.toMatchObject({
      code: "ERR_NOT_IMPLEMENTED",
      message: expect.stringContaining("credential_helper: nothing here runs credential helpers"),
    });
    await expect(read(`credential_helper = "../x"`)).rejects.toMatchObject({
      code: "ERR_INVALID_DATA",
      message: expect.stringContaining("credential_helper: no name of a credential helper"),
    });
  });
});

// The message names the file and the key, and repeats no value
describe("a hosts.toml is refused, with file and key, when", () => {
  const m = `host."https://m.example"`;
  test.each([
    ["it is not TOML", `server = "a"\n[host`, /hosts\.toml: line 2: incomplete [a-z: -]+$/],
    ["a header is broken TOML", `[header]\nx = "planted-secret\n`, /hosts\.toml: line 2: control [a-z -]+$/],
    ["server is no address", `server = "https://"`, /: server: must be the address of a server, with http or https$/],
    ["server is of another kind", `server = "ftp://a"`, /: server: must be the address/],
    ["server is no text", `server = 1`, /: server: must be a string$/],
    ["a host is a number", `[host."5000"]`, /: host\."?5000"?: must be the address/],
    [
      "a host has a user",
      `[host."https://u:planted-secret@a"]`,
      /: host\."https:\/\/…@a": an address has no user and no query$/,
    ],
    ["host is no table", `host = 1`, /: host: must be a table$/],
    ["a host is no table", `host = { "https://a" = 1 }`, /: host\."https:\/\/a": must be a table$/],
    [
      "a capability is unknown",
      `[${m}]\ncapabilities = ["pull", "fly"]`,
      /: host\."https:\/\/m\.example"\.capabilities\[1\]: no/,
    ],
    ["capabilities are no list", `capabilities = "pull"`, /: capabilities: must be a list of strings$/],
    ["skip_verify is no boolean", `[${m}]\nskip_verify = "yes"`, /\.skip_verify: must be true or false$/],
    ["override_path is no boolean", `override_path = 1`, /: override_path: must be true or false$/],
    ["ca is no path", `ca = 1`, /: ca: must be a list of strings$/],
    ["ca has what is no path", `ca = ["a", 1]`, /: ca\[1\]: must be a string$/],
    ["ca is not there", `ca = "none.pem"`, /: ca: \S+\/none\.pem is not there$/],
    ["ca is no certificate", `ca = "hosts.toml"`, /: ca: \S+\/hosts\.toml has no certificate in PEM form$/],
    ["client is no path", `client = true`, /: client: must be a list of files, or of pairs of files$/],
    ["client has a triple", `client = [["a", "b", "c"]]`, /: client\[0\]: must be a pair of files$/],
    ["client has half a pair", `client = [["", "b"]]`, /: client\[0\]: must be a pair of files$/],
    ["client is not there", `client = "none.pem"`, /: client: \S+\/none\.pem is not there$/],
    ["client is no certificate", `client = "hosts.toml"`, /: client: \S+\/hosts\.toml cannot be used: /],
    ["a header has no value", `[header]\nx = 1`, /: header\.x: must be a list of strings$/],
    ["a header has a bad name", `[header]\n"x y" = "1"`, /: header\."x y": no name of a header$/],
    [
      "a header ends the line",
      `[header]\nx = "planted-secret\\r\\nevil: 1"`,
      /: header\.x: its value cannot be sent in a header$/,
    ],
    ["dial_timeout is none", `dial_timeout = "soon"`, /: dial_timeout: must be a duration such as "500ms" or "1m30s"$/],
    ["dial_timeout is nothing", `dial_timeout = "0s"`, /: dial_timeout: must be a duration/],
  ])("%s", async (_what, text, message) => {
    const refused = read(text);
    await expect(refused).rejects.toMatchObject({ code: "ERR_INVALID_DATA", message: expect.stringMatching(message) });
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining("planted-secret") });
  });

  test("it is too long, or no file", async () => {
    await expect(read(`# ${"x".repeat(1024 * 1024)}`)).rejects.toMatchObject({
      code: "ERR_INVALID_DATA",
      message: expect.stringContaining("longer than 1048576 bytes"),
    });
    await using tree = await fileTree({ [`${host}/hosts.toml/file`]: "" });
    await expect(hostsDirectories([tree.path])(host, "lib/app")).rejects.toMatchObject({
      code: "ERR_INVALID_DATA",
      message: expect.stringContaining("hosts.toml: not a regular file"),
    });
  });
});

function naming(server: string): string {
  return `server = "https://${server}"`;
}

// U-HOST.2
describe("the directory of a registry", () => {
  const all = {
    "registry.example_5000_/hosts.toml": naming("underscores"),
    "registry.example:5000/hosts.toml": naming("colon"),
    "registry.example/hosts.toml": naming("bare"),
    "_default/hosts.toml": naming("default"),
    "[::1]_5000_/hosts.toml": naming("six"),
  };

  test.each([
    ["registry.example:5000", [], "underscores"],
    ["registry.example:5000", ["registry.example_5000_/hosts.toml"], "colon"],
    ["registry.example:5000", ["registry.example_5000_/hosts.toml", "registry.example:5000/hosts.toml"], "default"],
    ["registry.example", [], "bare"],
    ["other.example", [], "default"],
    ["[::1]:5000", [], "six"],
    ["[::1]", [], "default"],
    ["..", [], "default"],
    ["../registry.example", [], "default"],
    ["registry.example/../x", [], "default"],
  ])("of %s without %j is that of %s", async (registry, without, expected) => {
    const files = Object.entries(all).filter(([name]) => !without.some((one) => one === name));
    await using tree = await fileTree(Object.fromEntries(files));
    expect((await hostsDirectories([tree.path])(registry, "lib/app"))?.[0]?.url).toBe(`https://${expected}/`);
  });

  test("is looked for in one place after the other, of which some may be missing", async () => {
    await using first = await fileTree({ "a.example/hosts.toml": naming("first") });
    await using second = await fileTree({
      "a.example/hosts.toml": naming("no"),
      "b.example/hosts.toml": naming("second"),
    });
    const endpoints = hostsDirectories([join(first.path, "missing"), first.path, second.path]);
    expect((await endpoints("a.example", "app"))?.[0]?.url).toBe("https://first/");
    expect((await endpoints("b.example", "app"))?.[0]?.url).toBe("https://second/");
    expect(await endpoints("c.example", "app")).toBeUndefined();
  });

  test("decides even when it is empty", async () => {
    await using tree = await fileTree({ "registry.example/other": "", "_default/hosts.toml": naming("default") });
    expect(await hostsDirectories([tree.path])(host, "app")).toBeUndefined();
  });
});

test("the first of several callbacks that knows servers decides", async () => {
  const asked: string[] = [];
  const knows = (name: string, url?: string) => async (registry: string, repository: string) => {
    asked.push(`${name} ${registry} ${repository}`);
    return url === undefined ? undefined : [{ url }];
  };
  const both = firstOf(knows("a"), knows("b", "https://b.example"), knows("c", "https://c.example"));
  expect(await both("registry.example", "lib/app")).toEqual([{ url: "https://b.example" }]);
  expect(asked).toEqual(["a registry.example lib/app", "b registry.example lib/app"]);
  expect(await firstOf(knows("d"))("registry.example", "lib/app")).toBeUndefined();
});

const authority = makeAuthority("Test");
const server = authority?.issue("DNS:localhost,IP:127.0.0.1");
const client = authority?.issue("DNS:client");
const [ca, cert, key] = [authority?.certificate ?? "", client?.cert ?? "", client?.key ?? ""];

// C-RES.14: LoadCertFiles
describe.skipIf(authority === undefined)("certificates (needs openssl)", () => {
  const pair = { certificate: cert, key };

  test.each([
    [`client = "both.pem"`, [{ certificate: `${cert}${key}`, key: `${cert}${key}` }]],
    [`client = ["both.pem"]`, [{ certificate: `${cert}${key}`, key: `${cert}${key}` }]],
    [
      `client = [["own.cert", "own.key"], ["both.pem", ""]]`,
      [pair, { certificate: `${cert}${key}`, key: `${cert}${key}` }],
    ],
  ])("of us may be given as %s", async (text, expected) => {
    await using tree = await fileTree({
      [`${host}/hosts.toml`]: text,
      [`${host}/both.pem`]: `${cert}${key}`,
      [`${host}/own.cert`]: cert,
      [`${host}/own.key`]: key,
    });
    const endpoints = await hostsDirectories([tree.path])(host, "lib/app");
    expect(endpoints?.[0]?.clientCertificates).toEqual(expected);
  });

  test("of authorities may be one file or several, beside the file or anywhere", async () => {
    await using tree = await fileTree({ [`${host}/ca.pem`]: ca });
    const elsewhere = await tree.write("elsewhere.pem", ca);
    const of = async (text: string): Promise<unknown> => {
      await tree.write(`${host}/hosts.toml`, `[host."https://m.example"]\nca = ${text}`);
      return (await hostsDirectories([tree.path])(host, "lib/app"))?.[0]?.certificateAuthorities;
    };
    expect(await of(`"ca.pem"`)).toEqual([ca]);
    expect(await of(JSON.stringify(["./ca.pem", elsewhere]))).toEqual([ca, ca]);
  });

  test("as Docker has them are taken when there is no hosts.toml", async () => {
    await using tree = await fileTree({
      [`${host}/b.crt`]: ca,
      [`${host}/client.cert`]: cert,
      [`${host}/client.key`]: key,
      [`${host}/README`]: "none of these",
    });
    const expected = { ...itself, certificateAuthorities: [ca], clientCertificates: [pair] };
    expect(await hostsDirectories([tree.path])(host, "lib/app")).toEqual([expected]);
    await tree.write(`${host}/hosts.toml`, "skip_verify = false");
    expect(await hostsDirectories([tree.path])(host, "lib/app")).toEqual([{ ...itself, skipVerify: false }]);
  });

  test.each([
    ["client.cert", cert, /client\.cert: client\.key is missing beside it$/],
    ["client.key", key, /client\.key: client\.cert is missing beside it$/],
    ["ca.crt", "nothing", /ca\.crt: \S+ has no certificate in PEM form$/],
  ])("as Docker has them, with %s alone and wrong, are refused", async (name, text, message) => {
    await using tree = await fileTree({ [`${host}/${name}`]: text });
    await expect(hostsDirectories([tree.path])(host, "lib/app")).rejects.toMatchObject({
      code: "ERR_INVALID_DATA",
      message: expect.stringMatching(message),
    });
  });

  test("that need not be verified for one registry's mirror are verified for another's, at the same address", async () => {
    const tls = { key: server?.key ?? "", cert: server?.cert ?? "" };
    await using mirror = await fakeRegistry(sendManifest, { tls, name: "localhost" });
    const endpoints: EndpointsCallback = async (name) => [{ url: mirror.url, skipVerify: name === "lax.example" }];
    await using resolver = testResolver({ plainHttp: false, endpoints, retries: 0 });
    expect((await resolver.resolve("lax.example/lib/app:v1")).descriptor).toEqual(target);
    await expect(resolver.resolve("strict.example/lib/app:v1")).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(mirror.seen).toHaveLength(1);
  });

  // U-HOST.1, D8
  test("make a mirror trusted, and us known to it, and hold for nobody else", async () => {
    const tls = {
      ...server,
      key: server?.key ?? "",
      cert: server?.cert ?? "",
      ca,
      requestCert: true,
      rejectUnauthorized: true,
    };
    await using mirror = await fakeRegistry((_seen, response) => send(response, 404), { tls, name: "localhost" });
    await using origin = await fakeRegistry(sendManifest, { tls, name: "localhost" });
    await using tree = await fileTree({
      [`${origin.host}/hosts.toml`]: `
        server = "${origin.url}"
        [host."${mirror.url}"]
        ca = "ca.pem"
        client = [["own.cert", "own.key"]]`,
      [`${origin.host}/ca.pem`]: ca,
      [`${origin.host}/own.cert`]: cert,
      [`${origin.host}/own.key`]: key,
    });
    const options = { plainHttp: false, endpoints: hostsDirectories([tree.path]), retries: 0 };
    await using resolver = testResolver(options);
    await expect(resolver.resolve(`${origin.host}/lib/app:v1`)).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect([mirror.seen.length, origin.seen.length]).toEqual([1, 0]);

    await tree.write(
      `${origin.host}/hosts.toml`,
      `ca = "ca.pem"\nclient = [["own.cert", "own.key"]]\nserver = "${origin.url}"`,
    );
    await using trusting = testResolver(options);
    expect((await trusting.resolve(`${origin.host}/lib/app:v1`)).descriptor).toEqual(target);
  });
});
