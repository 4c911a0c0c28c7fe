import { kernel } from "./kernel.ts";
import { check } from "./syscall-error.ts";

/** _IOW(0x94, 9, int), the same on every architecture that is supported. */
const FICLONE = 0x4004_9409;

/** As `ficlone`, but a failure is the negative error number: EOPNOTSUPP where the filesystem cannot, EXDEV across two. */
export function tryFiclone(destination: number, source: number): number {
  const k = kernel();
  return k.call(k.numbers.ioctl, destination, FICLONE, source);
}

/** Makes the open file `destination` share all blocks of `source` (a reflink). */
export function ficlone(destination: number, source: number): void {
  check(tryFiclone(destination, source), "ioctl FICLONE");
}

/** As `copyFileRange`, but a failure is the negative error number. */
export function tryCopyFileRange(source: number, destination: number, length: number): number {
  const k = kernel();
  return k.call(k.numbers.copyFileRange, source, 0, destination, 0, length, 0);
}

/** Copies inside the kernel, from and to the current positions of both files. Returns the bytes copied, 0 at the end. */
export function copyFileRange(source: number, destination: number, length: number): number {
  return check(tryCopyFileRange(source, destination, length), "copy_file_range");
}

/** Writes the whole filesystem that `fd` is on to the disk, and waits. From Linux 5.8 it reports write errors. */
export function syncfs(fd: number): void {
  const k = kernel();
  check(k.call(k.numbers.syncfs, fd), "syncfs");
}

/** As `syncfs`, without blocking this thread. The descriptor must stay open until the promise is settled. */
export async function syncfsAsync(fd: number): Promise<void> {
  const k = kernel();
  check(await k.callInBackground(k.numbers.syncfs, undefined, fd), "syncfs");
}

/** Starts or awaits the writing of a range; `length` 0 is to the end. Not durable by itself: no metadata, no disk cache. */
export function syncFileRange(fd: number, offset: number, length: number, flags: number): void {
  const k = kernel();
  check(k.call(k.numbers.syncFileRange, fd, offset, length, flags), "sync_file_range");
}

/** As `lseek`, but a failure is the negative error number; SEEK_DATA with no more data is -ENXIO. */
export function tryLseek(fd: number, offset: number, whence: number): number {
  const k = kernel();
  return k.call(k.numbers.lseek, fd, offset, whence);
}

/** Moves the position of an open file and returns it; `whence` is SEEK_DATA or SEEK_HOLE. The end of a file counts as a hole. */
export function lseek(fd: number, offset: number, whence: number): number {
  return check(tryLseek(fd, offset, whence), "lseek");
}

/** As `flock`, but a failure is the negative error number; with LOCK_NB a lock held elsewhere is -EAGAIN. */
export function tryFlock(fd: number, operation: number): number {
  const k = kernel();
  return k.call(k.numbers.flock, fd, operation);
}

/** Locks an open file; the kernel frees it when the last copy of the descriptor is closed. Without LOCK_NB it blocks the thread. */
export function flock(fd: number, operation: number): void {
  check(tryFlock(fd, operation), "flock");
}

/** Gives the calling thread its own copy of what CLONE_ constants name. */
export function unshare(flags: number): void {
  const k = kernel();
  check(k.call(k.numbers.unshare, flags), "unshare");
}
