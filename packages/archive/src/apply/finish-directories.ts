import { fchmodSync } from "node:fs";
import { utimensat } from "@varve/syscalls";
import type { AttributeWriter } from "./attributes.ts";
import { type DirectoryNode, subtree } from "./directory-node.ts";
import { placed } from "../entry-error.ts";
import type { LayerTree } from "./layer-tree.ts";
import type { XattrWriter } from "./xattr-writer.ts";

/**
 * Gives directories what they are to have, when nothing more is made in them: those with an entry what it says, those of
 * the lower layers the times they had, and new ones without an entry fixed values.
 */
export function finishDirectories(
  tree: LayerTree,
  attributes: AttributeWriter,
  xattrs: XattrWriter,
  subject: string,
): void {
  // The innermost first: a directory may lock out its owner, who must get to those below it.
  for (const node of [...subtree(tree.root)].toReversed()) {
    if (!node.exists) continue;
    try {
      finish(tree, node, attributes, xattrs);
    } catch (error) {
      throw placed(error, { subject, name: node.path(), offset: node.entryAt });
    }
  }
}

function finish(tree: LayerTree, node: DirectoryNode, attributes: AttributeWriter, xattrs: XattrWriter): void {
  if (node.origin === "lower" && node.attributes !== undefined) {
    // The times of a directory that was only passed through are right, and to set them would copy it up.
    if (node.kept || node.touched) utimensat(tree.handles.of(node), null, node.attributes, 0);
    if (node.lockedMode !== undefined) fchmodSync(tree.handles.of(node), node.lockedMode);
  } else if (node.parent !== undefined || node.origin === "entry") {
    const own = node.origin === "entry" ? node.attributes : undefined;
    // A directory of the lower layers that was deleted, but is needed again.
    const reused = own === undefined && node.attributes !== undefined;
    if (node.fd < 0 && node.parent !== undefined && !reused && !attributes.records) {
      const name = Buffer.from(node.name, "latin1");
      return attributes.directoryAt(tree.handles.of(node.parent), name, own ?? attributes.implied);
    }
    const fd = tree.handles.of(node);
    if (reused) xattrs.clear(fd);
    attributes.directory(fd, own ?? attributes.implied);
  }
}
