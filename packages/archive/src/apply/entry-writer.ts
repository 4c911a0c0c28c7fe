import { Refusal } from "../entry-error.ts";
import type { TarEntry } from "../tar/tar-entry.ts";
import { opaqueMarker, whiteoutOf } from "../whiteout.ts";
import type { AttributeWriter } from "./attributes.ts";
import { ContentWriter } from "./content-writer.ts";
import { DirectoryNode } from "./directory-node.ts";
import { DirectoryWriter } from "./directory-writer.ts";
import { cleanPath } from "./entry-path.ts";
import { HardlinkWriter } from "./hardlink-writer.ts";
import type { LayerTree } from "./layer-tree.ts";
import { PathResolver } from "./path-resolver.ts";
import { Placer } from "./placer.ts";
import { SpecialWriter } from "./special-writer.ts";
import type { Target } from "./target.ts";
import type { XattrWriter } from "./xattr-writer.ts";

/** Puts entries on the disk, one after another: finds where each belongs, and hands it to the writer of its kind. */
export class EntryWriter {
  readonly #tree: LayerTree;
  readonly #target: Target;
  readonly #resolver: PathResolver;
  readonly #directories: DirectoryWriter;
  readonly #content: ContentWriter;
  readonly #specials: SpecialWriter;
  readonly #hardlinks: HardlinkWriter;
  /** The directory of the entry before, as its path has it, and what it led to. */
  #lastText = "";
  #lastParent: DirectoryNode | undefined;
  #lastChanges = -1;

  constructor(tree: LayerTree, target: Target, attributes: AttributeWriter, xattrs: XattrWriter, devices: boolean) {
    this.#tree = tree;
    this.#target = target;
    this.#resolver = new PathResolver(tree, target);
    this.#directories = new DirectoryWriter(tree, target, attributes, xattrs);
    const placer = new Placer(tree, target, this.#directories);
    this.#content = new ContentWriter(placer, attributes);
    this.#specials = new SpecialWriter(tree, placer, attributes, this.#content, devices);
    this.#hardlinks = new HardlinkWriter(tree, target, placer, this.#resolver);
  }

  get skippedDevices(): number {
    return this.#specials.skippedDevices;
  }

  start(entry: TarEntry): void {
    const path = entry.name.toString("latin1");
    const end = path.endsWith("/") ? path.length - 1 : path.length;
    const slash = path.lastIndexOf("/", end - 1);
    const name = path.slice(slash + 1, end);
    const directory = path.slice(0, Math.max(slash, 0));
    // Most entries have the directory of the one before, and a name that needs no cleaning.
    const last = this.#lastParent;
    if (last !== undefined && directory === this.#lastText && this.#tree.changes === this.#lastChanges) {
      if (name !== "" && name !== "." && name !== "..") return this.#write(last, name, entry);
    }
    this.#find(path, directory, name, entry);
  }

  data(bytes: Uint8Array, position: number): void {
    this.#content.data(bytes, position);
  }

  done(): void {
    this.#content.done();
  }

  close(): void {
    this.#content.close();
  }

  /** `directory` and `lastName`: the two parts of the path, as they stand there. */
  #find(path: string, directory: string, lastName: string, entry: TarEntry): void {
    const { names, above } = cleanPath(path);
    const name = names.at(-1);
    if (name === undefined) {
      // Nothing but a directory can be at the root; what goes above it is no name of it (C-TAR.22).
      if (entry.type === "directory" && above === 0) this.#directories.writeRoot(entry);
      return;
    }
    if (above > 0) throw new Refusal("path-above-root", "leaves the root");
    if (whiteoutOf(name) === false) throw noName();
    const parent = this.#resolver.resolve(names.slice(0, -1));
    if (parent instanceof Refusal) {
      // Below what is no directory there is nothing to hide; other entries do not fit the tree, if the tree is known.
      if (whiteoutOf(name) === undefined && !this.#target.doubts(parent.message)) throw parent;
      return;
    }
    if (name === lastName && this.#resolver.isCertain) {
      this.#lastText = directory;
      this.#lastParent = parent;
      this.#lastChanges = this.#tree.changes;
    }
    this.#write(parent, name, entry);
  }

  #write(parent: DirectoryNode, name: string, entry: TarEntry): void {
    const hidden = whiteoutOf(name);
    if (hidden === undefined) return this.#make(parent, name, entry);
    if (hidden === false) throw noName();
    if (hidden === opaqueMarker) this.#target.empty(parent);
    else this.#target.whiteout(parent, hidden);
  }

  #make(parent: DirectoryNode, name: string, entry: TarEntry): void {
    switch (entry.type) {
      case "directory":
        return this.#directories.write(parent, name, entry);
      case "file":
        return this.#content.start(parent, name, entry);
      case "symlink":
        return this.#specials.symlink(parent, name, entry);
      case "hardlink":
        return this.#hardlinks.write(parent, name, entry);
      case "fifo":
        return this.#specials.fifo(parent, name, entry);
      default:
        return this.#specials.device(parent, name, entry);
    }
  }
}

function noName(): Refusal {
  return new Refusal("whiteout-name", "whiteout of no name");
}
