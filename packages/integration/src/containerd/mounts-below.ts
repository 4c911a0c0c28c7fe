import { readFile } from "node:fs/promises";
import { exec } from "@varve-tools/corpus";

/** Where something is mounted below a directory, the last mount first. */
export async function mountsBelow(directory: string): Promise<string[]> {
  const lines = (await readFile("/proc/self/mountinfo", "utf8")).split("\n");
  const targets = lines.map((line) => line.split(" ")[4] ?? "");
  return targets.filter((target) => target.startsWith(`${directory}/`)).toReversed();
}

/** Takes all of it off. */
export async function unmountBelow(directory: string): Promise<void> {
  for (const target of await mountsBelow(directory)) await exec("umount", ["--lazy", target]);
}
