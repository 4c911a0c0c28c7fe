import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { bash, exec, missingPrograms, temporaryDirectory } from "@varve-tools/corpus";
import { readTree } from "@varve-tools/hostile-layers";
import type { Tree } from "@varve-tools/hostile-layers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openWorkshop } from "../src/hostile/workshop.ts";
import type { Workshop } from "../src/hostile/workshop.ts";
import { xattrsOf } from "../src/hostile/xattrs-of.ts";
import { environment } from "../src/images-under-test.ts";
import { differencesFrom, emptyLayout, layersOf, umociTree } from "../src/other-tools/layout.ts";
import { severalLayers } from "../src/other-tools/several-layers.ts";
import { changeTree, makeTree } from "../src/other-tools/source-tree.ts";
import type { Fullness } from "../src/other-tools/source-tree.ts";

const absent = await missingPrograms(["bsdtar", "buildah", "python3"]);
const missing = environment.missing ?? (absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`);

interface Archiver {
  readonly name: string;
  readonly holds: Fullness;
  /** Bash that writes the tree `$1` to the archive `$2`. */
  readonly script: string;
  /** umoci does not know this form: GNU tar says what is in it. */
  readonly isForeign?: boolean;
}

const gnu = "tar -C \"$1\" --numeric-owner --xattrs --xattrs-include='*'";
const python = (form: string): string => `python3 -c '
import sys, tarfile
with tarfile.open(sys.argv[2], "w", format=tarfile.${form}_FORMAT, encoding="latin-1" if "${form}" != "PAX" else "utf-8", errors="surrogateescape") as archive:
    archive.add(sys.argv[1], arcname=".")
' "$1" "$2"`;

const archivers: readonly Archiver[] = [
  { name: "GNU tar, gnu", holds: "full", script: 'tar -C "$1" --numeric-owner --format=gnu -cf "$2" .' },
  {
    name: "GNU tar, gnu, sparse",
    holds: "full",
    script: 'tar -C "$1" --numeric-owner --format=gnu --sparse -cf "$2" .',
    isForeign: true,
  },
  { name: "GNU tar, oldgnu", holds: "full", script: 'tar -C "$1" --numeric-owner --format=oldgnu -cf "$2" .' },
  { name: "GNU tar, pax", holds: "everything", script: `${gnu} --format=pax -cf "$2" .` },
  {
    name: "GNU tar, pax, sparse 0.0",
    holds: "everything",
    script: `${gnu} --format=pax --sparse --sparse-version=0.0 -cf "$2" .`,
  },
  {
    name: "GNU tar, pax, sparse 0.1",
    holds: "everything",
    script: `${gnu} --format=pax --sparse --sparse-version=0.1 -cf "$2" .`,
  },
  {
    name: "GNU tar, pax, sparse 1.0",
    holds: "everything",
    script: `${gnu} --format=pax --sparse --sparse-version=1.0 -cf "$2" .`,
  },
  { name: "GNU tar, ustar", holds: "simple", script: 'tar -C "$1" --numeric-owner --format=ustar -cf "$2" .' },
  { name: "GNU tar, v7", holds: "simple", script: 'tar -C "$1" --numeric-owner --format=v7 -cf "$2" .' },
  { name: "GNU tar, names without ./", holds: "simple", script: 'cd "$1" && tar --numeric-owner -cf "$2" *' },
  {
    name: "bsdtar, pax",
    holds: "everything",
    script: 'bsdtar -C "$1" --numeric-owner --format=pax --xattrs -cf "$2" .',
  },
  { name: "bsdtar, gnutar", holds: "full", script: 'bsdtar -C "$1" --numeric-owner --format=gnutar -cf "$2" .' },
  { name: "bsdtar, ustar", holds: "simple", script: 'bsdtar -C "$1" --numeric-owner --format=ustar -cf "$2" .' },
  { name: "Python, pax", holds: "full", script: python("PAX") },
  { name: "Python, gnu", holds: "full", script: python("GNU") },
  { name: "Python, ustar", holds: "simple", script: python("USTAR") },
];

describe.skipIf(missing !== undefined)(
  `layers that others make (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    let workshop: Workshop;
    beforeAll(async () => {
      workshop = await openWorkshop();
    });
    afterAll(() => workshop[Symbol.asyncDispose]());

    test.each(archivers)("$name: the tree is the one that umoci unpacks", async ({ holds, script, isForeign }) => {
      await using directory = await temporaryDirectory();
      const [source, archive, layout] = ["source", "layer.tar", "layout"].map((name) => join(directory.path, name));
      if (source === undefined || archive === undefined || layout === undefined) throw new Error("no paths");
      await mkdir(source);
      await makeTree(source, holds);
      await bash(script, [source, archive]);
      const image = await emptyLayout(layout);
      await exec("umoci", ["raw", "add-layer", "--image", image, archive]);
      const wanted = isForeign === true ? await gnuTarTree(archive) : await umociTree(image);
      expect(await differencesFrom(wanted, workshop, image)).toEqual([]);
    });

    test("umoci: inserted, repacked after changes, with a whiteout and an opaque directory", async () => {
      await using directory = await temporaryDirectory();
      const image = await severalLayers(directory.path);
      expect(await layersOf(image)).toHaveLength(4);
      expect(await differencesFrom(await umociTree(image), workshop, image)).toEqual([]);
    });

    test("buildah: a tree that is copied in, and one that is changed", async () => {
      await using directory = await temporaryDirectory();
      const { path } = directory;
      const source = join(path, "source");
      await mkdir(source);
      await makeTree(source, "everything");
      const buildah = async (...args: readonly string[]): Promise<string> => {
        const storage = ["--storage-driver", "vfs", "--root", join(path, "root"), "--runroot", join(path, "run")];
        return (await exec("buildah", [...storage, ...args])).stdout.trim();
      };
      const build = async (from: string, to: string, change: (root: string) => Promise<unknown>): Promise<string> => {
        const container = await buildah("from", "--pull-never", from);
        await change(await buildah("mount", container));
        await buildah("commit", "-q", container, `localhost/${to}`);
        const image = `${join(path, "layout")}:${to}`;
        await buildah("push", "-q", `localhost/${to}`, `oci:${image}`);
        return image;
      };
      const first = await build("scratch", "first", (root) => exec("cp", ["-a", `${source}/.`, root]));
      const second = await build("localhost/first", "second", changeTree);
      expect(await layersOf(second)).toHaveLength(2);
      for (const image of [first, second]) {
        expect(await differencesFrom(await umociTree(image), workshop, image)).toEqual([]);
      }
    });

    test("docker: an image that went through an archive of docker's", async () => {
      await using directory = await temporaryDirectory();
      const { path } = directory;
      const [image, again] = [await severalLayers(path), `${join(path, "again")}:latest`];
      const docker = `docker-archive:${join(path, "docker.tar")}:several:latest`;
      await exec("skopeo", ["copy", "-q", `oci:${image}`, docker]);
      await exec("skopeo", ["copy", "-q", docker, `oci:${again}`]);
      expect(await differencesFrom(await umociTree(image), workshop, again)).toEqual([]);
    });
  },
);

async function gnuTarTree(archive: string): Promise<Tree> {
  await using directory = await temporaryDirectory();
  await exec("tar", ["-C", directory.path, "--numeric-owner", "-xpf", archive]);
  return readTree(directory.path, xattrsOf);
}
