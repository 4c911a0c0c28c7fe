import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, rmdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openClient } from "@varve/client";
import { currentOwner } from "@varve/locks";
import { labelOwner } from "@varve/snapshots";
import { describe, expect, test } from "vitest";
import { backends, isRoot, records, scene } from "./mount-scene.ts";

const run = promisify(execFile);
const mountChild = fileURLToPath(new URL("mount-child.ts", import.meta.url));

async function code(call: Promise<unknown>): Promise<unknown> {
  return call.catch((error: unknown) => error instanceof Error && "code" in error && error.code);
}

describe.each(backends)("a mount by $snapshotter $why", ({ snapshotter, works }) => {
  test.skipIf(!works)("shows the whole image, and nothing can be written through it", async () => {
    await using here = await scene(snapshotter);
    const { client, name, target } = here;
    await client.mount(name, target);
    await expect(readFile(join(target, "etc/base"), "utf8")).resolves.toBe("base");
    await expect(readFile(join(target, "etc/top"), "utf8")).resolves.toBe("top");
    await expect(writeFile(join(target, "new"), "")).rejects.toMatchObject({ code: "EROFS" });
    await client.unmount(target);
    await expect(readdir(target)).resolves.toEqual([]);
    await expect(records(here)).resolves.toEqual([]);
  });

  test.skipIf(!works)("takes writes if that was asked for, and forgets them", async () => {
    await using here = await scene(snapshotter);
    const { client, name, target } = here;
    for (let round = 0; round < 2; round += 1) {
      await client.mount(name, target, { writable: true });
      await expect(readdir(target)).resolves.not.toContain("new");
      await writeFile(join(target, "new"), "");
      await client.unmount(target);
    }
    await expect(records(here)).resolves.toEqual([]);
  });

  test.skipIf(!works)("is refused where one is, and where somebody else has mounted something", async () => {
    await using here = await scene(snapshotter);
    const { client, name, target } = here;
    const refusal = { code: "ERR_ALREADY_EXISTS", message: `mount ${target}: something is mounted there already` };
    await client.mount(name, target);
    await expect(client.mount(name, target)).rejects.toMatchObject(refusal);
    await client.unmount(target);
    await run("mount", ["-t", "tmpfs", "other", target]);
    await expect(client.mount(name, target)).rejects.toMatchObject(refusal);
    await expect(records(here)).resolves.toEqual([]);
  });

  test.skipIf(!works)("is made once when two calls want the same directory at the same time", async () => {
    await using here = await scene(snapshotter);
    const { client, name, target } = here;
    const link = `${target}-link`;
    await symlink(target, link);
    const results = await Promise.allSettled([client.mount(name, target), client.mount(name, link)]);
    expect(results.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    await client.unmount(link);
    await expect(readdir(target)).resolves.toEqual([]);
  });

  test.skipIf(!works)("is found by another client and another process", async () => {
    await using here = await scene(snapshotter);
    const { name, root, target } = here;
    const args = [mountChild, root, name, target, snapshotter];
    const holder = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    await once(holder.stdout, "data");
    holder.kill("SIGKILL");
    await once(holder, "exit");
    await expect(here.client.mount(name, target)).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
    // The client's own snapshotter is another one.
    await using other = await openClient({ root, snapshotter: "native" });
    await other.unmount(target);
    await expect(readdir(target)).resolves.toEqual([]);
    await expect(records(here)).resolves.toEqual([]);
  });

  test.skipIf(!works)("that was taken off by hand can be made again, and can be unmounted all the same", async () => {
    await using here = await scene(snapshotter);
    const { client, name, target } = here;
    await client.mount(name, target);
    await run("umount", [target]);
    await client.mount(name, target);
    await expect(readFile(join(target, "last"), "utf8")).resolves.toBe("last");
    await run("umount", [target]);
    await rmdir(target);
    await client.unmount(target);
    await expect(records(here)).resolves.toEqual([]);
    await expect(client.unmount(target)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  });

  test.skipIf(!works)("never takes off what others have mounted in its place", async () => {
    await using here = await scene(snapshotter);
    const { client, name, target } = here;
    await client.mount(name, target);
    await run("umount", [target]);
    await run("mount", ["-t", "tmpfs", "other", target]);
    await writeFile(join(target, "precious"), "");
    await client.unmount(target);
    await expect(readdir(target)).resolves.toEqual(["precious"]);
    await expect(records(here)).resolves.toEqual([]);
  });

  test.skipIf(!works)("stays while something else is mounted over it", async () => {
    await using here = await scene(snapshotter);
    const { client, name, target } = here;
    await client.mount(name, target);
    await run("mount", ["-t", "tmpfs", "other", target]);
    await expect(client.unmount(target)).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
    await run("umount", [target]);
    await client.unmount(target);
  });

  test.skipIf(!works)("that is busy stays, unless it is detached", async () => {
    await using here = await scene(snapshotter);
    const { client, name, target } = here;
    await client.mount(name, target);
    const user = spawn("sleep", ["60"], { cwd: target });
    await once(user, "spawn");
    try {
      await expect(client.unmount(target)).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
      await expect(readdir(target)).resolves.toContain("last");
      await client.unmount(target, { lazy: true });
      await expect(readdir(target)).resolves.toEqual([]);
    } finally {
      user.kill();
      await once(user, "exit");
    }
  });

  test.skipIf(!works)("in another mount namespace is not trodden on", async () => {
    await using here = await scene(snapshotter);
    const { client, name, root, target } = here;
    const args = ["--mount", process.execPath, mountChild, root, name, target, snapshotter];
    const holder = spawn("unshare", args, { stdio: ["pipe", "pipe", "inherit"] });
    await once(holder.stdout, "data");
    await expect(readdir(target)).resolves.toEqual([]);
    await expect(client.mount(name, target)).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
    holder.stdin.end();
    await once(holder, "exit");
    await client.unmount(target);
    await client.mount(name, target);
    await client.unmount(target);
  });

  test.skipIf(!works)(
    "replaces what a killed process has left, but not what a living one is about to mount",
    async () => {
      await using here = await scene(snapshotter);
      const { client, name, target } = here;
      const store = await client.snapshotter();
      await store.prepare(`mount ${target}`, undefined, { labels: { [labelOwner]: currentOwner() } });
      await expect(client.mount(name, target)).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
      await store.update(`mount ${target}`, { [labelOwner]: currentOwner().replace(/^\d+/, "4194303") });
      await client.mount(name, target);
      await expect(readFile(join(target, "last"), "utf8")).resolves.toBe("last");
      await client.unmount(target);
      await expect(records(here)).resolves.toEqual([]);
    },
  );
});

test("what cannot be mounted is told: no such directory, no directory, no such image, not pulled for the platform", async () => {
  await using here = await scene("native");
  const { client, name, target } = here;
  const file = join(here.root, "file");
  await writeFile(file, "");
  expect(await code(client.mount(name, `${target}/missing`))).toBe("ERR_NOT_FOUND");
  expect(await code(client.mount(name, file))).toBe("ERR_INVALID_ARGUMENT");
  expect(await code(client.mount("example.com/other", target))).toBe("ERR_NOT_FOUND");
  expect(await code(client.mount(name, target, { snapshotter: "zfs" }))).toBe("ERR_INVALID_ARGUMENT");
  expect(await code(client.unmount(target))).toBe("ERR_NOT_FOUND");
  await expect(records(here)).resolves.toEqual([]);
});

test("an image that this snapshotter has not unpacked must be pulled first", async () => {
  await using here = await scene("native");
  const { client, name, target } = here;
  const { openNativeSnapshotter } = await import("@varve/snapshots-native");
  await using other = await openClient({
    root: here.root,
    snapshotter: "mine",
    snapshotters: { mine: (root) => openNativeSnapshotter({ root }) },
  });
  await expect(other.mount(name, target)).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: `image ${name}: not unpacked by snapshotter mine, pull it first`,
  });
  expect(client.defaultSnapshotter).toBe("native");
});

test("a process that may not mount is told so, and leaves no snapshot", async () => {
  await using here = await scene("native");
  const command = [process.execPath, mountChild, here.root, here.name, here.target, "native"];
  // Root loses the capability; others never had it.
  if (isRoot) command.unshift("setpriv", "--bounding-set=-sys_admin");
  const [file = "", ...args] = command;
  const running = run(file, args);
  running.child.stdin?.end();
  await expect(running).resolves.toMatchObject({ stdout: "ERR_PERMISSION_DENIED\n" });
  await expect(records(here)).resolves.toEqual([]);
});
