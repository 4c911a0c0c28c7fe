import { closeSync, openSync } from "node:fs";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";

// Opens all the files it may, but one for the target, and tells how mounts fail that need other programs.
const [target = ""] = process.argv.slice(2);
const mounter = createLinuxMounter();
const mounts: readonly Mount[] = [
  { type: "fuse3.image", source: "/the/image", options: [] },
  { type: "bind", source: "/", options: ["uidmap=0:1:1", "gidmap=0:1:1"] },
];

function openAll(): number[] {
  const opened: number[] = [];
  try {
    for (;;) opened.push(openSync("/dev/null", "r"));
  } catch {
    return opened;
  }
}

const outcomes: unknown[] = [];
for (const mount of mounts) {
  const opened = openAll();
  closeSync(opened.pop() ?? -1);
  const outcome = await mounter.mount([mount], target).catch((error: unknown) => error);
  for (const fd of opened) closeSync(fd);
  outcomes.push(outcome instanceof Error && "code" in outcome ? outcome.code : outcome);
}
process.stdout.write(`${outcomes.join(" ")}\n`);
