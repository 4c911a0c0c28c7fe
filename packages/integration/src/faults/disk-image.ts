import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import { exec } from "@varve-tools/corpus";

/** The whole file system below a directory: ext4 on a file. */
export interface Disk {
  /** Where it is mounted. */
  readonly path: string;
  /** Makes ready to cut the power, and gives what does it. */
  arm(): Promise<(flag: CutFlag) => Promise<void>>;
  /** After a cut: the machine comes up again. */
  restart(): Promise<void>;
}

/** What the disk has got when the power goes: everything (0), the journal and no data (1), what was there already (2). */
export type CutFlag = 0 | 1 | 2;

/** Makes the image of an empty disk. */
export async function makeImage(image: string): Promise<void> {
  await exec("truncate", ["-s", "48M", image]);
  await exec("mkfs.ext4", ["-q", "-F", image]);
}

/** Mounts an image for as long as it is used. */
export async function withImage<T>(image: string, path: string, use: (disk: Disk) => Promise<T>): Promise<T> {
  await mkdir(path, { recursive: true });
  const mount = (): Promise<unknown> => exec("mount", ["-o", "loop", image, path]);
  // Not lazily: what is still open there is a leak.
  const unmount = (): Promise<unknown> => exec("umount", [path]);
  await mount();
  try {
    const result = await use({
      path,
      arm: () => armCut(path),
      async restart() {
        await unmount();
        await mount();
      },
    });
    await unmount();
    return result;
  } catch (error) {
    // Already gone, if it was a restart that failed.
    await exec("umount", ["-l", path]).catch(() => undefined);
    throw error;
  }
}

/** A copy that takes up only what is in it. */
export async function copyImage(from: string, to: string): Promise<void> {
  await exec("cp", ["--sparse=always", from, to]);
}

// EXT4_IOC_SHUTDOWN. It runs beforehand up to the one call that counts.
const cutter = `
  sysopen(my $d, $ARGV[0], 0) or die "open: $!";
  $| = 1; print "armed\\n"; my $flag = <STDIN>; defined $flag or exit;
  ioctl($d, 0x8004587d, pack("L", $flag)) or die "ioctl: $!"; print "cut\\n";
`;

async function armCut(path: string): Promise<(flag: CutFlag) => Promise<void>> {
  const child = spawn("perl", ["-e", cutter, path], { stdio: ["pipe", "pipe", "inherit"] });
  const closed = once(child, "close");
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const { value } = await lines.next();
  if (value !== "armed") throw new Error(`perl: ${value}`);
  return async (flag) => {
    child.stdin.end(`${flag}\n`);
    const { value: said } = await lines.next();
    await closed;
    if (said !== "cut") throw new Error(`the power could not be cut: ${said}`);
  };
}
