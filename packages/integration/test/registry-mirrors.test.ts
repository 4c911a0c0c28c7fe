import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exec, missingPrograms, startDockerRegistry, temporaryDirectory } from "@varve-tools/corpus";
import { openClient, openRegistry } from "@varve/client";
import { createMemoryContentStore } from "@varve/content-memory";
import { pushBlob } from "@varve/remotes";
import { createRegistryResolver } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";
import { startHttpFront } from "../src/http-front.ts";
import type { HttpFront } from "../src/http-front.ts";
import { environment } from "../src/images-under-test.ts";
import { makeImage } from "../src/made-image.ts";
import type { MadeImage } from "../src/made-image.ts";
import { startContainerd } from "../src/other-tools/containerd.ts";
import { startRelay } from "../src/relay.ts";

const { missing } = environment;
const [noContainerd] = await missingPrograms(["containerd", "ctr"]);
/** Nothing of this machine's user, and no long waits. */
const quiet = { credentials: async () => undefined, retryDelay: 10 };
const repository = "team/app";
/** No port that the system gives out: any server that starts meanwhile could be given that. */
const nobody = "127.0.0.1:1";
const content = createMemoryContentStore();
const image = await makeImage(content, [8_000_000, 50_000, 20_000]);
const { digest } = image.target;
const blobs = [image.config, ...image.layers];

// T3, T4, U-HOST.1, U-HOST.2, C-RES.4: Debian's docker-registry in every part
describe.skipIf(missing !== undefined)(
  `a pull by mirrors (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test("passes by those that are down or empty, and asks the registry only what the tag means", async () => {
      await using origin = await startSeenRegistry(image);
      await using empty = await startSeenRegistry();
      await using good = await startSeenRegistry(image);
      await using directory = await temporaryDirectory();
      const mirrors = [[nobody], [empty.host], [good.host, `capabilities = ["pull"]`]] as const;
      await configure(directory.path, origin.host, mirrors);

      expect(await fetched(directory.path, origin.host)).toBe(digest);
      expect(origin.requests).toEqual([`HEAD /v2/${repository}/manifests/v1`]);
      const ns = `?ns=${encodeURIComponent(origin.host)}`;
      expect(empty.requests[0]).toBe(`HEAD /v2/${repository}/manifests/v1${ns}`);
      expect(empty.requests.filter((request) => !request.endsWith(ns))).toEqual([]);
      expect(good.requests.toSorted()).toEqual(
        [`manifests/${digest}`, ...blobs.map((blob) => `blobs/${blob.digest}`)]
          .map((path) => `GET /v2/${repository}/${path}${ns}`)
          .toSorted(),
      );
    });

    // U-HOST.1, U-HOST.2: containerd itself with the same directory
    test.skipIf(noContainerd !== undefined)("asks the same servers for the same things as containerd", async () => {
      await using origin = await startSeenRegistry(image);
      await using empty = await startSeenRegistry();
      await using good = await startSeenRegistry(image);
      await using directory = await temporaryDirectory();
      const mirrors = [[empty.host], [good.host, `capabilities = ["pull"]`]] as const;
      await configure(directory.path, origin.host, mirrors);
      await using containerd = await startContainerd(directory.path);

      const reference = `${origin.host}/${repository}:v1`;
      const hosts = join(directory.path, "hosts");
      const registries = [origin, empty, good];
      await containerd.ctr("content", "fetch", "--hosts-dir", hosts, reference);
      const theirs = taken(registries);
      await fetched(directory.path, origin.host);
      const ours = taken(registries);
      expect(ours.map(distinct)).toEqual(theirs.map(distinct));
      expect(ours.map(({ length }) => length > 0)).toEqual([true, true, true]);
    });

    // cli.md 2.5: skopeo itself with the same file
    test("finds by a registries.conf what skopeo finds, in the same places", async () => {
      await using empty = await startSeenRegistry();
      await using good = await startSeenRegistry(image);
      await using directory = await temporaryDirectory();
      const file = join(directory.path, "registries.conf");
      await writeFile(
        file,
        `[[registry]]
      prefix = "registry.example/foo"
      location = "${good.host}/team"
      insecure = true
      [[registry.mirror]]
      location = "${empty.host}/mirror/of"
      insecure = true`,
      );
      const reference = "registry.example/foo/app:v1";

      const inspect = ["inspect", "--no-tags", "--format", "{{.Digest}}", `docker://${reference}`];
      expect((await exec("skopeo", ["--registries-conf", file, ...inspect])).stdout.trim()).toBe(digest);
      const theirs = taken([empty, good]);
      await using registry = disposable(
        await openRegistry({ ...quiet, hostsDirectories: [], registriesFiles: [file] }),
      );
      expect((await registry.resolve(reference)).descriptor.digest).toBe(digest);
      const ours = taken([empty, good]);
      expect(tagsAskedFor(ours)).toEqual([["/v2/mirror/of/app/manifests/v1"], ["/v2/team/app/manifests/v1"]]);
      expect(tagsAskedFor(ours)).toEqual(tagsAskedFor(theirs));
    });

    test("gets from the registry only the blob that the mirror lacks", async () => {
      await using origin = await startSeenRegistry(image);
      await using mirror = await startDockerRegistry();
      await push(mirror.host, image);
      const lacking = `/v2/${repository}/blobs/${blobs.at(-1)?.digest}`;
      const { status } = await fetch(`http://${mirror.host}${lacking}`, { method: "DELETE" });
      expect(status).toBe(202);
      await using directory = await temporaryDirectory();
      await configure(directory.path, origin.host, [[mirror.host]]);

      expect(await fetched(directory.path, origin.host)).toBe(digest);
      expect(origin.requests).toEqual([`GET ${lacking}`]);
    });

    // U-FET.2
    test("goes on at the registry where the mirror breaks off, and no byte comes twice", async () => {
      await using real = await startDockerRegistry();
      await using mirror = await startDockerRegistry();
      await push(real.host, image);
      await push(mirror.host, image);
      await using origin = await startRelay(real.host);
      await using frail = await startRelay(mirror.host, { cutAfter: 300_000 });
      await using directory = await temporaryDirectory();
      await configure(directory.path, origin.host, [[frail.host]]);

      expect(await fetched(directory.path, origin.host)).toBe(digest);
      expect(frail.cuts).toBeGreaterThan(0);
      const size = blobs.reduce((sum, blob) => sum + blob.size, 0);
      expect(frail.bytes).toBeGreaterThanOrEqual(300_000);
      // What the client had not taken out of its socket's last chunks when they were cut is lost; the rest is heads.
      expect(frail.bytes + origin.bytes).toBeLessThan(1.1 * size + 50_000);
    });
  },
);

/** Debian's docker-registry, with what it is asked from now on; with an image or empty. */
async function startSeenRegistry(stored?: MadeImage): Promise<HttpFront> {
  const registry = await startDockerRegistry();
  if (stored !== undefined) await push(registry.host, stored);
  const front = await startHttpFront(registry.host);
  return {
    ...front,
    async [Symbol.asyncDispose]() {
      await front[Symbol.asyncDispose]();
      await registry.close();
    },
  };
}

/** Puts the image there as `v1`. */
async function push(host: string, { config, layers, target }: MadeImage): Promise<void> {
  await using resolver = disposable(createRegistryResolver({ plainHttp: true }));
  const pusher = resolver.pusher(`${host}/${repository}`);
  for (const blob of [config, ...layers]) await pushBlob(blob, { provider: content, pusher });
  await pushBlob(target, { provider: content, pusher, tags: ["v1"] });
}

/** What each registry was asked since it was last looked at. */
function taken(registries: readonly HttpFront[]): string[][] {
  return registries.map(({ requests }) => requests.splice(0));
}

function distinct(requests: readonly string[]): string[] {
  return [...new Set(requests)].toSorted();
}

/** Where each registry was asked for the tag. */
function tagsAskedFor(requests: readonly (readonly string[])[]): string[][] {
  return requests.map((all) => distinct(all.flatMap((one) => /\/v2\/\S+\/manifests\/v1/.exec(one)?.[0] ?? [])));
}

/** Writes the `hosts.toml` of a registry; mirrors are a host and what more stands in their table. */
async function configure(
  directory: string,
  registry: string,
  mirrors: readonly (readonly [host: string, settings?: string])[],
): Promise<void> {
  const own = join(directory, "hosts", `${registry.replace(":", "_")}_`);
  await mkdir(own, { recursive: true });
  const tables = mirrors.map(([host, settings = ""]) => `[host."http://${host}"]\n${settings}\n`);
  await writeFile(join(own, "hosts.toml"), `server = "http://${registry}"\n${tables.join("")}`);
}

function disposable<T extends { close(): Promise<void> }>(closable: T): T & AsyncDisposable {
  return Object.assign(closable, { [Symbol.asyncDispose]: () => closable.close() });
}

/** Fetches the image into a new store. @returns its digest */
async function fetched(directory: string, registry: string): Promise<string> {
  await using client = await openClient({
    root: await mkdtemp(join(directory, "store-")),
    registry: await openRegistry({
      hostsDirectories: [join(directory, "hosts")],
      ...quiet,
    }),
  });
  return (await client.fetch(`${registry}/${repository}:v1`)).target.digest;
}
