import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { isRecorded } from "../snapshots/rows.ts";
import type { StoreContext } from "../store-context.ts";
import { isIncomplete } from "./describe.ts";
import { dropSnapshots, unpackedFrom } from "./drop-snapshots.ts";
import type { Dropped } from "./drop-snapshots.ts";
import type { Finding } from "./finding.ts";
import { ignoreMissing, mendDamaged, mendMissing, removeIngest, removeOrphan } from "./mend-blobs.ts";
import type { CheckOptions, Repair, RepairReport } from "./report.ts";
import { surveyStore } from "./survey.ts";
import type { Survey } from "./survey.ts";
import { Users } from "./users.ts";

/**
 * Checks, and does what can be done about each problem; one that fails stops none of the others. Image records stay:
 * pulling those in `pullAgain` brings what is missing, because what stood in its way is gone.
 */
export async function repairStore(context: StoreContext, options: CheckOptions = {}): Promise<RepairReport> {
  const { signal } = options;
  signal?.throwIfAborted();
  const survey = await surveyStore(context, options);
  const repairer = new Repairer(context, survey, signal);
  const repairs: Repair[] = [];
  for (const finding of survey.findings) {
    signal?.throwIfAborted();
    repairs.push(await repairer.repair(finding));
  }
  if (survey.findings.length === 0) return { repairs, pullAgain: [] };
  // Not what should be missing by now, but what is.
  const after = await surveyStore(context, { signal, contents: false, files: false });
  const pullAgain = new Set(repairer.notUnpacked);
  for (const needs of after.images) if (isIncomplete(needs)) pullAgain.add(needs.image.name);
  return { repairs, pullAgain: [...pullAgain].toSorted() };
}

/** What was done, and what stands in the way of the rest. */
interface Outcome {
  readonly action: string;
  readonly done: boolean;
  readonly error?: unknown;
}

function inUse({ row, user }: Dropped["kept"][number]): CodedError {
  const why = `is in use by snapshot ${user.name}: remove that, and repair again`;
  return new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${row.name}: ${why}`);
}

class Repairer {
  /** Images whose layers are not all unpacked any more. */
  readonly notUnpacked: Set<string> = new Set();
  readonly #context: StoreContext;
  readonly #survey: Survey;
  readonly #users: Users;
  readonly #signal: AbortSignal | undefined;

  constructor(context: StoreContext, survey: Survey, signal: AbortSignal | undefined) {
    this.#context = context;
    this.#survey = survey;
    this.#users = new Users(survey.images);
    this.#signal = signal;
  }

  async repair(finding: Finding): Promise<Repair> {
    const { problem } = finding;
    try {
      return { problem, ...(await this.#attempt(finding)) };
    } catch (error) {
      this.#signal?.throwIfAborted();
      return { problem, action: "kept: it could not be repaired", done: false, error };
    }
  }

  async #attempt(finding: Finding): Promise<Outcome> {
    const context = this.#context;
    const options = { signal: this.#signal };
    switch (finding.what) {
      case "damaged blob":
        return this.#withUnpacked(finding.digest, undefined, () => mendDamaged(context, finding.digest, options));
      case "missing blob":
        return this.#withUnpacked(finding.digest, finding.namespace, () => mendMissing(context, finding, options));
      case "missing snapshot":
        for (const name of finding.problem.images) this.notUnpacked.add(name);
        return this.#drop("record removed", await dropSnapshots(context, [finding.row], options), 1);
      case "damaged snapshot":
        return this.#dropDamaged(finding);
      case "orphaned blob":
        return { action: await removeOrphan(context, finding.digest, options), done: true };
      case "orphaned ingest":
        return { action: await removeIngest(context, finding.ref, options), done: true };
      case "orphaned snapshot":
        return this.#removeBelow(finding);
      default:
        return this.#makeWay(finding);
    }
  }

  /** A layer that is gone is fetched again only if what it was unpacked to is gone too. */
  async #withUnpacked(digest: Digest, namespace: string | undefined, mend: () => Promise<string>): Promise<Outcome> {
    const namespaces = namespace === undefined ? await this.#namespacesOf(digest) : [namespace];
    const { database } = this.#context;
    const unpacked = await database.read(
      (session) => namespaces.flatMap((one) => unpackedFrom(session, { namespace: one, digest }, this.#survey.images)),
      this.#signal,
    );
    const action = await mend();
    if (await this.#isRecorded(digest, namespaces)) return { action, done: true };
    return this.#drop(action, await dropSnapshots(this.#context, unpacked, { signal: this.#signal }));
  }

  /** The next pull unpacks it again, under the same name (G-11). */
  async #dropDamaged({ row }: Finding & { readonly what: "damaged snapshot" }): Promise<Outcome> {
    const dropped = await dropSnapshots(this.#context, [row], { signal: this.#signal, areUseless: true });
    if (dropped.removed.some(({ seq }) => seq === row.seq)) return this.#drop("removed", dropped, 1);
    if (dropped.kept.length > 0) return this.#drop("", dropped);
    return { action: "nothing: it is gone", done: true };
  }

  /** Of an image that misses layers, what they were unpacked to: a mount may have kept it when it was damaged. */
  async #makeWay({ needs }: Finding & { readonly what: "incomplete image" }): Promise<Outcome> {
    const { namespace, image, missing } = needs;
    const unpacked = await this.#context.database.read(
      (session) => missing.flatMap((digest) => unpackedFrom(session, { namespace, digest }, [needs])),
      this.#signal,
    );
    const action = `kept: pull ${image.name} again`;
    const outcome = this.#drop(action, await dropSnapshots(this.#context, unpacked, { signal: this.#signal }));
    return { ...outcome, done: false };
  }

  async #removeBelow(finding: Finding & { readonly what: "orphaned snapshot" }): Promise<Outcome> {
    const { snapshotter, backendKey } = finding;
    const { database, snapshotters } = this.#context;
    const isNeeded = await database.read((session) => isRecorded(session, snapshotter, backendKey), this.#signal);
    if (isNeeded) return { action: "nothing: it is needed now", done: true };
    const backend = await snapshotters.get(snapshotter);
    await ignoreMissing(backend.remove(backendKey, { signal: this.#signal }));
    return { action: "removed", done: true };
  }

  /** @param own how many of what was removed the action speaks of already */
  #drop(action: string, { removed, kept, failed }: Dropped, own = 0): Outcome {
    for (const { namespace, name } of removed) {
      for (const image of this.#users.ofSnapshot(namespace, name)) this.notUnpacked.add(image);
    }
    const parts = action === "" ? [] : [action];
    const count = removed.length - own;
    if (count > 0) parts.push(`${count} ${count === 1 ? "snapshot" : "snapshots"} removed`);
    const [busy] = kept;
    if (busy !== undefined) parts.push(`${kept.length} kept: in use by ${busy.user.name}`);
    const [left] = failed;
    if (left !== undefined) parts.push(`snapshotter ${left.row.snapshotter} has to remove ${left.row.name} later`);
    const done = busy === undefined && left === undefined;
    return { action: parts.join(", "), done, error: busy === undefined ? left?.error : inUse(busy) };
  }

  #namespacesOf(digest: Digest): Promise<string[]> {
    return this.#context.database.read(
      (session) =>
        session.all("SELECT namespace FROM blobs WHERE digest = ?", digest).map((row) => String(row["namespace"])),
      this.#signal,
    );
  }

  async #isRecorded(digest: Digest, namespaces: readonly string[]): Promise<boolean> {
    const recorded = new Set(await this.#namespacesOf(digest));
    return namespaces.some((namespace) => recorded.has(namespace));
  }
}
