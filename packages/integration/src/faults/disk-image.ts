import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open } from "node:fs/promises";
import { createInterface } from "node:readline";
import { bash, exec } from "@varve-tools/corpus";

export type Filesystem = "ext4" | "xfs";

/** The whole file system below a directory, on a file. */
export interface Disk {
  readonly image: string;
  /** Where it is mounted. */
  readonly path: string;
  /** Makes ready to cut the power, and gives what does it. */
  arm(): Promise<(flag: CutFlag) => Promise<void>>;
  /** After a cut: the machine comes up again, with what is on the image, or on this copy of it. */
  restart(copy?: string): Promise<void>;
}

/** What the disk has got when the power goes: everything (0), the journal and no data (1), what was there already (2). */
export type CutFlag = 0 | 1 | 2;

/** Makes the image of an empty disk, on xfs with reflinks: as small as it may be, or of so many MiB. */
export async function makeImage(image: string, filesystem: Filesystem = "ext4", size?: number): Promise<void> {
  // xfs takes no less.
  await exec("truncate", ["-s", `${size ?? (filesystem === "xfs" ? 320 : 48)}M`, image]);
  await exec(`mkfs.${filesystem}`, filesystem === "xfs" ? ["-q", "-f", image] : ["-q", "-F", image]);
}

/** Mounts an image. */
export async function mountImage(image: string, path: string): Promise<void> {
  await exec("mount", ["-o", `loop,${await optionsOf(image)}`, image, path]);
}

/** Unmounts it, though whoever looks through the directory for temporary files keeps it busy for a moment. */
export async function unmount(path: string): Promise<void> {
  await bash('for attempt in {1..100}; do if umount "$1"; then exit; fi; sleep 0.1; done; exit 1', [path]);
}

/** Mounts an image for as long as it is used. */
export async function withImage<T>(image: string, path: string, use: (disk: Disk) => Promise<T>): Promise<T> {
  await mkdir(path, { recursive: true });
  // Not lazily: what is still open there is a leak.
  const takeOff = (): Promise<unknown> => exec("umount", [path]);
  await mountImage(image, path);
  try {
    const result = await use({
      image,
      path,
      arm: () => armCut(path),
      async restart(copy) {
        await takeOff();
        await mountImage(copy ?? (await copied(image)), path);
      },
    });
    await takeOff();
    return result;
  } catch (error) {
    // Already gone, if it was a restart that failed.
    await exec("umount", ["-l", path]).catch(() => undefined);
    throw error;
  }
}

/**
 * What is on the image now, under a name that no loop device has. One whose file system somebody still has mounted, such as a
 * process in a mount namespace of its own, would be taken again, with what the kernel remembers of it.
 */
async function copied(image: string): Promise<string> {
  const copy = `${image}-restarted`;
  await copyImage(image, copy);
  return copy;
}

/** A copy that takes up only what is in it. */
export async function copyImage(from: string, to: string): Promise<void> {
  await exec("cp", ["--sparse=always", from, to]);
}

/** A copy made while a process of its own stands still: nothing is written meanwhile, or it is made again. */
export async function copyWhileMounted(from: string, to: string): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    await copyImage(from, to);
    const same = await exec("cmp", ["-s", from, to]).then(
      () => true,
      () => false,
    );
    if (same) return;
  }
  throw new Error(`${from} did not stop to change`);
}

/** The copies of an xfs have one identity, of which only one may be mounted otherwise. */
async function optionsOf(image: string): Promise<string> {
  const file = await open(image);
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.toString("latin1") === "XFSB" ? "nouuid" : "rw";
  } finally {
    await file.close();
  }
}

// EXT4_IOC_SHUTDOWN, and that of xfs, which are one number. It runs beforehand up to the one call that counts.
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
