import { joinTar, treeFiles } from "@varve/archive";
import { decompress } from "@varve/compression";
import { openDirectory, openFile } from "./moby-files.ts";
import { layerPath } from "./moby-layerdb.ts";
import type { MobyLayer } from "./moby-layerdb.ts";

/** Where the files of layers are, and in which form. */
export interface MobyDriver {
  /** `overlay2`: `<root>/<cache ID>/diff`, as fuse-overlayfs has them, too; `vfs`: `<root>/dir/<cache ID>`. */
  readonly name: "overlay2" | "vfs";
  /** The driver's own directory: `overlay2` or `vfs` in moby's root. */
  readonly root: string;
}

/** A moby's store on disk. */
export interface MobySource {
  readonly layerdb: string;
  readonly driver: MobyDriver;
}

/** The archive that was registered with moby, from its records and the driver's files, held against its diff ID at the end. */
export async function* mobyTar(
  source: MobySource,
  layer: MobyLayer,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { chainId, cacheId, diffId } = layer;
  const subject = `layer ${chainId}`;
  if (cacheId === undefined) {
    yield Buffer.alloc(1024);
    return;
  }
  const { driver } = source;
  const names = driver.name === "vfs" ? ["dir", cacheId] : [cacheId, "diff"];
  const directory = await openDirectory(driver.root, names, `${subject}: its directory ${names.join("/")}`);
  try {
    const files = treeFiles(directory.path);
    try {
      yield* joinTar(mobyRecords(source, layer, signal), files, { diffId, signal, subject });
    } finally {
      files.close();
    }
  } finally {
    await directory.close();
  }
}

async function* mobyRecords(
  { layerdb }: MobySource,
  { chainId }: MobyLayer,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const name = "tar-split.json.gz";
  const subject = `layer ${chainId}: its ${name}`;
  const directory = await openDirectory(layerdb, layerPath(chainId), subject);
  try {
    const file = await openFile(directory, name, subject);
    try {
      yield* decompress(file.createReadStream({ autoClose: false }), { signal, subject });
    } finally {
      await file.close();
    }
  } finally {
    await directory.close();
  }
}
