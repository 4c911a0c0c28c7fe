import { putImage, putIndex, startRegistry } from "@varve-tools/test-registry";
import type { TestRegistry } from "@varve-tools/test-registry";
import { openClient } from "@varve/client";
import type { Client, PullResult, PushResult } from "@varve/client";
import { defaultPlatform, formatPlatform } from "@varve/oci";
import type { Resolver } from "@varve/remotes";
import { expect, test } from "vitest";
import { resolverOf } from "./resolver.ts";
import { tempDirectory } from "./temp.ts";

const layers = [{ "etc/base": "base" }, { "etc/top": "top" }];
const amd64 = { os: "linux", architecture: "amd64" };
const arm64 = { os: "linux", architecture: "arm64", variant: "v8" };

function open(root: string, registry?: Resolver): Promise<Client> {
  return openClient({ root, snapshotter: "native", durability: "none", registry });
}

async function pulled(client: Client, registry: TestRegistry, repository: string): Promise<PullResult> {
  return client.pull(await registry.tag(repository, await putImage(registry.content, layers)));
}

function counts({ existed, mounted, sent, sentBytes }: PushResult): Record<string, number> {
  return { existed, mounted, sent, sentBytes };
}

/** U-REM.5, P2, P12 */
test("blobs that came from another repository of the registry are mounted from there, and a second push sends nothing", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const { name, target } = await pulled(client, registry, "team/base");
  const to = `${registry.host}/team/app:v1`;
  const first = await client.push(name, { to });
  expect(first).toMatchObject({ name: to, target });
  // The manifest is no blob.
  expect(counts(first)).toEqual({ existed: 0, mounted: 3, sent: 1, sentBytes: target.size });
  expect(counts(await client.push(name, { to }))).toEqual({ existed: 4, mounted: 0, sent: 0, sentBytes: 0 });
  await expect((await client.registry()).resolve(to)).resolves.toMatchObject({ descriptor: target });
});

test("to another registry everything is sent once, under every tag", async () => {
  await using from = await startRegistry();
  await using to = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const { name } = await pulled(client, from, "app");
  const first = await client.push(name, { to: `${to.host}/app:v1`, tags: ["v1", "v2"] });
  expect(first).toMatchObject({ existed: 0, mounted: 0, sent: 4 });
  const registry = await client.registry();
  const tags = await Array.fromAsync(registry.repository(`${to.host}/app`).tags());
  expect(tags).toEqual(["v1", "v2"]);
  // Only the manifest has to be put under the new tag.
  expect(await client.push(name, { to: `${to.host}/app:v3` })).toMatchObject({ existed: 3, sent: 1 });
});

test("of an index whose images are not all stored nothing is sent, with advice; one platform is, and all after a fetch", async () => {
  await using registry = await startRegistry();
  await using other = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const platforms = [amd64, arm64].map((platform) => ({ platform, layers }));
  const index = await putIndex(registry.content, platforms);
  const { name } = await client.pull(await registry.tag("multi", index), { platform: arm64 });
  const to = `${other.host}/multi:v1`;
  await expect(client.push(name, { to })).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: expect.stringMatching(/^image .*multi:latest: manifest .*linux\/amd64.*: not stored: push one platform/),
  });
  await expect(Array.fromAsync(other.content.walk())).resolves.toEqual([]);
  const one = await client.push(name, { to, platform: "linux/arm64" });
  expect(one.target.digest).not.toBe(index.digest);
  expect(one.sent).toBe(4);
  await client.fetch(name, { platform: "all" });
  expect(await client.push(name, { to })).toMatchObject({ target: index });
});

test("what is not stored, not there for the platform, or to be pushed to a digest is refused, each by its code", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const { name, target } = await pulled(client, registry, "app");
  const to = `${registry.host}/other`;
  await expect(client.push("app:none", { to })).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await expect(client.push(name, { to, platform: "linux/s390x" })).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: `image ${name}: is for ${formatPlatform(defaultPlatform())}, not for linux/s390x`,
  });
  await expect(client.push(name, { to: `${to}@${target.digest}` })).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
    message: expect.stringContaining("name a tag"),
  });
  await expect(client.push(name, { to: "UPPER CASE" })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  await expect(Array.fromAsync(client.leases.list())).resolves.toEqual([]);
});

/** A registry that takes no byte until the push is given up. */
async function stuck(registry: TestRegistry, name: string): Promise<{ resolver: Resolver; pushing: Promise<void> }> {
  const pushing = Promise.withResolvers<void>();
  const target = await putImage(registry.content, layers);
  const resolver: Resolver = {
    ...resolverOf(name, target, registry.content),
    pusher: () => ({
      push: (_descriptor, { signal }) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
          pushing.resolve();
        }),
    }),
  };
  return { resolver, pushing: pushing.promise };
}

test("a push that is aborted rejects with the reason, and leaves no lease", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  const name = "registry.example/app:v1";
  const { resolver, pushing } = await stuck(registry, name);
  await using client = await open(root.path, resolver);
  await client.pull(name);
  const abort = new AbortController();
  const push = client.push(name, { signal: abort.signal });
  await pushing;
  await expect(Array.fromAsync(client.leases.list())).resolves.toHaveLength(1);
  const reason = new Error("enough");
  abort.abort(reason);
  await expect(push).rejects.toBe(reason);
  await expect(Array.fromAsync(client.leases.list())).resolves.toEqual([]);
});

test("closing ends a push that hangs, and leaves no lease", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  const name = "registry.example/app:v1";
  const { resolver, pushing } = await stuck(registry, name);
  const client = await open(root.path, resolver);
  await client.pull(name);
  const push = client.push(name).catch((error: unknown) => error);
  await pushing;
  await client.close();
  expect(await push).toMatchObject({ code: "ERR_ABORTED" });
  await using again = await open(root.path);
  await expect(Array.fromAsync(again.leases.list())).resolves.toEqual([]);
});

test("the registry client of a store looks around in repositories, unless the store was given a resolver that cannot", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  const client = await open(root.path);
  const { name } = await pulled(client, registry, "app");
  const repository = (await client.registry()).repository(name);
  await expect(Array.fromAsync(repository.tags())).resolves.toEqual(["latest"]);
  await client.close();
  await expect(client.registry()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  const { resolver } = await stuck(registry, name);
  await using other = await open(root.path, resolver);
  await expect(other.registry()).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
});
