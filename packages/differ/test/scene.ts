import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf } from "@varve/digest";
import type { Mount } from "@varve/mount";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { pack } from "tar-stream";

/** A directory for one test. */
export interface Scene extends AsyncDisposable {
  readonly path: string;
}

export async function scene(): Promise<Scene> {
  const path = await mkdtemp(join(tmpdir(), "varve-differ-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export function bindOf(source: string): readonly Mount[] {
  return [{ type: "bind", source, options: ["rw", "rbind"] }];
}

export async function tarOf(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const tar = pack();
  for (const [name, text] of Object.entries(files)) tar.entry({ name }, text);
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export function layerOf(blob: Uint8Array): Descriptor {
  return { mediaType: mediaTypes.ociLayerGzip, digest: digestOf(blob), size: blob.length };
}

export async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

/** Path → content; links with an arrow, directories with a slash. */
export async function treeOf(root: string): Promise<Record<string, string>> {
  const tree: Record<string, string> = {};
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(root.length + 1);
    if (entry.isDirectory()) tree[`${name}/`] = "";
    else tree[name] = entry.isSymbolicLink() ? `-> ${await readlink(path)}` : await readFile(path, "utf8");
  }
  return tree;
}
