import { digestAlgorithm, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { bareMediaType, isConfigType, isIndexType, isManifestType, mediaTypes, parseIndex } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { RegistryRequest } from "../hosts/registry-host.ts";
import { readAtMost } from "../http/body.ts";
import type { Reply } from "../http/reply.ts";
import { pages } from "./pages.ts";
import { asReferrer } from "./referrer.ts";
import { askForReferrers, isReferrersList, referrersRequest, referrersTag } from "./referrers-api.ts";
import type { RepositoryPlace } from "./referrers-api.ts";

const maxReferrers = 100_000;
/** Manifests that are read because their list may be wrong about them. */
const maxDoubts = 256;

/** Lists what refers to a manifest. */
export class ReferrersList {
  readonly #place: RepositoryPlace;
  readonly #subject: Digest;
  readonly #artifactType: string | undefined;
  readonly #seen = new Set<Digest>();
  #doubts = 0;

  constructor(place: RepositoryPlace, subject: Digest, artifactType: string | undefined) {
    this.#place = place;
    this.#subject = subject;
    this.#artifactType = artifactType;
  }

  async *run(): AsyncGenerator<Descriptor, void, undefined> {
    for await (const { descriptor, isChosen } of this.#listed()) {
      if (this.#seen.has(descriptor.digest)) continue;
      if (this.#seen.size === maxReferrers) {
        const text = `manifest ${this.#subject}: more than ${maxReferrers} manifests refer to it`;
        throw new CodedError("ERR_RESOURCE_EXHAUSTED", text);
      }
      this.#seen.add(descriptor.digest);
      const wanted = isChosen ? descriptor : await this.#ifWanted(descriptor);
      if (wanted !== undefined) yield wanted;
    }
  }

  /** `isChosen`: the registry says that it left out what is of another type. */
  async *#listed(): AsyncGenerator<{ descriptor: Descriptor; isChosen: boolean }, void, undefined> {
    const request = referrersRequest(this.#place, this.#subject, this.#artifactType);
    const reply = await askForReferrers(this.#place, request);
    if (reply === undefined || !isReferrersList(reply)) {
      yield* this.#unlisted(reply, request);
      return;
    }
    let isEmpty = true;
    for await (const page of pages(this.#place, request, reply)) {
      const isChosen = this.#artifactType !== undefined && filtersOf(page.reply).has("artifactType");
      for (const descriptor of this.#entries(page.bytes)) {
        isEmpty = false;
        yield { descriptor, isChosen };
      }
    }
    // Harbor takes the type of the config for the manifest's, and then finds nothing (R5).
    if (isEmpty && this.#artifactType !== undefined) yield* this.#unfiltered();
  }

  async *#unfiltered(): AsyncGenerator<{ descriptor: Descriptor; isChosen: boolean }, void, undefined> {
    const request = referrersRequest(this.#place, this.#subject);
    const reply = await this.#place.registry.send(request);
    if (!isReferrersList(reply)) throw await this.#place.registry.failure(reply, request);
    for await (const page of pages(this.#place, request, reply)) {
      for (const descriptor of this.#entries(page.bytes)) yield { descriptor, isChosen: false };
    }
  }

  /** A registry without such lists has them under tags (R2). */
  async *#unlisted(
    reply: Reply | undefined,
    request: RegistryRequest,
  ): AsyncGenerator<{ descriptor: Descriptor; isChosen: boolean }, void, undefined> {
    if (reply !== undefined && saysNothing(reply)) throw await this.#place.registry.failure(reply, request);
    await reply?.discard();
    const tag = referrersTag(this.#subject);
    const bytes = await this.#read(tag, mediaTypes.ociIndex);
    if (bytes === undefined) return;
    for (const descriptor of this.#entries(bytes)) yield { descriptor, isChosen: false };
  }

  #entries(bytes: Buffer): readonly Descriptor[] {
    return parseIndex(bytes, { mediaType: mediaTypes.ociIndex, maxSize: bytes.byteLength }).manifests;
  }

  /** The descriptor, its type put right, if it is of the type that is asked for. */
  async #ifWanted(descriptor: Descriptor): Promise<Descriptor | undefined> {
    if (this.#artifactType === undefined || descriptor.artifactType === this.#artifactType) return descriptor;
    if (!isDoubtful(descriptor) || this.#doubts === maxDoubts) return undefined;
    this.#doubts += 1;
    const bytes = await this.#read(descriptor.digest, descriptor.mediaType);
    if (bytes === undefined || digestOf(bytes, digestAlgorithm(descriptor.digest)) !== descriptor.digest)
      return undefined;
    const told = asReferrer(descriptor, bytes)?.descriptor.artifactType;
    return told === this.#artifactType ? { ...descriptor, artifactType: told } : undefined;
  }

  async #read(reference: string, mediaType: string): Promise<Buffer | undefined> {
    const { registry, repository, settings, signal } = this.#place;
    const request: RegistryRequest = {
      method: "GET",
      repository,
      target: `manifests/${reference}`,
      purpose: reference.includes(":") ? "pull" : "resolve",
      headers: { accept: mediaType },
      signal,
    };
    const reply = await registry.send(request);
    if (reply.status === 404) {
      await reply.discard();
      return undefined;
    }
    if (reply.status !== 200) throw await registry.failure(reply, request);
    return readAtMost(reply, settings.maxManifestSize);
  }
}

/** Whether an answer says nothing of what the registry can do. */
function saysNothing({ status }: Reply): boolean {
  return status === 401 || status === 403 || status === 429 || status >= 502;
}

/** Where a registry may have taken the config's type for the manifest's own, or none. */
function isDoubtful({ artifactType = "", mediaType }: Descriptor): boolean {
  if (!isManifestType(mediaType) && !isIndexType(mediaType)) return false;
  return artifactType === "" || artifactType === mediaTypes.ociEmpty || isConfigType(bareMediaType(artifactType));
}

function filtersOf(reply: Reply): ReadonlySet<string> {
  const names = reply.headers("oci-filters-applied").flatMap((header) => header.split(","));
  return new Set(names.map((name) => name.trim()));
}
