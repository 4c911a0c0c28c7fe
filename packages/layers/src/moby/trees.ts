import { realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "@varve/errors";
import { overlayOptions } from "@varve/mount";
import type { Mount } from "@varve/mount";
import { openDirectory } from "./files.ts";
import { driverPath } from "./source.ts";
import type { MobyDriver } from "./source.ts";

/** Two trees of a moby's driver, for reading. */
export interface MobyTrees {
  readonly lower: readonly Mount[];
  readonly upper: readonly Mount[];
}

/**
 * A stream from what a layer shows, and from what is below it.
 *
 * @param cacheIds of the layer and of all below it, the topmost first
 * @throws ERR_FAILED_PRECONDITION at the end: somebody has put another directory in the place of one
 */
export async function* mobyTrees(
  driver: MobyDriver,
  cacheIds: readonly string[],
  read: (trees: MobyTrees) => AsyncIterable<Uint8Array>,
  subject: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  // With vfs a layer has all files of those below, too.
  const shown = driver.name === "vfs" ? cacheIds.slice(0, 2) : cacheIds;
  const names = shown.map((cacheId) => driverPath(driver, cacheId));
  const identities = (): Promise<string[]> =>
    Promise.all(names.map((path) => identityOf(driver.root, path, `${subject}: its directory ${path.join("/")}`)));
  const before = await identities();
  const root = await realpath(driver.root);
  const [top = "", ...below] = names.map((path) => join(root, ...path));
  yield* read({ lower: stacked(below), upper: stacked(driver.name === "vfs" ? [top] : [top, ...below]) });
  // A mounter follows no links, and is given names, which may lead somewhere else by now.
  const after = await identities();
  if (before.every((identity, index) => identity === after[index])) return;
  throw new CodedError("ERR_FAILED_PRECONDITION", `${subject}: its directories were replaced meanwhile`);
}

async function identityOf(root: string, names: readonly string[], subject: string): Promise<string> {
  const directory = await openDirectory(root, names, subject);
  try {
    const { dev, ino } = await stat(directory.path, { bigint: true });
    return `${dev}:${ino}`;
  } finally {
    await directory.close();
  }
}

/** Directories on each other, the topmost first, for reading only; none are an empty tree. */
function stacked(directories: readonly string[]): readonly Mount[] {
  const [only, ...others] = directories;
  if (only === undefined) return [];
  if (others.length === 0) return [{ type: "bind", source: only, options: ["rbind", "ro"] }];
  // Without it, what a kernel with `metacopy` has written cannot be read.
  const options = ["metacopy=on", ...overlayOptions({ lower: directories, data: [] })];
  return [{ type: "overlay", source: "overlay", options }];
}
