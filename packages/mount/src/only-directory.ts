import type { Mount } from "./mount.ts";
import { isIdMapped } from "./id-mapping.ts";

/** The one directory that shows what the mounts show, if there is one: it need not be mounted to be read. */
export function onlyDirectory(mounts: readonly Mount[]): string | undefined {
  const [mount, ...others] = mounts;
  const isPlain = mount?.type === "bind" && others.length === 0 && mount.target === undefined && !isIdMapped(mount);
  return isPlain ? mount.source : undefined;
}
