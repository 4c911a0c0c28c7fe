import { randomUUID } from "node:crypto";
import { currentOwner, isOwnerAlive, ownerFromFileName, ownerToFileName } from "@varve/locks";

/** Of snapshots that are there for a while, before the name of the process that has them. */
const activePrefix = "layers/";

/** A key for a snapshot that is there for a while: it names this process, so that what a dead one left is litter. */
export function newActiveKey(): string {
  return `${activePrefix}${ownerToFileName(currentOwner())}/${randomUUID()}`;
}

/** Whether a key is one of these, and belongs to no living process. */
export function isLitter(key: string): boolean {
  if (!key.startsWith(activePrefix)) return false;
  const owner = ownerFromFileName(key.slice(activePrefix.length, key.lastIndexOf("/")));
  return owner !== undefined && !isOwnerAlive(owner);
}
