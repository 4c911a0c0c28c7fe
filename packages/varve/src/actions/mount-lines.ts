import { posix } from "node:path";
import { CodedError } from "@varve/errors";
import type { Snapshotter } from "@varve/snapshots";
import type { GlobalOptions } from "../globals.ts";
import { printNote } from "../output.ts";
import { shellWord } from "../shell-word.ts";

type Mounts = Awaited<ReturnType<Snapshotter["mounts"]>>;

/** What mount(2) takes of options: a page, and a zero at its end. */
const pageBytes = 4095;

/**
 * One command a mount, for a shell. Without a target they take it from the variable `TARGET`.
 *
 * @throws ERR_NOT_IMPLEMENTED ids are mapped, which mount(8) has no option for that all file systems take
 */
export function mountLines(key: string, mounts: Mounts, target: string | undefined): string[] {
  return mounts.map(({ type, options, source, target: below = "" }) => {
    if (options.some((option) => /^[ug]idmap=/.test(option))) {
      const why = "ids are mapped, which no mount command does: use varve mount --snapshot, or --json";
      throw new CodedError("ERR_NOT_IMPLEMENTED", `snapshot ${key}: ${why}`);
    }
    const given = options.length === 0 ? [] : ["-o", shellWord(options.join(","))];
    return ["mount", "-t", shellWord(type), ...given, shellWord(source), place(target, below)].join(" ");
  });
}

/** Says that mount(8) may not take what was printed. */
export function noteLongOptions(mounts: Mounts, { json, progress }: GlobalOptions): void {
  const bytes = Math.max(0, ...mounts.map(({ options }) => Buffer.byteLength(options.join(","))));
  if (json === true || progress === "none" || bytes <= pageBytes) return;
  printNote(`options of ${bytes} bytes are too long for many versions of mount, varve mount --snapshot takes them`);
}

function place(target: string | undefined, below: string): string {
  if (target !== undefined) return shellWord(posix.join(target, below));
  return below === "" ? '"$TARGET"' : `"$TARGET"/${shellWord(below)}`;
}
