import { writeSync } from "node:fs";
import { SyscallError, EIO } from "@varve/syscalls";

/** Writes all of the bytes at a place in the file, or (`null`) where the last ones ended; the kernel may take fewer at a time. */
export function writeAll(fd: number, bytes: Uint8Array, position: number | null): void {
  for (let at = 0; at < bytes.length;) {
    const written = writeSync(fd, bytes, at, bytes.length - at, position === null ? null : position + at);
    // To ask again could go on for ever.
    if (written === 0) throw new SyscallError("write", EIO);
    at += written;
  }
}
