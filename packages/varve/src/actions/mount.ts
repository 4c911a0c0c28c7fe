import { resolve } from "node:path";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { checkUsage } from "./check-usage.ts";

export async function mount(
  reference: string,
  dir: string,
  { options, signal }: CommandRun<{ readonly writable?: boolean }>,
): Promise<void> {
  const { platform, writable } = options;
  checkUsage(reference, platform);
  const directory = resolve(dir);
  await withClient(options, (client) => client.mount(reference, directory, { platform, writable, signal }));
  await printResult(options.json, { reference, directory }, () => [directory]);
}

export async function unmount(
  dir: string,
  { options, signal }: CommandRun<{ readonly lazy?: boolean }>,
): Promise<void> {
  const directory = resolve(dir);
  await withClient(options, (client) => client.unmount(directory, { lazy: options.lazy, signal }));
  await printResult(options.json, { directory }, () => []);
}
