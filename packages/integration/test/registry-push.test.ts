import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { exec, missingPrograms, startDockerRegistry, temporaryDirectory } from "@varve-tools/corpus";
import type { DockerRegistry } from "@varve-tools/corpus";
import { readBlob } from "@varve/content";
import type { ContentStore } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import { createMemoryContentStore } from "@varve/content-memory";
import { isManifestType, mediaTypes, parseManifest } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { copyImage, pushImage } from "@varve/remotes";
import type { PushCounts, PushImageOptions, Repositories, Resolver } from "@varve/remotes";
import { createRegistryServer } from "@varve/registry-server";
import { createRegistryResolver } from "@varve/remotes-registry";
import type { RegistryResolverOptions } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";
import { makeImage } from "../src/made-image.ts";
import { startRelay } from "../src/relay.ts";
import { startUploadProxy } from "../src/upload-proxy.ts";

const missing = await missingPrograms(["docker-registry", "skopeo"]);
const mib = 1024 * 1024;

type Pushing = Partial<PushImageOptions> & { readonly content: ContentStore };

/** A resolver that is closed at the end of the scope. */
function openResolver(options: RegistryResolverOptions = {}): Resolver & Repositories & AsyncDisposable {
  const resolver = createRegistryResolver({ plainHttp: true, retryDelay: 1, ...options });
  return Object.assign(resolver, { [Symbol.asyncDispose]: () => resolver.close() });
}

function push(resolver: Resolver, reference: string, target: Descriptor, options: Pushing): Promise<PushCounts> {
  const { content, ...others } = options;
  return pushImage(target, {
    provider: content,
    pusher: resolver.pusher(reference),
    children: async (descriptor) => {
      if (!isManifestType(descriptor.mediaType)) return [];
      const { config, layers } = parseManifest(await readBlob(content, descriptor));
      return [config, ...layers];
    },
    ...others,
  });
}

async function uploadsIn(registry: DockerRegistry): Promise<string[]> {
  return (await registry.requests()).filter((request) => /^(?:POST|PATCH|PUT) /.test(request));
}

async function mountFrom(): Promise<string[]> {
  return ["team/nothing", "team/base"];
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of source) found.push(one);
  return found;
}

describe.skipIf(missing.length > 0)(
  `docker-registry${missing.length > 0 ? ` (not installed: ${missing.join(", ")})` : ""}`,
  () => {
    // P1, P4, P9, P12
    test("takes an image, which skopeo reads with the same digest, and is sent nothing the second time", async () => {
      await using registry = await startDockerRegistry();
      await using proxy = await startUploadProxy(registry.host);
      await using directory = await temporaryDirectory();
      await using resolver = openResolver();
      const content = createMemoryContentStore();
      const { target } = await makeImage(content, [3 * mib, 200_000, 0]);
      const reference = `${proxy.host}/team/app`;
      expect(await push(resolver, reference, target, { content, tags: ["v1"] })).toMatchObject({ existed: 0, sent: 5 });

      const name = `docker://${registry.host}/team/app:v1`;
      const inspected = await exec("skopeo", ["inspect", "--format", "{{.Digest}}", "--tls-verify=false", name]);
      expect(inspected.stdout.trim()).toBe(target.digest);
      await exec("skopeo", [
        "copy",
        "-q",
        "--preserve-digests",
        "--src-tls-verify=false",
        name,
        `dir:${directory.path}`,
      ]);

      const [uploads, passed] = [await uploadsIn(registry), proxy.passed];
      const counts = await push(resolver, reference, target, { content, tags: ["v1"] });
      expect(counts).toEqual({ existed: 5, mounted: 0, sent: 0, sentBytes: 0 });
      expect(await uploadsIn(registry)).toEqual(uploads);
      // Heads of requests, and no body.
      expect(proxy.passed - passed).toBeLessThan(5000);
    });

    // P2
    test("mounts blobs from another of its repositories", async () => {
      await using registry = await startDockerRegistry();
      await using resolver = openResolver();
      const content = createMemoryContentStore();
      const { target } = await makeImage(content, [mib, 200_000]);
      await push(resolver, `${registry.host}/team/base`, target, { content });
      const counts = await push(resolver, `${registry.host}/team/app`, target, { content, mountFrom });
      expect(counts).toMatchObject({ existed: 0, mounted: 3, sent: 1, sentBytes: target.size });
      expect((await resolver.resolve(`${registry.host}/team/app@${target.digest}`)).descriptor.digest).toBe(
        target.digest,
      );
    });

    // P5, G-22
    test("takes a layer in parts", async () => {
      await using registry = await startDockerRegistry();
      await using resolver = openResolver({ uploadChunkSize: mib });
      const content = createMemoryContentStore();
      const { target } = await makeImage(content, [5 * mib + 1]);
      await push(resolver, `${registry.host}/app`, target, { content, tags: ["v1"] });
      expect((await uploadsIn(registry)).filter((request) => request.startsWith("PATCH"))).toHaveLength(6);
    });

    // P5, P6: it forgets an upload that was cut in the middle of a request, but not one that was cut between two
    test("goes on with the next part after a connection was cut", async () => {
      await using registry = await startDockerRegistry();
      await using proxy = await startUploadProxy(registry.host);
      await using resolver = openResolver({ uploadChunkSize: mib });
      const content = createMemoryContentStore();
      const { target } = await makeImage(content, [8 * mib]);
      for (const number of [3, 5, 8]) proxy.cutBefore("PATCH", number);
      await push(resolver, `${proxy.host}/app`, target, { content, tags: ["v1"] });
      expect(proxy.cuts).toBe(3);
      expect(proxy.passed).toBeLessThan(1.1 * 8 * mib);
    });

    // P6
    test("is sent a layer again that was cut in the middle of a request", async () => {
      await using registry = await startDockerRegistry();
      await using proxy = await startUploadProxy(registry.host);
      await using resolver = openResolver();
      const content = createMemoryContentStore();
      const { target } = await makeImage(content, [8 * mib]);
      proxy.cutAt(4 * mib);
      await push(resolver, `${proxy.host}/app`, target, { content, tags: ["v1"] });
      expect(proxy.cuts).toBe(1);
      expect(proxy.passed).toBeLessThan(1.6 * 8 * mib);
      expect((await resolver.resolve(`${registry.host}/app:v1`)).descriptor.digest).toBe(target.digest);
    });

    // P10, R6, R7
    test("has the tags that an image was pushed under, and none after it was deleted", async () => {
      await using registry = await startDockerRegistry();
      await using resolver = openResolver();
      const content = createMemoryContentStore();
      const { target, layers } = await makeImage(content, [1000]);
      const reference = `${registry.host}/app`;
      await push(resolver, reference, target, { content, tags: ["v1", "v2", "latest"] });
      const repository = resolver.repository(reference);
      const listed = async (pageSize?: number): Promise<Set<string>> =>
        new Set(await all(repository.tags({ pageSize })));
      expect(await listed()).toEqual(new Set(["latest", "v1", "v2"]));
      expect(await listed(1)).toEqual(new Set(["latest", "v1", "v2"]));

      // It deletes by digest only.
      await expect(repository.deleteManifest("v1")).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
      await repository.deleteManifest(target.digest);
      await expect(resolver.resolve(`${reference}:v1`)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
      await expect(repository.deleteManifest(target.digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
      const [layer] = layers;
      if (layer === undefined) throw new Error("no layer");
      await repository.deleteBlob(layer.digest);
      expect(await push(resolver, reference, target, { content, tags: ["v1"] })).toMatchObject({ existed: 1, sent: 2 });
      await expect(all(resolver.repository(`${registry.host}/none`).tags())).rejects.toMatchObject({
        code: "ERR_NOT_FOUND",
      });
    });

    // R7
    test("that deletes nothing says so", async () => {
      await using registry = await startDockerRegistry({ canDelete: false });
      await using resolver = openResolver();
      const content = createMemoryContentStore();
      const { config, target } = await makeImage(content, []);
      await push(resolver, `${registry.host}/app`, target, { content, tags: ["v1"] });
      const repository = resolver.repository(`${registry.host}/app`);
      await expect(repository.deleteManifest(target.digest)).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
      await expect(repository.deleteManifest("v1")).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
      await expect(repository.deleteBlob(config.digest)).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
    });

    // R2, R3: it has no list of referrers
    test("has what refers to an image under the fallback tag, until it is deleted", async () => {
      await using registry = await startDockerRegistry();
      await using resolver = openResolver();
      const content = createMemoryContentStore();
      const reference = `${registry.host}/app`;
      const { target } = await makeImage(content, [1000]);
      await push(resolver, reference, target, { content, tags: ["v1"] });
      const types = ["application/vnd.example.sbom", "application/vnd.example.signature"];
      const targets: Descriptor[] = [];
      for (const artifactType of types) {
        const { target: artifact } = await makeImage(content, [100], { artifactType, subject: target });
        await push(resolver, reference, artifact, { content });
        await push(resolver, reference, artifact, { content });
        targets.push(artifact);
      }
      const repository = resolver.repository(reference);
      const wanted = targets.map((descriptor, index) => ({ ...descriptor, artifactType: types[index] }));
      expect(await all(repository.referrers(target.digest))).toEqual(wanted);
      expect(await all(repository.referrers(target.digest, { artifactType: types[1] }))).toEqual(wanted.slice(1));
      const raw = `docker://${registry.host}/app:sha256-${target.digest.slice(7)}`;
      const { stdout } = await exec("skopeo", ["inspect", "--raw", "--tls-verify=false", raw]);
      expect(JSON.parse(stdout)).toMatchObject({ mediaType: mediaTypes.ociIndex, manifests: wanted });

      await repository.deleteManifest(targets[0]?.digest ?? "");
      expect(await all(repository.referrers(target.digest))).toEqual(wanted.slice(1));
    });

    test("is copied to, from another one, with what refers to the image", async () => {
      await using source = await startDockerRegistry();
      await using destination = await startDockerRegistry();
      await using resolver = openResolver();
      const content = createMemoryContentStore();
      const { target } = await makeImage(content, [3 * mib, 1000]);
      const { target: artifact } = await makeImage(content, [100], { artifactType: "application/x", subject: target });
      const from = `${source.host}/app`;
      for (const one of [target, artifact]) await push(resolver, from, one, { content });
      const to = `${destination.host}/other/name`;
      const copySource = { fetcher: resolver.fetcher(from), target, repository: resolver.repository(from) };
      const counts = await copyImage(copySource, { pusher: resolver.pusher(to), tags: ["v1"] }, { referrers: true });
      // The config is the same in both, but for what its layers are.
      expect(counts).toMatchObject({ existed: 0, sent: 7 });
      expect((await resolver.resolve(`${to}:v1`)).descriptor.digest).toBe(target.digest);
      expect(await all(resolver.repository(to).referrers(target.digest))).toMatchObject([{ digest: artifact.digest }]);
      const again = await copyImage(copySource, { pusher: resolver.pusher(to), tags: ["v1"] }, { referrers: true });
      expect(again).toMatchObject({ existed: 7, sent: 0 });
    });

    test("is copied from, over connections that are cut on both sides, and little goes over them twice", async () => {
      const cutAfter = 2 * mib;
      await using source = await startDockerRegistry();
      await using relay = await startRelay(source.host, { cutAfter });
      await using server = createRegistryServer({ content: createMemoryContentStore() });
      const { host, port } = await server.listen();
      await using proxy = await startUploadProxy(`${host}:${port}`);
      await using resolver = openResolver();
      const content = createMemoryContentStore();
      const { target } = await makeImage(content, [16 * mib]);
      await push(resolver, `${source.host}/app`, target, { content });
      for (const at of [3, 10]) proxy.cutAt(at * mib);
      const from = { fetcher: resolver.fetcher(`${relay.host}/app`), target };
      await copyImage(from, { pusher: resolver.pusher(`${proxy.host}/app`), tags: ["v1"] });
      expect(proxy.cuts).toBe(2);
      // Its cuts leave stretches of about 3, 7 and 6 MiB, which take 2, 4 and 3 connections of 2 MiB; the last of each need not be cut.
      expect(relay.cuts).toBeGreaterThanOrEqual(1 + 3 + 2);
      expect(proxy.passed).toBeLessThan(1.1 * 16 * mib);
      // Each cut on the other side loses at most what one connection brought, each cut on this side the last chunks of a socket.
      expect(relay.bytes).toBeLessThan(16 * mib + 2 * cutAfter + relay.cuts * 0.25 * mib);
      expect((await resolver.resolve(`${host}:${port}/app:v1`)).descriptor.digest).toBe(target.digest);
    });

    // K17: 2 layers, a config, a manifest
    test.each([
      [1, "between blobs", 1],
      [3, "between the blobs and the manifest", 3],
      [4, "after the last byte", 4],
    ])("is sent only what is missing after a kill when it had %i things, %s", async (count, _when, existed) => {
      await using registry = await startDockerRegistry();
      await using directory = await temporaryDirectory();
      await using resolver = openResolver();
      await using content = await openContentStore({ root: directory.path });
      const { target } = await makeImage(content, [2 * mib, 300_000]);
      const reference = `${registry.host}/app`;
      await killedPush([directory.path, reference, JSON.stringify(target), String(count)]);
      const before = await uploadsIn(registry);
      const counts = await push(resolver, reference, target, { content, tags: ["v1"] });
      expect(counts).toMatchObject({ existed, mounted: 0, sent: 4 - existed });
      expect((await uploadsIn(registry)).length > before.length).toBe(existed < 4);
      expect((await resolver.resolve(`${reference}:v1`)).descriptor.digest).toBe(target.digest);
    });
  },
);

/** Pushes in a process of its own, and kills it where it stands still. */
async function killedPush(args: readonly string[]): Promise<void> {
  const script = join(import.meta.dirname, "../src/push-and-hang.ts");
  const child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const [said] = await Promise.race([once(child.stdout, "data"), exited]);
  child.kill("SIGKILL");
  await exited;
  expect(String(said)).toBe("hangs");
}

describe("varve's own registry", () => {
  // P6, G-22: the specification's way to go on
  test("is sent a layer that was cut again and again only once", async () => {
    await using server = createRegistryServer({ content: createMemoryContentStore() });
    const { host, port } = await server.listen();
    await using proxy = await startUploadProxy(`${host}:${port}`);
    await using resolver = openResolver();
    const content = createMemoryContentStore();
    const { target } = await makeImage(content, [16 * mib]);
    for (const at of [1.5, 4, 9, 15]) proxy.cutAt(at * mib);
    await push(resolver, `${proxy.host}/app`, target, { content, tags: ["v1"] });
    expect(proxy.cuts).toBe(4);
    expect(proxy.passed).toBeLessThan(1.1 * 16 * mib);
    expect((await resolver.resolve(`${host}:${port}/app:v1`)).descriptor.digest).toBe(target.digest);
  });

  // P2, P10, P12, R1, R6
  test("takes an image with several tags, a mount, and what refers to it", async () => {
    await using server = createRegistryServer({ content: createMemoryContentStore() });
    const { host, port } = await server.listen();
    await using resolver = openResolver();
    const content = createMemoryContentStore();
    const { target } = await makeImage(content, [mib, 1000]);
    const reference = `${host}:${port}/team/app`;
    await push(resolver, reference, target, { content, tags: ["a", "b", "c"] });
    const { target: artifact } = await makeImage(content, [10], { artifactType: "application/x", subject: target });
    await push(resolver, reference, artifact, { content });
    const repository = resolver.repository(reference);
    expect(await all(repository.referrers(target.digest))).toMatchObject([{ digest: artifact.digest }]);
    expect((await all(repository.tags({ pageSize: 1 }))).slice(0, 3)).toEqual(["a", "b", "c"]);
    const again = await push(resolver, reference, target, { content, tags: ["a", "b", "c"] });
    expect(again).toEqual({ existed: 4, mounted: 0, sent: 0, sentBytes: 0 });
  });
});
