import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { currentOwner, isOwnerAlive } from "@varve/locks";
import type { Descriptor } from "@varve/oci";
import type { Row, Session } from "@varve/sqlite";
import type { LayerInfo } from "./layer-store.ts";

export type LayerState = "going" | "making" | "ready";

/** A layer as it is recorded. */
export interface LayerRow extends LayerInfo {
  /** Never used again. */
  readonly id: number;
  readonly parentId: number | undefined;
}

/** A layer with a reference to it. */
export interface Referred {
  readonly layer: LayerRow;
  readonly reference: number;
}

const columns = `
  SELECT child.*, below.chain AS parent_chain FROM layers AS child LEFT JOIN layers AS below ON below.id = child.parent`;

/** @throws ERR_NOT_FOUND no layer of that chain is ready */
export function readyLayer(session: Session, chainId: Digest): LayerRow {
  const found = findReady(session, chainId);
  if (found === undefined) throw new CodedError("ERR_NOT_FOUND", `layer ${chainId}: not found`);
  return found;
}

export function findReady(session: Session, chainId: Digest): LayerRow | undefined {
  const row = session.get(`${columns} WHERE child.chain = ? AND child.state = 'ready'`, chainId);
  return row === undefined ? undefined : layerOf(row);
}

export function readyAfter(session: Session, chainId: string, limit: number): readonly LayerRow[] {
  const sql = `${columns} WHERE child.state = 'ready' AND child.chain > ? ORDER BY child.chain LIMIT ?`;
  return session.all(sql, chainId, limit).map(layerOf);
}

/** Whether there is a layer of that chain, in whatever state. */
export function isKnown(session: Session, chainId: Digest): boolean {
  return session.get("SELECT 1 FROM layers WHERE chain = ? LIMIT 1", chainId) !== undefined;
}

/** Layers that are neither ready nor in the hands of a living process; the topmost first. */
export function abandonedLayers(session: Session): readonly LayerRow[] {
  const rows = session.all(`${columns} WHERE child.state <> 'ready' ORDER BY child.depth DESC, child.id`);
  return rows.filter(isAbandoned).map(layerOf);
}

/** Layers of a chain that are about to go, or were left half made, in this process too: for whoever has the chain locked. */
export function abandonedOf(session: Session, chainId: Digest): readonly LayerRow[] {
  const rows = session.all(`${columns} WHERE child.state <> 'ready' AND child.chain = ? ORDER BY child.id`, chainId);
  return rows.filter((row) => row["owner"] === currentOwner() || isAbandoned(row)).map(layerOf);
}

function isAbandoned({ owner, state }: Row): boolean {
  return state === "going" || !isOwnerAlive(String(owner));
}

export function addLayer(session: Session, layer: Omit<LayerInfo, "parent">, parentId: number | undefined): number {
  session.run(
    `INSERT INTO layers (chain, diff, parent, depth, diff_size, size, descriptor, state, owner)
     VALUES (?, ?, ?, ?, ?, ?, ?, 'making', ?)`,
    layer.chainId,
    layer.diffId,
    parentId ?? null,
    layer.depth,
    layer.diffSize,
    layer.size,
    layer.descriptor === undefined ? null : JSON.stringify(layer.descriptor),
    currentOwner(),
  );
  return lastId(session);
}

/** Makes one that is about to go, or was left half made, a layer of the same chain that is being made. */
export function remakeLayer(
  session: Session,
  id: number,
  { descriptor }: Pick<LayerInfo, "descriptor">,
  parentId: number | undefined,
): void {
  session.run(
    "UPDATE layers SET state = 'making', owner = ?, parent = ?, descriptor = ? WHERE id = ?",
    currentOwner(),
    parentId ?? null,
    descriptor === undefined ? null : JSON.stringify(descriptor),
    id,
  );
}

/** Layers that stand on it, and are about to go. */
export function goingOn(session: Session, id: number): readonly LayerRow[] {
  return session.all(`${columns} WHERE child.parent = ? AND child.state = 'going'`, id).map(layerOf);
}

export function isGoing(session: Session, id: number): boolean {
  return isIn(session, id, "going");
}

export function isMaking(session: Session, id: number): boolean {
  return isIn(session, id, "making");
}

function isIn(session: Session, id: number, state: LayerState): boolean {
  return session.get("SELECT 1 FROM layers WHERE id = ? AND state = ?", id, state) !== undefined;
}

export function setState(session: Session, id: number, state: LayerState): void {
  session.run("UPDATE layers SET state = ? WHERE id = ?", state, id);
}

export function dropLayer(session: Session, id: number): void {
  session.run("DELETE FROM layers WHERE id = ?", id);
}

/** @returns its id */
export function addReference(session: Session, layer: number): number {
  session.run("INSERT INTO refs (layer, owner) VALUES (?, ?)", layer, currentOwner());
  return lastId(session);
}

/** Says whether it was there. */
export function dropReference(session: Session, id: number): boolean {
  return session.run("DELETE FROM refs WHERE id = ?", id) > 0;
}

/** Forgets the references of processes that have ended. */
export function dropDeadReferences(session: Session): void {
  for (const { owner } of session.all("SELECT DISTINCT owner FROM refs")) {
    if (!isOwnerAlive(String(owner))) session.run("DELETE FROM refs WHERE owner = ?", String(owner));
  }
}

/** Why a layer has to stay: what stands on it, or that somebody refers to it. What goes stands on nothing, nor does what a dead process was making. */
export function whyWanted(session: Session, id: number): string | undefined {
  const above = session.get("SELECT chain FROM layers WHERE parent = ? AND state = 'ready' LIMIT 1", id);
  if (above !== undefined) return `layer ${String(above["chain"])} stands on it`;
  const rw = session.get("SELECT name FROM rw_layers WHERE parent = ? LIMIT 1", id);
  if (rw !== undefined) return `read-write layer ${String(rw["name"])} stands on it`;
  const reference = session.get("SELECT 1 FROM refs WHERE layer = ? LIMIT 1", id);
  if (reference !== undefined) return "somebody refers to it";
  const making = session.all("SELECT owner, state FROM layers WHERE parent = ? AND state = 'making'", id);
  return making.every(isAbandoned) ? undefined : "a layer is made on it";
}

/** What dead processes were making on a layer goes with it. */
export function abandonMaking(session: Session, parent: number): void {
  session.run("UPDATE layers SET state = 'going' WHERE parent = ? AND state = 'making'", parent);
}

export function layerById(session: Session, id: number): LayerRow | undefined {
  const row = session.get(`${columns} WHERE child.id = ?`, id);
  return row === undefined ? undefined : layerOf(row);
}

/** What callers are told. */
export function infoOf({ id: _id, parentId: _parentId, ...info }: LayerRow): LayerInfo {
  return info;
}

function lastId(session: Session): number {
  return Number(session.get("SELECT last_insert_rowid() AS id")?.["id"]);
}

function layerOf(row: Row): LayerRow {
  const { descriptor, parent, parent_chain: below } = row;
  return {
    id: Number(row["id"]),
    chainId: parseDigest(String(row["chain"])),
    diffId: parseDigest(String(row["diff"])),
    parentId: typeof parent === "number" ? parent : undefined,
    parent: typeof below === "string" ? parseDigest(below) : undefined,
    depth: Number(row["depth"]),
    diffSize: Number(row["diff_size"]),
    size: Number(row["size"]),
    descriptor: typeof descriptor === "string" ? descriptorIn(descriptor) : undefined,
  };
}

function descriptorIn(text: string): Descriptor {
  const descriptor: Descriptor = JSON.parse(text);
  return descriptor;
}
