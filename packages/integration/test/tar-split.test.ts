import { createHash } from "node:crypto";
import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createGunzip, gunzipSync, gzipSync } from "node:zlib";
import { createTarSplitter, joinTar, treeFiles } from "@varve/archive";
import { bash, exec, temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { environment } from "../src/images-under-test.ts";
import { layersOf } from "../src/other-tools/layout.ts";
import { severalLayers } from "../src/other-tools/several-layers.ts";
import { thorough } from "../src/rounds.ts";

const { missing, corpus } = environment;

/** A layer as containers/storage (in Go) keeps it. */
interface StoredLayer {
  readonly id: string;
  readonly "diff-digest": string;
  readonly "compressed-diff-digest": string;
}

/**
 * Layers by GNU tar with what is seldom met: names that are no UTF-8 or very long, links, attributes, and (in two of their own) sparse
 * files, in the forms that Go unpacks.
 */
const makeImages = `
umask 022
work=$1
mkdir -p "$work/1/d" "$work/2" "$work/3/d"
cd "$work/1"
printf bytes >"d/$(printf 'caf\\351 \\377')"
printf html >"d/<a&b>$(printf '\\342\\200\\250')"
echo content >d/file; ln d/file d/hard; ln -s file d/soft; : >d/empty
mkdir -p "d/$(printf 'n%.0s' {1..120})"; echo long >"d/$(printf 'n%.0s' {1..120})/$(printf 'm%.0s' {1..150})"
ln -s "$(printf 't%.0s' {1..200})" d/long-link
setfattr -n user.varve -v "$(printf 'x%.0s' {1..600})" d/file
head -c 700000 /dev/urandom >d/random
tar --format=posix --xattrs -cf ../posix.tar .
tar --format=gnu --transform 's,^\\./d,./e,' -b 200 -cf ../gnu.tar .
cd "$work/2"
truncate -s 300000 sparse; echo middle >>sparse; truncate -s 900000 sparse; truncate -s 100000 hole; echo plain >plain
tar --format=posix -S -cf ../sparse-1.0.tar .
tar --format=posix -S --sparse-version=0.1 --transform 's,^\\./,./p/,' -cf ../sparse-0.1.tar .
cd "$work/3"
echo old >d/twice; tar -cf ../twice.tar d/twice; echo new >d/twice; tar -rf ../twice.tar d/twice
umoci init --layout "$work/layout"
for image in odd twice; do umoci new --image "$work/layout:$image"; done
for layer in posix gnu sparse-1.0 sparse-0.1; do umoci raw add-layer --image "$work/layout:odd" "$work/$layer.tar" >/dev/null; done
umoci raw add-layer --image "$work/layout:twice" "$work/twice.tar" >/dev/null
`;

const skopeo = (...args: readonly string[]): Promise<unknown> =>
  exec("skopeo", ["--insecure-policy", "copy", "-q", ...args]);
const storageOf = (path: string): string => `vfs@${path}/root+${path}/run`;

describe.skipIf(missing !== undefined)(`tar-split (privileged${missing === undefined ? "" : `: ${missing}`})`, () => {
  // Issue 5: "file format compatible with moby's, so that each reads the other's"; S1.90 to S1.95, C-TS.1, G-60
  test("records of real images: Go's are rebuilt by us, and ours by Go, from Go's own trees", async () => {
    await using directory = await temporaryDirectory();
    await using made = await temporaryDirectory();
    // Of the larger image this storage would copy the tree with each of its layers.
    const larger = thorough ? `${corpus.app}:latest` : await severalLayers(made.path);
    const images = { debian: corpus.debian, larger: larger.slice(0, larger.lastIndexOf(":")) };
    const blobs = new Map<string, string>();
    for (const [name, layout] of Object.entries(images)) {
      await skopeo(`oci:${layout}:latest`, `containers-storage:[${storageOf(directory.path)}]${name}:v1`);
      for (const { layer, path } of await layersOf(`${layout}:latest`)) blobs.set(layer.digest, path);
    }
    for (const layer of layersIn(directory.path)) {
      const theirs = recordsOf(directory.path, layer);
      expect(await rebuilt(directory.path, layer, theirs)).toBe(layer["diff-digest"]);
      const ours = await split(blobs.get(layer["compressed-diff-digest"]) ?? "");
      expect(firstDifference(ours, withoutEmptySegment(theirs))).toBeUndefined();
      writeFileSync(recordFile(directory.path, layer), gzipSync(ours, { level: 1 }));
    }
    for (const [name, layout] of Object.entries(images)) {
      await exportsTheSame(directory.path, `${name}:v1`, layout, "latest");
    }
  });

  // G-64
  test("records of odd layers: the same, but that ours can also rebuild sparse files", async () => {
    await using directory = await temporaryDirectory();
    await bash(makeImages, [join(directory.path, "work")]);
    const layout = join(directory.path, "work/layout");
    await skopeo(`oci:${layout}:odd`, `containers-storage:[${storageOf(directory.path)}]odd:v1`);
    const layers = layersIn(directory.path);
    expect(layers.length).toBe(4);
    // What comes out depends on the records: with Go's own it is wrong.
    await expect(exportsTheSame(directory.path, "odd:v1", layout, "odd")).rejects.toThrow(/Digest did not match/);
    for (const [index, layer] of layers.entries()) {
      const theirs = recordsOf(directory.path, layer);
      const ours = await split(join(layout, "blobs/sha256", layer["compressed-diff-digest"].slice("sha256:".length)));
      const isSparse = index >= 2;
      // Go's records say nothing of the maps of sparse files, so not even Go gets these layers back.
      expect((await rebuilt(directory.path, layer, theirs)) === layer["diff-digest"]).toBe(!isSparse);
      expect(firstDifference(ours, withoutEmptySegment(theirs)) === undefined).toBe(!isSparse);
      expect(await rebuilt(directory.path, layer, ours)).toBe(layer["diff-digest"]);
      writeFileSync(recordFile(directory.path, layer), gzipSync(ours));
    }
    await exportsTheSame(directory.path, "odd:v1", layout, "odd");
    // G-61
    const twice = skopeo(`oci:${layout}:twice`, `containers-storage:[${storageOf(directory.path)}]twice:v1`);
    await expect(twice, "Go refuses what we keep").rejects.toThrow(/duplicates of file paths not supported/);
  });
});

function layersIn(storage: string): StoredLayer[] {
  return JSON.parse(readFileSync(join(storage, "root/vfs-layers/layers.json"), "utf8"));
}

function recordFile(storage: string, layer: StoredLayer): string {
  return join(storage, "root/vfs-layers", `${layer.id}.tar-split.gz`);
}

function recordsOf(storage: string, layer: StoredLayer): Buffer {
  return gunzipSync(readFileSync(recordFile(storage, layer)));
}

/** Go wrote an empty segment at the end until tar-split 0.11.3. */
function withoutEmptySegment(records: Buffer): Buffer {
  const last = records.lastIndexOf("\n", -2) + 1;
  return records.toString("latin1", last).startsWith(`{"type":2,"payload":"",`) ? records.subarray(0, last) : records;
}

/** The first line that differs, in short. */
function firstDifference(ours: Buffer, theirs: Buffer): string | undefined {
  if (ours.equals(theirs)) return undefined;
  const lines = theirs.toString().split("\n");
  const [at, line] = [...ours.toString().split("\n").entries()].find(([index, text]) => text !== lines[index]) ?? [
    0,
    "",
  ];
  return `line ${at}: ${line.slice(0, 200)} instead of ${lines[at]?.slice(0, 200)}`;
}

async function split(blob: string): Promise<Buffer> {
  const stretches: Uint8Array[] = [];
  const splitter = createTarSplitter((records) => stretches.push(records));
  for await (const block of createReadStream(blob).pipe(createGunzip())) splitter.write(block);
  expect(splitter.end().repeated).toBe(0);
  return Buffer.concat(stretches);
}

/** The digest of what joining gives. */
async function rebuilt(storage: string, layer: StoredLayer, records: Buffer): Promise<string> {
  const hash = createHash("sha256");
  const files = treeFiles(join(storage, "root/vfs/dir", layer.id));
  try {
    for await (const block of joinTar(inOne(records), files)) hash.update(block);
  } finally {
    files.close();
  }
  return `sha256:${hash.digest("hex")}`;
}

async function* inOne(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield await Promise.resolve(bytes);
}

/** Has Go rebuild all layers of an image, and compares them with what the image says. */
async function exportsTheSame(storage: string, name: string, layout: string, tag: string): Promise<void> {
  const target = join(storage, "exported");
  await rm(target, { recursive: true, force: true });
  await skopeo(
    "--dest-oci-accept-uncompressed-layers",
    `containers-storage:[${storageOf(storage)}]${name}`,
    `oci:${target}:${tag}`,
  );
  const exported: string[] = [];
  for (const { digest } of (await manifestOf(target, tag)).layers) {
    const hash = createHash("sha256");
    // The media type says gzip whatever the blob is.
    const blob = readFileSync(join(target, "blobs/sha256", digest.slice("sha256:".length)));
    hash.update(blob[0] === 0x1f ? gunzipSync(blob) : blob);
    exported.push(`sha256:${hash.digest("hex")}`);
  }
  const { config } = await manifestOf(layout, tag);
  const image = JSON.parse(readFileSync(join(layout, "blobs/sha256", config.digest.slice("sha256:".length)), "utf8"));
  expect(exported).toEqual(image.rootfs.diff_ids);
}

interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

async function manifestOf(layout: string, tag: string): Promise<Manifest> {
  return JSON.parse((await exec("skopeo", ["--insecure-policy", "inspect", "--raw", `oci:${layout}:${tag}`])).stdout);
}
