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

/** The names that lead from the driver's directory to the files of one layer. */
export function driverPath({ name }: MobyDriver, cacheId: string): readonly string[] {
  return name === "vfs" ? ["dir", cacheId] : [cacheId, "diff"];
}
