import {
  close,
  EAGAIN,
  ELOOP,
  ENOSYS,
  ENOTDIR,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  S_IFDIR,
  S_IFMT,
  statx,
  tryOpenat2,
  tryReadlinkat,
} from "@varve/syscalls";

/** The kernel takes paths of 4,095 bytes. */
const pathBytes = 4000;
/** As the applier. */
const mostLinks = 255;
const mostSteps = 16_384;

/**
 * Finds a file by names that have no `..`, with links on the way resolved as if `root` were the whole filesystem; the last name is
 * not followed.
 *
 * @returns a descriptor that names the file without opening it, or a negative error number
 */
export function findInRoot(root: number, names: readonly string[]): number {
  const [path = ".", ...more] = joined(names);
  if (more.length > 0) return walk(root, names);
  const how = { flags: O_PATH | O_NOFOLLOW, resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
  const found = tryOpenat2(root, Buffer.from(path, "latin1"), how);
  // Where a link goes up, the kernel cannot tell whether a renaming anywhere on the system let it out of the root: "again".
  return found === -EAGAIN || found === -ENOSYS ? walk(root, names) : found;
}

/** Resolves links by itself. What it asks the kernel for has neither links nor `..` in it. */
function walk(root: number, names: readonly string[]): number {
  const rest = names.toReversed();
  const place: string[] = [];
  let links = 0;
  let steps = 0;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    steps += 1;
    if (steps > mostSteps) return -ELOOP;
    if (name === "" || name === ".") continue;
    if (name === "..") {
      place.pop();
      continue;
    }
    const found = openBelow(root, [...place, name]);
    if (found < 0 || rest.length === 0) return found;
    const link = linkOrDirectory(found);
    if (typeof link === "number") return link;
    if (link === undefined) {
      place.push(name);
      continue;
    }
    links += 1;
    if (links > mostLinks) return -ELOOP;
    if (link.startsWith("/")) place.length = 0;
    for (const part of link.split("/").toReversed()) rest.push(part);
  }
  return openBelow(root, place);
}

/** The text of a link, nothing for a directory, and an error number for what is neither. Closes the descriptor. */
function linkOrDirectory(fd: number): string | number | undefined {
  try {
    const text = tryReadlinkat(fd, Buffer.alloc(0));
    if (typeof text !== "number") return text.toString("latin1");
    return (statx(fd, "", 0).mode & S_IFMT) === S_IFDIR ? undefined : -ENOTDIR;
  } finally {
    close(fd);
  }
}

function openBelow(root: number, names: readonly string[]): number {
  const pieces = joined(names);
  let at = root;
  for (const [index, piece] of pieces.entries()) {
    const kind = index === pieces.length - 1 ? O_NOFOLLOW : O_DIRECTORY;
    const how = { flags: O_PATH | kind, resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
    const next = tryOpenat2(at, Buffer.from(piece, "latin1"), how);
    if (at !== root) close(at);
    if (next < 0) return next;
    at = next;
  }
  return at;
}

/** Joins names to paths that the kernel takes; the root is `.`. */
function joined(names: readonly string[]): string[] {
  const paths: string[] = [];
  let path = "";
  for (const name of names) {
    if (path !== "" && path.length + name.length >= pathBytes) {
      paths.push(path);
      path = "";
    }
    path = path === "" ? name : `${path}/${name}`;
  }
  return [...paths, path === "" ? "." : path];
}
