import { closeSync, existsSync, mkdirSync, openSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { cannotMount, sandbox } from "./sandbox.ts";

const mounter = createLinuxMounter();
const tmpfs: Mount = { type: "tmpfs", source: "tmpfs", options: [] };

describe.skipIf(cannotMount)("unmounting (needs root on Linux)", () => {
  test("where nothing is mounted, or nothing is, there is no error", async () => {
    using box = sandbox();
    await mounter.unmount(box.directory("plain"));
    await mounter.unmount(join(box.path, "none"));
    await mounter.unmount(join(box.path, "none/deeper"));
    writeFileSync(join(box.path, "file"), "");
    await mounter.unmount(join(box.path, "file/below"));
    await expect(mounter.unmount("/")).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  });

  test("a link to a mount is not followed", async () => {
    using box = sandbox();
    const real = box.directory("real");
    await mounter.mount([tmpfs], real);
    symlinkSync(real, join(box.path, "link"));
    await mounter.unmount(join(box.path, "link"));
    await mounter.unmount(join(box.path, "link"), { lazy: true });
    expect(box.mountPoints()).toEqual(["real"]);
  });

  test("mounts beside and above the target stay", async () => {
    using box = sandbox();
    for (const name of ["a", "ab", "a/inner"]) await mounter.mount([tmpfs], box.directory(name));
    await mounter.unmount(join(box.path, "a/inner"));
    expect(box.mountPoints()).toEqual(["a", "ab"]);
    await mounter.unmount(join(box.path, "a"));
    expect(box.mountPoints()).toEqual(["ab"]);
  });

  test("a mount that a younger one hides is taken off after that one, at the first try", async () => {
    using box = sandbox();
    const target = box.directory("target");
    await mounter.mount([tmpfs], target);
    await mounter.mount([tmpfs], box.directory("target/a/hidden"));
    await mounter.mount([tmpfs], join(target, "a"));
    await createLinuxMounter({ busyTimeoutMs: 0 }).unmount(target);
    expect(box.mountPoints()).toEqual([]);
  });

  test("names with spaces, newlines and backslashes are taken off below a target", async () => {
    using box = sandbox();
    const target = box.directory("target");
    await mounter.mount([tmpfs], target);
    for (const name of ["with space", "new\nline", "back\\slash", "tab\t/deep er"]) {
      mkdirSync(join(target, name), { recursive: true });
      await mounter.mount([tmpfs], join(target, name));
    }
    expect(box.mountPoints()).toHaveLength(5);
    await mounter.unmount(target);
    expect(box.mountPoints()).toEqual([]);
  });

  test("a busy mount is unavailable after the time allowed and stays mounted", async () => {
    using box = sandbox();
    const target = box.directory("target");
    await mounter.mount([tmpfs], target);
    const fd = openSync(join(target, "file"), "w");
    await expect(createLinuxMounter({ busyTimeoutMs: 20 }).unmount(target)).rejects.toMatchObject({
      code: "ERR_UNAVAILABLE",
      message: `unmount ${target}: EBUSY: resource busy or locked, umount2`,
    });
    expect(existsSync(join(target, "file"))).toBe(true);
    await mounter.unmount(target, { lazy: true });
    expect(readdirSync(target)).toEqual([]);
    closeSync(fd);
  });

  test("a mount that stops being busy in time is taken off", async () => {
    using box = sandbox();
    const target = box.directory("target");
    await mounter.mount([tmpfs], target);
    const fd = openSync(join(target, "file"), "w");
    const done = createLinuxMounter({ busyTimeoutMs: 20_000 }).unmount(target);
    await sleep(20);
    closeSync(fd);
    await done;
    expect(box.mountPoints()).toEqual([]);
  });

  test("an abort while waiting for a busy mount rejects with its reason", async () => {
    using box = sandbox();
    const target = box.directory("target");
    await mounter.mount([tmpfs], target);
    const fd = openSync(join(target, "file"), "w");
    const controller = new AbortController();
    const done = createLinuxMounter({ busyTimeoutMs: 20_000 }).unmount(target, { signal: controller.signal });
    const reason = new Error("enough");
    setTimeout(() => controller.abort(reason), 10);
    await expect(done).rejects.toBe(reason);
    closeSync(fd);
    expect(box.mountPoints()).toEqual(["target"]);
  });

  // K21
  test(
    "a target swapped for a link all the time never gets anything mounted or unmounted elsewhere",
    { timeout: 120_000 },
    async () => {
      using box = sandbox();
      const [target, canary] = [box.directory("target"), box.directory("canary")];
      const link = join(box.path, "link");
      await mounter.mount([tmpfs], canary);
      writeFileSync(join(canary, "alive"), "");
      symlinkSync(canary, link);
      const swapper = startSwapping(target, link);
      let [mounted, refused] = [0, 0];
      try {
        for (let round = 0; round < 2000 || ((mounted === 0 || refused === 0) && round < 100_000); round += 1) {
          const result = await mounter.mount([tmpfs], target).then(
            () => undefined,
            (error: unknown) => error,
          );
          if (result === undefined) mounted += 1;
          else refused += 1;
          expect([undefined, "ERR_FAILED_PRECONDITION"]).toContain(codeOf(result));
          expect(existsSync(join(canary, "alive"))).toBe(true);
          // The directory may have either name by now.
          await mounter.unmount(target);
          await mounter.unmount(link);
          expect(box.mountPoints()).toEqual(["canary"]);
        }
      } finally {
        await swapper.stop();
      }
      expect(mounted).toBeGreaterThan(0);
      expect(refused).toBeGreaterThan(0);
    },
  );
});

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : error;
}

/** Exchanges the two names in another thread as fast as it can. */
function startSwapping(a: string, b: string): { stop(): Promise<void> } {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const source = `
    import { workerData } from "node:worker_threads";
    import { tryRenameat2, AT_FDCWD, RENAME_EXCHANGE } from ${JSON.stringify(import.meta.resolve("@varve/syscalls"))};
    const { a, b, stop } = workerData;
    while (Atomics.load(stop, 0) === 0) tryRenameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const worker = new Worker(url, { workerData: { a, b, stop } });
  const ended = new Promise<void>((resolve, reject) => {
    worker.once("exit", () => resolve());
    worker.once("error", reject);
  });
  return {
    stop() {
      Atomics.store(stop, 0, 1);
      return ended;
    },
  };
}
