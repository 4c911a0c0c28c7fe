import { dir, fifo, file, symlink } from "../build/entries.ts";
import { bad, layer, type Part } from "../build/layer.ts";
import { escapedName } from "../canary.ts";
import { aDir, aFile, aLink, dirsTo, type ExpectedNode, latin1 } from "../tree/expected.ts";
import type { HostileLayers, Refusal } from "../types.ts";

type Tree = Readonly<Record<string, ExpectedNode>>;
const up = "../".repeat(30).slice(0, -1);

export const gives = (
  name: string,
  about: string,
  layers: readonly (readonly Part[])[],
  tree: Tree,
): HostileLayers => ({
  name: `symlinks/${name}`,
  about,
  layers: layers.map((parts) => layer(...parts)),
  expect: { tree },
});

export const refuses = (
  name: string,
  about: string,
  parts: readonly Part[],
  refusal: Omit<Refusal, "refused">,
): HostileLayers => ({
  name: `symlinks/${name}`,
  about,
  layers: [layer(...parts)],
  expect: { refused: "ERR_INVALID_DATA", ...refusal },
});

/** Links that lead out, in circles, or where something else was a moment ago. */
export function symlinkVectors(outside: string): readonly HostileLayers[] {
  return [...through(outside), ...odd(outside), ...over(outside), ...overDirectories(outside)];
}

function through(outside: string): readonly HostileLayers[] {
  const inside = dirsTo(outside);
  const here = outside.slice(1);
  return [
    gives(
      "absolute",
      "followed from the root of the layer: CVE-2018-20834 and its kind",
      [[symlink("l", outside), file("l/passwd", "x")]],
      { l: aLink(outside), ...inside, [`${here}/passwd`]: aFile("x") },
    ),
    gives("up", "more steps up than there are", [[symlink("l", `${up}${outside}`), file("l/passwd", "x")]], {
      l: aLink(`${up}${outside}`),
      ...inside,
      [`${here}/passwd`]: aFile("x"),
    }),
    gives(
      "up-from-below",
      "relative to the directory that the link is in",
      [[dir("a/b"), symlink("a/b/l", `${up}${outside}/etc`), file("a/b/l/shadow", "x")]],
      {
        a: aDir(),
        "a/b": aDir(),
        "a/b/l": aLink(`${up}${outside}/etc`),
        ...inside,
        [`${here}/etc`]: aDir(),
        [`${here}/etc/shadow`]: aFile("x"),
      },
    ),
    gives(
      "proc-root",
      "a magic link of the kernel leads out of any root",
      [[symlink("l", "/proc/self/root"), file(`l/${escapedName}`, "x")]],
      { l: aLink("/proc/self/root"), ...dirsTo("proc/self/root"), [`proc/self/root/${escapedName}`]: aFile("x") },
    ),
    gives("proc-cwd", "another one", [[symlink("l", "/proc/self/cwd"), file(`l/${escapedName}`, "x")]], {
      l: aLink("/proc/self/cwd"),
      ...dirsTo("proc/self/cwd"),
      [`proc/self/cwd/${escapedName}`]: aFile("x"),
    }),
    gives(
      "proc-descriptor",
      "and those of open files",
      [[symlink("l", "/proc/self/fd/3/.."), file(`l/${escapedName}`, "x")]],
      { l: aLink("/proc/self/fd/3/.."), ...dirsTo("proc/self/fd"), [`proc/self/fd/${escapedName}`]: aFile("x") },
    ),
    gives("dangling", "a link to nowhere: the target is made, inside", [[symlink("l", "no/where"), file("l/f", "x")]], {
      l: aLink("no/where"),
      ...dirsTo("no/where"),
      "no/where/f": aFile("x"),
    }),
  ];
}

function odd(outside: string): readonly HostileLayers[] {
  return [
    gives(
      "slash-at-the-end",
      "the last name of an entry is never followed, with a slash neither: CVE-2021-37701",
      [[symlink("l", outside), dir("l/", { mode: 0o700 })]],
      { l: aDir({ mode: 0o700 }) },
    ),
    refuses(
      "to-a-file",
      "a link to a file is no directory",
      [file("f", "x"), symlink("l", "f"), bad(file("l/g", "y"))],
      { rule: "path-parent", entry: "l/g" },
    ),
    refuses(
      "to-a-fifo",
      "nothing may wait for a fifo's other end",
      [fifo("p"), symlink("l", "p"), bad(file("l/g", "y"))],
      { rule: "path-parent", entry: "l/g" },
    ),
    refuses("empty", "the kernel makes none", [bad(symlink("l", ""))], { rule: "symlink-target", entry: "l" }),
    refuses(
      "nul",
      "the kernel would stop there",
      [bad(symlink("l", "x", { pax: { linkpath: Buffer.from("a\0b") } }))],
      { rule: "name-nul" },
    ),
    refuses("too-long", "4,096 bytes cannot be a target", [bad(symlink("l", "x".repeat(4096)))], {
      rule: "name-length",
      entry: "l",
    }),
    gives("longest", "4,095 bytes can", [[symlink("l", "./".repeat(2047) + "d"), file("l/f", "x")]], {
      l: aLink("./".repeat(2047) + "d"),
      d: aDir(),
      "d/f": aFile("x"),
    }),
    gives(
      "text-is-kept",
      "targets are text and never rewritten (C-TAR.3)",
      [[symlink("a", "../../x/./y//"), symlink("b", Buffer.from("caf\u00e9", "latin1")), symlink("c", "c")]],
      { a: aLink("../../x/./y//"), b: aLink("caf\u00e9"), c: aLink("c") },
    ),
  ];
}

function over(outside: string): readonly HostileLayers[] {
  return [
    gives(
      "file-over",
      "a file replaces the link, and is not written through it",
      [[symlink("l", `${outside}/passwd`), file("l", "x")]],
      { l: aFile("x") },
    ),
    gives(
      "empty-file-over",
      "opening for writing would empty the target (C-TAR.14)",
      [[symlink("l", `${outside}/etc/shadow`), file("l", "")]],
      { l: aFile("") },
    ),
    gives(
      "directory-over",
      "the mode is the new directory's: CVE-2026-33056",
      [[symlink("l", outside), dir("l", { mode: 0o777, uid: 5 }), file("l/passwd", "x")]],
      { l: aDir({ mode: 0o777, uid: 5 }), "l/passwd": aFile("x") },
    ),
  ];
}

function overDirectories(outside: string): readonly HostileLayers[] {
  const inside = dirsTo(outside);
  const here = outside.slice(1);
  return [
    gives(
      "over-directory",
      "a directory that was seen is a link now: CVE-2021-32803",
      [[dir("d"), file("d/a", "1"), symlink("d", outside), file("d/passwd", "x")]],
      { d: aLink(outside), ...inside, [`${here}/passwd`]: aFile("x") },
    ),
    gives(
      "over-implied-directory",
      "also when it never had an entry",
      [[file("d/e/a", "1"), symlink("d/e", outside), file("d/e/passwd", "x")]],
      { d: aDir(), "d/e": aLink(outside), ...inside, [`${here}/passwd`]: aFile("x") },
    ),
    gives(
      "over-directory-with-slash",
      "the cache is asked for another spelling: CVE-2021-37701",
      [[dir("d/"), symlink("d//", outside), file("d/passwd", "x")]],
      { d: aLink(outside), ...inside, [`${here}/passwd`]: aFile("x") },
    ),
    gives(
      "over-directory-other-unicode",
      "two normal forms are two names: CVE-2021-37712, CVE-2026-23950",
      [[dir("caf\u00e9"), symlink("cafe\u0301", outside), file("caf\u00e9/passwd", "x")]],
      {
        [latin1("caf\u00e9")]: aDir(),
        [latin1("cafe\u0301")]: aLink(outside),
        [latin1("caf\u00e9/passwd")]: aFile("x"),
      },
    ),
    gives(
      "over-directory-other-case",
      "upper and lower case too",
      [[dir("D"), symlink("d", outside), file("D/passwd", "x")]],
      { D: aDir(), d: aLink(outside), "D/passwd": aFile("x") },
    ),
    gives(
      "directory-again",
      "to and fro (C-TAR.39)",
      [[dir("a"), symlink("a", "/"), file("a/f", "one"), dir("a"), file("a/f", "two")]],
      { a: aDir(), f: aFile("one"), "a/f": aFile("two") },
    ),
    gives("retargeted", "the second target counts", [[symlink("l", "a"), symlink("l", "b"), file("l/f", "x")]], {
      l: aLink("b"),
      b: aDir(),
      "b/f": aFile("x"),
    }),
    gives(
      "attributes",
      "belong to the link: C-TAR.43, CVE-2021-32760",
      [
        [
          symlink("l", `${outside}/passwd`, {
            mode: 0o4777,
            uid: 5,
            gid: 6,
            mtime: 9,
            pax: { "SCHILY.xattr.user.a": "b" },
          }),
        ],
      ],
      { l: aLink(`${outside}/passwd`, { uid: 5, gid: 6, mtime: 9_000_000_000n, xattrs: {} }) },
    ),
    gives(
      "fifo-outside",
      "the canary's fifo is never opened",
      [[symlink("l", `${outside}/pipe`), file("l", "x"), symlink("m", outside), file("m/pipe", "y")]],
      { l: aFile("x"), m: aLink(outside), ...inside, [`${here}/pipe`]: aFile("y") },
    ),
    gives("name-goes-up", "C-TAR.24", [[dir("etc"), symlink("l/sub/..", "/etc"), file("l/f", "x")]], {
      etc: aDir(),
      l: aLink("/etc"),
      "etc/f": aFile("x"),
    }),
  ];
}
