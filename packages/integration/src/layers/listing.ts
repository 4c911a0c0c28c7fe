import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { createTarReader } from "@varve/archive";
import type { TarTime, TarType } from "@varve/archive";
import { extract } from "tar-stream";
import type { Header } from "tar-stream";

/** What a reader found in an archive. */
export interface Listing {
  /** A line for each entry, as `tar --list --verbose` of GNU writes it, with one blank between the columns. */
  readonly lines: readonly string[];
  /** Digests of the contents of files, where the reader shows them. */
  readonly contents?: readonly string[] | undefined;
  /** What the reader said against it. */
  readonly problem?: string | undefined;
}

interface Entry {
  readonly type: TarType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: TarTime;
  /** Names have one character a byte. */
  readonly name: string;
  readonly link: string;
  readonly device: string;
}

const letters: Readonly<Record<TarType, string>> = {
  block: "b",
  char: "c",
  directory: "d",
  fifo: "p",
  file: "-",
  hardlink: "h",
  symlink: "l",
};

/** By `createTarReader`. @param lossy bytes of names that are no UTF-8 are replaced, as tar-stream does it */
export function listOurs(archive: Buffer, lossy = false): Listing {
  const text = (name: Buffer): string => (lossy ? asLatin1(name.toString()) : name.toString("latin1"));
  const lines: string[] = [];
  const contents: string[] = [];
  let hash: Hash | undefined;
  const reader = createTarReader({
    entry: (entry) => {
      const { name, linkName, deviceMajor, deviceMinor } = entry;
      const device = `${deviceMajor},${deviceMinor}`;
      lines.push(line({ ...entry, name: text(name), link: text(linkName), device }));
      hash = entry.type === "file" ? createHash("sha1") : undefined;
    },
    data: (bytes) => hash?.update(bytes),
    done: () => {
      if (hash !== undefined) contents.push(hash.digest("hex"));
    },
  });
  try {
    for (let at = 0; at < archive.length; at += 65_536) reader.write(archive.subarray(at, at + 65_536));
    reader.end();
    return { lines, contents };
  } catch (error) {
    return { lines, contents, problem: error instanceof Error ? error.message : String(error) };
  }
}

const types: Readonly<Record<string, TarType>> = {
  "block-device": "block",
  "character-device": "char",
  "contiguous-file": "file",
  directory: "directory",
  fifo: "fifo",
  file: "file",
  link: "hardlink",
  symlink: "symlink",
};

const tarStreamOptions: Parameters<typeof extract>[0] & { readonly allowUnknownFormat: boolean } = {
  allowUnknownFormat: true,
};

/** By tar-stream, with the numbers that it leaves in the extended header put to their places. */
export async function listTarStream(archive: Buffer): Promise<Listing> {
  const lines: string[] = [];
  const contents: string[] = [];
  const reader = extract(tarStreamOptions);
  let events = 0;
  reader.on("entry", (header, stream, next) => {
    events += 1;
    const hash = createHash("sha1");
    const entry = ofTarStream(header);
    lines.push(line(entry));
    stream.on("data", (chunk) => {
      events += 1;
      hash.update(chunk as Buffer);
    });
    stream.on("end", () => {
      events += 1;
      if (entry.type === "file") contents.push(hash.digest("hex"));
      next();
    });
  });
  try {
    await unlessStuck(
      (signal) => pipeline(Readable.from([archive]), reader, { signal }),
      () => events,
    );
    return { lines, contents };
  } catch (error) {
    return { lines, contents, problem: error instanceof Error ? error.message : String(error) };
  }
}

/** Turns of the event loop without any event: what has all that it reads in memory waits for nothing else by then. */
const idleTurns = 1000;

/** Ends what some archives let wait for ever. */
async function unlessStuck(start: (signal: AbortSignal) => Promise<void>, events: () => number): Promise<void> {
  const [stuck, ended] = [new AbortController(), new AbortController()];
  const reading = start(stuck.signal);
  const watching = (async () => {
    for (let [idle, last] = [0, 0]; idle < idleTurns; last = events()) {
      await nextTurn(undefined, { signal: ended.signal });
      idle = events() === last ? idle + 1 : 0;
    }
    stuck.abort();
  })().catch(() => undefined);
  try {
    await reading;
  } finally {
    ended.abort();
    await watching;
  }
}

function ofTarStream(header: Header): Entry {
  const pax = (header.pax ?? {}) as Readonly<Record<string, string>>;
  const seconds = Math.floor(header.mtime.getTime() / 1000);
  const [whole = "", fraction = ""] = (pax["mtime"] ?? String(seconds)).split(".");
  return {
    type: types[header.type] ?? "file",
    mode: header.mode,
    uid: Number(pax["uid"] ?? header.uid),
    gid: Number(pax["gid"] ?? header.gid),
    size: header.size,
    mtime: { seconds: Number(whole), nanoseconds: Number(fraction.slice(0, 9).padEnd(9, "0")) },
    name: asLatin1(header.name),
    link: asLatin1(header.linkname ?? ""),
    device: `${header.devmajor},${header.devminor}`,
  };
}

function asLatin1(text: string): string {
  return Buffer.from(text).toString("latin1");
}

/** By GNU tar. */
export async function listGnu(archive: Buffer): Promise<Listing> {
  const args = ["-tv", "--numeric-owner", "--full-time", "--quoting-style=escape", "-f", "-"];
  const child = spawn("tar", args, { env: { ...process.env, LC_ALL: "C", TZ: "UTC" } });
  child.stdin.on("error", () => undefined).end(archive);
  const [out, err] = await Promise.all([child.stdout.toArray(), child.stderr.toArray()]);
  const lines = joined(out)
    .split("\n")
    .filter((each) => each !== "")
    // Owner and size stand to the right, and times to the left, of as much room as was needed so far.
    .map((each) => each.replace(/^(\S+) (\S+) +(\S+) (\S+) (\S+) +/, "$1 $2 $3 $4 $5 "));
  return { lines, problem: joined(err).replaceAll("\n", "; ") || undefined };
}

function joined(parts: readonly Buffer[]): string {
  return Buffer.concat(parts).toString("latin1").replace(/\n$/, "");
}

function line(entry: Entry): string {
  const { type, uid, gid, size, name, link, device, mtime } = entry;
  const seconds = new Date(mtime.seconds * 1000).toISOString().replace("T", " ").slice(0, 19);
  const fraction = String(mtime.nanoseconds).padStart(9, "0").replace(/0+$/, "");
  const time = fraction === "" ? seconds : `${seconds}.${fraction}`;
  const what = type === "char" || type === "block" ? device : String(size);
  const behind = type === "symlink" ? ` -> ${escaped(link)}` : type === "hardlink" ? ` link to ${escaped(link)}` : "";
  return `${letters[type]}${permissions(entry.mode)} ${uid}/${gid} ${what} ${time} ${escaped(name)}${behind}`;
}

function permissions(mode: number): string {
  const special = [0o4000, 0o2000, 0o1000].map((bit) => (mode & bit) !== 0);
  return [6, 3, 0]
    .map((shift, index) => {
      const bits = (mode >> shift) & 7;
      const letter = index === 2 ? "t" : "s";
      const runs = (bits & 1) !== 0;
      const last = special[index] === true ? (runs ? letter : letter.toUpperCase()) : runs ? "x" : "-";
      return `${(bits & 4) !== 0 ? "r" : "-"}${(bits & 2) !== 0 ? "w" : "-"}${last}`;
    })
    .join("");
}

const named: Readonly<Record<string, string>> = {
  "\u{7}": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
};

/** As GNU tar's quoting style `escape` writes it in the locale C. */
function escaped(name: string): string {
  return name.replaceAll(/[^ -[\]-~]/g, (each) => {
    return named[each] ?? `\\${(each.codePointAt(0) ?? 0).toString(8).padStart(3, "0")}`;
  });
}
