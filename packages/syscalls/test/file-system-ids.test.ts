import { lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as sys from "@varve/syscalls";
import { testDirectory } from "./directory.ts";

const cannotChangeUser: boolean = process.platform !== "linux" || process.geteuid?.() !== 0;

/** The ids and capabilities of this thread, as the kernel has them. */
function credentials(): string[] {
  const lines = readFileSync("/proc/thread-self/status", "utf8").split("\n");
  return lines.filter((line) => /^(?:Uid|Gid|Cap)/.test(line));
}

function mustNotRun(): never {
  throw new Error("must not run");
}

describe.skipIf(cannotChangeUser)("acting as another user (needs root on Linux)", () => {
  test("what is made belongs to that user, with all capabilities kept", () => {
    using dir = testDirectory();
    const before = credentials();
    const result = sys.withFileSystemIds({ uid: 1234, gid: 2345 }, () => {
      const during = credentials();
      expect(during.filter((line) => line.startsWith("Cap"))).toEqual(before.filter((line) => line.startsWith("Cap")));
      expect(during[0]).toMatch(/^Uid:\t0\t0\t0\t1234$/);
      sys.mkdirat(dir.fd, "made", 0o700);
      // Only with CAP_MKNOD, which leaving user 0 takes away.
      sys.mknodat(dir.fd, "device", sys.S_IFCHR, 0);
      return 7;
    });
    expect(result).toBe(7);
    expect(lstatSync(join(dir.path, "made"))).toMatchObject({ uid: 1234, gid: 2345 });
    expect(lstatSync(join(dir.path, "device"))).toMatchObject({ uid: 1234, gid: 2345 });
    expect(credentials()).toEqual(before);
  });

  test("an error in between leaves the ids as they were", () => {
    const before = credentials();
    expect(() =>
      sys.withFileSystemIds({ uid: 1, gid: 1 }, () => {
        throw new Error("enough");
      }),
    ).toThrow("enough");
    expect(credentials()).toEqual(before);
  });

  test("an id that cannot be is refused before anything is done as another user", () => {
    const before = credentials();
    for (const ids of [
      { uid: 0xffff_ffff, gid: 1 },
      { uid: 1, gid: 0xffff_ffff },
    ]) {
      expect(() => sys.withFileSystemIds(ids, mustNotRun)).toThrow(
        expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }),
      );
    }
    expect(credentials()).toEqual(before);
  });
});
