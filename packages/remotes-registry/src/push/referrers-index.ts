import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { sleep } from "@varve/locks";
import { bareMediaType, mediaTypes, parseIndex } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { RegistryRequest } from "../hosts/registry-host.ts";
import { readAtMost } from "../http/body.ts";
import type { Reply } from "../http/reply.ts";
import { backoff } from "../http/retry.ts";
import { referrersTag } from "../repository/referrers-api.ts";
import type { RepositoryPlace } from "../repository/referrers-api.ts";
import { stateOf } from "./repository-state.ts";

const accepted: ReadonlySet<number> = new Set([200, 201, 202, 204]);
/** How often somebody else may be faster. */
const maxAttempts = 8;

/** An index as it is stored now. */
interface Stored {
  /** Every field as it was found, known here or not. */
  readonly fields: Record<string, unknown>;
  readonly entries: readonly unknown[];
  readonly digests: ReadonlySet<string>;
  readonly etag: string | undefined;
}

/** The list of what refers to a manifest, under its tag, for registries that keep none (R3). */
export class ReferrersIndex {
  readonly #place: RepositoryPlace;
  readonly #tag: string;

  constructor(place: RepositoryPlace, subject: Digest) {
    this.#place = place;
    this.#tag = referrersTag(subject);
  }

  /**
   * Adds an entry unless it is there. Others may do the same at the same time: where the registry tells versions apart it is asked
   * to, elsewhere the list is looked at again, until the entry is in it.
   *
   * @throws ERR_FAILED_PRECONDITION others were faster each time
   */
  async add(descriptor: Descriptor): Promise<void> {
    const has = (stored: Stored): boolean => stored.digests.has(descriptor.digest);
    await this.#change(has, ({ entries }) => [...entries, descriptor]);
  }

  /** Takes an entry out, if there is a list and it is in it. */
  async remove(digest: Digest): Promise<void> {
    await this.#change(
      (stored) => !stored.digests.has(digest),
      ({ entries }) => entries.filter((entry) => digestIn(entry) !== digest),
    );
  }

  async #change(isDone: (stored: Stored) => boolean, next: (stored: Stored) => readonly unknown[]): Promise<void> {
    const { registry, settings, signal } = this.#place;
    const release = await stateOf(registry).locks.acquire(`tag ${this.#tag}`, { signal });
    try {
      for (let attempt = 0; attempt <= maxAttempts; attempt += 1) {
        const stored = await this.#read();
        if (isDone(stored)) return;
        // The first look after a change finds it there, unless somebody else was faster.
        if (attempt > 1) await sleep(backoff(settings, attempt), { signal });
        if (attempt < maxAttempts) await this.#write(stored, next(stored));
      }
    } finally {
      release();
    }
    const text = `referrers tag ${this.#tag}: changed by others each of ${maxAttempts} times`;
    throw new CodedError("ERR_FAILED_PRECONDITION", text);
  }

  async #read(): Promise<Stored> {
    const request = this.#request("GET", { accept: mediaTypes.ociIndex });
    const reply = await this.#place.registry.send(request);
    if (reply.status === 404) {
      await reply.discard();
      const fields = { schemaVersion: 2, mediaType: mediaTypes.ociIndex };
      return { fields, entries: [], digests: new Set(), etag: undefined };
    }
    if (reply.status !== 200) throw await this.#place.registry.failure(reply, request);
    return storedIn(await readAtMost(reply, this.#place.settings.maxManifestSize), reply, this.#tag);
  }

  /** Does nothing if the registry has another version by now. */
  async #write({ fields, etag }: Stored, entries: readonly unknown[]): Promise<void> {
    const bytes = Buffer.from(JSON.stringify({ ...fields, manifests: entries }));
    const limit = this.#place.settings.maxManifestSize;
    if (bytes.byteLength > limit) {
      const text = `referrers tag ${this.#tag}: ${bytes.byteLength} bytes are over the limit of ${limit}`;
      throw new CodedError("ERR_RESOURCE_EXHAUSTED", text);
    }
    const headers = { "content-type": mediaTypes.ociIndex, ...(etag !== undefined && { "if-match": etag }) };
    const request = { ...this.#request("PUT", headers), body: bytes };
    const reply = await this.#place.registry.send(request);
    if (!accepted.has(reply.status) && reply.status !== 412) throw await this.#place.registry.failure(reply, request);
    await reply.discard();
  }

  #request(method: "GET" | "PUT", headers: Record<string, string>): RegistryRequest {
    const { repository, signal } = this.#place;
    // What is read decides what is written: it must come from where that goes.
    const common = { purpose: "push", actions: "pull,push" } as const;
    return { method, repository, target: `manifests/${this.#tag}`, ...common, headers, signal };
  }
}

function storedIn(bytes: Buffer, reply: Reply, tag: string): Stored {
  const subject = `referrers tag ${tag}`;
  const served = bareMediaType(reply.header("content-type") ?? "");
  if (served !== mediaTypes.ociIndex) {
    throw new CodedError(
      "ERR_INVALID_DATA",
      `${subject}: ${JSON.stringify(served.slice(0, 100))} is no list of referrers`,
    );
  }
  const { manifests } = parseIndex(bytes, { mediaType: served, maxSize: bytes.byteLength });
  const fields: unknown = JSON.parse(bytes.toString("utf8"));
  if (typeof fields !== "object" || fields === null || !("manifests" in fields) || !Array.isArray(fields.manifests)) {
    throw new CodedError("ERR_INVALID_DATA", `${subject}: no list of referrers`);
  }
  return {
    fields: { ...fields },
    entries: fields.manifests,
    digests: new Set(manifests.map(({ digest }) => digest)),
    etag: strongEtag(reply.header("etag")),
  };
}

/** A weak one is equal to none for `If-Match` (RFC 9110, section 13.1.1); proxies that compress make them. */
function strongEtag(etag: string | undefined): string | undefined {
  return etag?.startsWith("W/") === true ? undefined : etag;
}

function digestIn(entry: unknown): unknown {
  return typeof entry === "object" && entry !== null && "digest" in entry ? entry.digest : undefined;
}
