import { homedir, userInfo } from "node:os";
import { isAbsolute, join } from "node:path";

/** Where images are kept when nobody says: `/var/lib/varve` for root, the XDG state directory for others. */
export function defaultRoot(env: NodeJS.ProcessEnv = process.env): string {
  if (process.geteuid?.() === 0) return "/var/lib/varve";
  // The XDG base directory specification has relative paths ignored.
  const state = env["XDG_STATE_HOME"]?.startsWith("/") === true ? env["XDG_STATE_HOME"] : undefined;
  return join(state ?? join(home(), ".local", "state"), "varve");
}

/** With `HOME` empty or relative, images would end up wherever the process happens to be. */
function home(): string {
  return isAbsolute(homedir()) ? homedir() : userInfo().homedir;
}
