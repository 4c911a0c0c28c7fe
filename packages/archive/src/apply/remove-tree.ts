import {
  AT_REMOVEDIR,
  EISDIR,
  ENOENT,
  ENOTEMPTY,
  EPERM,
  getdents64,
  S_IFDIR,
  SyscallError,
  tryUnlinkat,
} from "@varve/syscalls";
import { DirectoryHandles } from "./directory-handles.ts";
import { DirectoryNode } from "./directory-node.ts";

/** How often a directory may turn out not to be empty: NFS puts a new name in place of a file that is still open. */
const mostReadings = 1000;

/**
 * Removes a name and, if it is a directory, everything below it. Never follows a link. A missing name is fine.
 *
 * @returns whether there was anything
 */
export function removeTree(handles: DirectoryHandles, parent: DirectoryNode, name: string): boolean {
  const result = tryUnlinkat(handles.of(parent), Buffer.from(name, "latin1"), 0);
  if (result === -ENOENT) return false;
  if (result >= 0) return true;
  // POSIX has EPERM for directories where Linux mostly says EISDIR.
  if (result !== -EISDIR && result !== -EPERM) throw failure("unlinkat", result, parent, name);
  removeDirectories(handles, new DirectoryNode(parent, name));
  return true;
}

/** Removes all that is in a directory, however deep it is; the directory itself stays. Never follows a link in it. */
export function emptyDirectory(path: string): void {
  const root = new DirectoryNode(undefined, "");
  const handles = new DirectoryHandles(root, path, process.geteuid?.() !== 0);
  try {
    removeDirectories(handles, root);
  } finally {
    handles.closeAll();
  }
}

// A stack and not recursion, and descriptors that may be closed on the way: trees can be deep.
function removeDirectories(handles: DirectoryHandles, top: DirectoryNode): void {
  const stack = [top];
  let readings = 0;
  for (let node = stack.at(-1); node !== undefined; node = stack.at(-1)) {
    if (handles.unlocks && node.fd < 0) handles.unlock(node);
    const entries = getdents64(handles.of(node));
    for (const entry of entries) {
      const name = entry.name.toString("latin1");
      const result = entry.type === S_IFDIR ? -EISDIR : tryUnlinkat(handles.of(node), entry.name, 0);
      if (result === -EISDIR || (result === -EPERM && entry.type === 0)) stack.push(new DirectoryNode(node, name));
      else if (result < 0 && result !== -ENOENT) throw failure("unlinkat", result, node, name);
    }
    if (entries.length > 0) continue;
    handles.forget(node);
    const result = removeEmpty(handles, node);
    // Some filesystems pass over names when others are removed while they are read: read again from the start.
    readings += 1;
    if (result === -ENOTEMPTY && readings < mostReadings) continue;
    if (result < 0 && result !== -ENOENT) throw failure("unlinkat", result, node, "");
    stack.pop();
    readings = 0;
  }
}

function removeEmpty(handles: DirectoryHandles, node: DirectoryNode): number {
  return node.parent === undefined
    ? 0
    : tryUnlinkat(handles.of(node.parent), Buffer.from(node.name, "latin1"), AT_REMOVEDIR);
}

function failure(syscall: string, result: number, node: DirectoryNode, name: string): SyscallError {
  return new SyscallError(syscall, result, { path: Buffer.from(node.pathOf(name), "latin1") });
}
