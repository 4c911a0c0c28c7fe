import { resolve } from "node:path";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { checkUsage } from "./check-usage.ts";

interface MountOptions {
  /** What is to be mounted is a snapshot, not an image. */
  readonly snapshot?: boolean;
  readonly rw?: boolean;
  /** What `--rw` was called first. */
  readonly writable?: boolean;
}

export async function mount(name: string, dir: string, { options, signal }: CommandRun<MountOptions>): Promise<void> {
  const { platform, snapshot = false } = options;
  const directory = resolve(dir);
  const writable = options.rw === true || options.writable === true;
  if (!snapshot) checkUsage(name, platform);
  await withClient(options, async (client) => {
    if (snapshot) await client.mountSnapshot(name, directory, { writable, signal });
    else await client.mount(name, directory, { platform, writable, signal });
  });
  const mounted = snapshot ? { snapshot: name } : { reference: name };
  await printResult(options.json, { ...mounted, directory }, () => [directory]);
}

export async function unmount(
  dir: string,
  { options, signal }: CommandRun<{ readonly lazy?: boolean }>,
): Promise<void> {
  const directory = resolve(dir);
  await withClient(options, (client) => client.unmount(directory, { lazy: options.lazy, signal }));
  await printResult(options.json, { directory }, () => []);
}
