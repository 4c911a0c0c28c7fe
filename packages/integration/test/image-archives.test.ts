import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { exec, missingPrograms, temporaryDirectory } from "@varve-tools/corpus";
import { openClient } from "@varve/client";
import { readBlob, writeBlob } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import { createMemoryContentStore } from "@varve/content-memory";
import { digestOf } from "@varve/digest";
import { exportArchive, exportLayout, importArchive, importLayout } from "@varve/image-archive";
import type { ArchivedImage, ImageToExport, ImportStore } from "@varve/image-archive";
import { mediaTypes, parseImageConfig, parseManifest } from "@varve/oci";
import type { Descriptor, ImageConfig, Manifest } from "@varve/oci";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { environment, images } from "../src/images-under-test.ts";
import { startContainerd } from "../src/other-tools/containerd.ts";
import { layerOf, writeLayout } from "../src/other-tools/image-layout.ts";
import { podmanIn } from "../src/other-tools/podman.ts";

const tools = environment.missing === undefined ? await missingPrograms(["podman", "ctr", "containerd"]) : [];
const missing = environment.missing ?? (tools.length === 0 ? undefined : `not installed: ${tools.join(", ")}`);
const name = "registry.example/team/app:v1";

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>;
let count = 0;
/** The same small image in every test: a layout that none of the tools under test has made. */
let layout: string;
let original: Descriptor;

beforeAll(async () => {
  scratch = await temporaryDirectory();
  if (missing !== undefined) return;
  layout = place("layout");
  const layers = await Promise.all(["bottom", "top"].map((file) => layerOf(`etc/${file}`, `${file}\n`.repeat(1000))));
  await writeLayout(layout, layers);
  [original] = JSON.parse(await readFile(join(layout, "index.json"), "utf8")).manifests;
});
afterAll(() => scratch[Symbol.asyncDispose]());

describe.skipIf(missing !== undefined)(
  `image archives (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    describe("skopeo", () => {
      test("copies from a layout that we wrote, and we read the one that it writes", async () => {
        const { content, image } = await imported();
        const [ours, theirs] = [place("ours"), place("theirs")];
        await exportLayout([{ target: image.target, tags: ["v1"] }], ours, { provider: content });
        await copy(`oci:${ours}:v1`, `oci:${theirs}:v2`);
        const store = createMemoryContentStore();
        const back = await importLayout(theirs, { content: store });
        expect(back).toMatchObject([{ tags: ["v2"], target: { digest: original.digest } }]);
        expect(await manifestIn(store, back[0])).toEqual(await manifestIn(content, image));
        // It adds to ours, too, and what we had stays.
        await copy(`oci:${theirs}:v2`, `oci:${ours}:v3`);
        expect(await importLayout(ours, { content: store })).toMatchObject([{ tags: ["v1", "v3"] }]);
      });

      test("copies from an archive that we wrote, and we read the one that it writes", async () => {
        const { content, image } = await imported();
        const [ours, theirs] = [await archive(content, [{ ...image, tags: ["v1"] }]), place("theirs.tar")];
        expect(await raw(`oci-archive:${ours}`)).toEqual(await manifestIn(content, image));
        await copy(`oci-archive:${ours}:v1`, `oci-archive:${theirs}:${name}`);
        const store = createMemoryContentStore();
        const back = await importFile(theirs, store);
        expect(back).toMatchObject([{ names: [name], target: { digest: original.digest } }]);
        expect(await manifestIn(store, back[0])).toEqual(await manifestIn(content, image));
      });

      test("reads our archive as one of docker save, and we read the one that it writes", async () => {
        const { content, image } = await imported();
        const ours = await archive(content, [{ target: image.target, names: [name] }]);
        const theirs = place("docker.tar");
        await copy(`docker-archive:${ours}:${name}`, `docker-archive:${theirs}:${name}`);
        const store = createMemoryContentStore();
        const [back] = await importFile(theirs, store);
        expect(back).toMatchObject({ names: [name], target: { mediaType: mediaTypes.dockerManifest } });
        await expectSameImage({ content, image }, { content: store, image: back });
      });
    });

    describe("umoci", () => {
      test("lists, unpacks and tags in a layout that we wrote, and we read what it made of it", async () => {
        const { content, image } = await imported();
        const ours = place("ours");
        await exportLayout([{ target: image.target, tags: ["v1"] }], ours, { provider: content });
        await exec("umoci", ["tag", "--image", `${ours}:v1`, "v2"]);
        expect((await exec("umoci", ["ls", "--layout", ours])).stdout.split("\n")).toEqual(["v1", "v2", ""]);
        const bundle = place("bundle");
        await exec("umoci", ["unpack", "--image", `${ours}:v2`, bundle]);
        expect((await readdir(join(bundle, "rootfs/etc"))).toSorted()).toEqual(["bottom", "top"]);
        await exportLayout([{ target: image.target, tags: ["v3"] }], ours, { provider: content });
        const back = await importLayout(ours, { content: createMemoryContentStore() });
        expect(back).toMatchObject([{ tags: ["v1", "v2", "v3"], target: { digest: original.digest } }]);
      });

      test("has made the corpus, which goes through our archives and back to skopeo byte by byte", async () => {
        const content = createMemoryContentStore();
        const [image] = await importLayout(environment.corpus.app, { content });
        const file = await archive(content, [image ?? { target: original }]);
        expect(await raw(`oci-archive:${file}`)).toEqual(await raw(`oci:${environment.corpus.app}:latest`));
      });
    });

    describe("podman", () => {
      test("loads our archive under its name and digest, and we read both archives that it saves", async () => {
        const { content, image } = await imported();
        const ours = await archive(content, [{ target: image.target, names: [name] }]);
        await using podman = await podmanIn(scratch.path);
        await podman.run("load", "--input", ours);
        expect(await podman.run("image", "inspect", "--format={{.Digest}}", name)).toBe(original.digest);
        for (const format of ["docker-archive", "oci-archive"]) {
          const saved = place(`${format}.tar`);
          await podman.run("save", `--format=${format}`, `--output=${saved}`, name);
          const store = createMemoryContentStore();
          const [back] = await importFile(saved, store);
          expect([format, back?.names]).toEqual([format, [name]]);
          await expectSameImage({ content, image }, { content: store, image: back });
        }
        const plain = place("several.tar");
        await podman.run("save", "--format=docker-archive", "--multi-image-archive", `--output=${plain}`, name);
        expect(await importFile(plain, createMemoryContentStore())).toMatchObject([{ names: [name] }]);
      });
    });

    describe("containerd", () => {
      test("imports our archive under its name and digest, and we read the one that it exports", async () => {
        await using directory = await temporaryDirectory();
        await using containerd = await startContainerd(directory.path);
        const { content, image } = await imported();
        const ours = await archive(content, [{ target: image.target, names: [name] }]);
        await containerd.ctr("images", "import", "--no-unpack", ours);
        expect(await containerd.ctr("images", "ls", `name==${name}`)).toContain(original.digest);
        const theirs = place("ctr.tar");
        await containerd.ctr("images", "export", theirs, name);
        const store = createMemoryContentStore();
        const back = await importFile(theirs, store);
        expect(back).toMatchObject([{ names: [name], target: { digest: original.digest } }]);
        expect(await manifestIn(store, back[0])).toEqual(await manifestIn(content, image));
        // The same archive of docker save is one image for both.
        const docker = place("docker.tar");
        await copy(`oci-archive:${ours}`, `docker-archive:${docker}:${name}-docker`);
        await containerd.ctr("images", "import", "--no-unpack", docker);
        const [taken] = await importFile(docker, store);
        expect(await containerd.ctr("images", "ls", `name==${name}-docker`)).toContain(taken?.target.digest);
      });

      test("imports an index of which we exported one platform, and exports one that we import", async () => {
        await using directory = await temporaryDirectory();
        await using containerd = await startContainerd(directory.path);
        const content = createMemoryContentStore();
        const { index, chosen, platform } = await multiPlatform(content);
        const children = async (descriptor: Descriptor): Promise<readonly Descriptor[]> => {
          if (descriptor.digest === index.digest) return [chosen];
          const { manifest } = await readImage(content, chosen);
          return descriptor.digest === chosen.digest ? [manifest.config, ...manifest.layers] : [];
        };
        const ours = place("sparse.tar");
        const options = { provider: content, children };
        await pipeline(exportArchive([{ target: index, names: [name] }], options), createWriteStream(ours));
        await containerd.ctr("images", "import", "--no-unpack", ours);
        expect(await containerd.ctr("images", "ls", `name==${name}`)).toContain(index.digest);
        const theirs = place("ctr-sparse.tar");
        await containerd.ctr("images", "export", "--platform", platform, theirs, name);
        for (const file of [ours, theirs]) {
          const store = createMemoryContentStore();
          expect(await importFile(file, store)).toMatchObject([{ names: [name], target: { digest: index.digest } }]);
          await expect(store.info(chosen.digest)).resolves.toBeDefined();
          expect(await manifestIn(store, { target: index })).toEqual(await manifestIn(content, { target: index }));
        }
      });
    });

    // The round trips of a registry: into the store by us, out of it into a layout or an archive, and back by skopeo.
    test.each(images.filter(({ name: image }) => image.startsWith("app:")))(
      "$name comes from a registry, and goes back to it from a layout with the same manifest",
      async (tested) => {
        await using client = await openClient({
          root: place("client"),
          registry: { plainHttp: true },
          durability: "none",
        });
        const { target } = await client.fetch(tested.reference);
        const wanted = await raw(`docker://${tested.reference}`);
        const [directory, repository] = [place("from-registry"), `${environment.registry}/back-${(count += 1)}`];
        await exportLayout([{ target, tags: ["v1"] }], directory, { provider: client.content });
        // By its tag skopeo finds OCI's manifests only.
        const tag = tested.manifestType === mediaTypes.ociManifest ? ":v1" : "";
        await copy(`oci:${directory}${tag}`, `docker://${repository}:layout`);
        expect(await raw(`docker://${repository}:layout`)).toEqual(wanted);
        const file = await archive(client.content, [{ target, names: [`${repository}:archive`] }]);
        await copy(`oci-archive:${file}`, `docker://${repository}:archive`);
        expect(await raw(`docker://${repository}:archive`)).toEqual(wanted);

        const content = await openContentStore({ root: place("store"), durability: "none" });
        try {
          for (const back of [await importFile(file, content), await importLayout(directory, { content })]) {
            expect(back).toMatchObject([{ target: { digest: target.digest, mediaType: tested.manifestType } }]);
            expect(await manifestIn(content, back[0])).toEqual(wanted);
          }
          expect(await Array.fromAsync(content.statuses())).toEqual([]);
        } finally {
          await content.close();
        }
      },
    );

    test("an archive of docker save goes to a registry with the manifest that it got here", async () => {
      const { content, image } = await imported();
      const docker = place("docker.tar");
      await copy(`oci-archive:${await archive(content, [image])}`, `docker-archive:${docker}:${name}`);
      const store = createMemoryContentStore();
      const [taken] = await importFile(docker, store);
      const remote = `docker://${environment.registry}/from-docker:v1`;
      await copy(`oci-archive:${await archive(store, [{ target: taken?.target ?? original }])}`, remote);
      expect(await raw(remote)).toEqual(await manifestIn(store, taken));
    });

    test("an import into a client's store that fails leaves no ingest, and the next one succeeds", async () => {
      await using client = await openClient({ root: place("client") });
      const { content, image } = await imported();
      const whole = await readFile(await archive(content, [image]));
      for (const length of [whole.length - 1500, 6000]) {
        const cut = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
          yield whole.subarray(0, length);
        };
        await expect(importArchive(cut(), { content: client.content })).rejects.toMatchObject({
          code: "ERR_INVALID_DATA",
        });
        expect(await Array.fromAsync(client.content.statuses())).toEqual([]);
      }
      const [taken] = await importFile(await archive(content, [image]), client.content);
      const { labels } = await client.content.info(original.digest);
      expect(taken?.target.digest).toBe(original.digest);
      expect(labels).toHaveProperty(["containerd.io/gc.ref.content.config"]);
    });

    test("a compressed archive, made by the usual tools, is read as it is", async () => {
      const { content, image } = await imported();
      const ours = await archive(content, [{ target: image.target, names: [name] }]);
      await exec("gzip", ["--keep", ours]);
      await exec("zstd", ["--quiet", ours]);
      const unpacked = place("unpacked");
      await mkdir(unpacked);
      await exec("tar", ["--extract", "--file", ours, "--directory", unpacked]);
      for (const format of ["gnu", "pax", "ustar"]) {
        await exec("tar", [
          "--create",
          `--format=${format}`,
          "--file",
          `${ours}.${format}`,
          "--directory",
          unpacked,
          ".",
        ]);
      }
      for (const suffix of ["gz", "zst", "gnu", "pax", "ustar"]) {
        const back = await importFile(`${ours}.${suffix}`, createMemoryContentStore());
        expect([suffix, back[0]?.names, back[0]?.target.digest]).toEqual([suffix, [name], original.digest]);
      }
    });
  },
);

function place(base: string): string {
  count += 1;
  return join(scratch.path, `${count}-${base}`);
}

async function imported(): Promise<{
  readonly content: ReturnType<typeof createMemoryContentStore>;
  readonly image: ArchivedImage;
}> {
  const content = createMemoryContentStore();
  const [image] = await importLayout(layout, { content });
  if (image === undefined) throw new Error("the layout has no image");
  expect(image).toMatchObject({ tags: ["latest"], target: { digest: original.digest } });
  return { content, image };
}

async function archive(
  provider: Parameters<typeof exportArchive>[1]["provider"],
  toExport: readonly ImageToExport[],
): Promise<string> {
  const file = place("archive.tar");
  await pipeline(exportArchive(toExport, { provider }), createWriteStream(file));
  return file;
}

async function importFile(file: string, content: ImportStore): Promise<readonly ArchivedImage[]> {
  return importArchive(createReadStream(file), { content });
}

async function copy(from: string, to: string): Promise<void> {
  const plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
  // A layer of docker save has other bytes than its compressed form.
  const keeps = /docker-archive:/.test(`${from} ${to}`) ? [] : ["--preserve-digests"];
  await exec("skopeo", ["copy", "--quiet", ...keeps, ...plain, from, to]);
}

async function raw(image: string): Promise<string> {
  return (await exec("skopeo", ["inspect", "--raw", "--tls-verify=false", image])).stdout;
}

async function manifestIn(
  store: Pick<ImportStore, "open">,
  image: Pick<ArchivedImage, "target"> | undefined,
): Promise<string> {
  if (image === undefined) throw new Error("no image");
  return Buffer.from(await readBlob(store, image.target)).toString();
}

interface Stored {
  readonly content: Pick<ImportStore, "open">;
  readonly image: ArchivedImage | undefined;
}

/** Docker's form has the layers without compression: config and diff IDs are what both forms share. */
async function expectSameImage(one: Stored, two: Stored): Promise<void> {
  const [first, second] = await Promise.all(
    [one, two].map(({ content, image }) => readImage(content, image?.target ?? original)),
  );
  expect(second?.manifest.config.digest).toBe(first?.manifest.config.digest);
  expect(second?.manifest.layers).toHaveLength(first?.manifest.layers.length ?? -1);
}

async function readImage(
  content: Stored["content"],
  target: Descriptor,
): Promise<{ readonly manifest: Manifest; readonly config: ImageConfig }> {
  const manifest = parseManifest(await readBlob(content, target), target);
  return { manifest, config: parseImageConfig(await readBlob(content, manifest.config)) };
}

/** An index of the small image for this machine, and of one for another that nobody has. */
async function multiPlatform(
  content: ReturnType<typeof createMemoryContentStore>,
): Promise<{ readonly index: Descriptor; readonly chosen: Descriptor; readonly platform: string }> {
  await importLayout(layout, { content });
  const { config } = await readImage(content, original);
  const { annotations: _names, ...manifest } = original;
  const chosen = { ...manifest, platform: { os: config.os, architecture: config.architecture } };
  const absent = { ...manifest, digest: digestOf("absent"), size: 6, platform: { os: "linux", architecture: "s390x" } };
  const document = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [absent, chosen] };
  const bytes = Buffer.from(JSON.stringify(document));
  await writeBlob(content, "index", bytes);
  const index = { mediaType: mediaTypes.ociIndex, digest: digestOf(bytes), size: bytes.length };
  return { index, chosen, platform: `${config.os}/${config.architecture}` };
}
