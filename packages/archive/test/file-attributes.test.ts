import { chmodSync, chownSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { apply, isRoot, Sandbox } from "./sandbox.ts";
import { dir, file, tar } from "./tar-builder.ts";

function line(mode: number, uid: number, gid: number): string {
  return `${(mode & 0o7777).toString(8)} ${uid}:${gid}`;
}

/** `MODE UID:GID` of each. */
function shown(root: string, names: readonly string[]): Record<string, string> {
  const of = (name: string): string => {
    const { mode, uid, gid } = statSync(join(root, name));
    return line(mode, uid, gid);
  };
  return Object.fromEntries(names.map((name) => [name, of(name)]));
}

// Each is made beside files of other owners and modes. U-TAR.9, U-TAR.11
const owners: readonly (readonly [mode: number, uid: number, gid: number])[] = [
  [0o644, 0, 0],
  [0o644, 0, 0],
  [0o666, 0, 0],
  [0o4755, 0, 0],
  [0o2640, 0, 5],
  [0o600, 7, 0],
  [0o640, 7, 5],
  [0o444, 0, 0],
  [0o000, 0, 0],
  [0o1777, 0, 5],
  [0o644, 65_534, 65_534],
  [0o644, 0, 0],
];
const files = owners.map(([mode, uid, gid], index) => file(`d/${index}`, `${index}`, { mode, uid, gid }));
const names = owners.map((_, index) => `d/${index}`);
const asked = Object.fromEntries(owners.map(([mode, uid, gid], index) => [`d/${index}`, line(mode, uid, gid)]));

describe.skipIf(!isRoot)("mode and owner of files", () => {
  test.each([0o022, 0o077, 0o000, 0o777])("are the entry's, whatever the process takes off new files: %o", (mask) => {
    using box = new Sandbox();
    const root = box.directory();
    const before = process.umask(mask);
    try {
      apply(tar(dir("d"), ...files), root);
    } finally {
      process.umask(before);
    }
    expect(shown(root, names)).toEqual(asked);
  });

  test("are the entry's in a directory that gives its files a group", () => {
    using box = new Sandbox();
    const root = box.directory();
    mkdirSync(join(root, "d"));
    chownSync(join(root, "d"), 0, 5);
    chmodSync(join(root, "d"), 0o2755);
    apply(tar(...files), root);
    expect(shown(root, names)).toEqual(asked);
  });

  test("are the entry's in a directory of the layer that shall give its files a group", () => {
    using box = new Sandbox();
    const root = box.directory();
    apply(tar(dir("d", { mode: 0o2755, gid: 5 }), ...files, dir("d", { mode: 0o2775, gid: 6 }), ...files), root);
    expect(shown(root, [...names, "d"])).toEqual({ ...asked, d: "2775 0:6" });
  });
});
