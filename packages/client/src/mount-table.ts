import { readFile, readlink } from "node:fs/promises";
import { digestOf } from "@varve/digest";

/** One mount among those that this process sees. Two mounts that exist at the same time differ. */
export type MountId = string;

/** What is mounted on `directory`, an absolute path without links, the topmost last. */
export async function mountsAt(directory: string): Promise<MountId[]> {
  const here = await thisNamespace();
  const table = await orNothing(readFile("/proc/self/mountinfo", "latin1"));
  const wanted = escape(directory);
  return table.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ", 2);
    const [id, , device, root, point] = before.split(" ");
    if (point !== wanted) return [];
    const [type, source] = after.split(" ");
    // The kernel gives numbers away again, so everything that cannot change counts.
    return [`${here} ${digestOf([id, device, root, type, source].join(" "))}`];
  });
}

/** Whether the mount was made in another mount namespace since the machine was started, so that nobody here can see it. */
export async function isElsewhere(mount: MountId): Promise<boolean> {
  const here = await thisNamespace();
  return mount.split(" ")[0] === here.split(" ")[0] && !mount.startsWith(`${here} `);
}

/** The boot and the mount namespace. */
async function thisNamespace(): Promise<string> {
  const boot = await orNothing(readFile("/proc/sys/kernel/random/boot_id", "latin1"));
  return `${boot.trim()} ${await orNothing(readlink("/proc/self/ns/mnt"))}`;
}

/** Other systems have no such files, and no mounts of ours. */
async function orNothing(reading: Promise<string>): Promise<string> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}

/** As the kernel prints paths in its table: bytes, and four of them as octal numbers (proc_pid_mountinfo(5)). */
function escape(path: string): string {
  const bytes = Buffer.from(path).toString("latin1");
  return bytes.replaceAll(/[ \t\n\\]/g, (one) => `\\${one.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
