import { lchownSync, lstatSync } from "node:fs";
import { CodedError } from "@varve/errors";
import { parseIdMappings } from "@varve/mount";
import type { IdMapping } from "@varve/mount";
import { labelGidMapping, labelUidMapping } from "@varve/snapshots";
import { everythingIn } from "./toy-files.ts";

export interface ToyMappings {
  readonly uids: readonly IdMapping[];
  readonly gids: readonly IdMapping[];
}

export function mappingsOf(labels: Readonly<Record<string, string>>): ToyMappings | undefined {
  const { [labelUidMapping]: uids, [labelGidMapping]: gids } = labels;
  if (uids === undefined && gids === undefined) return undefined;
  if (uids === undefined || gids === undefined) throw new CodedError("ERR_INVALID_ARGUMENT", "mapping: half of it");
  return { uids: parseIdMappings(uids), gids: parseIdMappings(gids) };
}

/** Changes the owners of all that is in a directory; a toy has no mounts that do this. */
export function mapOwners(directory: string, { uids, gids }: ToyMappings, back = false): void {
  for (const path of everythingIn(directory)) {
    const { uid, gid } = lstatSync(path);
    lchownSync(path, mapped(uid, uids, back), mapped(gid, gids, back));
  }
}

function mapped(id: number, mappings: readonly IdMapping[], back: boolean): number {
  for (const { container, host, size } of mappings) {
    const [from, to] = back ? [host, container] : [container, host];
    if (id >= from && id < from + size) return id - from + to;
  }
  return id;
}
