import { ftruncateSync, writeSync } from "node:fs";
import {
  close,
  EEXIST,
  ENOENT,
  EPERM,
  makedev,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  SyscallError,
  tryLinkat,
  tryMkdirat,
  tryMknodat,
  tryOpenat2,
  trySymlinkat,
} from "@varve/syscalls";
import { type AttributeWriter, times } from "./attributes.ts";
import { DirectoryNode, isInside } from "./directory-node.ts";
import { entryError } from "./entry-error.ts";
import { cleanPath } from "./entry-path.ts";
import type { LayerTree } from "./layer-tree.ts";
import { PathResolver } from "./path-resolver.ts";
import type { TarEntry } from "./tar-entry.ts";
import type { Target } from "./target.ts";
import { opaqueMarker, whiteoutOf } from "./whiteout.ts";

const createFlags: number = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW;
const confined: number = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;

/** Puts entries on the disk, one after another. */
export class EntryWriter {
  readonly #tree: LayerTree;
  readonly #target: Target;
  readonly #attributes: AttributeWriter;
  readonly #resolver: PathResolver;
  readonly #devices: boolean;
  #skippedDevices = 0;
  /** The file that is being written. */
  #file: { readonly fd: number; readonly entry: TarEntry; readonly inherited: boolean; written: number } | undefined;

  constructor(tree: LayerTree, target: Target, attributes: AttributeWriter, devices: boolean) {
    this.#tree = tree;
    this.#target = target;
    this.#attributes = attributes;
    this.#devices = devices;
    this.#resolver = new PathResolver(tree, target);
  }

  get skippedDevices(): number {
    return this.#skippedDevices;
  }

  start(entry: TarEntry): void {
    const path = entry.name.toString("latin1");
    const { names, above } = cleanPath(path);
    const name = names.at(-1);
    if (name === undefined) {
      // Nothing but a directory can be at the root; what goes above it is no name of it (C-TAR.22).
      if (entry.type === "directory" && above === 0) this.#root(entry);
      return;
    }
    if (above > 0) throw entryError("ERR_INVALID_DATA", path, "leaves the root");
    const hidden = whiteoutOf(name);
    if (hidden === false) throw entryError("ERR_INVALID_DATA", path, "whiteout of no name");
    const parent = this.#resolver.resolve(names.slice(0, -1));
    if (hidden !== undefined) {
      if (parent instanceof DirectoryNode) this.#whiteout(parent, hidden);
    } else if (typeof parent === "string") this.#refuse(entry, parent);
    else this.#make(parent, name, entry);
  }

  data(bytes: Uint8Array, position: number): void {
    const file = this.#file;
    if (file === undefined) return;
    for (let at = 0; at < bytes.length;) {
      at += writeSync(file.fd, bytes, at, bytes.length - at, position + at);
    }
    file.written = position + bytes.length;
  }

  done(): void {
    const file = this.#file;
    if (file === undefined) return;
    // The hole at the end of a sparse file.
    if (file.written < file.entry.size) ftruncateSync(file.fd, file.entry.size);
    this.#attributes.file(file.fd, file.entry, file.inherited);
    this.close();
  }

  close(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) close(file.fd);
  }

  #whiteout(parent: DirectoryNode, hidden: string): void {
    if (hidden === opaqueMarker) this.#target.empty(parent);
    else this.#target.whiteout(parent, hidden);
  }

  #make(parent: DirectoryNode, name: string, entry: TarEntry): void {
    switch (entry.type) {
      case "directory":
        return this.#directory(parent, name, entry);
      case "file":
        return this.#startFile(parent, name, entry);
      case "symlink":
        return this.#symlink(parent, name, entry);
      case "hardlink":
        return this.#hardlink(parent, name, entry);
      default:
        return this.#special(parent, name, entry);
    }
  }

  #directory(parent: DirectoryNode, name: string, entry: TarEntry): void {
    this.#ensure(parent);
    let node = parent.children?.get(name);
    if (node?.exists === true) this.#clear(node);
    else node = this.#newDirectory(parent, name, node);
    this.#target.madeDirectory(node);
    this.#describe(node, entry);
  }

  /** The root is there already, and gets the attributes that its entry names, as moby and umoci do; containerd ignores them. */
  #root(entry: TarEntry): void {
    this.#clear(this.#tree.root);
    this.#describe(this.#tree.root, entry);
  }

  #describe(node: DirectoryNode, entry: TarEntry): void {
    node.origin = "entry";
    node.attributes = { mode: entry.mode, uid: entry.uid, gid: entry.gid, ...times(entry) };
    if (entry.xattrs.size === 0) return;
    this.#attributes.xattrs(this.#tree.handles.of(node), entry);
    if (entry.xattrs.has("system.posix_acl_default")) node.inherits = true;
  }

  /** Makes a directory where the tree knows none, or takes the one that the lower layers have there. */
  #newDirectory(parent: DirectoryNode, name: string, place: DirectoryNode | undefined): DirectoryNode {
    const over = this.#target.forget(parent, name);
    if (place === undefined) {
      const found = this.#tree.inspect(parent, name);
      if (found instanceof DirectoryNode) {
        this.#tree.attach(found);
        this.#target.found(found);
        this.#clear(found);
        return found;
      }
      const node = this.#tree.node(parent, name);
      this.#target.absent(node);
      if (found !== "missing") this.#tree.remove(parent, name);
      // Nothing of the lower layers shows through what was a file a moment ago.
      if (found !== "missing" || over) node.fresh = true;
      this.#mkdir(node);
      return node;
    }
    if (over) place.fresh = true;
    this.#mkdir(place);
    return place;
  }

  /** An entry replaces all that a directory had. */
  #clear(node: DirectoryNode): void {
    this.#attributes.clear(this.#tree.handles.of(node));
    node.inherits = false;
  }

  #mkdir(node: DirectoryNode): void {
    const { parent, name } = node;
    if (parent === undefined) return;
    this.#check("mkdirat", tryMkdirat(this.#tree.handles.of(parent), Buffer.from(name, "latin1"), 0o700));
    node.exists = true;
    this.#tree.attach(node);
    if (parent.inherits) this.#attributes.dropLists(this.#tree.handles.of(node));
  }

  /** Makes the directory, and those above it, that a path only implies. */
  #ensure(node: DirectoryNode): void {
    const missing: DirectoryNode[] = [];
    for (let at: DirectoryNode | undefined = node; at !== undefined && !at.exists; at = at.parent) missing.push(at);
    for (const each of missing.toReversed()) {
      this.#mkdir(each);
      this.#target.madeDirectory(each);
    }
  }

  /** Makes anything but a directory, in place of whatever this layer or a lower one has there. */
  #place(parent: DirectoryNode, name: string, syscall: string, make: (fd: number, name: Buffer) => number): number {
    this.#ensure(parent);
    return this.#check(syscall, this.#tryPlace(parent, name, make));
  }

  #tryPlace(parent: DirectoryNode, name: string, make: (fd: number, name: Buffer) => number): number {
    const known = parent.children?.get(name);
    if (known !== undefined) this.#tree.discard(known);
    const bytes = Buffer.from(name, "latin1");
    let result = make(this.#tree.handles.of(parent), bytes);
    if (result === -EEXIST) {
      this.#tree.remove(parent, name);
      result = make(this.#tree.handles.of(parent), bytes);
    }
    if (result >= 0) this.#target.madeFile(parent, name);
    return result;
  }

  #startFile(parent: DirectoryNode, name: string, entry: TarEntry): void {
    const fd = this.#place(parent, name, "openat2", (dir, bytes) =>
      tryOpenat2(dir, bytes, { flags: createFlags, mode: 0o600, resolve: confined }),
    );
    this.#file = { fd, entry, inherited: parent.inherits, written: 0 };
  }

  #symlink(parent: DirectoryNode, name: string, entry: TarEntry): void {
    if (entry.linkName.length === 0) throw this.#invalid(entry, "symbolic link to nowhere");
    this.#place(parent, name, "symlinkat", (dir, bytes) => trySymlinkat(entry.linkName, dir, bytes));
    this.#nameAttributes(parent, name, entry);
  }

  #special(parent: DirectoryNode, name: string, entry: TarEntry): void {
    const { deviceMajor, deviceMinor, type } = entry;
    let [kind, device] = [S_IFIFO, 0];
    if (type !== "fifo") {
      if (!isWithin(deviceMajor, 0xfff) || !isWithin(deviceMinor, 0xf_ffff)) {
        throw this.#invalid(entry, "device number out of range");
      }
      kind = type === "char" ? S_IFCHR : S_IFBLK;
      device = makedev(deviceMajor, deviceMinor);
      // Overlayfs takes it for a whiteout, so that trees would differ from one snapshotter to the other.
      if (type === "char" && device === 0) throw this.#invalid(entry, "character device 0:0");
      if (!this.#devices) {
        this.#skippedDevices += 1;
        return;
      }
    }
    this.#place(parent, name, "mknodat", (dir, bytes) => tryMknodat(dir, bytes, kind | 0o600, device));
    this.#nameAttributes(parent, name, entry);
  }

  #hardlink(parent: DirectoryNode, name: string, entry: TarEntry): void {
    const { names } = cleanPath(entry.linkName.toString("latin1"));
    const targetName = names.at(-1);
    if (targetName === undefined) throw this.#invalid(entry, "hard link to the root");
    const place = this.#resolver.resolve(names.slice(0, -1));
    if (typeof place === "string") return this.#refuse(entry, `hard link target: ${place}`);
    if (place === parent && targetName === name) return this.#refuse(entry, "hard link to itself");
    if (isInside(place, parent, name))
      return this.#refuse(entry, "hard link to a file in the directory that it replaces");
    if (place.children?.get(targetName)?.exists === true) return this.#refuse(entry, "hard link to a directory");
    this.#ensure(parent);
    const bytes = Buffer.from(targetName, "latin1");
    const link = (dir: number, to: Buffer): number =>
      place.exists && !place.removed ? tryLinkat(this.#tree.handles.of(place), bytes, dir, to, 0) : -ENOENT;
    const result = this.#tryPlace(parent, name, link);
    if (result === -EPERM) return this.#refuse(entry, "hard link to a directory, or to what must not be linked");
    if (result !== -ENOENT) {
      this.#check("linkat", result);
    } else if (this.#target.linkLater(parent, name, place, targetName)) {
      // The name is taken, though nothing is there yet.
      this.#tree.remove(parent, name);
    } else this.#refuse(entry, "hard link to a file that does not exist");
  }

  #nameAttributes(parent: DirectoryNode, name: string, entry: TarEntry): void {
    this.#attributes.name(this.#tree.handles.of(parent), Buffer.from(name, "latin1"), entry, parent.inherits);
  }

  #check(syscall: string, result: number): number {
    if (result < 0) throw new SyscallError(syscall, result);
    return result;
  }

  /** Refuses what does not fit the tree, if the tree is known. */
  #refuse(entry: TarEntry, why: string): void {
    if (!this.#target.doubts(why)) throw this.#invalid(entry, why);
  }

  #invalid(entry: TarEntry, why: string): Error {
    return entryError("ERR_INVALID_DATA", entry.name.toString("latin1"), why);
  }
}

function isWithin(value: number, most: number): boolean {
  return value >= 0 && value <= most;
}
