import { utimesSync } from "node:fs";
import { join } from "node:path";
import { lsetxattr } from "@varve/syscalls";
import { describe, expect, test } from "vitest";
import { entriesOf, pack } from "./pack.ts";
import { directory, file, Pair, sample } from "./pair.ts";
import { apply, isRoot, Sandbox } from "./sandbox.ts";
import { readTree } from "./tree.ts";

/** Version 2; owner rw, user 1000 r, group r, mask r, others r. */
const accessList = Buffer.from(
  ["02000000", "01000600ffffffff", "02000400e8030000", "04000400ffffffff", "10000400ffffffff", "20000400ffffffff"].join(
    "",
  ),
  "hex",
);

/** A signature, which the kernel lets others than itself put there. */
const evm = Buffer.from("0300", "hex");

describe("attributes", () => {
  // G-62, U-TAR.26
  test.skipIf(!isRoot)(
    "are kept, but for trusted ones, overlay's own, sums of one machine and labels of SELinux (needs root)",
    () => {
      using box = new Sandbox();
      const upper = box.directory();
      file(join(upper, "f"));
      const set = (name: string): void => lsetxattr(join(upper, "f"), name, Buffer.from([0, 10, 255]), 0);
      for (const name of ["user.a", "trusted.a", "user.overlay.a", "security.selinux", "security.other"]) set(name);
      lsetxattr(join(upper, "f"), "security.evm", evm, 0);
      const names = (selinux?: boolean): unknown => [...(entriesOf({ upper, selinux })[1]?.xattrs.keys() ?? [])];
      expect(names()).toEqual(["security.other", "user.a"]);
      expect(names(true)).toEqual(["security.other", "security.selinux", "user.a"]);
      expect(entriesOf({ upper })[1]?.xattrs.get("user.a")).toEqual(Buffer.from([0, 10, 255]));
    },
  );

  test.skipIf(!isRoot)("that are access control lists are kept, and applied as they were (needs root)", () => {
    using box = new Sandbox();
    const [upper, applied] = [box.directory(), box.directory()];
    directory(join(upper, "d"));
    file(join(upper, "f"));
    lsetxattr(join(upper, "f"), "system.posix_acl_access", accessList, 0);
    lsetxattr(join(upper, "d"), "system.posix_acl_default", accessList, 0);
    utimesSync(upper, 1, 1);
    apply(pack({ upper }).layer, applied);
    expect(readTree(applied)).toEqual(readTree(upper));
    expect(entriesOf({ upper }).map(({ xattrs }) => [...xattrs.keys()])).toEqual([
      [],
      ["system.posix_acl_default"],
      ["system.posix_acl_access"],
    ]);
  });

  test("that differ make a file or a directory a changed one", () => {
    using trees = new Pair(sample);
    lsetxattr(join(trees.upper, "f"), "user.a", Buffer.from("1"), 0);
    lsetxattr(join(trees.lower, "d2"), "user.a", Buffer.from("1"), 0);
    expect(trees.lines()).toEqual(["directory d2/", "file f"]);
  });
});
