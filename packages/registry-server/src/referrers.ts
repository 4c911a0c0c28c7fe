import type { Digest } from "@varve/digest";
import { digestAlgorithm, digestHex } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { Call } from "./call.ts";
import type { ReferrersIndex } from "./referrers-index.ts";
import type { Repositories } from "./repositories.ts";
import { digestIn } from "./route.ts";
import type { StoredManifests } from "./stored-manifests.ts";
import type { TagStore } from "./tag-store.ts";

export interface ReferrersOptions {
  readonly index: ReferrersIndex;
  readonly manifests: StoredManifests;
  readonly repositories: Repositories;
  readonly tags: TagStore;
}

/** One entry of the list; the annotations are as the manifest has them, whatever they are. */
interface Referrer extends Pick<Descriptor, "mediaType" | "digest" | "size" | "artifactType"> {
  readonly annotations: object | undefined;
}

/** What was found under a digest. */
interface Described {
  readonly referrer: Referrer | undefined;
  /** Bytes that were read for it. */
  readonly size: number;
}

/** Manifests that are read for one page, whatever of them is shown, and their bytes. */
const maxRead = 1000;
const maxReadBytes = 32 * 1024 * 1024;
/** Clients may refuse larger documents. */
const maxPageBytes = 4 * 1024 * 1024;

/** Answers with the manifests that have a subject, by pages, as an index. */
export async function sendReferrers(
  call: Call,
  options: ReferrersOptions,
  names: readonly string[],
  subject: Digest,
): Promise<void> {
  const { searchParams, pathname } = call.url;
  const artifactType = searchParams.get("artifactType") ?? "";
  const last = searchParams.has("last") ? digestIn(searchParams.get("last") ?? "") : "";
  const all = [...(await options.index.of(subject)), ...(await byTag(options, names, subject, call.signal))];
  const rest = [...new Set(all)].filter((digest) => digest > last).toSorted();
  const describeOne = (digest: Digest): Promise<Described> => describe(options, names, subject, digest, call.signal);
  const { manifests, next } = await pageOf(rest, artifactType, describeOne);
  const query = new URLSearchParams(searchParams);
  query.set("last", next ?? "");
  sendIndex(call, manifests, {
    ...(artifactType !== "" && { "oci-filters-applied": "artifactType" }),
    ...(next !== undefined && { link: `<${pathname}?${query.toString()}>; rel="next"` }),
  });
}

/** As many as one answer holds; `next`: the last one that it is about, if there are more. */
async function pageOf(
  rest: readonly Digest[],
  artifactType: string,
  describeOne: (digest: Digest) => Promise<Described>,
): Promise<{ readonly manifests: readonly object[]; readonly next: Digest | undefined }> {
  const manifests: object[] = [];
  let bytes = 0;
  let bytesRead = 0;
  for (const [count, digest] of rest.entries()) {
    const { referrer, size } = await describeOne(digest);
    bytesRead += size;
    if (referrer !== undefined && (artifactType === "" || referrer.artifactType === artifactType)) {
      const shown = Buffer.byteLength(JSON.stringify(referrer)) + 1;
      // One that is larger than a page has a page of its own.
      if (bytes > 0 && bytes + shown > maxPageBytes) return { manifests, next: rest[count - 1] };
      manifests.push(referrer);
      bytes += shown;
    }
    const isMuch = count + 1 === maxRead || bytesRead > maxReadBytes;
    if (isMuch && count + 1 < rest.length) return { manifests, next: digest };
  }
  return { manifests, next: undefined };
}

export function sendIndex(call: Call, manifests: readonly object[], headers: Readonly<Record<string, string>>): void {
  const type = mediaTypes.ociIndex;
  call.json(200, { schemaVersion: 2, mediaType: type, manifests }, { "content-type": type, ...headers });
}

async function describe(
  { manifests, repositories }: ReferrersOptions,
  names: readonly string[],
  subject: Digest,
  digest: Digest,
  signal: AbortSignal,
): Promise<Described> {
  if ((await repositories.find(names, digest, signal)) === undefined) return { referrer: undefined, size: 0 };
  const stored = await manifests.read(digest, signal);
  const size = stored?.bytes.byteLength ?? 0;
  if (stored?.facts.subject !== subject) return { referrer: undefined, size };
  const { mediaType, artifactType, annotations } = stored.facts;
  return { referrer: { mediaType, digest, size, artifactType, annotations }, size };
}

/**
 * Those that clients wrote into the index under the fallback tag, when the registry they pushed to had no such list
 * (distribution specification, "Enabling the Referrers API").
 */
async function byTag(
  { tags, manifests }: ReferrersOptions,
  names: readonly string[],
  subject: Digest,
  signal: AbortSignal,
): Promise<readonly Digest[]> {
  const tag = `${digestAlgorithm(subject)}-${digestHex(subject).slice(0, 64)}`;
  const found: Digest[] = [];
  for (const name of names) {
    const target = await tags.get(name, tag);
    if (target === undefined) continue;
    for (const { digest } of await manifests.references(target.digest, signal)) found.push(digest);
  }
  return found;
}
