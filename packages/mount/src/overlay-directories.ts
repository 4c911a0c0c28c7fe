import { CodedError } from "@varve/errors";
import type { Mount } from "./mount.ts";
import { filesystemType, splitMountOptions } from "./mount-options.ts";

/** The directories of an overlay mount, with nothing escaped. */
export interface OverlayDirectories {
  /** Where changes go; absent in a read-only overlay. */
  readonly upper?: string | undefined;
  readonly work?: string | undefined;
  /** Topmost first. */
  readonly lower: readonly string[];
  /** Lowers that only hold file contents which the others point to; topmost first. */
  readonly data: readonly string[];
}

/**
 * Reads the directories out of an overlay's options.
 *
 * @throws ERR_INVALID_ARGUMENT the mount is not an overlay
 */
export function overlayDirectories(mount: Mount): OverlayDirectories {
  if (filesystemType(mount) !== "overlay") {
    throw new CodedError("ERR_INVALID_ARGUMENT", `mount of type ${mount.type}: not an overlay`);
  }
  let upper: string | undefined;
  let work: string | undefined;
  let lower: readonly string[] = [];
  let data: readonly string[] = [];
  for (const option of splitMountOptions(mount.options)) {
    const [key, value] = keyAndValue(option);
    if (key === "upperdir") upper = unescape(value);
    else if (key === "workdir") work = unescape(value);
    else if (key === "lowerdir+") lower = [...lower, unescape(value)];
    else if (key === "datadir+") data = [...data, unescape(value)];
    else if (key === "lowerdir") [lower, data] = splitLayers(value);
  }
  return { upper, work, lower, data };
}

/** Whether the option names a directory of an overlay. */
export function isOverlayDirectory(option: string): boolean {
  return ["upperdir", "workdir", "lowerdir", "lowerdir+", "datadir+"].includes(keyAndValue(option)[0]);
}

/** The options that name these directories, escaped. */
export function overlayOptions(directories: OverlayDirectories): readonly string[] {
  const { upper, work, lower, data } = directories;
  // Contents-only lowers come after two colons each.
  const layers = lower.map(escapeOverlayPath).join(":") + data.map((path) => `::${escapeOverlayPath(path)}`).join("");
  const options = layers === "" ? [] : [`lowerdir=${layers}`];
  if (upper !== undefined) options.push(`upperdir=${escapeOverlayPath(upper)}`);
  if (work !== undefined) options.push(`workdir=${escapeOverlayPath(work)}`);
  return options;
}

/** Marks the characters that would end a path inside overlay options: `\`, `:` and `,`. */
export function escapeOverlayPath(path: string): string {
  return path.replaceAll(/[\\:,]/g, String.raw`\$&`);
}

function unescape(text: string): string {
  return text.replaceAll(/\\(.)/gs, "$1");
}

function keyAndValue(option: string): readonly [key: string, value: string] {
  const equals = option.indexOf("=");
  return equals === -1 ? [option, ""] : [option.slice(0, equals), option.slice(equals + 1)];
}

/** `a:b::c` is the lowers a and b and the contents-only lower c. */
function splitLayers(value: string): [lower: readonly string[], data: readonly string[]] {
  const lower: string[] = [];
  const data: string[] = [];
  let into = lower;
  for (const part of splitAtColons(value)) {
    if (part === "") into = data;
    else into.push(unescape(part));
  }
  return [lower, data];
}

function splitAtColons(value: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let index = 0; index < value.length; index += 1) {
    if (value[index] === "\\") index += 1;
    else if (value[index] === ":") {
      parts.push(value.slice(start, index));
      start = index + 1;
    }
  }
  parts.push(value.slice(start));
  return parts;
}
