import { createHash } from "node:crypto";
import { S_IFDIR, S_IFMT } from "@varve/syscalls";
import type { FileStat } from "@varve/syscalls";

const blockSize = 64 * 1024;
// Mode, owner and group, then size, device number and time.
const fixedSize = 3 * 4 + 3 * 8;
const nothing = new Uint8Array(0);

/**
 * One number for a whole tree, from what names it, what kind of file each is, who may do what with it, how long it is and
 * when it was written; not from contents, and from nothing that reading, mounting or copying the disk would change.
 *
 * The names of a directory come in the order of their bytes, each followed by what is below it, and an end.
 */
export class TreeFingerprint {
  readonly #hash = createHash("sha256");
  readonly #block = new Uint8Array(blockSize);
  readonly #view = new DataView(this.#block.buffer);
  #length = 0;

  /** @param target of a link; of anything else nothing */
  add(name: Uint8Array, stat: FileStat, target: Uint8Array): void {
    this.#reserve(name.length + target.length + fixedSize + 3);
    this.#bytes(name);
    this.#stat(stat);
    this.#bytes(target);
  }

  /** The end of a directory, which no name can be taken for: it is empty. */
  leave(): void {
    this.#reserve(1);
    this.#bytes(nothing);
  }

  digest(): Uint8Array {
    return this.#hash.update(this.#block.subarray(0, this.#length)).digest();
  }

  #stat({ gid, mode, mtime, rdev, size, uid }: FileStat): void {
    const view = this.#view;
    const at = this.#length;
    view.setUint32(at, mode, true);
    view.setUint32(at + 4, uid, true);
    view.setUint32(at + 8, gid, true);
    // What a directory takes up is up to the filesystem.
    this.#wide(at + 12, (mode & S_IFMT) === S_IFDIR ? 0 : size);
    this.#wide(at + 20, rdev);
    // Filesystems have times that 64 bits of nanoseconds do not reach, after the year 2262: what is above them is left out.
    view.setBigUint64(at + 28, BigInt(mtime.seconds) * 1_000_000_000n + BigInt(mtime.nanoseconds), true);
    this.#length += fixedSize;
  }

  #wide(at: number, value: number): void {
    this.#view.setUint32(at, value % 2 ** 32, true);
    this.#view.setUint32(at + 4, value / 2 ** 32, true);
  }

  #bytes(bytes: Uint8Array): void {
    this.#block.set(bytes, this.#length);
    this.#length += bytes.length;
    this.#block[this.#length] = 0;
    this.#length += 1;
  }

  /** Neither a name nor a target is longer than 4096 bytes. */
  #reserve(size: number): void {
    if (this.#length + size <= blockSize) return;
    this.#hash.update(this.#block.subarray(0, this.#length));
    this.#length = 0;
  }
}
