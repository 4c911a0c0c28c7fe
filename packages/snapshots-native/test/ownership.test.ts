import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import * as sys from "@varve/syscalls";
import { expect, test } from "vitest";
import { copied } from "./material.ts";
import { tempRoot } from "./temp-root.ts";

const root = process.geteuid?.() === 0;
const nobody = 65_534;

test.skipIf(!root)(
  "without ownership devices are left out and all belongs to the process (needs root, to make them)",
  async () => {
    using base = tempRoot();
    await using snapshotter = await openNativeSnapshotter({ root: base.path, ownership: "skip" });
    const [, to] = await copied(snapshotter, (directory) => {
      writeFileSync(join(directory, "file"), "");
      sys.fchownat(sys.AT_FDCWD, join(directory, "file"), 7, 8, 0);
      sys.mknodat(sys.AT_FDCWD, join(directory, "null"), sys.S_IFCHR | 0o666, sys.makedev(1, 3));
      sys.mknodat(sys.AT_FDCWD, join(directory, "fifo"), sys.S_IFIFO | 0o666, 0);
    });
    expect(readdirSync(to).toSorted()).toEqual(["fifo", "file"]);
    expect(statSync(join(to, "file")).uid).toBe(0);
  },
);

/** Runs a module of this directory's kind without any privilege, and returns what it prints. */
function printedByNobody(base: string, script: string): string {
  // The workspace may stand in a directory that only root can enter: it is shown where everybody can.
  const workspace = join(import.meta.dirname, "../../..");
  const shown = join(base, "workspace");
  const inShown = (path: string): string => path.replace(workspace, shown);
  mkdirSync(shown);
  sys.mount(shown, { source: workspace, flags: sys.MS_BIND });
  try {
    return execFileSync(inShown(process.execPath), ["--input-type=module", "--eval", script], {
      cwd: inShown(import.meta.dirname),
      encoding: "utf8",
      uid: nobody,
      gid: nobody,
    });
  } finally {
    sys.umount2(shown, 0);
  }
}

test.skipIf(!root)("without privileges a process copies all of its own files (needs root, to give it up)", () => {
  using base = tempRoot();
  sys.fchownat(sys.AT_FDCWD, base.path, nobody, nobody, 0);
  const path = join(base.path, "root");
  const script = `
    import { chmodSync, linkSync, mkdirSync, readdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
    import { openNativeSnapshotter } from "@varve/snapshots-native";
    import * as sys from "@varve/syscalls";
    import { facts } from "./material.ts";
    const snapshotter = await openNativeSnapshotter({ root: ${JSON.stringify(path)} });
    const [{ source }] = await snapshotter.prepare("a", undefined);
    const at = (name) => source + "/" + name;
    mkdirSync(at("closed/below"), { recursive: true });
    writeFileSync(at("closed/file"), "contents");
    writeFileSync(at("read-only"), "");
    linkSync(at("closed/file"), at("linked"));
    symlinkSync("nowhere", at("link"));
    truncateSync(at("closed/file"), 5e6);
    sys.mknodat(sys.AT_FDCWD, at("fifo"), sys.S_IFIFO | 0o600, 0);
    sys.lsetxattr(at("closed"), "user.own", Buffer.from([0, 255]), 0);
    const mtime = { seconds: -5, nanoseconds: 123456789 };
    for (const name of ["linked", "link", "fifo"]) sys.utimensat(-100, at(name), { mtime }, sys.AT_SYMLINK_NOFOLLOW);
    const modes = [["closed/file", 0o4640], ["read-only", 0o444], ["closed/below", 0o500], ["closed", 0o500]];
    for (const [name, mode] of modes) chmodSync(at(name), mode);
    await snapshotter.commit("A", "a");
    const [copy] = await snapshotter.prepare("b", "A");
    const names = ["", "closed", "closed/below", "closed/file", "linked", "link", "fifo", "read-only"];
    for (const name of names) {
      const [from, to] = [source, copy.source].map((directory) => JSON.stringify(facts(directory, name)));
      if (from !== to) console.log(name, from, to);
    }
    console.log(readdirSync(copy.source + "/closed").join());
    await snapshotter.remove("b");
    await snapshotter.remove("A");
    await snapshotter.close();
  `;
  expect(printedByNobody(base.path, script)).toBe("below,file\n");
  expect(readdirSync(path).filter((name) => !name.startsWith("metadata.db"))).toEqual([]);
});

/** Commits files that only root can make as A, and gives the store to somebody else. */
async function commitOfRoot(path: string): Promise<void> {
  await using snapshotter = await openNativeSnapshotter({ root: path });
  const [active] = await snapshotter.prepare("a", undefined);
  const at = (name: string): string => join(active?.source ?? "", name);
  for (const name of ["program", "closed"]) writeFileSync(at(name), name);
  sys.mknodat(sys.AT_FDCWD, at("null"), sys.S_IFCHR | 0o666, sys.makedev(1, 3));
  const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
  sys.lsetxattr(at("program"), "security.capability", capability, 0);
  sys.fchmodat(sys.AT_FDCWD, at("program"), 0o755, 0);
  await snapshotter.commit("A", "a");
  execFileSync("chown", ["-R", `${nobody}:${nobody}`, path]);
  sys.fchownat(sys.AT_FDCWD, at("program"), 0, 0, 0);
}

test.skipIf(!root)("without privileges a copy of what is not one's own becomes one's own (needs root)", async () => {
  using base = tempRoot();
  sys.fchownat(sys.AT_FDCWD, base.path, nobody, nobody, 0);
  const path = join(base.path, "root");
  await commitOfRoot(path);
  const script = `
    import { readdirSync } from "node:fs";
    import { openNativeSnapshotter } from "@varve/snapshots-native";
    import * as sys from "@varve/syscalls";
    await using snapshotter = await openNativeSnapshotter({ root: ${JSON.stringify(path)} });
    const [copy] = await snapshotter.prepare("b", "A");
    const program = copy.source + "/program";
    const { uid, gid, mode } = sys.statx(-100, program, 0);
    const attributes = sys.llistxattr(program).length;
    console.log(readdirSync(copy.source).toSorted().join(), uid, gid, mode.toString(8), attributes);
    const keeping = await openNativeSnapshotter({ root: ${JSON.stringify(path)}, ownership: "keep" });
    const error = await keeping.prepare("c", "A").catch((caught) => caught);
    console.log(error.code, error.message.startsWith("snapshot c: cannot be made: copy of ${path}/1/fs: "));
    await keeping.close();
  `;
  expect(printedByNobody(base.path, script)).toBe(`closed,program ${nobody} ${nobody} 100755 0\nEPERM true\n`);
});

test.skipIf(!root)("without privileges a file that may not be read is refused (needs root)", async () => {
  using base = tempRoot();
  sys.fchownat(sys.AT_FDCWD, base.path, nobody, nobody, 0);
  const path = join(base.path, "root");
  await commitOfRoot(path);
  sys.fchmodat(sys.AT_FDCWD, join(path, "1/fs/program"), 0o600, 0);
  const script = `
    import { openNativeSnapshotter } from "@varve/snapshots-native";
    await using snapshotter = await openNativeSnapshotter({ root: ${JSON.stringify(path)} });
    const error = await snapshotter.prepare("b", "A").catch((caught) => caught);
    console.log(error.code, error.message.includes("program"));
  `;
  expect(printedByNobody(base.path, script)).toBe("EACCES true\n");
  expect(readdirSync(path).filter((name) => name.startsWith("new-"))).toEqual([]);
});
