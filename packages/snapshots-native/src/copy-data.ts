import { ftruncateSync, readSync, writeSync } from "node:fs";
import { EOPNOTSUPP, EXDEV, EINVAL, ENOSYS, SyscallError, tryCopyFileRange, tryFiclone } from "@varve/syscalls";
import type { FileStat } from "@varve/syscalls";

const ENOTTY = 25;
// What the kernel copies before we look for an abort again.
const rangeBytes = 16 << 20;
const bufferBytes = 256 << 10;

/** Called often; throws to stop the copying. */
type Checkpoint = () => void;

/** Copies the contents of files by the cheapest way that the filesystem has. */
export class DataCopier {
  readonly #checkpoint: Checkpoint;
  #canClone = true;
  #canCopyRange = true;
  #buffer: Buffer | undefined;
  #zeros: Buffer | undefined;

  constructor(checkpoint: Checkpoint) {
    this.#checkpoint = checkpoint;
  }

  /** Both are open at their start, `destination` is empty. */
  copy(source: number, destination: number, stat: FileStat): void {
    if (stat.size === 0 || this.#clone(source, destination)) return;
    // The kernel's copy fills holes with zeros on most filesystems.
    const sparse = stat.blocks * 512 < stat.size;
    if (sparse) this.#copySparse(source, destination, stat.size);
    else if (!this.#copyRange(source, destination, stat.size)) this.#copyBytes(source, destination);
  }

  #clone(source: number, destination: number): boolean {
    if (!this.#canClone) return false;
    const result = tryFiclone(destination, source);
    if (result >= 0) return true;
    if (![EOPNOTSUPP, ENOTTY, EXDEV, EINVAL, ENOSYS].includes(-result)) throw new SyscallError("ficlone", result);
    // EINVAL may be about this file alone (one in its inode), the others are about the filesystem.
    this.#canClone = result === -EINVAL;
    return false;
  }

  #copyRange(source: number, destination: number, size: number): boolean {
    if (!this.#canCopyRange) return false;
    for (let copied = 0; copied < size;) {
      const result = tryCopyFileRange(source, destination, rangeBytes);
      // Some filesystems say so of files whose contents they make up as they are read.
      if (result === 0) return copied > 0;
      if (result < 0) {
        if (copied > 0 || ![EOPNOTSUPP, EXDEV, EINVAL, ENOSYS].includes(-result)) {
          throw new SyscallError("copy_file_range", result);
        }
        this.#canCopyRange = false;
        return false;
      }
      copied += result;
      this.#checkpoint();
    }
    return true;
  }

  #copyBytes(source: number, destination: number): void {
    const buffer = (this.#buffer ??= Buffer.allocUnsafeSlow(bufferBytes));
    for (let at = 0; ;) {
      const length = readSync(source, buffer, 0, bufferBytes, at);
      if (length === 0) return;
      writeAll(destination, buffer.subarray(0, length), at);
      at += length;
      this.#checkpoint();
    }
  }

  #copySparse(source: number, destination: number, size: number): void {
    const buffer = (this.#buffer ??= Buffer.allocUnsafeSlow(bufferBytes));
    const zeros = (this.#zeros ??= Buffer.alloc(bufferBytes));
    for (let at = 0; at < size;) {
      const length = readSync(source, buffer, 0, bufferBytes, at);
      if (length === 0) break;
      const part = buffer.subarray(0, length);
      if (!part.equals(zeros.subarray(0, length))) writeAll(destination, part, at);
      at += length;
      this.#checkpoint();
    }
    ftruncateSync(destination, size);
  }
}

/** A write may take less than it was given, on a disk that is nearly full for one. */
function writeAll(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}
