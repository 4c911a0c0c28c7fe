import { setImmediate as nextTurn } from "node:timers/promises";
import { hasCode } from "@varve/errors";
import type { CallOptions, SnapshotProblem } from "@varve/snapshots";
import { sealFiles } from "./measure-tree.ts";
import { damageOf, describeDamage, openFiles } from "./snapshot-files.ts";
import type { RecordedSnapshot, SnapshotStore } from "./snapshot-store.ts";

// How long the thread may be busy with small snapshots; those that take long have slices of their own.
const sliceMs = 4;

type Finding = Omit<SnapshotProblem, "name">;

/** What is not as it should be with the files of the snapshots (F12). */
export async function* checkSnapshots(store: SnapshotStore, options: CallOptions): AsyncIterable<SnapshotProblem> {
  let until = performance.now() + sliceMs;
  for await (const snapshot of store.walk({ signal: options.signal })) {
    if (!snapshot.hasDirectory) continue;
    if (performance.now() > until) {
      await nextTurn();
      until = performance.now() + sliceMs;
    }
    const finding = await findingOf(store, snapshot, options);
    // Files go after their record: what is still recorded after they were looked at should have been there.
    if (finding !== undefined && (await isStill(store, snapshot, options))) yield { name: snapshot.name, ...finding };
  }
}

async function findingOf(
  store: SnapshotStore,
  { id, name, fingerprint }: RecordedSnapshot,
  options: CallOptions,
): Promise<Finding | undefined> {
  const directory = store.directory(id);
  const damage = damageOf(directory);
  if (damage !== undefined) {
    return { kind: damage.kind, message: `snapshot ${name}: ${describeDamage(damage)}` };
  }
  if (fingerprint === undefined) return undefined;
  const found = await fingerprintOf(name, directory, options);
  if (found !== undefined && Buffer.compare(found, fingerprint) === 0) return undefined;
  return { kind: "changed", message: `snapshot ${name}: directory ${directory}/fs is not as it was committed` };
}

/** `undefined` if somebody takes it away meanwhile. */
async function fingerprintOf(name: string, directory: string, options: CallOptions): Promise<Uint8Array | undefined> {
  try {
    return (await sealFiles(openFiles(`snapshot ${name}`, directory), options)).fingerprint;
  } catch (error) {
    if (hasCode(error, "ERR_DATA_LOSS")) return undefined;
    throw error;
  }
}

async function isStill(
  store: SnapshotStore,
  { id, kind, name }: RecordedSnapshot,
  options: CallOptions,
): Promise<boolean> {
  try {
    const now = await store.stat(name, options);
    return now.id === id && now.kind === kind;
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return false;
    throw error;
  }
}
