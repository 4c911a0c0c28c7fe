import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exec, missingPrograms, startDockerRegistry, temporaryDirectory } from "@varve-tools/corpus";
import type { DockerRegistry } from "@varve-tools/corpus";
import { openClient, openRegistry } from "@varve/client";
import { parseManifest } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { environment } from "../src/images-under-test.ts";
import { startContainerd } from "../src/other-tools/containerd.ts";
import { startRelay } from "../src/relay.ts";

const { missing } = environment;
const [noContainerd] = await missingPrograms(["containerd", "ctr"]);
/** Nothing of this machine's user, and no long waits. */
const quiet = { credentials: async () => undefined, retryDelay: 10 };
const repository = "team/app";
const manifestType = "application/vnd.oci.image.manifest.v1+json";

// T3, T4, U-HOST.1, U-HOST.2, C-RES.4: Debian's docker-registry in every part
describe.skipIf(missing !== undefined)(
  `a pull by mirrors (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test("passes by those that are down or empty, and asks the registry only what the tag means", async () => {
      await using origin = await startDockerRegistry();
      await using empty = await startDockerRegistry();
      await using good = await startDockerRegistry();
      const down = await startDockerRegistry();
      await down.close();
      const { digest, blobs } = await push(origin);
      await push(good);
      await using directory = await temporaryDirectory();
      const mirrors = [[down.host], [empty.host], [good.host, `capabilities = ["pull"]`]] as const;
      await configure(directory.path, origin.host, mirrors);

      const asked = await askedDuring([origin, empty, good], async () => {
        expect(await fetched(directory.path, origin.host)).toBe(digest);
      });
      expect(asked[0]).toEqual([`HEAD /v2/${repository}/manifests/v1`]);
      const ns = `?ns=${encodeURIComponent(origin.host)}`;
      expect(asked[1]?.[0]).toBe(`HEAD /v2/${repository}/manifests/v1${ns}`);
      expect(asked[1]?.filter((request) => !request.endsWith(ns))).toEqual([]);
      expect(asked[2]?.toSorted()).toEqual(
        [`manifests/${digest}`, ...blobs.map((blob) => `blobs/${blob.digest}`)]
          .map((path) => `GET /v2/${repository}/${path}${ns}`)
          .toSorted(),
      );
    });

    // U-HOST.1, U-HOST.2: containerd itself with the same directory
    test.skipIf(noContainerd !== undefined)("asks the same servers for the same things as containerd", async () => {
      await using origin = await startDockerRegistry();
      await using empty = await startDockerRegistry();
      await using good = await startDockerRegistry();
      await push(origin);
      await push(good);
      await using directory = await temporaryDirectory();
      const mirrors = [[empty.host], [good.host, `capabilities = ["pull"]`]] as const;
      await configure(directory.path, origin.host, mirrors);
      await using containerd = await startContainerd(directory.path);

      const reference = `${origin.host}/${repository}:v1`;
      const hosts = join(directory.path, "hosts");
      const registries = [origin, empty, good];
      const theirs = await askedDuring(registries, async () => {
        await containerd.ctr("content", "fetch", "--hosts-dir", hosts, reference);
      });
      const ours = await askedDuring(registries, async () => {
        await fetched(directory.path, origin.host);
      });
      expect(ours.map(distinct)).toEqual(theirs.map(distinct));
      expect(ours.map(({ length }) => length > 0)).toEqual([true, true, true]);
    });

    // cli.md 2.5: skopeo itself with the same file
    test("finds by a registries.conf what skopeo finds, in the same places", async () => {
      await using empty = await startDockerRegistry();
      await using good = await startDockerRegistry();
      const { digest } = await push(good);
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

      const theirs = await askedDuring([empty, good], async () => {
        const inspect = ["inspect", "--no-tags", "--format", "{{.Digest}}", `docker://${reference}`];
        expect((await exec("skopeo", ["--registries-conf", file, ...inspect])).stdout.trim()).toBe(digest);
      });
      const ours = await askedDuring([empty, good], async () => {
        await using registry = disposable(
          await openRegistry({ ...quiet, hostsDirectories: [], registriesFiles: [file] }),
        );
        expect((await registry.resolve(reference)).descriptor.digest).toBe(digest);
      });
      expect(tagsAskedFor(ours)).toEqual([["/v2/mirror/of/app/manifests/v1"], ["/v2/team/app/manifests/v1"]]);
      expect(tagsAskedFor(ours)).toEqual(tagsAskedFor(theirs));
    });

    test("gets from the registry only the blob that the mirror lacks", async () => {
      await using origin = await startDockerRegistry();
      await using mirror = await startDockerRegistry();
      const { digest, blobs } = await push(origin);
      await push(mirror);
      const lacking = `/v2/${repository}/blobs/${blobs.at(-1)?.digest}`;
      const { status } = await fetch(`http://${mirror.host}${lacking}`, { method: "DELETE" });
      expect(status).toBe(202);
      await using directory = await temporaryDirectory();
      await configure(directory.path, origin.host, [[mirror.host]]);

      const [asked] = await askedDuring([origin], async () => {
        expect(await fetched(directory.path, origin.host)).toBe(digest);
      });
      expect(asked).toEqual([`GET ${lacking}`]);
    });

    // U-FET.2
    test("goes on at the registry where the mirror breaks off, and no byte comes twice", async () => {
      await using real = await startDockerRegistry();
      await using mirror = await startDockerRegistry();
      const { digest, blobs } = await push(real);
      await push(mirror);
      await using origin = await startRelay(real.host);
      await using frail = await startRelay(mirror.host, { cutAfter: 300_000 });
      await using directory = await temporaryDirectory();
      await configure(directory.path, origin.host, [[frail.host]]);

      expect(await fetched(directory.path, origin.host)).toBe(digest);
      expect(frail.cuts).toBeGreaterThan(0);
      const size = blobs.reduce((sum, blob) => sum + blob.size, 0);
      expect(frail.bytes).toBeGreaterThan(300_000);
      expect(frail.bytes + origin.bytes).toBeLessThan(1.1 * size + 50_000);
    });
  },
);

/** Puts the image there as `v1`, unchanged. */
async function push({ host }: DockerRegistry): Promise<{ readonly digest: string; readonly blobs: Descriptor[] }> {
  const layout = `oci:${environment.corpus.app}:latest`;
  const target = `docker://${host}/${repository}:v1`;
  await exec("skopeo", ["copy", "-q", "--preserve-digests", "--dest-tls-verify=false", layout, target]);
  const answer = await fetch(`http://${host}/v2/${repository}/manifests/v1`, { headers: { accept: manifestType } });
  const { config, layers } = parseManifest(new Uint8Array(await answer.arrayBuffer()));
  return { digest: answer.headers.get("docker-content-digest") ?? "none", blobs: [config, ...layers] };
}

/** What each registry was asked meanwhile. */
async function askedDuring(registries: readonly DockerRegistry[], body: () => Promise<void>): Promise<string[][]> {
  const before = await Promise.all(registries.map((registry) => registry.requests()));
  await body();
  const after = await Promise.all(registries.map((registry) => registry.requests()));
  return after.map((requests, index) => requests.slice(before[index]?.length));
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
