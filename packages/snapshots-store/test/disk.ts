import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempRoot } from "./temp-root.ts";

export interface Disk extends Disposable {
  readonly path: string;
  remount(how: "ro" | "rw"): void;
}

/** A small filesystem of its own: `using disk = smallDisk()`. Needs root. */
export function smallDisk(size = "4m"): Disk {
  const { path, [Symbol.dispose]: remove } = tempRoot();
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "varve-test", path]);
  return {
    path,
    remount: (how) => void execFileSync("mount", ["-o", `remount,${how}`, path]),
    [Symbol.dispose]: () => {
      execFileSync("umount", [path]);
      remove();
    },
  };
}

/** Takes all that is left of the disk with files in `directory`. */
export function fillDisk(directory: string): void {
  for (let size = 1 << 20; ; size = Math.max(1, size >> 1)) {
    try {
      for (let file = 0; ; file += 1) writeFileSync(join(directory, `filler-${size}-${file}`), Buffer.alloc(size, 1));
    } catch (error) {
      if (size === 1) throw error;
    }
  }
}
