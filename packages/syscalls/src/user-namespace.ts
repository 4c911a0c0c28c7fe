import { readFileSync } from "node:fs";

/** Whether this process is in a user namespace other than the first. */
export function inUserNamespace(): boolean {
  // Only the first maps every id to itself: user_namespaces(7).
  const map = readFileSync("/proc/self/uid_map", "latin1").trim().split(/\s+/);
  return map.join(" ") !== "0 0 4294967295";
}
