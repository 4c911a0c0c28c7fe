import { join } from "node:path";

/** Names the directory of the archives to the tasks. */
export const layersVariable = "VARVE_BENCH_LAYERS";

/** @param name with its endings: `debian.tar.gz` */
export function layerFile(name: string): string {
  return join(process.env[layersVariable] ?? "", name);
}
