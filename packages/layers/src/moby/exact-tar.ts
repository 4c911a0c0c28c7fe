import { joinTar, treeFiles } from "@varve/archive";
import { decompress } from "@varve/compression";
import { openDirectory, openFile } from "./files.ts";
import { layerPath } from "./layerdb.ts";
import type { MobyLayer } from "./layerdb.ts";
import { driverPath } from "./source.ts";
import type { MobySource } from "./source.ts";

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
  const names = driverPath(driver, cacheId);
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
