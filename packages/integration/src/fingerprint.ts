import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { BigIntStats } from "node:fs";
import { join } from "node:path";

/**
 * One line for each file below a directory, with everything that changes when somebody touches it: also the time of the last
 * change, which nobody can set. Of what is read nothing changes but the time of access, which is left out.
 */
export function fingerprint(root: string): string[] {
  const paths = ["", ...readdirSync(root, { recursive: true, encoding: "utf8" }).toSorted()];
  return paths.map((path) => {
    const full = join(root, path);
    const stat = lstatSync(full, { bigint: true });
    const { dev, ino, mode, nlink, uid, gid, rdev, size, mtimeNs, ctimeNs } = stat;
    const numbers = [dev, ino, mode, nlink, uid, gid, rdev, size, mtimeNs, ctimeNs].join(" ");
    return `${path}: ${numbers} ${contentOf(full, stat)}`;
  });
}

function contentOf(path: string, stat: BigIntStats): string {
  if (stat.isSymbolicLink()) return readlinkSync(path);
  return stat.isFile() ? createHash("sha256").update(readFileSync(path)).digest("hex") : "";
}
