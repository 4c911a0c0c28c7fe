import { isOverlayAttribute } from "../overlay-marks.ts";

/**
 * Which extended attributes belong into a layer: those of users and programs, capabilities and other security attributes, and
 * access control lists. Not `trusted.*`, which no layer may set, nor what a filesystem shows of its own, nor `security.evm`: a sum
 * made with the key of one machine, by which others would find the file damaged.
 *
 * @param selinux whether labels of SELinux do too
 */
export function isLayerAttribute(name: string, selinux: boolean): boolean {
  if (name.startsWith("user.")) return !isOverlayAttribute(name);
  if (name.startsWith("security.")) return name !== "security.evm" && (selinux || name !== "security.selinux");
  return name === "system.posix_acl_access" || name === "system.posix_acl_default";
}
