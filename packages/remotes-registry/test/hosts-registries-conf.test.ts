import { join } from "node:path";
import { registriesConf } from "@varve/remotes-registry";
import type { RegistryEndpoint } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";
import { fakeRegistry } from "./fake-registry.ts";
import { fileTree } from "./hosts-files.ts";
import { sendManifest, target, testResolver } from "./fixtures.ts";

const pulls = ["resolve", "pull", "referrers"];
const everything = [...pulls, "push"];

/** What a `registries.conf` comes to for an image. */
async function read(text: string, host: string, repository: string): Promise<readonly RegistryEndpoint[] | undefined> {
  await using tree = await fileTree({ "registries.conf": text });
  return await registriesConf([join(tree.path, "registries.conf")])(host, repository);
}

function naming(prefix: string, location: string): string {
  return `[[registry]]\nprefix = "${prefix}"\nlocation = "${location}"\n`;
}

describe("a registries.conf", () => {
  const text = `
    unqualified-search-registries = ["docker.io"]
    [aliases]
    "app" = "registry.example/lib/app"

    [[registry]]
    prefix = "registry.example/foo"
    location = "internal.example:5000/bar"
    insecure = true

      [[registry.mirror]]
      location = "one.example/mirror-of-foo"
      [[registry.mirror]]
      location = "two.example"
      insecure = true
      pull-from-mirror = "digest-only"
      [[registry.mirror]]
      location = "three.example/x"
      pull-from-mirror = "tag-only"

    [[registry]]
    location = "docker.io"
    mirror-by-digest-only = true
      [[registry.mirror]]
      location = "hub.example/proxy"

    [[registry]]
    prefix = "*.example.com"
    insecure = true
      [[registry.mirror]]
      location = "wild.example/all"

    [[registry]]
    prefix = "bad.example.com"
    blocked = true
  `;

  test("leads pulls to mirrors and another location, and pushes to the registry itself", async () => {
    const insecure = { skipVerify: true, httpFallback: true };
    expect(await read(text, "registry.example", "foo/app/x")).toEqual([
      { url: "https://one.example", repository: "mirror-of-foo/app/x", capabilities: pulls },
      { url: "https://two.example", repository: "app/x", ...insecure, capabilities: ["pull"] },
      { url: "https://three.example", repository: "x/app/x", capabilities: pulls },
      { url: "https://internal.example:5000", repository: "bar/app/x", ...insecure, capabilities: pulls },
      { url: "https://registry.example", ...insecure, capabilities: ["push"] },
    ]);
  });

  test("may keep mirrors to digests altogether", async () => {
    expect(await read(text, "docker.io", "library/nginx")).toEqual([
      { url: "https://hub.example", repository: "proxy/library/nginx", capabilities: ["pull"] },
      { url: "https://registry-1.docker.io", capabilities: everything },
    ]);
  });

  test("may speak of all hosts below a name", async () => {
    expect(await read(text, "a.b.example.com", "app")).toEqual([
      { url: "https://wild.example", repository: "all/app", capabilities: pulls },
      { url: "https://a.b.example.com", skipVerify: true, httpFallback: true, capabilities: everything },
    ]);
  });

  test.each([
    ["registry.example", "foobar/app"],
    ["registry.example", "other/foo"],
    ["example.com", "app"],
    ["notexample.com", "app"],
    ["registry.example:5000", "foo/app"],
  ])("says nothing of %s/%s", async (host, repository) => {
    expect(await read(text, host, repository)).toBeUndefined();
  });

  test("may block images", async () => {
    await expect(read(text, "bad.example.com", "app")).rejects.toMatchObject({
      code: "ERR_PERMISSION_DENIED",
      message: "image bad.example.com/app: bad.example.com is blocked in registries.conf",
    });
  });

  test("has its longest prefix decide, in whichever order", async () => {
    const entries = ["a.example/x/y", "a.example", "a.example/x"].map(
      (prefix, index) => `[[registry]]\nprefix = "${prefix}"\nlocation = "l${index}.example/z"\n`,
    );
    for (const order of [entries, entries.toReversed()]) {
      const found = await read(order.join(""), "a.example", "x/y/app");
      expect(found?.[0]).toMatchObject({ url: "https://l0.example", repository: "z/app" });
      expect((await read(order.join(""), "a.example", "x/other"))?.[0]).toMatchObject({ repository: "z/other" });
    }
  });

  test("that is not there says nothing", async () => {
    expect(
      await registriesConf(["/nowhere/registries.conf", "/nowhere/registries.conf.d"])("a.example", "x"),
    ).toBeUndefined();
  });

  test("is overridden prefix by prefix by files after it, and by those of a directory in their order", async () => {
    await using tree = await fileTree({
      "registries.conf": naming("a.example", "main.example") + naming("b.example", "main.example"),
      "d/20.conf": naming("a.example", "second.example"),
      "d/10.conf": naming("a.example", "first.example"),
      "d/30.txt": naming("a.example", "no.example"),
    });
    const endpoints = registriesConf([join(tree.path, "registries.conf"), join(tree.path, "d")]);
    expect((await endpoints("a.example", "x"))?.[0]?.url).toBe("https://second.example");
    expect((await endpoints("b.example", "x"))?.[0]?.url).toBe("https://main.example");
  });
});

describe("a registries.conf is refused, with file and key, when", () => {
  test.each([
    ["it is not TOML", "[[registry", /registries\.conf: line 1: /],
    ["it has no list of registries", "registry = 1", /: registry: must be a list of tables$/],
    ["an entry is no table", "registry = [1]", /: registry\[0\]: must be a table$/],
    ["an entry has no name", "[[registry]]\nblocked = true", /: registry\[0\]: has neither prefix nor location$/],
    [
      "a location has a scheme",
      `[[registry]]\nlocation = "https://a"`,
      /: registry\[0\]\.location: must be .*without a scheme$/,
    ],
    ["a location is none", `[[registry]]\nlocation = "a b"`, /\.location: must be a host and a path$/],
    ["a location has a wildcard", `[[registry]]\nlocation = "*.a"`, /\.location: a wildcard stands/],
    ["a wildcard is in the middle", `[[registry]]\nprefix = "a.*.b"`, /\.prefix: a wildcard stands/],
    ["a wildcard has a path", `[[registry]]\nprefix = "*.a/b"`, /\.prefix: a wildcard stands/],
    ["blocked is no boolean", `[[registry]]\nprefix = "a"\nblocked = 1`, /\.blocked: must be true or false$/],
    ["a mirror has no location", `[[registry]]\nprefix = "a"\n[[registry.mirror]]`, /\.mirror\[0\]: has no location$/],
    [
      "a mirror is for something unknown",
      `[[registry]]\nprefix = "a"\n[[registry.mirror]]\nlocation = "b"\npull-from-mirror = "never"`,
      /\.mirror\[0\]\.pull-from-mirror: must be all, digest-only or tag-only$/,
    ],
    [
      "a mirror speaks against its registry",
      `[[registry]]\nprefix = "a"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "b"\npull-from-mirror = "all"`,
      /\.pull-from-mirror: not together with mirror-by-digest-only/,
    ],
    [
      "a location leaves no name",
      `[[registry]]\nprefix = "a.example/x"\nlocation = "b"`,
      /a\.example\/x: at b it has no name/,
    ],
  ])("%s", async (_what, text, message) => {
    await expect(read(text, "a.example", "x")).rejects.toMatchObject({
      code: "ERR_INVALID_DATA",
      message: expect.stringMatching(message),
    });
  });

  test.each([
    ["it is of the first version", `[registries.search]\nregistries = []`, "first version"],
    ["an entry is for a tag", `[[registry]]\nprefix = "a.example/x:v1"\nblocked = true`, "a.example/x:v1"],
    ["an entry is for a digest", `[[registry]]\nprefix = "a.example/x@sha256:00"`, "a.example/x@sha256:00"],
  ])("%s, as not supported", async (_what, text, message) => {
    await expect(read(text, "a.example", "x")).rejects.toMatchObject({
      code: "ERR_NOT_IMPLEMENTED",
      message: expect.stringContaining(message),
    });
  });
});

test("an insecure location is asked by http when it does not speak TLS", async () => {
  await using mirror = await fakeRegistry(sendManifest, { name: "127.0.0.1" });
  await using tree = await fileTree({
    "registries.conf": `[[registry]]\nprefix = "registry.example"\nlocation = "${mirror.host}/cache"\ninsecure = true`,
  });
  const endpoints = registriesConf([join(tree.path, "registries.conf")]);
  await using resolver = testResolver({ plainHttp: false, endpoints });
  expect((await resolver.resolve("registry.example/lib/app:v1")).descriptor).toEqual(target);
  expect(mirror.log()).toEqual(["HEAD /v2/cache/lib/app/manifests/v1?ns=registry.example"]);
});
