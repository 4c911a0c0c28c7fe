import { lgetxattr, llistxattr } from "@varve/syscalls";

/** All extended attributes of a path, which is not followed. */
export function xattrsOf(path: Buffer): (readonly [name: string, value: Buffer])[] {
  return llistxattr(path).map((name) => [Buffer.from(name).toString("latin1"), Buffer.from(lgetxattr(path, name))]);
}
