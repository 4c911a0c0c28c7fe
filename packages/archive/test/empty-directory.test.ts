import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { emptyDirectory } from "@varve/archive";
import { expect, test } from "vitest";
import { apply, asNobody, isRoot, openDescriptors, Sandbox } from "./sandbox.ts";
import { file, tar } from "./tar-builder.ts";

/** The kernel takes paths of 4,095 bytes. */
const deep = `${"d".repeat(200)}/`.repeat(60);

test("a directory is emptied, however deep it is and whatever the names, and stays", () => {
  using box = new Sandbox();
  const [root, outside] = [box.directory(), box.directory()];
  apply(tar(file(`${deep}file`), file(Buffer.from("caf\xe9", "latin1"))), root);
  writeFileSync(join(outside, "kept"), "");
  symlinkSync(outside, join(root, "link"));
  const { ino } = statSync(root);
  const open = openDescriptors();
  for (let times = 0; times < 2; times += 1) emptyDirectory(root);
  expect([readdirSync(root), readdirSync(outside), statSync(root).ino]).toEqual([[], ["kept"], ino]);
  expect(openDescriptors()).toEqual(open);
});

test.skipIf(!isRoot)(
  "without root, directories that lock out their owner are emptied, too (needs root to become nobody)",
  () => {
    using box = new Sandbox();
    const root = box.directory();
    asNobody(box, [root], () => {
      mkdirSync(join(root, "locked"));
      writeFileSync(join(root, "locked/file"), "");
      mkdirSync(join(root, "locked/inner"), { mode: 0 });
    });
    asNobody(box, [root], () => emptyDirectory(root));
    expect(readdirSync(root)).toEqual([]);
  },
);

test("a directory that is not there is told", () => {
  using box = new Sandbox();
  const gone = join(box.path, "gone");
  expect(() => emptyDirectory(gone)).toThrowError(expect.objectContaining({ code: "ENOENT" }));
});
