import type { Mount } from "./mount.ts";

/**
 * One option an element, whether they came so or joined by commas. A comma after a backslash or inside double quotes
 * belongs to its option, as in the kernel and in mount(8).
 */
export function splitMountOptions(options: readonly string[]): readonly string[] {
  return options.flatMap(splitAtCommas);
}

/** The filesystem itself: the type without what stands before it for a mount manager (`format/mkdir/overlay`). */
export function filesystemType(mount: Mount): string {
  return mount.type.slice(mount.type.lastIndexOf("/") + 1);
}

function splitAtCommas(joined: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  for (let index = 0; index < joined.length; index += 1) {
    const character = joined[index];
    if (character === "\\") index += 1;
    else if (character === '"') quoted = !quoted;
    else if (character === "," && !quoted) {
      parts.push(joined.slice(start, index));
      start = index + 1;
    }
  }
  parts.push(joined.slice(start));
  return parts.filter((part) => part !== "");
}
