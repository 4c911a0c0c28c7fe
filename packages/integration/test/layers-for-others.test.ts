import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { packLayer } from "@varve/archive";
import type { Trees } from "@varve/archive";
import { compress } from "@varve/compression";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { exec, missingPrograms, temporaryDirectory } from "@varve-tools/corpus";
import { compareTrees, readTree } from "@varve-tools/hostile-layers";
import type { Tree } from "@varve-tools/hostile-layers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { xattrsOf } from "../src/hostile/xattrs-of.ts";
import { environment } from "../src/images-under-test.ts";
import { startContainerd } from "../src/other-tools/containerd.ts";
import type { Containerd } from "../src/other-tools/containerd.ts";
import { writeLayout } from "../src/other-tools/image-layout.ts";
import type { StoredLayer } from "../src/other-tools/image-layout.ts";
import { emptyLayout, umociTree } from "../src/other-tools/layout.ts";
import { changeTree, makeTree } from "../src/other-tools/source-tree.ts";

const absent = await missingPrograms(["containerd", "ctr"]);
const missing = environment.missing ?? (absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`);

const forms = [
  { compression: "none", mediaType: mediaTypes.ociLayer },
  { compression: "gzip", mediaType: mediaTypes.ociLayerGzip },
  { compression: "zstd", mediaType: mediaTypes.ociLayerZstd },
] as const;

/** A tree and its changes, told apart by walking both, and by what an overlay wrote down. */
interface Source {
  readonly tree: Tree;
  readonly layers: readonly Buffer[];
}

describe.skipIf(missing !== undefined)(
  `layers that we make (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    let box: Awaited<ReturnType<typeof temporaryDirectory>>;
    let containerd: Containerd;
    let walked: Source;
    let overlaid: Source;
    beforeAll(async () => {
      box = await temporaryDirectory();
      containerd = await startContainerd(box.path);
      const [lower, upper] = [join(box.path, "lower"), join(box.path, "upper")];
      await mkdir(lower);
      await makeTree(lower, "everything");
      await exec("cp", ["-a", lower, upper]);
      await changeTree(upper);
      walked = { tree: readTree(upper, xattrsOf), layers: [pack({ upper: lower }), pack({ upper, lower })] };
      overlaid = await changedInAnOverlay(join(box.path, "overlay"), lower);
    });
    afterAll(async () => {
      await containerd[Symbol.asyncDispose]();
      await box[Symbol.asyncDispose]();
    });

    for (const { compression, mediaType } of forms) {
      for (const name of ["walked", "overlaid"] as const) {
        test(`${name}, ${compression}: accepted by skopeo, and containerd and umoci unpack the tree`, async () => {
          await using directory = await temporaryDirectory();
          const { layers, tree } = name === "walked" ? walked : overlaid;
          const stored = await Promise.all(layers.map((layer) => store(layer, compression, mediaType)));
          const image = await writeLayout(join(directory.path, "layout"), stored);
          const archive = join(directory.path, "image.tar");
          await exec("skopeo", ["copy", "-q", `oci:${image}`, `oci-archive:${archive}:latest`]);
          const differing: string[] = [];
          for (const snapshotter of ["native", "overlayfs"] as const) {
            const found = await containerd.treeOf(archive, snapshotter);
            // U-TAR.2: containerd ignores the entry of the root.
            differing.push(...compareTrees(withoutRoot(found), withoutRoot(tree)));
          }
          // umoci 0.4 knows no zstd.
          if (compression !== "zstd") differing.push(...compareTrees(await umociTree(image), tree));
          expect(differing).toEqual([]);
        });
      }
    }

    test("umoci takes them into an image of its own", async () => {
      await using directory = await temporaryDirectory();
      const image = await emptyLayout(join(directory.path, "layout"));
      for (const [index, layer] of walked.layers.entries()) {
        const path = join(directory.path, `${index}.tar`);
        await writeFile(path, layer);
        await exec("umoci", ["raw", "add-layer", "--image", image, path]);
      }
      expect(compareTrees(await umociTree(image), walked.tree)).toEqual([]);
    });

    test("GNU tar and bsdtar find the tree in the first of them", async () => {
      for (const program of ["tar --xattrs --xattrs-include=* --numeric-owner -xpf", "bsdtar --numeric-owner -xpf"]) {
        await using directory = await temporaryDirectory();
        const [archive, root] = [join(directory.path, "layer.tar"), join(directory.path, "root")];
        await mkdir(root);
        await writeFile(archive, walked.layers[0] ?? "");
        const [command = "", ...args] = program.split(" ");
        await exec(command, [...args, archive, "-C", root]);
        const [found, wanted] = [root, join(box.path, "lower")].map((path) => withoutRoot(readTree(path, xattrsOf)));
        // bsdtar leaves the time of the root.
        expect(found === undefined || wanted === undefined || compareTrees(found, wanted)).toEqual([]);
      }
    });
  },
);

function pack(trees: Trees): Buffer {
  // A block may be overwritten when the next one is taken.
  return Buffer.concat(
    [...packLayer(trees)].length === 0 ? [] : Array.from(packLayer(trees), (block) => Buffer.from(block)),
  );
}

async function store(layer: Buffer, compression: "gzip" | "none" | "zstd", mediaType: string): Promise<StoredLayer> {
  const chunks: Uint8Array[] = [];
  const source = (async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < layer.length; at += 100_000) yield layer.subarray(at, at + 100_000);
  })();
  for await (const chunk of compress(source, { compression })) chunks.push(Buffer.from(chunk));
  return { bytes: Buffer.concat(chunks), mediaType, diffId: digestOf(layer) };
}

/** The same changes, made in a mounted overlay. */
async function changedInAnOverlay(directory: string, lower: string): Promise<Source> {
  const [upper, work, merged] = ["upper", "work", "merged"].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [upper, work, merged]) await mkdir(path, { recursive: true });
  await exec("mount", [
    "-t",
    "overlay",
    "overlay",
    "-o",
    `lowerdir=${lower},upperdir=${upper},workdir=${work}`,
    merged,
  ]);
  try {
    await changeTree(merged);
    const tree = readTree(merged, xattrsOf);
    return { tree, layers: [pack({ upper: lower }), pack({ upper, lower, form: "overlay" })] };
  } finally {
    await exec("umount", [merged]);
  }
}

function withoutRoot(tree: Tree): Tree {
  return new Map([...tree].filter(([path]) => path !== ""));
}
