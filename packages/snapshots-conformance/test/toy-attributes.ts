import { execFileSync, spawnSync } from "node:child_process";
import type { ExtendedAttributes } from "@varve/snapshots-conformance";

/** By attr(1)'s commands, for Node has none. */
export const commandAttributes: ExtendedAttributes = {
  set(path, name, value) {
    execFileSync("setfattr", ["-h", "-n", name, "-v", value, path]);
  },
  get(path, name) {
    const { status, stdout } = spawnSync("getfattr", ["-h", "--only-values", "-n", name, path], { encoding: "utf8" });
    return status === 0 ? stdout : undefined;
  },
};

/** Why there are none in `directory`, if so. */
export function whyNoAttributes(directory: string): string | undefined {
  const { error, stderr } = spawnSync("setfattr", ["-n", "user.varve.test", "-v", "1", directory], {
    encoding: "utf8",
  });
  if (error !== undefined) return error.message;
  return stderr === "" ? undefined : stderr.trim();
}
