import { readFile } from "node:fs/promises";

interface Entry {
  readonly device: string;
  /** What of the filesystem is mounted. */
  readonly root: string;
  readonly point: string;
  /** Of an overlay: what its directories are. */
  readonly layers: string;
}

/** What is mounted where, as this process sees it: proc_pid_mountinfo(5). Texts hold one byte a character. */
export class MountTable {
  readonly #entries: readonly Entry[];

  constructor(text: string) {
    this.#entries = text.split("\n").flatMap(parseLine);
  }

  static async read(): Promise<MountTable> {
    return new MountTable(await readFile("/proc/self/mountinfo", "latin1").catch(() => ""));
  }

  /**
   * The mount that uses one of the directories `names` in `parent`, in words; `undefined` if none does. It is in there, or shows
   * what is in there elsewhere, as a bind mount or as a layer of an overlay.
   */
  userOf(parent: string, names: readonly string[]): string | undefined {
    const bytes = Buffer.from(parent).toString("latin1");
    const directories = names.map((name) => `${bytes}/${name}`);
    const home = this.#entries.findLast(({ point }) => isWithin(bytes, point));
    const sources = home === undefined ? [] : directories.map((path) => sourceOf(home, path));
    const user = this.#entries.find((entry) => {
      if (directories.some((path) => isWithin(entry.point, path) || isLayer(entry, path))) return true;
      return entry.device === home?.device && sources.some((source) => isWithin(entry.root, source));
    });
    return user === undefined ? undefined : `something of it at ${Buffer.from(user.point, "latin1").toString()}`;
  }
}

function parseLine(line: string): Entry[] {
  const [before = "", after = ""] = line.split(" - ", 2);
  const [, , device, root, point] = before.split(" ");
  const [type = "", , options = ""] = after.split(" ");
  if (device === undefined || root === undefined || point === undefined) return [];
  // An overlay has escapes of its own for what separates its directories.
  const layers = type === "overlay" ? unescape(options).replaceAll(/\\(.)/g, "$1") : "";
  return [{ device, root: unescape(root), point: unescape(point), layers }];
}

/** Blanks and the like are written as three octal digits. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === "/" ? "/" : `${directory}/`);
}

/** Where a path is in the filesystem that is mounted there. */
function sourceOf({ root, point }: Entry, path: string): string {
  const below = point === "/" ? path : path.slice(point.length);
  return root === "/" ? below : `${root}${below}`;
}

function isLayer({ layers }: Entry, directory: string): boolean {
  return layers.includes(`=${directory}/`) || layers.includes(`:${directory}/`);
}
