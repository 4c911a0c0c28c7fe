import { CodedError } from "@varve/errors";
import { isOverlayDirectory, splitMountOptions } from "@varve/mount";
import { inUserNamespace } from "@varve/syscalls";
import type { OverlayFeatures } from "./features.ts";

/**
 * Options that every overlay mount here gets: those that are configured, and then those found out that they leave open
 * (U-OVL.6).
 *
 * @throws ERR_INVALID_ARGUMENT a configured option names a directory
 */
export function commonOptions(features: OverlayFeatures, configured: readonly string[] = []): readonly string[] {
  const options = splitMountOptions(configured);
  const directory = options.find(isOverlayDirectory);
  if (directory !== undefined) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `overlay mount option ${directory}: the snapshotter sets directories`);
  }
  return [...options, ...foundOptions(features).filter((found) => isOpen(keyOf(found), options))];
}

function foundOptions(features: OverlayFeatures): readonly string[] {
  const options: string[] = [];
  // With an index, the kernel notes in an upper directory which lower ones it was mounted on, and refuses others.
  if (features.index) options.push("index=off");
  // Attributes with which a layer could show, at a place of its choice, what another layer has hidden elsewhere. A kernel
  // may be built or configured to follow them; without them, a rename over layers is copied, as differs expect it.
  if (features.metacopy) options.push("metacopy=off");
  if (features.redirectDirectory) options.push("redirect_dir=nofollow");
  // Nobody may set `trusted.` attributes in a user namespace.
  if (features.userXattr && inUserNamespace()) options.push("userxattr");
  return options;
}

/** Options that the kernel refuses to take together with what is found out, by its key. */
const opposed: Readonly<Record<string, readonly string[]>> = {
  index: ["nfs_export=on"],
  metacopy: ["verity=on", "verity=require"],
  redirect_dir: ["metacopy=on", "verity=on", "verity=require"],
};

function isOpen(key: string, configured: readonly string[]): boolean {
  return !configured.some((option) => keyOf(option) === key || opposed[key]?.includes(option));
}

function keyOf(option: string): string {
  const equals = option.indexOf("=");
  return equals === -1 ? option : option.slice(0, equals);
}
