import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listChanges } from "@varve/archive";
import { lsetxattr } from "@varve/syscalls";
import { describe, expect, test } from "vitest";
import { copyTree, entriesOf, linesOf, pack } from "./pack.ts";
import { apply, asNobody, isRoot, Sandbox } from "./sandbox.ts";
import { dir, file, hardlink, type Spec, symlink, tar } from "./tar-builder.ts";
import { readTree } from "./tree.ts";

const attribute = "user.containers.override_stat";
const record = { ownership: "record" } as const;
/** Works as somebody without any right, in a sandbox that is theirs. */
function inBoxOfNobody<T>(work: (box: Sandbox) => T): T {
  using box = new Sandbox();
  return asNobody(box, [], () => work(box));
}

const root: Spec = { ...dir("./", { uid: 3, gid: 4, mode: 0o750, mtime: 1 }) };
const layer: readonly Spec[] = [
  root,
  dir("d", { mode: 0o1777, uid: 7, gid: 8, mtime: 5 }),
  { ...file("d/setuid", "x", { mode: 0o4755, gid: 9 }), pax: { uid: "4000000", "SCHILY.xattr.user.a": "1" } },
  file("d/locked", "secret", { mode: 0 }),
  dir("d/shut", { mode: 0 }),
  file("d/shut/empty", "", { uid: 1 }),
  { name: "null", type: "3", major: 1, minor: 3, mode: 0o666 },
  { name: "disk", type: "4", major: 8, minor: 1, mode: 0o660, gid: 6 },
  { name: "pipe", type: "6", mode: 0o600 },
  hardlink("null", "null2"),
  symlink("d", "link"),
];

describe("trees whose owners are recorded", () => {
  test("give the layer that they were made of, whoever they belong to", () => {
    const [packed, lines] = inBoxOfNobody((box) => {
      const upper = box.directory();
      apply(tar(...layer), upper, record);
      return [pack({ upper, ...record }).layer, linesOf({ upper, ...record })];
    });
    expect(lines).toEqual([
      "directory ./",
      "directory d/",
      "file d/locked",
      "file d/setuid",
      "directory d/shut/",
      "file d/shut/empty",
      "block disk",
      "symlink link -> d",
      "char null",
      "hardlink null2 -> null",
      "fifo pipe",
    ]);
    if (!isRoot) return;
    using box = new Sandbox();
    const [kept, applied] = [box.directory(), box.directory()];
    apply(tar(...layer), kept);
    expect(packed.equals(pack({ upper: kept }).layer)).toBe(true);
    apply(packed, applied);
    expect(readTree(applied)).toEqual(readTree(kept));
  });

  test("are compared by what is recorded, and the difference has no records", () => {
    inBoxOfNobody((box) => {
      const [lower, upper] = [box.directory(), box.directory()];
      apply(tar(...layer), lower, record);
      copyTree(lower, upper);
      const trees = { lower, upper, ...record };
      expect([...listChanges(trees)]).toEqual([]);
      apply(
        tar(
          root,
          dir("d", { mode: 0o1777, uid: 7, gid: 80, mtime: 5 }),
          file("d/locked", "secret", { mode: 0o600 }),
          { name: "null", type: "3", major: 1, minor: 5, mode: 0o666 },
          file("disk"),
        ),
        upper,
        record,
      );
      const entries = entriesOf(trees);
      const said = entries.map(({ name, type, uid, gid, mode, deviceMajor, deviceMinor }) =>
        [name.toString(), type, `${uid}:${gid}`, mode.toString(8), `${deviceMajor}:${deviceMinor}`].join(" "),
      );
      expect(said).toEqual([
        "d/ directory 7:80 1777 0:0",
        "d/locked file 0:0 600 0:0",
        "disk file 0:0 644 0:0",
        "null char 0:0 666 1:5",
      ]);
      expect(entries.flatMap(({ xattrs }) => [...xattrs.keys()])).toEqual([]);
      const applied = box.directory();
      copyTree(lower, applied);
      apply(pack(trees).layer, applied, record);
      expect(readTree(applied)).toEqual(readTree(upper));
    });
  });

  test("belong to root where nothing is recorded", () => {
    inBoxOfNobody((box) => {
      const upper = box.directory();
      mkdirSync(join(upper, "d"), { mode: 0o700 });
      writeFileSync(join(upper, "d/f"), "x");
      chmodSync(join(upper, "d/f"), 0o640);
      symlinkSync("x", join(upper, "l"));
      const found = entriesOf({ upper, ...record }).map(({ name, uid, gid, mode }) => [
        name.toString(),
        uid,
        gid,
        mode,
      ]);
      expect(found.slice(1)).toEqual([
        ["d/", 0, 0, 0o700],
        ["d/f", 0, 0, 0o640],
        ["l", 0, 0, 0o777],
      ]);
    });
  });

  test.each([
    ["nothing", ""],
    ["something else", "root"],
    ["an owner that is none", "4294967295:0:0644:file"],
    ["bits that are no permissions", "0:0:0100644:file"],
    ["a directory", "0:0:0755:dir"],
    ["a device, though it has content", "0:0:0600:char-1-3"],
    ["a device, though it has content, without number", "0:0:0600:char"],
    ["more than a record", "0:0:0644:file\\n"],
  ])("are refused where a file's record says %s", (_what, value) => {
    using box = new Sandbox();
    const upper = box.directory();
    mkdirSync(join(upper, "d"));
    writeFileSync(join(upper, "d/f"), "x");
    lsetxattr(join(upper, "d/f"), attribute, Buffer.from(value), 0);
    expect(() => pack({ upper, ...record })).toThrowError(
      expect.objectContaining({
        code: "ERR_INVALID_DATA",
        message: `tree: entry "d/f": attribute "${attribute}": no owner, mode and kind for this file`,
      }),
    );
  });

  test("are refused where a record says a device that none can be, or that is a whiteout", () => {
    for (const device of ["char-0-0", "char-4096-0", "block-1-1048576", "symlink"]) {
      using box = new Sandbox();
      const upper = box.directory();
      writeFileSync(join(upper, "f"), "");
      lsetxattr(join(upper, "f"), attribute, Buffer.from(`0:0:0600:${device}`), 0);
      expect(() => pack({ upper, ...record, form: "overlay" })).toThrowError(
        expect.objectContaining({ code: "ERR_INVALID_DATA" }),
      );
    }
  });
});

test("a record is an attribute like others in trees whose owners are kept", () => {
  using box = new Sandbox();
  const upper = box.directory();
  writeFileSync(join(upper, "f"), "x", { mode: 0o644 });
  lsetxattr(join(upper, "f"), attribute, Buffer.from("5:5:0600:file"), 0);
  for (const path of [join(upper, "f"), upper]) utimesSync(path, 1, 1);
  expect(entriesOf({ upper })[1]).toMatchObject({
    mode: 0o644,
    xattrs: new Map([[attribute, Buffer.from("5:5:0600:file")]]),
  });
});
