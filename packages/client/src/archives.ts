import { CodedError } from "@varve/errors";
import { childrenHandler, limitManifests } from "@varve/images";
import type { Handler } from "@varve/images";
import { exportArchive, exportLayout, importArchive, importLayout } from "@varve/image-archive";
import type { ArchivedImage, ExportArchiveOptions, ImageToExport, OnBlob } from "@varve/image-archive";
import type { Namespace } from "@varve/metadata";
import { onlyPlatform } from "@varve/oci";
import { formatReference, parseReference } from "@varve/reference";
import type { Reference } from "@varve/reference";
import type { ExportImagesOptions, ImportedImage, ImportImagesOptions } from "./transfers.ts";
import { platformOf } from "./platform.ts";
import type { Stack } from "./stack.ts";
import { underLease } from "./under-lease.ts";

/** Blobs → image records, under a lease. */
export async function importImages(
  stack: Stack,
  source: string | AsyncIterable<Uint8Array>,
  options: ImportImagesOptions = {},
): Promise<readonly ImportedImage[]> {
  const { maxBytes, onProgress, signal } = options;
  // Before anything is read.
  const given = options.name === undefined ? undefined : givenName(options.name);
  const onBlob: OnBlob = (blob) => {
    onProgress?.({ type: "fetched", descriptor: { mediaType: "application/octet-stream", ...blob } });
  };
  return underLease(
    stack,
    async ({ content, images }) => {
      const importing = { content, maxBytes, onBlob, signal };
      const found =
        typeof source === "string" ? await importLayout(source, importing) : await importArchive(source, importing);
      // All names, before the first is written.
      const named = found.map((image) => ({ target: image.target, names: namesFor(image, given, found.length) }));
      mustNotClash(named);
      for (const { names, target } of named) {
        for (const name of names) await images.put({ name, target }, { signal });
      }
      return named.map(({ names, target: { mediaType, digest, size } }) => ({
        names,
        target: { mediaType, digest, size },
      }));
    },
    signal,
  );
}

interface GivenName {
  readonly reference: Reference;
  /** Whether somebody has written it, and it is not only what a name without one stands for. */
  readonly hasTag: boolean;
}

function givenName(name: string): GivenName {
  const reference = parseReference(name);
  // What has this digest has other bytes than the archive, or needs no such name.
  if (reference.digest !== undefined) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `reference ${name}: a digest is no name for what is imported`);
  }
  return { reference, hasTag: reference.tag !== undefined && name.endsWith(`:${reference.tag}`) };
}

/** Names of the archive are kept; the given one is for what has none. */
function namesFor({ names, tags }: ArchivedImage, given: GivenName | undefined, images: number): readonly string[] {
  if (names.length > 0 || given === undefined) return names;
  const { hasTag, reference } = given;
  if (images === 1 && (hasTag || tags.length === 0)) return [formatReference(reference)];
  if (tags.length > 0) {
    return tags.map((tag) => formatReference({ domain: reference.domain, path: reference.path, tag }));
  }
  throw new CodedError(
    "ERR_INVALID_ARGUMENT",
    `reference ${reference.toString()}: the archive has ${images} images, and not all have a name or a tag`,
  );
}

/** The names of an archive are unambiguous, but those made from its tags may be others of its names. */
function mustNotClash(images: readonly ImportedImage[]): void {
  const taken = new Set<string>();
  for (const name of images.flatMap(({ names }) => names)) {
    if (taken.has(name)) throw new CodedError("ERR_INVALID_DATA", `image ${name}: the archive has two of them`);
    taken.add(name);
  }
}

/** Image records → a tar. The lease holds until the last byte was taken. */
export async function* exportImages(
  stack: Stack,
  names: readonly string[],
  options: ExportImagesOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  // A generator cannot yield from inside a callback: the lease is held beside it.
  const done = Promise.withResolvers<void>();
  const held = Promise.withResolvers<Namespace>();
  const lease = underLease(
    stack,
    (namespace) => {
      held.resolve(namespace);
      return done.promise;
    },
    options.signal,
  );
  lease.catch(held.reject);
  try {
    const namespace = await held.promise;
    yield* exportArchive(await imagesToExport(namespace, names, options), exportOptions(namespace, options));
  } finally {
    done.resolve();
    await lease;
  }
}

export async function exportToLayout(
  stack: Stack,
  names: readonly string[],
  directory: string,
  options: ExportImagesOptions = {},
): Promise<void> {
  await underLease(
    stack,
    async (namespace) => {
      await exportLayout(await imagesToExport(namespace, names, options), directory, exportOptions(namespace, options));
    },
    options.signal,
  );
}

/** One image under several names is written once, under all of them. */
async function imagesToExport(
  { images }: Namespace,
  names: readonly string[],
  { signal }: ExportImagesOptions,
): Promise<readonly ImageToExport[]> {
  const byDigest = new Map<string, ImageToExport & { readonly names: string[] }>();
  for (const text of names) {
    const { name, target } = await images.get(formatReference(parseReference(text)), { signal });
    const same = byDigest.get(target.digest);
    if (same === undefined) byDigest.set(target.digest, { target, names: [name] });
    else same.names.push(name);
  }
  return [...byDigest.values()];
}

function exportOptions(
  { content }: Namespace,
  { dockerCompatible, platform, signal }: ExportImagesOptions,
): ExportArchiveOptions {
  const common = { provider: content, dockerCompatible, signal };
  if (platform === undefined || platform === "all") return common;
  const matcher = onlyPlatform(platformOf(platform));
  const children: Handler = limitManifests(childrenHandler(content), { matcher, limit: 1 });
  return { ...common, platform: matcher, children };
}
