import { CodedError } from "@varve/errors";
import * as sys from "@varve/syscalls";
import { mustSucceed } from "./mount-error.ts";
import type { LoopRange } from "./parsed-options.ts";

/** An image file attached as a device. The device is freed when it is neither open nor mounted. */
export interface LoopDevice {
  readonly fd: number;
  readonly path: string;
  readonly readOnly: boolean;
}

// linux/loop.h
const LOOP_CONFIGURE = 0x4c0a;
const LOOP_CTL_GET_FREE = 0x4c82;
const LO_FLAGS_READ_ONLY = 1;
const LO_FLAGS_AUTOCLEAR = 4;
/** struct loop_config, and where in it the fields are that are not zero. */
const CONFIG_BYTES = 304;
const CONFIG = { fd: 0, offset: 32, sizeLimit: 40, flags: 60, name: 64, nameBytes: 63 } as const;

/** Others take the free device that the kernel has named before we do; then it names another. */
const ATTEMPTS = 128;

/**
 * Attaches `file` as a block device; read-only if that is asked for or if the file cannot be written. (U-MNT.7)
 *
 * @throws ERR_INVALID_ARGUMENT `file` is neither a file nor a device
 * @throws ERR_NOT_IMPLEMENTED this system has no loop devices
 */
export function attachLoop(file: string, range: LoopRange, readOnly: boolean): LoopDevice {
  const image = openImage(file, readOnly);
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const device = tryAttach(image, file, range);
      if (device !== undefined) return device;
    }
  } finally {
    sys.close(image.fd);
  }
  throw new CodedError("ERR_UNAVAILABLE", `loop: source ${file}: other processes take every free device`);
}

interface Image {
  readonly fd: number;
  readonly readOnly: boolean;
}

function openImage(file: string, readOnly: boolean): Image {
  const about = `loop: source ${file}`;
  const place = mustSucceed(sys.tryOpenat2(sys.AT_FDCWD, file, { flags: sys.O_PATH }), about, "openat2");
  try {
    const kind = sys.statx(place, "", 0).mode & sys.S_IFMT;
    // To open a fifo would wait for its other end.
    if (kind !== sys.S_IFREG && kind !== sys.S_IFBLK) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `${about}: not a file`);
    }
    const path = `/proc/self/fd/${place}`;
    const writable = readOnly ? -sys.EROFS : sys.tryOpenat2(sys.AT_FDCWD, path, { flags: sys.O_RDWR });
    if (writable >= 0) return { fd: writable, readOnly: false };
    if (!isWriteProtected(writable)) mustSucceed(writable, about, "openat2");
    const fd = mustSucceed(sys.tryOpenat2(sys.AT_FDCWD, path, { flags: sys.O_RDONLY }), about, "openat2");
    return { fd, readOnly: true };
  } finally {
    sys.close(place);
  }
}

function isWriteProtected(result: number): boolean {
  return [sys.EROFS, sys.EACCES, sys.EPERM, sys.ETXTBSY].includes(-result);
}

/** Undefined if another process was faster. */
function tryAttach(image: Image, file: string, range: LoopRange): LoopDevice | undefined {
  const path = `/dev/loop${freeNumber()}`;
  const flags = image.readOnly ? sys.O_RDONLY : sys.O_RDWR;
  const fd = mustSucceed(sys.tryOpenat2(sys.AT_FDCWD, path, { flags }), `loop: device ${path}`, "openat2");
  const result = sys.tryIoctl(fd, LOOP_CONFIGURE, configuration(image, file, range));
  if (result === 0) return { fd, path, readOnly: image.readOnly };
  sys.close(fd);
  if (result === -sys.EBUSY) return undefined;
  mustSucceed(result, `loop: source ${file}`, "ioctl LOOP_CONFIGURE");
  return undefined;
}

function freeNumber(): number {
  const control = sys.tryOpenat2(sys.AT_FDCWD, "/dev/loop-control", { flags: sys.O_RDWR });
  if (control === -sys.ENOENT || control === -sys.ENODEV) {
    throw new CodedError("ERR_NOT_IMPLEMENTED", "loop: this system has no /dev/loop-control");
  }
  mustSucceed(control, "loop: /dev/loop-control", "openat2");
  try {
    return mustSucceed(sys.tryIoctl(control, LOOP_CTL_GET_FREE, 0), "loop: a free device", "ioctl LOOP_CTL_GET_FREE");
  } finally {
    sys.close(control);
  }
}

function configuration(image: Image, file: string, range: LoopRange): Uint8Array {
  const config = Buffer.alloc(CONFIG_BYTES);
  config.writeUInt32LE(image.fd, CONFIG.fd);
  config.writeBigUInt64LE(BigInt(range.offset), CONFIG.offset);
  config.writeBigUInt64LE(BigInt(range.sizeLimit), CONFIG.sizeLimit);
  config.writeUInt32LE(LO_FLAGS_AUTOCLEAR | (image.readOnly ? LO_FLAGS_READ_ONLY : 0), CONFIG.flags);
  // Only for people who list the devices.
  config.write(file, CONFIG.name, CONFIG.nameBytes);
  return config;
}
