import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CodedError } from "@varve/errors";
import { currentOwner, ownerToFileName } from "@varve/locks";
import { removeStaleTemporaryMounts, temporaryMountPrefix, withTemporaryMount } from "@varve/mount";
import type { Mounter } from "@varve/mount";

const dead = ownerToFileName("1/1/00000000-0000-4000-8000-000000000000/1");
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "varve-stale-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** Notes what it is asked to unmount, by name; a file `data` stands for what is mounted. */
function fakeMounter(
  fail?: (name: string, lazy: boolean) => Error | undefined,
): Mounter & { readonly calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    mount: () => Promise.resolve(),
    async unmount(target, options) {
      const name = target.slice(directory.length + 1);
      const lazy = options?.lazy === true;
      calls.push(lazy ? `lazy ${name}` : name);
      const error = fail?.(name, lazy);
      if (error !== undefined) throw error;
      rmSync(join(target, "data"), { force: true });
    },
  };
}

function leave(name: string): string {
  mkdirSync(join(directory, name));
  writeFileSync(join(directory, name, "data"), "");
  return name;
}

// K18
test("what dead processes have left is taken off and counted", async () => {
  const names = [leave(`varve-mount-${dead}.abcDE1`), leave(`varve-mount-4194304__.abcDE2`)];
  const mounter = fakeMounter();
  expect(await removeStaleTemporaryMounts(mounter, directory)).toBe(2);
  expect(mounter.calls.toSorted()).toEqual(names.toSorted());
  expect(readdirSync(directory)).toEqual([]);
});

// K18
test("what is a living process's, or nobody's, or a link, is not looked at", async () => {
  const target = leave("elsewhere");
  const names = [
    target,
    leave(`varve-mount-${ownerToFileName(currentOwner())}.abcDE1`),
    leave("varve-mount-abcDE1"),
    leave("varve-mount-.abcDE1"),
    leave(`varve-mount-${dead}`),
    leave(`varve-mount-${dead}.abcDE1.more`),
    leave(`varve-mount-${dead}.abcDE`),
    leave(`x-varve-mount-${dead}.abcDE1`),
    leave(`varve-mount-${dead}_1.abcDE1`),
  ];
  symlinkSync(target, join(directory, `varve-mount-${dead}.abcDE2`));
  writeFileSync(join(directory, `varve-mount-${dead}.abcDE3`), "");
  const mounter = fakeMounter();
  expect(await removeStaleTemporaryMounts(mounter, directory)).toBe(0);
  expect(mounter.calls).toEqual([]);
  expect(readdirSync(directory)).toHaveLength(names.length + 2);
  expect(names.every((name) => existsSync(join(directory, name, "data")))).toBe(true);
});

// K18
test("the name of a temporary mount tells its process, so that no other takes it off", async () => {
  const mounter = fakeMounter();
  await withTemporaryMount(
    mounter,
    [],
    async (root) => {
      expect(root.startsWith(temporaryMountPrefix(directory))).toBe(true);
      expect(root.slice(directory.length)).toContain(`/varve-mount-${process.pid}_`);
      expect(await removeStaleTemporaryMounts(mounter, directory)).toBe(0);
      expect(existsSync(root)).toBe(true);
    },
    { directory },
  );
  expect(readdirSync(directory)).toEqual([]);
});

test("a stale mount that is busy is detached", async () => {
  const name = leave(`varve-mount-${dead}.abcDE1`);
  const mounter = fakeMounter((_, lazy) => (lazy ? undefined : new CodedError("ERR_UNAVAILABLE", "busy")));
  expect(await removeStaleTemporaryMounts(mounter, directory)).toBe(1);
  expect(mounter.calls).toEqual([name, `lazy ${name}`]);
});

// U-MNT.4
test("a stale directory that holds files keeps them and is not counted", async () => {
  const name = leave(`varve-mount-${dead}.abcDE1`);
  writeFileSync(join(directory, name, "precious"), "");
  expect(await removeStaleTemporaryMounts(fakeMounter(), directory)).toBe(0);
  expect(readdirSync(join(directory, name))).toEqual(["precious"]);
});

test("what another user or process does is no error, and a failure does not keep the others", async () => {
  const [denied, failing, gone, good] = ["1", "2", "3", "4"].map((n) => leave(`varve-mount-${dead}.abcDE${n}`));
  const failure = Object.assign(new Error("EIO"), { code: "EIO" });
  const mounter = fakeMounter((name) => {
    if (name === denied) return new CodedError("ERR_PERMISSION_DENIED", "not yours");
    if (name === failing) return failure;
    if (name !== gone) return undefined;
    rmSync(join(directory, name), { recursive: true });
    return undefined;
  });
  await expect(removeStaleTemporaryMounts(mounter, directory)).rejects.toBe(failure);
  expect(readdirSync(directory).toSorted()).toEqual([denied, failing]);
  expect(good).toBeDefined();
  rmSync(join(directory, failing ?? ""), { recursive: true });
  expect(await removeStaleTemporaryMounts(mounter, directory)).toBe(0);
});

test("a directory that does not exist holds nothing stale", async () => {
  rmdirSync(directory);
  expect(await removeStaleTemporaryMounts(fakeMounter(), directory)).toBe(0);
  mkdirSync(directory);
});
