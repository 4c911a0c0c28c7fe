import { access, mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { bash, buildCorpus } from "@varve-tools/corpus";
import { makeBinary, makeModules } from "./make-tree.ts";

/** What is applied and written: the last name of its files, which are archives, plain and compressed. */
export const layerNames = ["debian", "modules", "binary"] as const;
export type LayerName = (typeof layerNames)[number];

interface Index {
  readonly manifests: readonly { readonly digest: string }[];
}

interface Manifest {
  readonly layers: readonly { readonly digest: string }[];
}

/** Makes `NAME.tar`, `NAME.tar.gz` and `NAME.tar.zst` of each, or takes those that an earlier run left in the same directory. */
export async function buildLayers(directory: string, names: readonly LayerName[]): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const name of names) {
    const plain = join(directory, `${name}.tar`);
    if (await exists(`${plain}.zst`)) continue;
    if (name === "debian") await debian(directory, plain);
    else await generated(plain, name === "modules" ? makeModules : makeBinary);
    await bash('gzip -6 -nc "$1" >"$1.gz"; zstd -q -f -3 --check -o "$1.part" "$1"; mv "$1.part" "$1.zst"', [plain]);
  }
}

/** The layer of the Debian image that the pull bench has, too. */
async function debian(directory: string, plain: string): Promise<void> {
  const layout = (await buildCorpus(directory)).debian;
  const blob = (digest = ""): string => join(layout, "blobs", digest.replace(":", "/"));
  const index = JSON.parse(await readFile(join(layout, "index.json"), "utf8")) as Index;
  const manifest = JSON.parse(await readFile(blob(index.manifests[0]?.digest), "utf8")) as Manifest;
  await bash('gzip -dc "$1" >"$2"', [blob(manifest.layers[0]?.digest), plain]);
}

async function generated(plain: string, make: (root: string) => void): Promise<void> {
  const root = `${plain}.tree`;
  await rm(root, { recursive: true, force: true });
  await mkdir(root);
  make(root);
  const how =
    "--sort=name --format=pax --pax-option=delete=atime,delete=ctime --mtime=@1735689600 --numeric-owner --owner=0 --group=0";
  await bash(`tar -c ${how} -C "$1" -f "$2.part" .`, [root, plain]);
  await rename(`${plain}.part`, plain);
  await rm(root, { recursive: true });
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
