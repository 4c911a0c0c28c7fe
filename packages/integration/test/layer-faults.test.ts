import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { fingerprint } from "../src/fingerprint.ts";
import type { ApplyFailure } from "../src/layers/apply-once.ts";
import { dir, file, hardlink, layerOf, symlink, whiteout } from "../src/layers/layer-of.ts";

const missing = await whyNoFaults(["strace"]);
const program = join(import.meta.dirname, "../src/layers/apply-once.ts");

/** Something of everything; the numbers of calls below count on it. */
const layer = layerOf([
  dir("d"),
  { ...file("d/f", "x".repeat(100_000)), uid: 7, mode: 0o4755, xattrs: new Map([["user.x", Buffer.from("y")]]) },
  { ...dir("d/e"), xattrs: new Map([["user.x", Buffer.from("y")]]) },
  { ...symlink("d/l", "f"), uid: 7 },
  hardlink("d/h", "d/f"),
  { name: "d/p", type: "fifo", uid: 7 },
  { name: "d/c", type: "char", deviceMajor: 1, deviceMinor: 3 },
  { ...file("d/e/g", "y"), uid: 7 },
  whiteout("lower/gone"),
  { ...file("d/f", "again"), uid: 7 },
  file("z", "z"),
]);

let base = "";
let canary = "";
let disk = "";

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "varve-layer-faults-"));
  [canary, disk] = [join(base, "canary"), join(base, "disk")];
  mkdirSync(disk);
  mkdirSync(canary);
  writeFileSync(join(canary, "file"), "canary");
  writeFileSync(join(base, "layer.tar"), layer);
});

afterEach(async () => {
  await exec("umount", ["-l", disk]).catch(() => undefined);
  rmSync(base, { recursive: true, force: true });
});

/** The root of one layer on the disk, with a lower file in it if it is a merged tree. */
function rootFor(target: string): string {
  const root = join(disk, target);
  mkdirSync(root);
  if (target === "overlay") return root;
  mkdirSync(join(root, "lower"));
  writeFileSync(join(root, "lower/gone"), "");
  return root;
}

async function apply(target: string, tracer?: readonly string[]): Promise<ApplyFailure> {
  const command = [process.execPath, program, target, join(disk, target), join(base, "layer.tar")];
  const [tracerName = "env", ...options] = tracer ?? [];
  const { stdout } = await exec(tracerName, [...options, ...command]);
  return JSON.parse(stdout) as ApplyFailure;
}

/** Applies the layer, and tells what was changed outside. */
async function applyBesideCanary(
  target: string,
  tracer?: readonly string[],
): Promise<{ readonly failure: ApplyFailure; readonly changed: boolean }> {
  const before = JSON.stringify(fingerprint(canary));
  const failure = await apply(target, tracer);
  return { failure, changed: JSON.stringify(fingerprint(canary)) !== before };
}

/** What is expected of an error: it names the entry, and has the code. */
function failureOf(code: string): object {
  const { errno } = constants as unknown as { readonly errno: Readonly<Record<string, number>> };
  const message = expect.stringMatching(new RegExp(`^layer.*entry "[^"]+".*: .*${code}`));
  return { failure: { code, errno: -(errno[code] ?? 0), message }, changed: false };
}

const targets = ["directory", "overlay"] as const;

describe.skipIf(missing !== undefined)(
  `errors of the system while a layer is written (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    // F01, F02
    test.each([
      { what: "room", options: "size=32k", code: "ENOSPC" },
      { what: "inodes", options: "nr_inodes=6", code: "ENOSPC" },
    ])("without $what the entry and the reason are told, and the tree can be removed", async ({ options, code }) => {
      for (const target of targets) {
        await exec("mount", ["-t", "tmpfs", "-o", options, "none", disk]);
        const root = rootFor(target);
        expect(await applyBesideCanary(target)).toMatchObject(failureOf(code));
        rmSync(root, { recursive: true });
        expect(readdirSync(disk)).toEqual([]);
        await exec("umount", [disk]);
      }
    });

    // F05
    test("a root that cannot be written to is told as that", async () => {
      for (const target of targets) {
        await exec("mount", ["-t", "tmpfs", "none", disk]);
        rootFor(target);
        await exec("mount", ["-o", "remount,ro", disk]);
        expect(await applyBesideCanary(target)).toMatchObject(failureOf("EROFS"));
        await exec("umount", [disk]);
      }
    });

    // F01, F03, F06, F08: what the error is called, and at which entry.
    const faults = [
      { call: "openat2", error: "EMFILE", at: 3 },
      { call: "openat2", error: "EIO", at: 5 },
      { call: "mkdirat", error: "EDQUOT", at: 1 },
      { call: "mkdirat", error: "EMLINK", at: 2 },
      { call: "mkdirat", error: "ENOSPC", at: 2 },
      { call: "pwrite64", error: "EDQUOT", at: 1 },
      { call: "pwrite64", error: "EIO", at: 2 },
      { call: "pwrite64", error: "EFBIG", at: 1 },
      { call: "fchown,fchownat", error: "EPERM", at: 1 },
      { call: "fchown,fchownat", error: "EDQUOT", at: 2 },
      { call: "fchmod", error: "EPERM", at: 1 },
      { call: "utimensat", error: "EPERM", at: 1 },
      { call: "utimensat", error: "EROFS", at: 3 },
      { call: "fsetxattr", error: "ENOSPC", at: 1 },
      { call: "fsetxattr", error: "EDQUOT", at: 2 },
      { call: "symlinkat", error: "ENOSPC", at: 1 },
      { call: "linkat", error: "EMLINK", at: 1 },
      { call: "linkat", error: "EXDEV", at: 1 },
      { call: "mknodat", error: "EROFS", at: 2 },
      { call: "mknodat", error: "ENOSPC", at: 1 },
      { call: "unlinkat", error: "EIO", at: 1 },
    ] as const;

    test.each(faults)("$error of $call number $at names the entry", async ({ call, error, at }) => {
      await exec("mount", ["-t", "tmpfs", "none", disk]);
      const inject = `inject=${call}:error=${error}:when=${at}`;
      const tracer = ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", `trace=${call}`, "-e", inject];
      const failing = targets.map(async (target) => {
        const root = rootFor(target);
        const failed = await applyBesideCanary(target, tracer);
        rmSync(root, { recursive: true });
        return failed;
      });
      expect(await Promise.all(failing)).toMatchObject(targets.map(() => failureOf(error)));
    });

    // F08
    test("a device that may not be made is told as that, with the option that leaves devices out", async () => {
      await exec("mount", ["-t", "tmpfs", "none", disk]);
      for (const target of targets) {
        const root = rootFor(target);
        const inject = "inject=mknodat:error=EPERM:when=2";
        const tracer = ["strace", "-f", "-o", "/dev/null", "-e", "trace=mknodat", "-e", inject];
        const message = expect.stringMatching(/^layer.*entry "d\/c".*devices: "skip"/);
        expect(await applyBesideCanary(target, tracer)).toMatchObject({
          failure: { code: "ERR_FAILED_PRECONDITION", message },
          changed: false,
        });
        rmSync(root, { recursive: true });
      }
    });

    test("an attribute that the file system does not have is left out, and everything else is there", async () => {
      await exec("mount", ["-t", "tmpfs", "none", disk]);
      for (const target of targets) {
        const root = rootFor(target);
        const inject = "inject=fsetxattr:error=EOPNOTSUPP:when=1+";
        expect(await apply(target, ["strace", "-f", "-o", "/dev/null", "-e", "trace=fsetxattr", "-e", inject])).toEqual(
          {},
        );
        expect(readdirSync(join(root, "d")).toSorted()).toEqual(["c", "e", "f", "h", "l", "p"]);
        rmSync(root, { recursive: true });
      }
    });
  },
);
