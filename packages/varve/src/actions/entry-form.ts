import type { TarEntry } from "@varve/client";
import { formatBytes } from "../format.ts";
import { jsonBytes, shownBytes } from "../shown-bytes.ts";

type EntryType = TarEntry["type"];

const letters: Readonly<Record<EntryType, string>> = {
  block: "b",
  char: "c",
  directory: "d",
  fifo: "p",
  file: "-",
  hardlink: "h",
  symlink: "l",
};

const opaqueMarker = ".wh..wh..opq";
const prefix = ".wh.";

/** The columns of an entry, as `ls` shows files: mode, owner, size, time, name. */
export function entryRow(entry: TarEntry): string[] {
  const { deviceMajor, deviceMinor, gid, mtime, name, size, type, uid } = entry;
  const isDevice = type === "block" || type === "char";
  return [
    modeText(entry),
    `${uid}:${gid}`,
    isDevice ? `${deviceMajor}, ${deviceMinor}` : formatBytes(size),
    timeText(mtime).replace(/\.\d+/, ""),
    `${shownBytes(name)}${linkText(entry)}${whiteoutText(entry)}`,
  ];
}

/** An entry as JSON. What a kind of entry does not have is left out. */
export function entryJson(entry: TarEntry): Readonly<Record<string, unknown>> {
  const { deviceMajor, deviceMinor, gid, linkName, mode, mtime, name, size, type, uid, xattrs } = entry;
  const isDevice = type === "block" || type === "char";
  const isLink = type === "hardlink" || type === "symlink";
  const whiteout = whiteoutOf(name);
  return {
    ...jsonBytes("name", name),
    type,
    mode: mode.toString(8).padStart(4, "0"),
    uid,
    gid,
    size,
    mtime: timeText(mtime),
    ...(isLink ? jsonBytes("linkName", linkName) : {}),
    ...(isDevice ? { device: { major: deviceMajor, minor: deviceMinor } } : {}),
    ...(xattrs.size > 0 ? { xattrs: xattrsJson(xattrs) } : {}),
    ...(whiteout === undefined ? {} : { whiteout }),
  };
}

function modeText({ mode, type }: TarEntry): string {
  const letter = (bit: number, text: string): string => ((mode & bit) === 0 ? "-" : text);
  const triples = [6, 3, 0].map((shift, index) => {
    const special = (mode & (0o4000 >> index)) !== 0;
    const execute = (mode & (1 << shift)) !== 0;
    const [with_, without] = index === 2 ? ["t", "T"] : ["s", "S"];
    const last = special ? (execute ? with_ : without) : letter(1 << shift, "x");
    return `${letter(4 << shift, "r")}${letter(2 << shift, "w")}${last}`;
  });
  return `${letters[type]}${triples.join("")}`;
}

function linkText({ linkName, type }: TarEntry): string {
  if (type === "symlink") return ` -> ${shownBytes(linkName)}`;
  return type === "hardlink" ? ` link to ${shownBytes(linkName)}` : "";
}

function whiteoutText({ name }: TarEntry): string {
  const whiteout = whiteoutOf(name);
  if (whiteout === undefined) return "";
  return whiteout === "opaque" ? "  (hides the directory below)" : "  (removes it below)";
}

/** What a marker of a layer does to those below (OCI image specification, layer.md, "Whiteouts"). */
function whiteoutOf(name: Buffer): "opaque" | "removes" | undefined {
  const last = name.subarray(name.lastIndexOf("/") + 1).toString("latin1");
  if (last === opaqueMarker) return "opaque";
  return last.startsWith(prefix) ? "removes" : undefined;
}

/** Nanoseconds, if there are any; what no date can be is counted in seconds since 1970. */
function timeText({ nanoseconds, seconds }: TarEntry["mtime"]): string {
  const fraction = nanoseconds === 0 ? "" : `.${String(nanoseconds).padStart(9, "0")}`;
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return `@${seconds}${fraction}`;
  return date.toISOString().replace(/\.\d+Z$/, `${fraction}Z`);
}

/** Names and values are bytes: values in base64, names as they are if they are UTF-8. */
function xattrsJson(xattrs: ReadonlyMap<string, Buffer>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...xattrs].map(([name, value]): [string, string] => [
      Buffer.from(name, "latin1").toString(),
      value.toString("base64"),
    ]),
  );
}
