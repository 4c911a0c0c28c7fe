import { statSync } from "node:fs";
import type { Mount, Mounter } from "@varve/mount";
import * as sys from "@varve/syscalls";

/** Just enough of a mounter for what snapshotters give: one bind mount. */
export const smallMounter: Mounter = {
  async mount(mounts, target) {
    statSync(target);
    for (const mount of mounts) {
      mountBind(mount, target);
    }
  },
  async unmount(target) {
    sys.umount2(target, sys.UMOUNT_NOFOLLOW);
  },
};

function mountBind(mount: Mount, target: string): void {
  sys.mount(target, { source: mount.source, flags: sys.MS_BIND | sys.MS_REC });
  if (!mount.options.includes("ro")) return;
  sys.mount(target, { flags: sys.MS_BIND | sys.MS_REMOUNT | sys.MS_RDONLY });
}
