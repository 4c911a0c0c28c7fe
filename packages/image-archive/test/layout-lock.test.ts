import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { currentOwner, ownerToFileName } from "@varve/locks";
import { expect, onTestFinished, test } from "vitest";
import { exportLayout } from "@varve/image-archive";
import { FakeStore } from "./fake-store.ts";
import { makeImage } from "./images.ts";

const image = makeImage(["bottom", "top"]);
const images = [{ target: image.target, tags: ["v1"] }];

function store(): FakeStore {
  const provider = new FakeStore();
  for (const bytes of image.blobs.values()) provider.add("", bytes);
  return provider;
}

/** A layout that another process, which lives, is about to change. */
async function lockedLayout(): Promise<{ readonly directory: string; readonly end: () => Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), "varve-layout-"));
  const other = spawn("sleep", ["600"], { stdio: "ignore" });
  const end = async (): Promise<void> => {
    if (other.exitCode !== null || other.signalCode !== null) return;
    other.kill("SIGKILL");
    await once(other, "exit");
  };
  onTestFinished(async () => {
    await end();
    await rm(directory, { recursive: true, force: true });
  });
  const started = readFileSync(`/proc/${other.pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[19];
  const [, , ...rest] = currentOwner().split("/");
  const owner = [other.pid, started, ...rest].join("/");
  await symlink(ownerToFileName(owner), join(directory, ".varve-lock"));
  return { directory, end };
}

/** Long enough for a writer that does not wait to be through. */
async function mustNotAppear(path: string): Promise<void> {
  for (let look = 0; look < 40; look += 1) {
    await sleep(5);
    expect(existsSync(path)).toBe(false);
  }
}

test("an export waits for a process that changes the layout, and goes on when that is killed", async () => {
  const { directory, end } = await lockedLayout();
  const exporting = exportLayout(images, directory, { provider: store() });
  await mustNotAppear(join(directory, "index.json"));
  await end();
  await exporting;
  expect((await readdir(directory)).toSorted()).toEqual(["blobs", "index.json", "oci-layout"]);
});

test("an export that waits can be aborted, and leaves the other's lock", async () => {
  const { directory } = await lockedLayout();
  const abort = new AbortController();
  const exporting = exportLayout(images, directory, { provider: store(), signal: abort.signal });
  const settled = Promise.allSettled([exporting]);
  await mustNotAppear(join(directory, "index.json"));
  abort.abort("enough");
  expect(await settled).toEqual([{ status: "rejected", reason: "enough" }]);
  expect((await readdir(directory)).toSorted()).toEqual([".varve-lock", "blobs", "oci-layout"]);
});
