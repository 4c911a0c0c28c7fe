import { existsSync, readFileSync } from "node:fs";

/** Options that every overlay mount here gets (U-OVL.6). */
export function commonOptions(): readonly string[] {
  const options: string[] = [];
  // With an index, the kernel notes in an upper directory which lower ones it was mounted on, and refuses others.
  if (existsSync("/sys/module/overlay/parameters/index")) options.push("index=off");
  // Nobody may set `trusted.` attributes in a user namespace.
  if (inUserNamespace()) options.push("userxattr");
  return options;
}

/** Whether this process is in a user namespace other than the first. */
export function inUserNamespace(): boolean {
  // Only the first maps every id to itself: user_namespaces(7).
  const map = readFileSync("/proc/self/uid_map", "latin1").trim().split(/\s+/);
  return map.join(" ") !== "0 0 4294967295";
}
