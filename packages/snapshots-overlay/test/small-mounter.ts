import { statSync } from "node:fs";
import type { Mount, Mounter } from "@varve/mount";
import { overlayDirectories, splitMountOptions } from "@varve/mount";
import * as sys from "@varve/syscalls";

/** Just enough of a mounter for what snapshotters give: bind mounts, and overlays of any length. */
export const smallMounter: Mounter = {
  async mount(mounts, target) {
    statSync(target);
    for (const mount of mounts) {
      if (mount.type === "bind") mountBind(mount, target);
      else mountOverlay(mount, target);
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

function mountOverlay(mount: Mount, target: string): void {
  const { lower, upper, work } = overlayDirectories(mount);
  const others = splitMountOptions(mount.options).filter((option) => !/^(lower|upper|work)dir=/.test(option));
  const context = sys.fsopen("overlay", sys.FSOPEN_CLOEXEC);
  try {
    for (const value of lower) sys.fsconfig(context, { key: "lowerdir+", value });
    if (upper !== undefined) sys.fsconfig(context, { key: "upperdir", value: upper });
    if (work !== undefined) sys.fsconfig(context, { key: "workdir", value: work });
    for (const option of others) {
      const [key = "", value] = option.split("=");
      sys.fsconfig(context, value === undefined ? { key } : { key, value });
    }
    sys.fsconfigCreate(context);
    const fd = sys.fsmount(context, sys.FSMOUNT_CLOEXEC, 0);
    try {
      sys.moveMount(fd, "", sys.AT_FDCWD, target, sys.MOVE_MOUNT_F_EMPTY_PATH);
    } finally {
      sys.close(fd);
    }
  } finally {
    sys.close(context);
  }
}
