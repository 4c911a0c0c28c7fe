import { CodedError } from "@varve/errors";
import type { Stack } from "./stack.ts";

/** Where a store of varve's own keeps its parts. */
export interface StoreDirectories {
  readonly content: string;
  readonly layers: string;
  /** Of the snapshotter of that name. */
  readonly snapshots: (snapshotter: string) => string;
}

/**
 * @param what needs them: `the layer store`
 * @throws ERR_NOT_IMPLEMENTED somebody else keeps the store
 */
export function directoriesFor(what: string, { directories, root }: Stack): StoreDirectories {
  if (directories !== undefined) return directories;
  throw new CodedError("ERR_NOT_IMPLEMENTED", `containerd ${root}: ${what} needs a store of varve's own`);
}
