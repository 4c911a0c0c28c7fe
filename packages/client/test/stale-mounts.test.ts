import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openClient } from "@varve/client";
import type { Client } from "@varve/client";
import { ownerToFileName } from "@varve/locks";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { expect, test } from "vitest";
import { tempDirectory } from "./temp.ts";
import type { TempDirectory } from "./temp.ts";

const child = fileURLToPath(new URL("apply-child.ts", import.meta.url));
const openChild = fileURLToPath(new URL("open-child.ts", import.meta.url));
const run = promisify(execFile);
const tmpfs: Mount = { type: "tmpfs", source: "tmpfs", options: [] };
const isRoot = process.geteuid?.() === 0;

interface Puller extends AsyncDisposable {
  readonly process: ChildProcess;
}

/** A process that has a layer mounted in the store. */
async function pulling(root: string): Promise<Puller> {
  const before = (await mountsBelow(root)).length;
  const started = spawn(process.execPath, [child, root], { stdio: ["pipe", "ignore", "inherit"] });
  await expect.poll(() => mountsBelow(root), { timeout: 50_000 }).toHaveLength(before + 1);
  return {
    process: started,
    [Symbol.asyncDispose]: async () => {
      if (started.exitCode !== null || started.signalCode !== null) return;
      started.stdin?.end();
      await once(started, "exit");
    },
  };
}

async function mountsBelow(root: string): Promise<string[]> {
  const table = await readFile("/proc/self/mountinfo", "utf8");
  return table
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => point.startsWith(join(root, "mounts/")));
}

/** A store that nothing is mounted in when it goes, whatever has failed. */
async function storeDirectory(): Promise<TempDirectory> {
  const temp = await tempDirectory();
  const takeOffAll = async (): Promise<void> => {
    for (const point of (await mountsBelow(temp.path)).toReversed())
      await createLinuxMounter().unmount(point, { lazy: true });
    await temp[Symbol.asyncDispose]();
  };
  return { path: temp.path, [Symbol.asyncDispose]: takeOffAll };
}

function open(root: string): Promise<Client> {
  return openClient({ root, snapshotter: "native", durability: "none" });
}

// K18
test.skipIf(!isRoot)(
  "opening takes off what a killed process has left mounted, and nothing of a living one (skipped: only root may mount)",
  async () => {
    await using temp = await storeDirectory();
    await using living = await pulling(temp.path);
    const [kept] = await mountsBelow(temp.path);
    const killed = await pulling(temp.path);
    killed.process.kill("SIGKILL");
    await once(killed.process, "exit");
    await expect(mountsBelow(temp.path)).resolves.toHaveLength(2);
    await (await open(temp.path)).close();
    await expect(mountsBelow(temp.path)).resolves.toEqual([kept]);
    expect((await readdir(join(temp.path, "mounts"))).map((name) => join(temp.path, "mounts", name))).toEqual([kept]);
    await living[Symbol.asyncDispose]();
    await expect(readdir(join(temp.path, "mounts"))).resolves.toEqual([]);
  },
);

test.skipIf(!isRoot)(
  "what is mounted there by others, or cannot be told to be ours, stays, and the store opens (skipped: only root may mount)",
  async () => {
    await using temp = await storeDirectory();
    const foreign = join(temp.path, "mounts/foreign");
    await mkdir(foreign, { recursive: true });
    await writeFile(join(temp.path, "mounts/varve-mount-file"), "");
    await createLinuxMounter().mount([tmpfs], foreign);
    await (await open(temp.path)).close();
    await expect(mountsBelow(temp.path)).resolves.toEqual([foreign]);
    await expect(readdir(join(temp.path, "mounts"))).resolves.toEqual(["foreign", "varve-mount-file"]);
  },
);

/** Mounts in the store what a dead process could have left, and tells where. */
async function leaveMount(root: string): Promise<string> {
  const dead = ownerToFileName("1/1/00000000-0000-4000-8000-000000000000/1");
  const place = join(root, `mounts/varve-mount-${dead}.abcdef`);
  await mkdir(place, { recursive: true });
  await createLinuxMounter().mount([tmpfs], place);
  return place;
}

test.skipIf(!isRoot)(
  "a process that may not unmount opens the store and leaves the mount to others (skipped: only root may mount)",
  async () => {
    await using temp = await storeDirectory();
    const place = await leaveMount(temp.path);
    const node = [process.execPath, "--no-warnings", openChild, temp.path];
    const { stdout } = await run("setpriv", ["--bounding-set=-sys_admin", ...node]);
    expect(stdout).toBe(`opened ${temp.path}\n`);
    await expect(mountsBelow(temp.path)).resolves.toEqual([place]);
    await (await open(temp.path)).close();
    await expect(mountsBelow(temp.path)).resolves.toEqual([]);
  },
);

test.skipIf(!isRoot)(
  "in a store that can only be read the mount comes off and its directory stays (skipped: only root may mount)",
  async () => {
    await using temp = await storeDirectory();
    const [root, view] = [join(temp.path, "store"), join(temp.path, "mounts/view")];
    await (await open(root)).close();
    await mkdir(view, { recursive: true });
    await createLinuxMounter().mount([{ type: "bind", source: root, options: ["bind"] }], view);
    const place = await leaveMount(view);
    await createLinuxMounter().mount([{ type: "bind", source: root, options: ["remount", "bind", "ro"] }], view);
    await (await open(view)).close();
    await expect(mountsBelow(temp.path)).resolves.toEqual([view]);
    await expect(readdir(join(view, "mounts"))).resolves.toEqual([basename(place)]);
  },
);

test("a store whose directory of mounts is no directory opens all the same", async () => {
  await using temp = await storeDirectory();
  await writeFile(join(temp.path, "mounts"), "");
  await using client = await open(temp.path);
  expect(client.root).toBe(temp.path);
});
