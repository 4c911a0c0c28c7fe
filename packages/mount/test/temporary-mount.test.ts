import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CodedError } from "@varve/errors";
import { withTemporaryMount } from "@varve/mount";
import type { Mount, Mounter } from "@varve/mount";

const mounts: readonly Mount[] = [{ type: "overlay", source: "overlay", options: ["lowerdir=/a:/b", "volatile"] }];
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "varve-temporary-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

interface FakeMounter extends Mounter {
  readonly calls: unknown[];
}

/** "Mounts" a file into the target; what `unmount` does is given. */
function fakeMounter(unmount: (target: string, lazy: boolean) => void): FakeMounter {
  const calls: unknown[] = [];
  return {
    calls,
    mount(list, target, options) {
      options?.signal?.throwIfAborted();
      calls.push(list);
      writeFileSync(join(target, "data"), "");
      return Promise.resolve();
    },
    async unmount(target, options) {
      const lazy = options?.lazy ?? false;
      calls.push(lazy ? "lazy" : "unmount");
      unmount(target, lazy);
    },
  };
}

const takeOff = (target: string): void => rmSync(join(target, "data"));

const mustNotRun = (): Promise<never> => Promise.reject(new Error("must not run"));

// U-MNT.4
test("the body runs on the mount, and afterwards nothing is left", async () => {
  const mounter = fakeMounter(takeOff);
  const roots = new Set<string>();
  for (let round = 0; round < 2; round += 1) {
    const result = await withTemporaryMount(
      mounter,
      mounts,
      async (root) => {
        roots.add(root);
        expect(existsSync(join(root, "data"))).toBe(true);
        expect(statSync(root).mode & 0o777).toBe(0o700);
        return 7;
      },
      { directory },
    );
    expect(result).toBe(7);
  }
  expect(roots.size).toBe(2);
  expect(readdirSync(directory)).toEqual([]);
  expect(mounter.calls[0]).toEqual([{ type: "overlay", source: "overlay", options: ["lowerdir=/a:/b"] }]);
});

test("a failing body is cleaned up after, and its error is the one thrown", async () => {
  const mounter = fakeMounter(takeOff);
  const failure = new Error("body");
  await expect(withTemporaryMount(mounter, mounts, () => Promise.reject(failure), { directory })).rejects.toBe(failure);
  expect(readdirSync(directory)).toEqual([]);
});

test("a failed unmount is reported and deletes nothing", async () => {
  const failure = new CodedError("ERR_PERMISSION_DENIED", "no");
  const mounter = fakeMounter(() => {
    throw failure;
  });
  await expect(withTemporaryMount(mounter, mounts, async () => 1, { directory })).rejects.toBe(failure);
  const [left] = readdirSync(directory);
  expect(readdirSync(join(directory, left ?? ""))).toEqual(["data"]);
});

test("an unmount that claims success and leaves data deletes nothing", async () => {
  const mounter = fakeMounter(() => undefined);
  await expect(withTemporaryMount(mounter, mounts, async () => 1, { directory })).rejects.toThrow("ENOTEMPTY");
  const [left] = readdirSync(directory);
  expect(readdirSync(join(directory, left ?? ""))).toEqual(["data"]);
});

test("a mount that stays busy is detached", async () => {
  const mounter = fakeMounter((target, lazy) => {
    if (!lazy) throw new CodedError("ERR_UNAVAILABLE", "busy");
    takeOff(target);
  });
  await expect(withTemporaryMount(mounter, mounts, async () => 1, { directory })).resolves.toBe(1);
  expect(mounter.calls.slice(1)).toEqual(["unmount", "lazy"]);
  expect(readdirSync(directory)).toEqual([]);
});

test("a failing mount leaves no directory", async () => {
  const failure = new CodedError("ERR_NOT_IMPLEMENTED", "no overlay here");
  const mounter: Mounter = { mount: () => Promise.reject(failure), unmount: () => Promise.resolve() };
  await expect(withTemporaryMount(mounter, mounts, async () => 1, { directory })).rejects.toBe(failure);
  expect(readdirSync(directory)).toEqual([]);
});

// U-MNT.4, G-43
test("what a mounter leaves when it fails, or is aborted in the middle, is taken off", async () => {
  const controller = new AbortController();
  const mounter: Mounter = {
    async mount(_, target, options) {
      writeFileSync(join(target, "data"), "");
      controller.abort(new Error("enough"));
      options?.signal?.throwIfAborted();
    },
    async unmount(target, options) {
      options?.signal?.throwIfAborted();
      takeOff(target);
    },
  };
  const done = withTemporaryMount(mounter, mounts, mustNotRun, { directory, signal: controller.signal });
  await expect(done).rejects.toThrow("enough");
  expect(readdirSync(directory)).toEqual([]);
});

// G-43
test("an abort before and during the body leaves nothing and rejects with its reason", async () => {
  const reason = new Error("enough");
  const options = { directory, signal: AbortSignal.abort(reason) };
  await expect(withTemporaryMount(fakeMounter(takeOff), mounts, mustNotRun, options)).rejects.toBe(reason);
  const controller = new AbortController();
  const during = withTemporaryMount(
    fakeMounter(takeOff),
    mounts,
    async () => {
      controller.abort(reason);
      controller.signal.throwIfAborted();
    },
    { directory, signal: controller.signal },
  );
  await expect(during).rejects.toBe(reason);
  expect(readdirSync(directory)).toEqual([]);
});
