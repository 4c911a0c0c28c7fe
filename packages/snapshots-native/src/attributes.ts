import {
  EOPNOTSUPP,
  EPERM,
  SyscallError,
  fgetxattr,
  flistxattr,
  lgetxattrat,
  llistxattrat,
  tryFsetxattr,
  tryLsetxattrat,
} from "@varve/syscalls";

/** Copies the extended attributes of an open file or directory; without `all`, those that may be set. */
export function copyAttributes(source: number, destination: number, all: boolean): void {
  for (const name of flistxattr(source)) {
    accept(tryFsetxattr(destination, name, fgetxattr(source, name), 0), name, all);
  }
}

/** The same for one name in a directory, which is not followed. */
export function copyEntryAttributes(
  directories: { readonly source: number; readonly destination: number },
  entry: Buffer,
  all: boolean,
): void {
  const { source, destination } = directories;
  for (const name of llistxattrat(source, entry)) {
    accept(tryLsetxattrat(destination, entry, name, lgetxattrat(source, entry, name), 0), name, all);
  }
}

function accept(result: number, name: Buffer, all: boolean): void {
  if (result >= 0) return;
  const refused = result === -EPERM || result === -EOPNOTSUPP;
  // The label of SELinux is the policy's to give, and a file has one already.
  if (refused && (!all || name.toString("latin1") === "security.selinux")) return;
  throw new SyscallError("setxattr", result, { path: name });
}
