import { createLinuxMounter } from "@varve/mount-linux";
import type { DescribeSnapshotterOptions } from "@varve/snapshots-conformance";
import { ENODATA, SyscallError, lsetxattr, tryLgetxattr } from "@varve/syscalls";

/** What the suite of snapshotters is run with where everything can be done: its cases then leave nothing out. */
export const realMounts: Pick<DescribeSnapshotterOptions, "mounter" | "idMappedMounts" | "xattrs"> = {
  mounter: createLinuxMounter(),
  idMappedMounts: true,
  xattrs: {
    set: (path, name, value) => lsetxattr(path, name, Buffer.from(value), 0),
    get(path, name) {
      const value = tryLgetxattr(path, name);
      if (typeof value !== "number") return value.toString();
      if (value === -ENODATA) return undefined;
      throw new SyscallError("lgetxattr", value, { path });
    },
  },
};
