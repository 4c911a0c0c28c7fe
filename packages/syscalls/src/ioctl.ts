import { BULK, BULK_BYTES, kernel } from "./kernel.ts";
import { check } from "./syscall-error.ts";

/** As `ioctl`, but a failure is the negative error number. */
export function tryIoctl(fd: number, request: number, argument: number | Uint8Array): number {
  const k = kernel();
  if (typeof argument === "number") return k.call(k.numbers.ioctl, fd, request, argument);
  const address = k.data(argument, BULK, BULK_BYTES);
  if (address < 0) return address;
  const result = k.call(k.numbers.ioctl, fd, request, address);
  argument.set(k.bytes.subarray(BULK, BULK + argument.length));
  return result;
}

/**
 * Asks a device or filesystem for something of its own. Bytes given are the structure that the request points to, and
 * hold afterwards what the kernel has written there: they must be as long as the request says, and hold no pointers.
 */
export function ioctl(fd: number, request: number, argument: number | Uint8Array): number {
  return check(tryIoctl(fd, request, argument), "ioctl");
}
