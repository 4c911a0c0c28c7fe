import { CodedError } from "@varve/errors";
import type { Mount } from "./mount.ts";
import { splitMountOptions } from "./mount-options.ts";

/** A run of user or group ids: `container` as stored on the disk and seen inside, `host` as the outside sees it. */
export interface IdMapping {
  readonly container: number;
  readonly host: number;
  /** How many ids, at least one. */
  readonly size: number;
}

/** Mappings as text, `container:host:size` with commas between (`0:100000:65536`); absent means none. */
export interface IdMappingTexts {
  readonly uid?: string | undefined;
  readonly gid?: string | undefined;
}

/** The kernel takes no more (user_namespaces(7)). */
const MAX_MAPPINGS = 340;
/** The last id of all means "none". */
const ID_END = 0xffff_ffff;

/**
 * Reads mappings out of a text such as `0:100000:65536,65536:1000:1`.
 *
 * @throws ERR_INVALID_ARGUMENT the text is empty or of another form, ids go over 32 bits, or two runs overlap
 */
export function parseIdMappings(text: string): readonly IdMapping[] {
  const parts = text.split(",");
  if (parts.length > MAX_MAPPINGS) throw invalid(text.slice(0, 40), `more than ${MAX_MAPPINGS} runs`);
  const mappings = parts.map((part) => parseOne(part));
  refuseOverlap(text, mappings, "container");
  refuseOverlap(text, mappings, "host");
  return mappings;
}

/**
 * The mounts with the options `uidmap=TEXT` and `gidmap=TEXT` appended, each one element, commas included.
 *
 * @throws ERR_INVALID_ARGUMENT as `parseIdMappings`
 */
export function withIdMappings(mounts: readonly Mount[], texts: IdMappingTexts): readonly Mount[] {
  const added: string[] = [];
  for (const [key, text] of [["uidmap", texts.uid] as const, ["gidmap", texts.gid] as const]) {
    if (text === undefined) continue;
    // What is not made of numbers only could bring other options along.
    parseIdMappings(text);
    added.push(`${key}=${text}`);
  }
  return added.length === 0 ? mounts : mounts.map((mount) => ({ ...mount, options: [...mount.options, ...added] }));
}

/** Whether the mount shows other owners than the files have. */
export function isIdMapped(mount: Mount): boolean {
  return splitMountOptions(mount.options).some((option) => /^(?:[ug]idmap=|X-mount\.idmap)/.test(option));
}

function parseOne(part: string): IdMapping {
  const match = /^(\d{1,10}):(\d{1,10}):(\d{1,10})$/.exec(part);
  if (match === null) throw invalid(part, "must be container:host:size");
  const [container = 0, host = 0, size = 0] = match.slice(1).map(Number);
  if (size === 0) throw invalid(part, "holds no ids");
  if (container + size > ID_END || host + size > ID_END) throw invalid(part, "goes over 32 bits");
  return { container, host, size };
}

function refuseOverlap(text: string, mappings: readonly IdMapping[], side: "container" | "host"): void {
  let end = 0;
  for (const mapping of mappings.toSorted((a, b) => a[side] - b[side])) {
    if (mapping[side] < end) throw invalid(text, `${side} id ${mapping[side]} is mapped twice`);
    end = mapping[side] + mapping.size;
  }
}

function invalid(text: string, why: string): CodedError {
  return new CodedError("ERR_INVALID_ARGUMENT", `id mapping ${JSON.stringify(text)}: ${why}`);
}
