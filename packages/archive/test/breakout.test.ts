import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLayerWriter } from "@varve/archive";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { apply, applyInPlace, applyStaged, isRoot, Sandbox } from "./sandbox.ts";
import { dir, file, hardlink, type Spec, symlink, tar, whiteout } from "./tar-builder.ts";
import { readTree } from "./tree.ts";

const up = "../../../../../../../../../..";
const etc = [dir("etc", { mode: 0o770 }), file("/etc/passwd", "inside")];
const content = (root: string, path: string): string => readFileSync(join(root, path), "utf8");
const sameInode = (root: string, one: string, two: string): boolean =>
  lstatSync(join(root, one)).ino === lstatSync(join(root, two)).ino;
const sameLink = (root: string, one: string, two: string): boolean =>
  readlinkSync(join(root, one)) === readlinkSync(join(root, two)) && sameInode(root, one, two);
const unbroken = (root: string): boolean => content(root, "etc/unbroken") === "unbroken";
const linked = (path: string) => (root: string) => sameInode(root, path, "etc/passwd");
const passwd = (root: string): boolean => content(root, "etc/passwd") === "inside";

interface Case {
  readonly id: string;
  readonly name: string;
  readonly base?: readonly Spec[];
  readonly layer: readonly Spec[];
  /** What must hold of the tree; absent when the layer must be refused. */
  readonly holds?: (root: string) => boolean;
}

const target = file("/localetc/unbroken", "unbroken");
const cases: readonly Case[] = [
  {
    id: "C-TAR.10",
    name: "an absolute link is followed inside",
    layer: [dir("etc"), symlink("/etc", "localetc"), target],
    holds: unbroken,
  },
  {
    id: "C-TAR.11",
    name: "a link up and out",
    layer: [dir("etc"), dir("dummy"), symlink("/dummy/../etc", "localetc"), target],
    holds: unbroken,
  },
  {
    id: "C-TAR.12",
    name: "several absolute links",
    layer: [dir("etc"), dir("dummy"), symlink("/etc", "/dummy/etc"), symlink("/dummy/etc", "localetc"), target],
    holds: unbroken,
  },
  {
    id: "C-TAR.13",
    name: "several links, one relative",
    layer: [dir("etc"), dir("dummy"), symlink("/etc", "/dummy/etc"), symlink("./dummy/etc", "localetc"), target],
    holds: unbroken,
  },
  {
    id: "the same directory twice",
    name: "a link that was followed is replaced through itself",
    layer: [symlink(".", "d"), file("d/x", "x"), dir("d/d"), file("d/y", "y")],
    holds: (root) => content(root, "x") === "x" && content(root, "d/y") === "y" && !existsSync(join(root, "y")),
  },
  {
    id: "the same directory twice",
    name: "a link leads over a name that becomes a link",
    layer: [dir("a"), dir("a/b"), symlink("q/..", "l"), symlink("a/b", "l/q"), file("l/z", "z")],
    holds: (root) => content(root, "a/z") === "z" && !existsSync(join(root, "z")),
  },
  {
    id: "the same directory twice",
    name: "names that are none, behind a directory that is known",
    layer: [
      dir("d"),
      file("d/x"),
      dir("d/.", { mode: 0o701 }),
      file("d/y"),
      dir("d/..", { mode: 0o711 }),
      file("d//z", "z"),
      file("d/../e", "e"),
    ],
    holds: (root) =>
      lstatSync(root).mode === 0o40711 &&
      lstatSync(join(root, "d")).mode === 0o40701 &&
      content(root, "d/z") + content(root, "e") === "ze",
  },
  {
    id: "C-TAR.14",
    name: "an empty file through a link",
    layer: [dir("etc"), file("etc/emptied", "notempty"), symlink("/etc", "localetc"), file("/localetc/emptied")],
    holds: (root) => content(root, "etc/emptied") === "",
  },
  {
    id: "C-TAR.15",
    name: "a hard link through a relative link",
    layer: [
      ...etc,
      dir("breakouts"),
      symlink("../../etc", "breakouts/d1"),
      hardlink("/breakouts/d1/passwd", "breakouts/mypasswd"),
    ],
    holds: linked("breakouts/mypasswd"),
  },
  {
    id: "C-TAR.16",
    name: "a hard link down and out",
    layer: [
      ...etc,
      dir("breakouts"),
      dir("downandout"),
      symlink("../downandout/../../etc", "breakouts/d1"),
      hardlink("/breakouts/d1/passwd", "breakouts/mypasswd"),
    ],
    holds: linked("breakouts/mypasswd"),
  },
  {
    id: "C-TAR.17",
    name: "a hard link through an absolute link",
    layer: [...etc, symlink("/etc", "localetc"), hardlink("/localetc/passwd", "localpasswd")],
    holds: linked("localpasswd"),
  },
  {
    id: "C-TAR.18",
    name: "a hard link through a long relative link",
    layer: [...etc, symlink(`${up}/etc`, "localetc"), hardlink("/localetc/passwd", "localpasswd")],
    holds: linked("localpasswd"),
  },
  {
    id: "C-TAR.19",
    name: "a hard link up and out",
    layer: [...etc, symlink("upandout/../../../etc", "localetc"), hardlink("/localetc/passwd", "localpasswd")],
    holds: linked("localpasswd"),
  },
  {
    id: "C-TAR.20",
    name: "a hard link whose target goes up",
    layer: [...etc, hardlink(`${up}/etc/passwd`, "localpasswd")],
    holds: linked("localpasswd"),
  },
  {
    id: "C-TAR.21",
    name: "a hard link whose target is absolute",
    layer: [...etc, hardlink("/etc/passwd", "localpasswd")],
    holds: linked("localpasswd"),
  },
  {
    id: "C-TAR.22",
    name: "a link named ..",
    layer: [...etc, symlink("/etc/", ".."), hardlink("/etc/passwd", "localpasswd")],
    holds: linked("localpasswd"),
  },
  {
    id: "C-TAR.23",
    name: "a link without a name",
    layer: [...etc, symlink("/etc/", ""), hardlink("/etc/passwd", "localpasswd")],
    holds: linked("localpasswd"),
  },
  {
    id: "C-TAR.24",
    name: "a link whose name goes up",
    layer: [...etc, symlink("/etc/", "localetc/sub/.."), hardlink("/etc/passwd", "/localetc/localpasswd")],
    holds: linked("etc/localpasswd"),
  },
  {
    id: "C-TAR.25",
    name: "a directory with a slash",
    layer: [...etc, dir("localetc/"), hardlink("/etc/passwd", "/localetc/localpasswd")],
    holds: linked("localetc/localpasswd"),
  },
  {
    id: "C-TAR.26",
    name: "a link over a directory",
    base: [...etc, dir("localetc")],
    layer: [symlink("/etc", "localetc"), hardlink("/etc/passwd", "/localetc/localpasswd")],
    holds: linked("etc/localpasswd"),
  },
  {
    id: "C-TAR.27",
    name: "a relative link over a directory",
    base: [...etc, dir("localetc")],
    layer: [symlink("../../etc", "localetc"), hardlink("/etc/passwd", "/localetc/localpasswd")],
    holds: linked("etc/localpasswd"),
  },
  {
    id: "C-TAR.28",
    name: "a directory over a link",
    base: [...etc, symlink("/etc", "localetc")],
    layer: [dir("/localetc/"), hardlink("/etc/passwd", "/localetc/localpasswd")],
    holds: linked("localetc/localpasswd"),
  },
  {
    id: "C-TAR.29",
    name: "a directory over a link, and a file below",
    base: [...etc, symlink("etc", "localetc"), hardlink("/etc/passwd", "/localetc/localpasswd")],
    layer: [dir("/localetc/"), file("/localetc/localpasswd", "different")],
    holds: (root) => passwd(root) && content(root, "localetc/localpasswd") === "different",
  },
  { id: "C-TAR.30", name: "a whiteout of the root's parent", base: etc, layer: [whiteout(".wh...")] },
  { id: "C-TAR.31", name: "a whiteout of a parent", base: etc, layer: [whiteout("etc/.wh...")] },
  { id: "C-TAR.32", name: "a whiteout of the root", base: etc, layer: [whiteout(".wh..")] },
  { id: "C-TAR.33", name: "a whiteout of the directory itself", base: etc, layer: [whiteout("etc/.wh..")] },
  { id: "C-TAR.33", name: "a whiteout of no name", base: etc, layer: [whiteout("etc/.wh.")] },
  {
    id: "C-TAR.34",
    name: "a whiteout of a link",
    base: [...etc, symlink("/etc", "localetc")],
    layer: [whiteout(".wh.localetc")],
    holds: (root) => passwd(root) && !existsSync(join(root, "localetc")),
  },
  {
    id: "C-TAR.35",
    name: "a whiteout through a link",
    base: [...etc, file("etc/gone"), symlink("/etc", "localetc")],
    layer: [whiteout("localetc/.wh.gone")],
    holds: (root) => passwd(root) && !existsSync(join(root, "etc/gone")),
  },
  {
    id: "C-TAR.36",
    name: "a directory with a whiteout's name",
    base: etc,
    layer: [file(".wh.etc/somefile", "non-empty")],
    holds: (root) => passwd(root) && content(root, ".wh.etc/somefile") === "non-empty",
  },
  {
    id: "C-TAR.37",
    name: "a whiteout through a dangling link",
    base: [...etc, symlink("/dne", "localetc")],
    layer: [whiteout("localetc/.wh.etc")],
    holds: passwd,
  },
  {
    id: "C-TAR.38",
    name: "a whiteout whose name goes up",
    base: etc,
    layer: [whiteout("dne/../.wh.etc")],
    holds: (root) => !existsSync(join(root, "etc")),
  },
  {
    id: "C-TAR.39",
    name: "a directory, a link over it, a directory again",
    layer: [dir("a"), symlink("/", "a"), file("a/f", "one"), dir("a"), file("a/f", "two")],
    holds: (root) => content(root, "f") === "one" && content(root, "a/f") === "two",
  },
  {
    id: "C-TAR.40",
    name: "a hard link to a link whose target comes later",
    layer: [
      dir("etc"),
      symlink("/etc/passwd", "localpasswd"),
      hardlink("localpasswd", "dup"),
      file("/etc/passwd", "after"),
    ],
    holds: (root) => sameLink(root, "dup", "localpasswd") && content(root, "etc/passwd") === "after",
  },
  {
    id: "C-TAR.41",
    name: "a hard link to a relative link",
    layer: [...etc, symlink(`${up}/etc/passwd`, "passwdlink"), hardlink("/passwdlink", "localpasswd")],
    holds: (root) => sameLink(root, "localpasswd", "passwdlink"),
  },
  {
    id: "C-TAR.42",
    name: "a hard link to an absolute link",
    layer: [...etc, symlink("/etc/passwd", "passwdlink"), hardlink("/passwdlink", "localpasswd")],
    holds: (root) => sameLink(root, "localpasswd", "passwdlink"),
  },
  { id: "D11", name: "a name that leaves the root", layer: [file("../escaped", "out")] },
  { id: "D11", name: "a name that goes down and leaves the root", layer: [dir("a"), file("a/../../escaped", "out")] },
  { id: "D11", name: "a file below a file", layer: [file("f", "x"), file("f/g", "x")] },
  { id: "D11", name: "a file below a fifo", layer: [{ name: "f", type: "6" }, file("f/g", "x")] },
  { id: "D11", name: "a loop of links", layer: [symlink("b", "a"), symlink("a", "b"), file("a/f", "x")] },
  { id: "D11", name: "a link to itself through itself", layer: [symlink("a/a/a", "a"), file("a/f", "x")] },
  { id: "D11", name: "a hard link to a directory", layer: [dir("d"), hardlink("d", "h")] },
  { id: "D11", name: "a hard link to the root", layer: [hardlink("/", "h")] },
  { id: "D11", name: "a hard link to nothing", layer: [hardlink("nothing", "h")] },
  { id: "D11", name: "a hard link to itself", layer: [file("f", "x"), hardlink("f", "f")] },
  { id: "D11", name: "a link to nowhere", layer: [symlink("", "s")] },
  { id: "D11", name: "a name too long for the filesystem", layer: [file("n".repeat(300))] },
  {
    id: "C-TAR.62",
    name: "a device number out of range",
    layer: [{ name: "c", type: "3", major: 0o777_777, minor: 1 }],
  },
  { id: "C-TAR.62", name: "a device that is a whiteout to overlayfs", layer: [{ name: "c", type: "3" }] },
];

describe.skipIf(!isRoot)("a layer cannot leave its root (needs root)", () => {
  const box = new Sandbox();
  const canary = join(box.path, "canary");

  beforeAll(() => {
    mkdirSync(canary);
    writeFileSync(join(canary, "passwd"), "outside");
    chmodSync(join(canary, "passwd"), 0o400);
  });
  afterAll(() => box[Symbol.dispose]());

  test.each(cases.filter(({ holds }) => holds !== undefined))("$id: $name", ({ base, layer, holds }) => {
    const layers = [...(base === undefined ? [] : [base]), layer].map((specs) => tar(...specs));
    expect(holds?.(applyInPlace(box, layers))).toBe(true);
    expect(holds?.(applyStaged(box, layers).root)).toBe(true);
  });

  test.each(cases.filter(({ holds }) => holds === undefined))("$id: $name is refused", ({ base, layer }) => {
    const before = tar(...(base ?? []));
    const refused = expect.objectContaining({
      code: "ERR_INVALID_DATA",
      message: expect.stringMatching(/^layer: entry ".*" at byte \d+: .* \([a-z-]+\)$/),
    });
    const root = applyInPlace(box, [before]);
    const tree = readTree(root, { without: ["root"] });
    expect(() => apply(tar(...layer), root)).toThrow(refused);
    // Entries before the one that is refused were made.
    const made = layer.length === 1 ? readTree(root, { without: ["root"] }) : tree;
    expect(made).toEqual(tree);
    expect(() => applyStaged(box, [before, tar(...layer)])).toThrow(refused);
  });

  // C-TAR.43 and friends: links of the layer that lead to the canary by its real name.
  const attacks: readonly { readonly name: string; readonly layer: (outside: string) => readonly Spec[] }[] = [
    {
      name: "a file through a link",
      layer: (outside) => [symlink(outside, "l"), file("l/passwd", "x"), file("l/new", "x")],
    },
    { name: "a file over a link", layer: (outside) => [symlink(`${outside}/passwd`, "l"), file("l", "x")] },
    {
      name: "a directory over a link",
      layer: (outside) => [symlink(outside, "l"), dir("l", { mode: 0o777, uid: 5 }), file("l/passwd", "x")],
    },
    {
      name: "a hard link through a link",
      layer: (outside) => [symlink(outside, "l"), file("l/passwd", "x"), hardlink("l/passwd", "h"), file("h", "y")],
    },
    {
      name: "a hard link to a link, with a mode",
      layer: (outside) => [symlink(`${outside}/passwd`, "l"), { ...hardlink("l", "h"), mode: 0o777, uid: 5 }],
    },
    {
      name: "attributes on a link",
      layer: (outside) => [
        { ...symlink(`${outside}/passwd`, "l"), mode: 0o777, uid: 5, pax: { "SCHILY.xattr.user.a": "b" } },
      ],
    },
    { name: "a whiteout through a link", layer: (outside) => [symlink(outside, "l"), whiteout("l/.wh.passwd")] },
    {
      name: "an opaque marker through a link",
      layer: (outside) => [symlink(outside, "l"), whiteout("l/.wh..wh..opq")],
    },
    {
      name: "a link that goes up through /proc",
      layer: () => [
        symlink("/proc/self/cwd", "l"),
        file("l/x", "x"),
        symlink("/proc/self/root", "m"),
        file("m/y", "x"),
      ],
    },
    {
      name: "dots behind a link",
      layer: (outside) => [symlink(`${up}${outside}/../canary`, "l"), file("l/passwd", "x")],
    },
    {
      name: "a directory swapped for a link between two entries",
      layer: (outside) => [dir("d"), file("d/a", "x"), symlink(outside, "d"), file("d/passwd", "x")],
    },
  ];

  test.each(attacks)("$name touches nothing outside", ({ layer }) => {
    const before = readTree(box.path, { without: ["root"] }).filter(({ path }) => path.startsWith("canary"));
    const archive = tar(...layer(canary));
    applyInPlace(box, [archive]);
    applyStaged(box, [tar(dir("some")), archive]);
    const after = readTree(box.path, { without: ["root"] }).filter(({ path }) => path.startsWith("canary"));
    expect(before.length).toBe(2);
    expect(after).toEqual(before);
    expect(existsSync(join(process.cwd(), "x")) || existsSync("/y")).toBe(false);
  });

  test("errors name the entry escaped, and what was there stays", () => {
    const root = box.directory();
    writeFileSync(join(root, "kept"), "kept");
    const writer = createLayerWriter(root);
    expect(() => writer.write(tar(file(Buffer.from("../\u001b[31m\xff", "latin1"))))).toThrow(
      expect.objectContaining({
        message: 'layer: entry "../\\x1b[31m\\xff" at byte 0: leaves the root (path-above-root)',
      }),
    );
    expect(content(root, "kept")).toBe("kept");
    expect(() => writer.write(Buffer.alloc(512))).toThrow(expect.objectContaining({ code: "ERR_FAILED_PRECONDITION" }));
  });
});
