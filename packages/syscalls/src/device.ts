import { CodedError } from "@varve/errors";

/**
 * The device number the kernel takes and gives, from its two halves.
 *
 * @throws ERR_INVALID_ARGUMENT a half is out of the kernel's range: the kernel would silently cut it to another device
 */
export function makedev(majorNumber: number, minorNumber: number): number {
  if (!isBelow(majorNumber, 0x1000) || !isBelow(minorNumber, 0x10_0000)) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `device ${majorNumber}:${minorNumber}: out of range`);
  }
  return ((minorNumber & 0xff) | (majorNumber << 8) | ((minorNumber & ~0xff) << 12)) >>> 0;
}

/** The first half of a device number. */
export function major(dev: number): number {
  return (dev >>> 8) & 0xfff;
}

/** The second half of a device number. */
export function minor(dev: number): number {
  return (dev & 0xff) | ((dev >>> 12) & 0xf_ff00);
}

function isBelow(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < limit;
}
