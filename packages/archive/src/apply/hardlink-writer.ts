import { ENOENT, EPERM, SyscallError, tryLinkat } from "@varve/syscalls";
import { Refusal } from "../entry-error.ts";
import type { RuleOrLimit } from "../layer-rule.ts";
import type { TarEntry } from "../tar/tar-entry.ts";
import { type DirectoryNode, isInside } from "./directory-node.ts";
import { cleanPath } from "./entry-path.ts";
import type { LayerTree } from "./layer-tree.ts";
import type { PathResolver } from "./path-resolver.ts";
import type { Placer } from "./placer.ts";
import type { Target } from "./target.ts";

/** Makes hard links to what this layer or a lower one has. What a target's last name leads to is never followed. */
export class HardlinkWriter {
  readonly #tree: LayerTree;
  readonly #target: Target;
  readonly #placer: Placer;
  readonly #resolver: PathResolver;

  constructor(tree: LayerTree, target: Target, placer: Placer, resolver: PathResolver) {
    this.#tree = tree;
    this.#target = target;
    this.#placer = placer;
    this.#resolver = resolver;
  }

  write(parent: DirectoryNode, name: string, entry: TarEntry): void {
    const { names } = cleanPath(entry.linkName.toString("latin1"));
    const targetName = names.at(-1);
    if (targetName === undefined) throw new Refusal("hardlink-target", "hard link to the root");
    const place = this.#resolver.resolve(names.slice(0, -1));
    if (place instanceof Refusal) return this.#refuse(`hard link target: ${place.message}`, place.rule);
    if (place === parent && targetName === name) return this.#refuse("hard link to itself");
    if (isInside(place, parent, name)) return this.#refuse("hard link to a file in the directory that it replaces");
    if (place.children?.get(targetName)?.exists === true) return this.#refuse("hard link to a directory");
    this.#link(parent, name, place, targetName, entry.offset);
  }

  #link(parent: DirectoryNode, name: string, place: DirectoryNode, targetName: string, offset: number): void {
    const bytes = Buffer.from(targetName, "latin1");
    const result = this.#placer.tryPlace(parent, name, (dir, to) =>
      place.exists && !place.removed ? tryLinkat(this.#tree.handles.of(place), bytes, dir, to, 0) : -ENOENT,
    );
    if (result >= 0) return;
    if (result === -EPERM) return this.#refuse("hard link to a directory, or to what must not be linked");
    if (result !== -ENOENT) throw new SyscallError("linkat", result);
    if (this.#target.linkLater(parent, name, place, targetName, offset)) {
      // The name is taken, though nothing is there yet.
      this.#tree.remove(parent, name);
    } else this.#refuse("hard link to a file that does not exist");
  }

  /** Refuses what does not fit the tree, if the tree is known. */
  #refuse(why: string, rule: RuleOrLimit = "hardlink-target"): void {
    if (!this.#target.doubts(why)) throw new Refusal(rule, why);
  }
}
