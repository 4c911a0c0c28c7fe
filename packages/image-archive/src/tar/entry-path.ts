import { entryError } from "../subject.ts";

/** Longer names do not occur; a limit keeps what is remembered of a large archive small. */
const maxLength = 512;
// What decoders put in place of bytes that are not UTF-8.
const replacement = "\uFFFD";

/**
 * The one spelling of an entry's name: no `.`, no empty parts. Nothing is ever opened by it, but a name that means a place outside
 * is a sign of an archive that was made to harm.
 *
 * @throws ERR_INVALID_DATA absolute, with `..`, empty, too long, or not UTF-8
 */
export function entryPath(name: string): string {
  if (name.length > maxLength) throw entryError(name, `the name is longer than ${maxLength} characters`);
  if (name.includes(replacement)) throw entryError(name, "the name is not UTF-8");
  if (name.includes("\0")) throw entryError(name, "a zero byte in the name");
  if (name.startsWith("/")) throw entryError(name, "the name is absolute");
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw entryError(name, "the name leads out of the archive");
  return parts.join("/");
}

/**
 * Where a link of the entry `path` leads, by name alone.
 *
 * @throws ERR_INVALID_DATA out of the archive
 */
export function linkPath(path: string, target: string): string {
  const parts = path.split("/").slice(0, -1);
  if (target.length > maxLength || target.startsWith("/"))
    throw entryError(path, "a link that leads out of the archive");
  for (const part of target.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) throw entryError(path, "a link that leads out of the archive");
  }
  return parts.join("/");
}
