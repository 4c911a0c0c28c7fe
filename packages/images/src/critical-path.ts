import type { Digest } from "@varve/digest";
import type { BlobRecord, LayerRecord, TransferRecord } from "./transfer-record.ts";
import type { CriticalPhase, CriticalStep } from "./transfer-summary.ts";

/** Something that ended, and that the path goes back from. */
type Moment = LayerMoment | BlobMoment;

interface LayerMoment {
  readonly kind: "committed" | "applied";
  readonly at: number;
  readonly object: LayerRecord;
}

interface BlobMoment {
  readonly kind: "stored";
  readonly at: number;
  readonly object: BlobRecord;
}

/**
 * Goes back from the last commit: to the commit of the layer below or to the end of its own unpack, whichever came later; from
 * there to the last moment when the unpack had to wait for its download, or to what it had to wait for before it began;
 * and so on to the beginning. Each step begins where the one before it ends.
 */
export function criticalPath(record: TransferRecord, end: number): CriticalStep[] {
  return new PathFinder(record, end).find();
}

class PathFinder {
  readonly #record: TransferRecord;
  readonly #applied: readonly LayerMoment[];
  readonly #stored: readonly BlobMoment[];
  /** No layer was begun before the one below it was committed. */
  readonly #isSerial: boolean;
  readonly #visited: Readonly<Record<Moment["kind"], Set<object>>> = {
    committed: new Set(),
    applied: new Set(),
    stored: new Set(),
  };
  readonly #steps: CriticalStep[] = [];
  #at: number;

  constructor(record: TransferRecord, end: number) {
    this.#record = record;
    this.#at = end;
    const { listedAt, blobs, layers } = record;
    this.#applied = layers.flatMap((layer) => layerMoment("applied", layer, layer.appliedAt)).toSorted(byTime);
    // When layers are known, what was fetched to know them is behind them.
    this.#stored = [...blobs.values()]
      .flatMap((blob) => (listedAt === undefined || blob.isLayer ? blobMoment(blob) : []))
      .toSorted(byTime);
    this.#isSerial = layers.every(
      ({ startedAt, below }) =>
        startedAt === undefined || below === undefined || (below.endedAt ?? Infinity) <= startedAt,
    );
  }

  find(): CriticalStep[] {
    const { listedAt, resolvedAt } = this.#record;
    let moment = this.#last();
    this.#step("finish", undefined, moment?.at ?? listedAt ?? resolvedAt ?? 0);
    while (moment !== undefined && !this.#visited[moment.kind].has(moment.object)) {
      this.#visited[moment.kind].add(moment.object);
      moment = this.#before(moment);
    }
    if (listedAt !== undefined) this.#step("wait", undefined, listedAt);
    this.#step("manifests", undefined, resolvedAt ?? listedAt ?? this.#at);
    this.#step("resolve", undefined, 0);
    return this.#steps.toReversed();
  }

  /** The last layer that came of this transfer; without layers to unpack, the last blob. */
  #last(): Moment | undefined {
    const ended = this.#record.layers.filter((layer) => isOurs(layer) || layer.waitedAt !== undefined);
    const last = ended.flatMap((layer) => layerMoment("committed", layer, layer.endedAt)).toSorted(byTime);
    return last.at(-1) ?? this.#stored.at(-1);
  }

  /** Takes the step that ended at this moment, and says what it had waited for. */
  #before(moment: Moment): Moment | undefined {
    if (moment.kind === "stored") return this.#beforeStored(moment.object);
    return moment.kind === "committed" ? this.#beforeCommit(moment.object) : this.#beforeApplied(moment.object);
  }

  #beforeCommit(layer: LayerRecord): Moment | undefined {
    const { appliedAt, below, digest, seenAt, waitedAt } = layer;
    if (!isOurs(layer)) {
      this.#step("wait", digest, waitedAt ?? seenAt);
      return undefined;
    }
    const needed: Moment[] = layerMoment("applied", layer, appliedAt);
    if (below !== undefined) needed.push(...layerMoment("committed", below, below.endedAt));
    // It may have been applied before its last bytes were verified and stored.
    const blob = this.#record.blobs.get(digest);
    if (blob !== undefined && appliedAt !== undefined) needed.push(...blobMoment(blob));
    const last = needed.toSorted(byTime).at(-1);
    this.#step("commit", digest, last?.at ?? seenAt);
    return last;
  }

  #beforeApplied(layer: LayerRecord): Moment | undefined {
    const { digest, idleAt, seenAt, startedAt = seenAt } = layer;
    const blob = this.#record.blobs.get(digest);
    if (blob !== undefined && idleAt !== undefined && idleAt > startedAt) {
      this.#step("unpack", digest, idleAt);
      return { kind: "stored", at: idleAt, object: blob };
    }
    // With what it took to prepare the snapshot.
    const allowed = this.#allowed(layer, startedAt, blob);
    this.#step("unpack", digest, allowed?.at ?? startedAt);
    return allowed;
  }

  /** What came last of all that a layer may need to be begun: its bytes, the layer below, or a place. */
  #allowed(layer: LayerRecord, at: number, blob: BlobRecord | undefined): Moment | undefined {
    let last: Moment | undefined;
    let since = 0;
    if (blob?.startedAt !== undefined) {
      // Followed, the blob need only have begun to arrive.
      const isStored = blob.endedAt !== undefined && blob.endedAt <= at;
      since = isStored ? (blob.endedAt ?? at) : blob.startedAt;
      last = { kind: "stored", at: isStored ? since : at, object: blob };
    }
    const { below } = layer;
    const lower = below !== undefined && isOurs(below) ? layerMoment("committed", below, below.endedAt)[0] : undefined;
    const other = this.#isSerial ? lower : lastBefore(this.#applied, at, layer);
    return other !== undefined && other.at > since && other.at <= at ? other : last;
  }

  #beforeStored(blob: BlobRecord): Moment | undefined {
    const { digest, isLayer, seenAt, startedAt } = blob;
    if (startedAt === undefined) {
      // Another process brought it.
      this.#step("wait", digest, seenAt);
      return undefined;
    }
    this.#step(isLayer ? "fetch" : "manifests", digest, startedAt);
    const place = lastBefore(this.#stored, startedAt, blob);
    if (place !== undefined) this.#step("wait", digest, place.at);
    return place;
  }

  /** Adds the step from `from` to where the path is by now. */
  #step(phase: CriticalPhase, digest: Digest | undefined, from: number): void {
    const start = Math.min(this.#at, Math.max(0, from));
    // Rounding the ends and not the lengths makes the sum that of the whole.
    const ms = Math.round(this.#at) - Math.round(start);
    this.#at = start;
    if (ms === 0) return;
    const last = this.#steps.at(-1);
    if (last?.phase === phase && last.digest === digest)
      this.#steps[this.#steps.length - 1] = { ...last, ms: last.ms + ms };
    else this.#steps.push(digest === undefined ? { phase, ms } : { phase, digest, ms });
  }
}

/** Whether this transfer did it: it was committed, or done and then found to be there. */
function isOurs({ appliedAt, end }: LayerRecord): boolean {
  return end === "committed" || (end === "exists" && appliedAt !== undefined);
}

function layerMoment(kind: LayerMoment["kind"], object: LayerRecord, at: number | undefined): LayerMoment[] {
  return at === undefined ? [] : [{ kind, at, object }];
}

function blobMoment(object: BlobRecord): BlobMoment[] {
  return object.endedAt === undefined ? [] : [{ kind: "stored", at: object.endedAt, object }];
}

function byTime(a: Moment, b: Moment): number {
  return a.at - b.at;
}

/** The last of these, which are in order, that is not after `at` and of another object. */
function lastBefore<T extends Moment>(moments: readonly T[], at: number, not: object): T | undefined {
  let low = 0;
  let high = moments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((moments[middle]?.at ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  const found = moments[low - 1];
  return found?.object === not ? moments[low - 2] : found;
}
