import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { putImage, startRegistry } from "@varve-tools/test-registry";
import { openClient } from "@varve/client";
import type { Client } from "@varve/client";
import { checkOverlaySupport } from "@varve/snapshots-overlay";
import { tempDirectory } from "./temp.ts";

const run = promisify(execFile);

/** Only root may mount. */
export const isRoot: boolean = process.geteuid?.() === 0;
const whyNot = isRoot ? "" : "(skipped: only root may mount)";

async function overlaysWork(): Promise<boolean> {
  if (!isRoot) return false;
  await using temp = await tempDirectory();
  try {
    await checkOverlaySupport(temp.path);
    return true;
  } catch {
    return false;
  }
}

interface Backend {
  readonly snapshotter: string;
  readonly works: boolean;
  readonly why: string;
}

const overlayWorks = await overlaysWork();

/** A store with one pulled image, and a directory to mount on. */
export interface Scene extends AsyncDisposable {
  readonly client: Client;
  readonly root: string;
  readonly name: string;
  /** The snapshot of the whole image. */
  readonly top: string;
  readonly target: string;
}

/** Pulls an image of three layers: etc/base, etc/top and last. */
export async function scene(snapshotter: string): Promise<Scene> {
  await using registry = await startRegistry();
  const temp = await tempDirectory();
  const root = join(temp.path, "store");
  const target = join(temp.path, "a mount\\point");
  await mkdir(target);
  const client = await openClient({ root, snapshotter, durability: "none" });
  const image = await putImage(registry.content, [{ "etc/base": "base" }, { "etc/top": "top" }, { last: "last" }]);
  const name = await registry.tag("app", image);
  const { chainId: top } = await client.pull(name);
  return {
    client,
    root,
    name,
    top,
    target,
    [Symbol.asyncDispose]: async () => {
      await takeOffAll(target);
      await client.close();
      await temp[Symbol.asyncDispose]();
    },
  };
}

/** Whatever a failed test has left there. */
export async function takeOffAll(target: string): Promise<void> {
  try {
    for (;;) await run("umount", ["--lazy", target]);
  } catch {
    // Nothing is mounted there any more.
  }
}

/** Keys of what is neither committed nor gone. */
export async function records({ client }: Scene): Promise<string[]> {
  const snapshotter = await client.snapshotter();
  const all = await Array.fromAsync(snapshotter.walk());
  return all.filter(({ kind }) => kind !== "committed").map(({ name }) => name);
}

/** What can be mounted here, and why not. */
export const backends: readonly Backend[] = [
  { snapshotter: "native", works: isRoot, why: whyNot },
  {
    snapshotter: "overlay",
    works: overlayWorks,
    why: isRoot ? "(skipped if overlays cannot be mounted here)" : whyNot,
  },
];
