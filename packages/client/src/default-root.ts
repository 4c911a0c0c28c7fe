import { homedir } from "node:os";
import { join } from "node:path";

/** Where images are kept when nobody says: `/var/lib/varve` for root, the XDG state directory for others. */
export function defaultRoot(env: NodeJS.ProcessEnv = process.env): string {
  if (process.geteuid?.() === 0) return "/var/lib/varve";
  // The XDG base directory specification has relative paths ignored.
  const state = env["XDG_STATE_HOME"]?.startsWith("/") === true ? env["XDG_STATE_HOME"] : undefined;
  return join(state ?? join(homedir(), ".local", "state"), "varve");
}
