import { fsetxattr } from "@varve/syscalls";

const yes: Buffer = Buffer.from("y");

/** Marks a directory of an upper layer as one that does not merge with those below. */
export function markOpaque(fd: number, userxattr: boolean): void {
  fsetxattr(fd, userxattr ? "user.overlay.opaque" : "trusted.overlay.opaque", yes, 0);
}

/** Whether an attribute is one that overlayfs keeps for itself; no layer may set it and no copy may take it along. */
export function isOverlayAttribute(name: string): boolean {
  return name.startsWith("trusted.overlay.") || name.startsWith("user.overlay.");
}
