import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll } from "vitest";

// The smallest that mkfs.xfs takes is 300 MiB; the file is sparse.
const imageBytes = 512 << 20;

const makeOptions: Readonly<Record<string, readonly string[]>> = {
  ext4: ["-q", "-F"],
  xfs: ["-q", "-m", "reflink=1"],
  btrfs: ["-q"],
};

/** Why there can be no such disk here; `undefined` if there can be. */
export function whyNoDisk(type: string): string | undefined {
  if (process.geteuid?.() !== 0) return "needs root";
  const places = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
  if (!places.some((place) => existsSync(join(place, `mkfs.${type}`)))) return `needs mkfs.${type}`;
  // A module that is not loaded yet is not listed, but can be found.
  const known = execFileSync("sh", ["-c", `modprobe ${type} 2>/dev/null; cat /proc/filesystems`], { encoding: "utf8" });
  return known.split(/\s/).includes(type) ? undefined : `needs ${type} in the kernel`;
}

/** Mounts a new filesystem for the tests of the current `describe`, a tmpfs or a disk in a file, and tells where it is. */
export function mountedDisk(type: string): () => string {
  let base = "";
  const at = (name: string): string => join(base, name);
  beforeAll(() => {
    base = mkdtempSync(join(tmpdir(), "varve-native-"));
    mkdirSync(at("target"));
    if (type === "tmpfs") {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=256m", "varve-test", at("target")]);
      return;
    }
    writeFileSync(at("image"), "");
    truncateSync(at("image"), imageBytes);
    execFileSync(`mkfs.${type}`, [...(makeOptions[type] ?? []), at("image")], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    execFileSync("mount", ["-o", "loop", at("image"), at("target")]);
  });
  afterAll(async () => {
    await unmount(at("target"));
    rmSync(base, { recursive: true });
  });
  return () => at("target");
}

/** Somebody who looks around in the directory for temporary files keeps it busy for a moment. */
async function unmount(target: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    try {
      execFileSync("umount", [target], { stdio: "ignore" });
      return;
    } catch {
      await setTimeout(100);
    }
  }
  execFileSync("umount", [target]);
}
