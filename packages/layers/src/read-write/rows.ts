import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { currentOwner, isOwnerAlive } from "@varve/locks";
import type { Row, Session } from "@varve/sqlite";
import { readyLayer } from "../layer-rows.ts";
import type { LayerState } from "../layer-rows.ts";
import type { RWLayerInfo } from "./rw-layer.ts";

/** A read-write layer as it is recorded. */
export interface RWRow extends Omit<RWLayerInfo, "snapshot"> {
  readonly id: number;
  /** In the names of its snapshots and of its mount point; never used again, in no store. */
  readonly mountId: string;
  readonly parentId: number | undefined;
  readonly hasInit: boolean;
  readonly state: LayerState;
}

/** A read-write layer with a reference to it. */
export interface ReferredRW {
  readonly layer: RWRow;
  readonly reference: number;
}

const columns = `
  SELECT rw.*, below.chain AS parent_chain FROM rw_layers AS rw LEFT JOIN layers AS below ON below.id = rw.parent`;

/** @throws ERR_NOT_FOUND no such read-write layer is ready */
export function readyRW(session: Session, name: string): RWRow {
  const row = session.get(`${columns} WHERE rw.name = ? AND rw.state = 'ready'`, name);
  if (row === undefined) throw new CodedError("ERR_NOT_FOUND", `read-write layer ${name}: not found`);
  return rwOf(row);
}

export function rwById(session: Session, id: number): RWRow | undefined {
  const row = session.get(`${columns} WHERE rw.id = ?`, id);
  return row === undefined ? undefined : rwOf(row);
}

export function readyRWAfter(session: Session, name: string, limit: number): readonly RWRow[] {
  return session
    .all(`${columns} WHERE rw.state = 'ready' AND rw.name > ? ORDER BY rw.name LIMIT ?`, name, limit)
    .map(rwOf);
}

/** The name of the layer that has this in the names of its snapshots, whatever its state. */
export function rwNameOf(session: Session, mountId: string): string | undefined {
  const row = session.get("SELECT name FROM rw_layers WHERE mount_id = ?", mountId);
  return row === undefined ? undefined : String(row["name"]);
}

/** Read-write layers that are neither ready nor in the hands of a living process. */
export function abandonedRW(session: Session): readonly RWRow[] {
  const rows = session.all(`${columns} WHERE rw.state <> 'ready' ORDER BY rw.id`);
  return rows.filter((row) => row["state"] === "going" || !isOwnerAlive(String(row["owner"]))).map(rwOf);
}

/**
 * Takes the name for a layer that is being made. It keeps its parent from now on.
 *
 * @throws ERR_ALREADY_EXISTS the name is in use
 * @throws ERR_NOT_FOUND there is no such parent
 */
export function addRW(
  session: Session,
  {
    name,
    parent,
    mountId,
    hasInit,
  }: Pick<RWRow, "hasInit" | "mountId" | "name"> & { readonly parent: Digest | undefined },
): RWRow {
  if (session.get("SELECT 1 FROM rw_layers WHERE name = ?", name) !== undefined) {
    throw new CodedError("ERR_ALREADY_EXISTS", `read-write layer ${name}: already exists`);
  }
  const parentId = parent === undefined ? undefined : readyLayer(session, parent).id;
  session.run(
    "INSERT INTO rw_layers (name, mount_id, parent, has_init, state, owner) VALUES (?, ?, ?, ?, 'making', ?)",
    name,
    mountId,
    parentId ?? null,
    hasInit ? 1 : 0,
    currentOwner(),
  );
  return { id: lastId(session), name, mountId, parentId, parent, hasInit, state: "making" };
}

export function setRWState(session: Session, id: number, state: LayerState): void {
  session.run("UPDATE rw_layers SET state = ? WHERE id = ?", state, id);
}

/** Leaves one that could not be made to whoever cleans up. */
export function abandonRW(session: Session, id: number): void {
  session.run("UPDATE rw_layers SET owner = '' WHERE id = ?", id);
}

export function dropRW(session: Session, id: number): void {
  session.run("DELETE FROM rw_refs WHERE layer = ?", id);
  session.run("DELETE FROM rw_layers WHERE id = ?", id);
}

/** @returns its id */
export function addRWReference(session: Session, layer: number): number {
  session.run("INSERT INTO rw_refs (layer, owner) VALUES (?, ?)", layer, currentOwner());
  return lastId(session);
}

export function dropRWReference(session: Session, id: number): void {
  session.run("DELETE FROM rw_refs WHERE id = ?", id);
}

/** Forgets the references of processes that have ended, and with them what they had mounted. */
export function dropDeadRWReferences(session: Session): void {
  for (const { owner } of session.all("SELECT DISTINCT owner FROM rw_refs")) {
    if (!isOwnerAlive(String(owner))) session.run("DELETE FROM rw_refs WHERE owner = ?", String(owner));
  }
}

export function hasOtherRWReferences(session: Session, layer: number, reference: number): boolean {
  return session.get("SELECT 1 FROM rw_refs WHERE layer = ? AND id <> ?", layer, reference) !== undefined;
}

/** How often a reference has its layer mounted; undefined without such a reference. */
export function mountsOfReference(session: Session, reference: number): number | undefined {
  const row = session.get("SELECT mounts FROM rw_refs WHERE id = ?", reference);
  return row === undefined ? undefined : Number(row["mounts"]);
}

export function setMounts(session: Session, reference: number, mounts: number): void {
  session.run("UPDATE rw_refs SET mounts = ? WHERE id = ?", mounts, reference);
}

/** How often all living references have the layer mounted. */
export function mountsOfLayer(session: Session, mountId: string): number {
  dropDeadRWReferences(session);
  return livingMounts(session, mountId);
}

/** The same where nothing is to be written. */
export function livingMounts(session: Session, mountId: string): number {
  const rows = session.all(
    `SELECT refs.owner, refs.mounts FROM rw_refs AS refs JOIN rw_layers AS rw ON rw.id = refs.layer
     WHERE rw.mount_id = ? AND refs.mounts > 0`,
    mountId,
  );
  return rows.filter(({ owner }) => isOwnerAlive(String(owner))).reduce((sum, { mounts }) => sum + Number(mounts), 0);
}

function lastId(session: Session): number {
  return Number(session.get("SELECT last_insert_rowid() AS id")?.["id"]);
}

function rwOf(row: Row): RWRow {
  const { parent, parent_chain: below, state } = row;
  return {
    id: Number(row["id"]),
    name: String(row["name"]),
    mountId: String(row["mount_id"]),
    parentId: typeof parent === "number" ? parent : undefined,
    parent: typeof below === "string" ? parseDigest(below) : undefined,
    hasInit: row["has_init"] === 1,
    state: state === "ready" || state === "going" ? state : "making",
  };
}
