import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A btrfs of its own, on a file. */
export interface Disk extends Disposable {
  readonly path: string;
}

/** Why there can be none here. */
export const obstacle: string | undefined = findObstacle();

function findObstacle(): string | undefined {
  if (process.geteuid?.() !== 0) return "needs root";
  const missing = ["mkfs.btrfs", "btrfs"].filter((program) => spawnSync(program, ["--version"]).error !== undefined);
  return missing.length === 0 ? undefined : `needs ${missing.join(" and ")}`;
}

export function makeDisk(): Disk {
  const base = mkdtempSync(join(tmpdir(), "varve-btrfs-"));
  const [image, path] = [join(base, "disk"), join(base, "mount")];
  mkdirSync(path);
  execFileSync("truncate", ["-s", "2G", image]);
  execFileSync("mkfs.btrfs", ["-q", image]);
  execFileSync("mount", ["-o", "loop", image, path]);
  return {
    path,
    [Symbol.dispose]() {
      execFileSync("umount", [path]);
      rmSync(base, { recursive: true });
    },
  };
}
