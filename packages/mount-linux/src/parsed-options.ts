import { CodedError } from "@varve/errors";
import { filesystemType, isOverlayDirectory, parseIdMappings, splitMountOptions } from "@varve/mount";
import type { IdMapping, Mount } from "@varve/mount";
import * as sys from "@varve/syscalls";
import { attributes, isNote, needsAnotherProgram, propagations } from "./option-table.ts";
import type { AttributeChange, Propagation } from "./option-table.ts";

/** Which ids the files of a mount are shown with. */
export interface IdMappings {
  readonly uid: readonly IdMapping[];
  readonly gid: readonly IdMapping[];
}

/** The part of an image file that is attached as a device, in bytes; a size of 0 is to the end. */
export interface LoopRange {
  readonly offset: number;
  readonly sizeLimit: number;
}

/** A mount's options, sorted by who acts on them. */
export interface ParsedOptions {
  readonly bind: "none" | "single" | "tree";
  /** Change what is mounted already: of a bind mount the mount, otherwise the filesystem too. */
  readonly remount: boolean;
  /** What the last of `ro` and `rw` says, if there is one. */
  readonly access: "ro" | "rw" | undefined;
  /** MOUNT_ATTR_ constants to set, and those to clear first. */
  readonly set: number;
  readonly clear: number;
  readonly propagation: readonly Propagation[];
  readonly loop: LoopRange | undefined;
  readonly ids: IdMappings | undefined;
  /** For the filesystem; the directories of an overlay are not among them. */
  readonly parameters: readonly string[];
}

interface Draft {
  bind: ParsedOptions["bind"];
  remount: boolean;
  access: ParsedOptions["access"];
  set: number;
  clear: number;
  readonly propagation: Propagation[];
  loop: { offset: number; sizeLimit: number } | undefined;
  uidmap: string | undefined;
  gidmap: string | undefined;
  readonly parameters: string[];
}

/**
 * @throws ERR_NOT_IMPLEMENTED an option or a type that needs more than the kernel
 * @throws ERR_INVALID_ARGUMENT options that cannot stand together, as a bind mount's with ones for a filesystem
 */
export function parseOptions(mount: Mount): ParsedOptions {
  if (mount.type !== filesystemType(mount)) {
    throw new CodedError("ERR_NOT_IMPLEMENTED", `mount type ${mount.type}: needs a mount manager`);
  }
  const draft: Draft = {
    bind: mount.type === "bind" ? "single" : "none",
    remount: false,
    access: undefined,
    set: 0,
    clear: 0,
    propagation: [],
    loop: undefined,
    uidmap: undefined,
    gidmap: undefined,
    parameters: [],
  };
  for (const option of splitMountOptions(mount.options)) read(draft, option, mount.type);
  refuseContradictions(draft);
  const { uidmap, gidmap, ...options } = draft;
  return { ...options, ids: mappings(uidmap, gidmap) };
}

/** Whether the options ask for a mount through which nothing can be written. */
export function wantsReadOnly(options: ParsedOptions): boolean {
  return (options.set & sys.MOUNT_ATTR_RDONLY) !== 0;
}

function read(draft: Draft, option: string, type: string): void {
  const attribute = attributes.get(option);
  const propagation = propagations.get(option);
  if (attribute !== undefined) readAttribute(draft, option, attribute);
  else if (propagation !== undefined) draft.propagation.push(propagation);
  else if (option === "bind" || option === "rbind") draft.bind = option === "rbind" ? "tree" : "single";
  else if (option === "remount") draft.remount = true;
  else if (needsAnotherProgram(option)) {
    throw new CodedError("ERR_NOT_IMPLEMENTED", `mount option ${option}: not supported`);
  } else if (/^[ug]idmap=/.test(option)) {
    draft[option.startsWith("u") ? "uidmap" : "gidmap"] = option.slice(7);
  } else if (/^(?:loop$|offset=|sizelimit=)/.test(option)) readLoop(draft, option);
  else if (!isNote(option) && !(type === "overlay" && isOverlayDirectory(option))) draft.parameters.push(option);
}

function readAttribute(draft: Draft, option: string, { set = 0, clear = 0 }: AttributeChange): void {
  draft.set = (draft.set & ~clear) | set;
  // What is asked for later is not to be cleared, but for the field of the access times.
  draft.clear = (draft.clear & ~(set & ~sys.MOUNT_ATTR__ATIME)) | clear;
  if (option === "ro" || option === "rw") draft.access = option;
}

function readLoop(draft: Draft, option: string): void {
  draft.loop ??= { offset: 0, sizeLimit: 0 };
  if (option === "loop") return;
  const [key, text = ""] = option.split("=", 2);
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `mount option ${option}: must be a number of bytes`);
  }
  draft.loop[key === "offset" ? "offset" : "sizeLimit"] = value;
}

function refuseContradictions({ bind, remount, loop, uidmap, gidmap, parameters }: Draft): void {
  if (bind !== "none" && parameters.length > 0) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `mount option ${parameters[0]}: not an option of bind mounts`);
  }
  if (loop !== undefined && (bind !== "none" || remount)) {
    throw new CodedError("ERR_INVALID_ARGUMENT", "mount option loop: not an option of bind mounts and remounts");
  }
  if (remount && (uidmap ?? gidmap) !== undefined) {
    throw new CodedError("ERR_INVALID_ARGUMENT", "mount option uidmap: cannot be changed by a remount");
  }
}

function mappings(uidmap: string | undefined, gidmap: string | undefined): IdMappings | undefined {
  if (uidmap === undefined && gidmap === undefined) return undefined;
  if (uidmap === undefined || gidmap === undefined) {
    throw new CodedError("ERR_INVALID_ARGUMENT", "mount options uidmap and gidmap: one is given without the other");
  }
  return { uid: parseIdMappings(uidmap), gid: parseIdMappings(gidmap) };
}
