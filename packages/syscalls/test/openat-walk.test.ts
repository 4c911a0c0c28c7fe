import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AT_FDCWD,
  close,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_WRONLY,
  openat2,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
  tryOpenat2,
} from "@varve/syscalls";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
// Not exported: it is only for kernels that this one is not.
import { openatWalk } from "../src/openat-walk.ts";

const confined = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
let root = "";
let dirfd = -1;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "varve-openat-"));
  mkdirSync(join(root, "d/e"), { recursive: true });
  writeFileSync(join(root, "d/e/f"), "content");
  symlinkSync("d", join(root, "link"));
  symlinkSync("f", join(root, "d/e/last"));
  symlinkSync("/etc/passwd", join(root, "out"));
  dirfd = openat2(AT_FDCWD, root, { flags: O_RDONLY | O_DIRECTORY });
});
afterEach(() => {
  close(dirfd);
  rmSync(root, { recursive: true });
});

/** Whether it opens; every descriptor is closed. */
function opens(fd: number): boolean {
  if (fd >= 0) close(fd);
  return fd >= 0;
}

describe("opening name by name", () => {
  test.each([
    "d",
    "d/e",
    "d/e/f",
    "d//e/./f",
    ".",
    "link/e",
    "link/e/f",
    "d/e/last",
    "out",
    "..",
    "d/../d",
    "/etc",
    "",
    "x",
    "d/e/f/g",
  ])("opens %j if and only if openat2 does, but for paths that go up", (path) => {
    const before = readdirSync("/proc/self/fd").length;
    const kernels = opens(tryOpenat2(dirfd, path, { flags: O_RDONLY, resolve: confined }));
    expect(opens(openatWalk(dirfd, path, O_RDONLY, 0, confined))).toBe(kernels && !path.includes(".."));
    expect(readdirSync("/proc/self/fd").length).toBe(before);
  });

  test("makes a file with its mode, and not through a link", () => {
    const flags = O_WRONLY | O_CREAT | O_EXCL;
    expect(opens(openatWalk(dirfd, "d/new", flags, 0o600, confined))).toBe(true);
    expect(readFileSync(join(root, "d/new"), "utf8")).toBe("");
    expect(opens(openatWalk(dirfd, "link/other", flags, 0o600, confined))).toBe(false);
    expect(readdirSync(join(root, "d"))).toEqual(["e", "new"]);
  });

  test("is not done for what it cannot do", () => {
    expect(opens(openatWalk(dirfd, "d", O_RDONLY, 0, RESOLVE_IN_ROOT))).toBe(false);
    expect(opens(openatWalk(dirfd, "d", O_RDONLY, 0, RESOLVE_BENEATH))).toBe(false);
    expect(opens(openatWalk(AT_FDCWD, root, O_RDONLY | O_DIRECTORY, 0, 0))).toBe(true);
  });
});
