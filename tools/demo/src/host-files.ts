import { lstat, readdir, readlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

/** A file, a directory or a link of this machine, under its own absolute path or another. */
export type HostFile =
  | { readonly type: "file"; readonly path: string; readonly source: string; readonly mode: number }
  | { readonly type: "directory"; readonly path: string; readonly mode: number }
  | { readonly type: "link"; readonly path: string; readonly target: string };

/** Where the kernel looks for the dynamic linker, written into every program. */
const interpreters = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];

/** The Node that runs this, and every library it has loaded, with the links that lead there. */
export async function nodeFiles(): Promise<HostFile[]> {
  const { sharedObjects } = process.report.getReport() as unknown as { readonly sharedObjects: readonly string[] };
  const files = new Map<string, HostFile>();
  for (const path of [...sharedObjects, ...interpreters]) {
    if (path.startsWith("/") && path !== process.execPath) await addWithLinks(files, path);
  }
  files.set("/usr/local/bin/node", {
    type: "file",
    path: "/usr/local/bin/node",
    source: process.execPath,
    mode: 0o755,
  });
  return [...files.values()];
}

/** A directory with all that is below it, placed at `path`. */
export async function treeFiles(source: string, path: string): Promise<HostFile[]> {
  const files: HostFile[] = [{ type: "directory", path, mode: 0o755 }];
  for (const entry of await readdir(source, { recursive: true, withFileTypes: true })) {
    const from = join(entry.parentPath, entry.name);
    const to = join(path, from.slice(source.length));
    if (entry.isDirectory()) files.push({ type: "directory", path: to, mode: 0o755 });
    else if (entry.isSymbolicLink()) files.push({ type: "link", path: to, target: await readlink(from) });
    else files.push({ type: "file", path: to, source: from, mode: (await lstat(from)).mode & 0o777 });
  }
  return files;
}

/** Adds the file at `path` and each link on the way to it, for instance /lib64 → usr/lib64. */
async function addWithLinks(files: Map<string, HostFile>, path: string): Promise<void> {
  let walked = "/";
  const names = path.split("/").filter((name) => name !== "");
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    const next = join(walked, name);
    const stat = await lstat(next).catch(() => undefined);
    if (stat === undefined) return;
    if (stat.isSymbolicLink()) {
      const target = await readlink(next);
      files.set(next, { type: "link", path: next, target });
      names.unshift(
        ...resolve(walked, target)
          .split("/")
          .filter((part) => part !== ""),
      );
      walked = "/";
    } else if (stat.isDirectory()) {
      walked = next;
    } else {
      files.set(next, { type: "file", path: next, source: next, mode: stat.mode & 0o777 });
      walked = dirname(next);
    }
  }
}
