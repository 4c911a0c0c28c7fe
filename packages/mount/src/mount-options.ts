import type { Mount } from "./mount.ts";

/**
 * One option an element, whether they came so or joined by commas. A comma after a backslash or inside double quotes
 * belongs to its option, as in the kernel and in mount(8); so does one between the runs of an id mapping
 * (`uidmap=0:1000:1,1:100000:65536`).
 */
export function splitMountOptions(options: readonly string[]): readonly string[] {
  return options.flatMap((joined) => rejoinMappings(splitAtCommas(joined)));
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

/** No option consists of digits and colons, so what does and follows a mapping is its next run. */
function rejoinMappings(parts: readonly string[]): string[] {
  const joined: string[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (last !== undefined && /^[ug]idmap=/.test(last) && /^[0-9:]+$/.test(part))
      joined.splice(-1, 1, `${last},${part}`);
    else joined.push(part);
  }
  return joined;
}
