import { ftruncateSync } from "node:fs";
import {
  close,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_WRONLY,
  type OpenHow,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  tryOpenat2,
} from "@varve/syscalls";
import type { TarEntry } from "../tar/tar-entry.ts";
import type { AttributeWriter } from "./attributes.ts";
import type { DirectoryNode } from "./directory-node.ts";
import type { Placer } from "./placer.ts";
import { writeAll } from "./write-all.ts";

const newFile: OpenHow = {
  flags: O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW,
  mode: 0o600,
  resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
};

/** The file that is being written, if there is one. */
export class ContentWriter {
  readonly #placer: Placer;
  readonly #attributes: AttributeWriter;
  #fd = -1;
  #entry: TarEntry | undefined;
  /** Whether access control lists may have come from the directory. */
  #inherited = false;
  #written = 0;

  constructor(placer: Placer, attributes: AttributeWriter) {
    this.#placer = placer;
    this.#attributes = attributes;
  }

  start(parent: DirectoryNode, name: string, entry: TarEntry): void {
    this.#fd = this.#placer.place(parent, name, "openat2", create);
    this.#entry = entry;
    this.#inherited = parent.inherits;
    this.#written = 0;
  }

  data(bytes: Uint8Array, position: number): void {
    if (this.#fd < 0) return;
    writeAll(this.#fd, bytes, position);
    this.#written = position + bytes.length;
  }

  /** The content is complete: the file gets its attributes. */
  done(): void {
    const entry = this.#entry;
    if (this.#fd < 0 || entry === undefined) return;
    // The hole at the end of a sparse file.
    if (this.#written < entry.size) ftruncateSync(this.#fd, entry.size);
    this.#attributes.file(this.#fd, entry, this.#inherited);
    this.close();
  }

  close(): void {
    const fd = this.#fd;
    this.#fd = -1;
    this.#entry = undefined;
    if (fd >= 0) close(fd);
  }
}

function create(directory: number, name: Buffer): number {
  return tryOpenat2(directory, name, newFile);
}
