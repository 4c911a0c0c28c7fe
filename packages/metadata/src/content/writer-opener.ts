import type { Expected, Writer, WriterOptions } from "@varve/content";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import type { Session } from "../database.ts";
import { useNamespace } from "../namespace-rows.ts";
import type { Scope } from "../store-context.ts";
import { findBlob, saveBlob } from "./blob-rows.ts";
import { claimMissing, claimRef, claimTime, endIngest, leaseStored, takeRef } from "./ingest-rows.ts";
import type { Claim, Hold } from "./ingest-rows.ts";
import { RecordingWriter } from "./recording-writer.ts";
import { beingRemoved, isBeingRemoved } from "./removals.ts";
import { SharedWriter } from "./shared-writer.ts";

type Missing = Claim & { readonly kind: "missing" };
type Shared = Claim & { readonly kind: "shared" };

/** Opens the writers of one namespace, and closes those that are open. */
export class WriterOpener {
  readonly #scope: Scope;
  readonly #writers: Set<Writer> = new Set();

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async open(ref: string, options: WriterOptions): Promise<Writer> {
    const { expected = {}, signal } = options;
    const { database } = this.#scope.context;
    const claim = await database.note((session) => claimRef(session, this.#scope, ref, expected), signal);
    if (claim.kind === "shared") return this.#share(ref, expected, claim);
    if (claim.kind === "missing") return this.#ingest(ref, options, claim);
    const { digest } = expected;
    if (digest !== undefined && (await this.#sizeBelow(digest, signal)) === claim.size) {
      if (await this.#lease(digest, signal)) throw alreadyExists(digest);
      return this.open(ref, options);
    }
    // Its bytes are gone, or cut short: they can be brought again.
    const hidden = { digest, hidden: true };
    const missing = await database.note((session) => claimMissing(session, this.#scope, ref, hidden), signal);
    return this.#ingest(ref, options, missing);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#writers].map((writer) => writer.close()));
  }

  async #ingest(ref: string, options: WriterOptions, claim: Missing): Promise<Writer> {
    const { expected = {}, signal } = options;
    let writer: Writer | undefined;
    let hold: Hold;
    try {
      writer = await this.#openBelow(ref, options, claim);
      hold = await this.#hold(ref, claim, expected.digest, signal);
    } catch (error) {
      // The error that matters is the one we have.
      await writer?.close().catch(() => undefined);
      await this.#giveUp(ref, claim, error);
      throw error;
    }
    const recording: Writer = new RecordingWriter(this.#scope, writer, {
      ref,
      expected,
      hold,
      onClose: () => this.#writers.delete(recording),
    });
    this.#writers.add(recording);
    return recording;
  }

  /** What keeps an ingest that is open below: the record that was made for it, if that is still there. */
  async #hold(ref: string, claim: Missing, digest: Digest | undefined, signal: AbortSignal | undefined): Promise<Hold> {
    const { context, namespace } = this.#scope;
    const { database } = context;
    const stands = (session: Session): boolean => claimTime(session, namespace, ref) === claim.claimedAt;
    if (claim.isNew && (await database.read(stands, signal))) return claim;
    return database.note((session) => takeRef(session, this.#scope, ref, digest), signal);
  }

  async #openBelow(ref: string, options: WriterOptions, claim: Missing): Promise<Writer> {
    const { expected = {}, signal } = options;
    const { digest, size } = expected;
    const below = `${this.#scope.namespace}/${ref}`;
    try {
      return await this.#scope.context.content.writer(below, options);
    } catch (error) {
      if (digest === undefined || !hasCode(error, "ERR_ALREADY_EXISTS")) throw error;
      if (!claim.hidden) return await this.#adopt(ref, digest, claim, signal);
      if (await this.#cameMeanwhile(digest, signal)) throw alreadyExists(digest);
      return this.#scope.context.content.writer(below, { expected: { size }, signal });
    }
  }

  /** Whether somebody has brought the blob to this namespace since the ref was claimed. It is held then. */
  async #cameMeanwhile(digest: Digest, signal: AbortSignal | undefined): Promise<boolean> {
    const { context, namespace } = this.#scope;
    const blob = await context.database.read((session) => findBlob(session, namespace, digest), signal);
    if (blob === undefined || (await this.#sizeBelow(digest, signal)) !== blob.size) return false;
    return this.#lease(digest, signal);
  }

  /** The blob is below, and no namespace has a record of it: a process died before it made one, or is about to make it (K07). */
  async #adopt(ref: string, digest: Digest, claim: Missing, signal: AbortSignal | undefined): Promise<never> {
    if (claim.removing) throw beingRemoved(digest);
    const { context, namespace } = this.#scope;
    const size = await this.#sizeBelow(digest, signal);
    if (size === undefined) throw beingRemoved(digest);
    await context.database.write((session) => {
      if (isBeingRemoved(session, digest)) throw beingRemoved(digest);
      useNamespace(session, namespace);
      endIngest(session, this.#scope, ref, { claimedAt: claim.claimedAt, digest });
      saveBlob(session, namespace, { digest, size, labels: {} });
    }, signal);
    throw alreadyExists(digest);
  }

  #share(ref: string, expected: Expected, claim: Shared): Writer {
    const { context } = this.#scope;
    const { digest } = expected;
    if (digest === undefined) throw new CodedError("ERR_INTERNAL", `ingest ${ref}: shared without a digest`);
    const { size, claimedAt } = claim;
    const descriptor: Descriptor = { mediaType: "application/octet-stream", digest, size };
    const writer: Writer = new SharedWriter(this.#scope, {
      ref,
      digest,
      size,
      claimedAt,
      openPrivate: async () => {
        const missing = await context.database.note((session) =>
          claimMissing(session, this.#scope, ref, { hidden: true }),
        );
        return this.#ingest(ref, {}, missing);
      },
      bytes: () => this.#bytesOf(descriptor),
      onClose: () => this.#writers.delete(writer),
    });
    this.#writers.add(writer);
    return writer;
  }

  async *#bytesOf(descriptor: Descriptor): AsyncGenerator<Uint8Array, void, undefined> {
    const reader = await this.#scope.context.content.open(descriptor);
    try {
      yield* reader.stream();
    } finally {
      await reader.close();
    }
  }

  /** Whether the blob is still there to be held. A lease that outlives this process is to outlive a power cut, too. */
  async #lease(digest: Digest, signal: AbortSignal | undefined): Promise<boolean> {
    const { context, lease } = this.#scope;
    if (lease === undefined) return true;
    return context.database.record((session) => leaseStored(session, this.#scope, digest), signal);
  }

  async #sizeBelow(digest: Digest, signal: AbortSignal | undefined): Promise<number | undefined> {
    try {
      return (await this.#scope.context.content.info(digest, { signal })).size;
    } catch (error) {
      if (hasCode(error, "ERR_NOT_FOUND")) return undefined;
      throw error;
    }
  }

  /** Drops a record that was made for nothing; if that fails too, the collector does it. */
  async #giveUp(ref: string, { isNew, claimedAt }: Missing, error: unknown): Promise<void> {
    if (!isNew) return;
    // Who has the ref or the blob has a record of his own.
    const isOthers = hasCode(error, "ERR_ALREADY_EXISTS") || hasCode(error, "ERR_UNAVAILABLE");
    if (!isOthers && (await this.#mayBeBelow(ref))) return;
    await this.#scope.context.database
      .free((session) => endIngest(session, { ...this.#scope, lease: undefined }, ref, { claimedAt }))
      .catch(() => {});
  }

  async #mayBeBelow(ref: string): Promise<boolean> {
    const { context, namespace } = this.#scope;
    try {
      await context.content.status(`${namespace}/${ref}`);
      return true;
    } catch (error) {
      return !hasCode(error, "ERR_NOT_FOUND");
    }
  }
}

function alreadyExists(digest: Digest): CodedError {
  return new CodedError("ERR_ALREADY_EXISTS", `content ${digest}: already exists`);
}
