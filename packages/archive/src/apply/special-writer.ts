import { EPERM, makedev, S_IFBLK, S_IFCHR, S_IFIFO, SyscallError, tryMknodat, trySymlinkat } from "@varve/syscalls";
import { Refusal } from "../entry-error.ts";
import type { TarEntry } from "../tar/tar-entry.ts";
import type { AttributeWriter } from "./attributes.ts";
import type { ContentWriter } from "./content-writer.ts";
import type { DirectoryNode } from "./directory-node.ts";
import type { LayerTree } from "./layer-tree.ts";
import type { Placer } from "./placer.ts";

/** Writes what must not be opened: symbolic links, devices and fifos. */
export class SpecialWriter {
  readonly #tree: LayerTree;
  readonly #placer: Placer;
  readonly #attributes: AttributeWriter;
  readonly #content: ContentWriter;
  readonly #devices: boolean;
  #skippedDevices = 0;

  /** @param content writes the files that stand for devices where they are only recorded; `devices`: whether there are any */
  constructor(tree: LayerTree, placer: Placer, attributes: AttributeWriter, content: ContentWriter, devices: boolean) {
    this.#tree = tree;
    this.#placer = placer;
    this.#attributes = attributes;
    this.#content = content;
    this.#devices = devices;
  }

  get skippedDevices(): number {
    return this.#skippedDevices;
  }

  symlink(parent: DirectoryNode, name: string, entry: TarEntry): void {
    if (entry.linkName.length === 0) throw new Refusal("symlink-target", "symbolic link to nowhere");
    this.#placer.place(parent, name, "symlinkat", (dir, bytes) => trySymlinkat(entry.linkName, dir, bytes));
    this.#describe(parent, name, entry);
  }

  fifo(parent: DirectoryNode, name: string, entry: TarEntry): void {
    if (this.#attributes.records) return this.#content.start(parent, name, entry);
    this.#placer.place(parent, name, "mknodat", (dir, bytes) => tryMknodat(dir, bytes, S_IFIFO | 0o600, 0));
    this.#describe(parent, name, entry);
  }

  device(parent: DirectoryNode, name: string, entry: TarEntry): void {
    const { deviceMajor, deviceMinor, type } = entry;
    if (!isWithin(deviceMajor, 0xfff) || !isWithin(deviceMinor, 0xf_ffff)) {
      throw new Refusal("device-range", "device number out of range");
    }
    if (!this.#devices) {
      this.#skippedDevices += 1;
      // What the device would have replaced is gone all the same, as in containerd.
      return this.#placer.clear(parent, name);
    }
    const device = makedev(deviceMajor, deviceMinor);
    // Overlayfs takes it for a whiteout, so that trees would differ from one snapshotter to the other.
    if (type === "char" && device === 0) throw new Refusal("device-whiteout", "character device 0:0");
    if (this.#attributes.records) return this.#content.start(parent, name, entry);
    const kind = type === "char" ? S_IFCHR : S_IFBLK;
    const make = (dir: number, bytes: Buffer): number => tryMknodat(dir, bytes, kind | 0o600, device);
    const result = this.#placer.tryPlace(parent, name, make);
    if (result === -EPERM) throw notPermitted(`${deviceMajor}:${deviceMinor}`);
    if (result < 0) throw new SyscallError("mknodat", result);
    this.#describe(parent, name, entry);
  }

  #describe(parent: DirectoryNode, name: string, entry: TarEntry): void {
    this.#attributes.name(this.#tree.handles.of(parent), Buffer.from(name, "latin1"), entry, parent.inherits);
  }
}

// U-TAR.7: containerd leaves them out in a user namespace and does not say so.
function notPermitted(device: string): Refusal {
  const why = `device ${device} may not be made here, as in any user namespace; the option devices: "skip" leaves them out`;
  return new Refusal("device-permission", why, "ERR_FAILED_PRECONDITION", new SyscallError("mknodat", EPERM));
}

function isWithin(value: number, most: number): boolean {
  return value >= 0 && value <= most;
}
