import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { openClient } from "@varve/client";
import { readBlob } from "@varve/content";
import { parseManifest } from "@varve/oci";
import { exec, temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { environment, images } from "../src/images-under-test.ts";
import { rounds, thorough } from "../src/rounds.ts";
import { compareTrees, readTree } from "../src/tree.ts";
import type { TreeEntry } from "../src/tree.ts";

const { missing } = environment;
const expectedTrees = new Map<string, Map<string, TreeEntry>>();

const debian = images.filter(({ name }) => name.startsWith("debian:"));
const app = images.filter(({ name }) => name.startsWith("app:"));

/** Unless thorough, not each image in each form with each snapshotter: the one has the other below it. */
const plans = [
  { snapshotter: "overlay", unpacked: [...debian.slice(0, rounds(3, 1)), ...app] },
  { snapshotter: "native", unpacked: thorough ? images : app.slice(0, 1) },
];

describe.skipIf(missing !== undefined)(`real images (privileged${missing === undefined ? "" : `: ${missing}`})`, () => {
  for (const { snapshotter, unpacked } of plans) {
    for (const { name, reference, layout, layerType, manifestType } of unpacked) {
      test(`${name} unpacked by ${snapshotter} is the tree that umoci unpacks, and its programs run`, async () => {
        await using directory = await temporaryDirectory();
        await using client = await openClient({ root: join(directory.path, "store"), snapshotter });
        const result = await client.pull(reference);
        const target = parseManifest(await readBlob(client.content, result.target));
        expect(result.target.mediaType).toBe(manifestType);
        expect(new Set(target.layers.map((layer) => layer.mediaType))).toEqual(new Set([layerType]));
        const mounted = join(directory.path, "mounted");
        await mkdir(mounted);
        await client.mount(reference, mounted);
        try {
          const { stdout } = await exec("chroot", [mounted, "dpkg", "--version"]);
          expect(stdout).toContain("Debian");
          const expected = await expectedTree(layout);
          expect(compareTrees(readTree(mounted), expected)).toEqual([]);
          expect(expected.size).toBeGreaterThan(5000);
        } finally {
          await client.unmount(mounted);
        }
        expect(result.layers.map((layer) => layer.chainId)).toEqual(await expectedChain(layout));
      });
    }
  }
});

async function expectedTree(layout: string): Promise<Map<string, TreeEntry>> {
  const known = expectedTrees.get(layout);
  if (known !== undefined) return known;
  await using directory = await temporaryDirectory();
  const bundle = join(directory.path, "bundle");
  await exec("umoci", ["unpack", "--image", `${layout}:latest`, bundle]);
  const tree = readTree(join(bundle, "rootfs"));
  expectedTrees.set(layout, tree);
  return tree;
}

interface Named {
  readonly digest: string;
}

/** The chain IDs by the text of the image specification, from the layout's own config. */
async function expectedChain(layout: string): Promise<string[]> {
  const read = async <T>(path: string): Promise<T> => JSON.parse(await readFile(join(layout, path), "utf8")) as T;
  const blob = ({ digest }: Named): string => join("blobs", digest.replace(":", "/"));
  const [image] = (await read<{ manifests: [Named] }>("index.json")).manifests;
  const { config } = await read<{ config: Named }>(blob(image));
  const { rootfs } = await read<{ rootfs: { diff_ids: string[] } }>(blob(config));
  let chain = "";
  return rootfs.diff_ids.map((diffId) => {
    chain = chain === "" ? diffId : `sha256:${createHash("sha256").update(`${chain} ${diffId}`).digest("hex")}`;
    return chain;
  });
}
