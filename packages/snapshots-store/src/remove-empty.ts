import { closeSync, constants, openSync, readdirSync, rmdirSync } from "node:fs";
import { errnoOf } from "./errno.ts";
import { mountIdOf } from "./mount-id.ts";

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** More of them are no directory of a snapshot that was never used. */
const few = 4;

/**
 * Removes a directory if it holds nothing but some empty ones, in a few calls that are quicker than asking another thread for
 * them. Says whether it is gone; if not, some of those in it may be.
 *
 * @param path in a directory that is on `mount` and that nobody else can write to
 */
export function removeEmptyDirectory(path: string, mount: string): boolean {
  try {
    const directory = openSync(path, directoryFlags);
    try {
      if (!emptied(directory, mount)) return false;
    } finally {
      closeSync(directory);
    }
    rmdirSync(path);
    return true;
  } catch (error) {
    // Whatever is in the way is for those who take their time.
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

function emptied(directory: number, mount: string): boolean {
  const path = `/proc/self/fd/${directory}`;
  const names = readdirSync(path);
  if (names.length > few || mountIdOf(directory) !== mount) return false;
  // `work` before `fs`: it is never empty while an overlay is mounted, and then the rest must stay.
  for (const name of names.toSorted().toReversed()) rmdirSync(`${path}/${name}`);
  return true;
}
