import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { descriptorFields, readDescriptor } from "./descriptor.ts";
import type { Descriptor } from "./descriptor.ts";
import { readImageConfig } from "./image-config.ts";
import type { ImageConfig } from "./image-config.ts";
import { parseJson } from "./json-document.ts";
import { JsonObject, defined } from "./json-object.ts";
import { isConfigType, isIndexType, isManifestType, isSchema1Type, mediaTypes } from "./media-types.ts";

/** One image: its config and its layers. Fields not listed here are kept when read. */
export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType?: string | undefined;
  /** What this is, if it is not an image. */
  readonly artifactType?: string | undefined;
  readonly config: Descriptor;
  /** The lowest first. */
  readonly layers: readonly Descriptor[];
  /** The manifest that this one belongs to. */
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** A list of manifests, usually one image for several platforms. Fields not listed here are kept when read. */
export interface Index {
  readonly schemaVersion: 2;
  readonly mediaType?: string | undefined;
  readonly artifactType?: string | undefined;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** A parsed document and the media type it turned out to have. */
export type Document =
  | { readonly kind: "manifest"; readonly mediaType: string; readonly manifest: Manifest }
  | { readonly kind: "index"; readonly mediaType: string; readonly index: Index }
  | { readonly kind: "config"; readonly mediaType: string; readonly config: ImageConfig };

export interface ParseOptions {
  /** What the document was announced as, by a descriptor or a `Content-Type` without parameters. */
  readonly mediaType?: string | undefined;
  /** Named in messages; the bytes are not compared with it. */
  readonly digest?: Digest | undefined;
  /** Bytes at most; default 8 MiB (M6). */
  readonly maxSize?: number | undefined;
}

/** The default of `ParseOptions.maxSize`. */
export const defaultMaxDocumentSize: number = 8 * 1024 * 1024;

const documentFields = [
  "schemaVersion",
  "mediaType",
  "artifactType",
  "config",
  "layers",
  "manifests",
  "subject",
  "annotations",
  "fsLayers",
] as const;
// What servers call a document whose type they do not know.
const vagueTypes: ReadonlySet<string> = new Set([
  "",
  "application/json",
  "application/octet-stream",
  "binary/octet-stream",
  "text/plain",
]);

/**
 * Reads an image manifest, OCI or Docker schema 2. Nothing is ever written back from the result: keep the bytes (M12).
 *
 * @throws ERR_INVALID_DATA not a manifest, or one that is something else as well (M5)
 * @throws ERR_NOT_IMPLEMENTED Docker schema 1 (M7), or a digest of an unknown algorithm
 * @throws ERR_RESOURCE_EXHAUSTED larger than `maxSize`
 */
export function parseManifest(source: Uint8Array | string, options: ParseOptions = {}): Manifest {
  return readManifest(openDocument(source, "manifest", options), options.mediaType);
}

/** Reads an OCI index or Docker manifest list. Throws as `parseManifest` does. */
export function parseIndex(source: Uint8Array | string, options: ParseOptions = {}): Index {
  return readIndex(openDocument(source, "index", options), options.mediaType);
}

/**
 * Reads an image config. Throws as `parseManifest` does.
 *
 * @throws ERR_NOT_IMPLEMENTED `mediaType` is not that of an image config: artifacts have others (M11)
 */
export function parseImageConfig(source: Uint8Array | string, options: ParseOptions = {}): ImageConfig {
  const subject = subjectOf("image config", options.digest);
  if (options.mediaType !== undefined && !isConfigType(options.mediaType)) {
    throw new CodedError(
      "ERR_NOT_IMPLEMENTED",
      `${subject}: ${quote(options.mediaType)}: not the type of an image config`,
    );
  }
  return readImageConfig(parseJson(source, subject, options.maxSize ?? defaultMaxDocumentSize), subject);
}

/**
 * Reads a manifest, index or image config, whichever `mediaType` says. Without a type, or with one that says nothing
 * (`application/json`, `text/plain`), the document's own counts, and then its form.
 *
 * @throws ERR_NOT_IMPLEMENTED the type is none of these
 */
export function parseDocument(source: Uint8Array | string, options: ParseOptions = {}): Document {
  const announced = options.mediaType ?? "";
  if (isConfigType(announced)) {
    return { kind: "config", mediaType: announced, config: parseImageConfig(source, options) };
  }
  const document = openDocument(source, "document", options);
  const mediaType = vagueTypes.has(announced) ? ownType(document) : announced;
  if (isManifestType(mediaType)) return { kind: "manifest", mediaType, manifest: readManifest(document, mediaType) };
  if (isIndexType(mediaType)) return { kind: "index", mediaType, index: readIndex(document, mediaType) };
  const subject = subjectOf("document", options.digest);
  throw new CodedError("ERR_NOT_IMPLEMENTED", `${subject}: media type ${quote(mediaType)} is not supported`);
}

function openDocument(source: Uint8Array | string, what: string, options: ParseOptions): JsonObject {
  const subject = subjectOf(what, options.digest);
  if (isSchema1Type(options.mediaType ?? "")) throw schema1(subject);
  const value = parseJson(source, subject, options.maxSize ?? defaultMaxDocumentSize);
  const document = new JsonObject(value, subject, "", documentFields);
  const version = document.fields["schemaVersion"];
  if (version === 1 || document.has("fsLayers") || isSchema1Type(document.text("mediaType") ?? "")) {
    throw schema1(subject);
  }
  // Some writers leave it out, and readers never asked for it.
  if (version !== undefined && version !== 2) throw document.fail("schemaVersion", "not 2");
  return document;
}

function ownType(document: JsonObject): string {
  const own = document.text("mediaType");
  if (own !== undefined && own !== "") return own;
  if (document.has("manifests")) return mediaTypes.ociIndex;
  if (document.has("layers") || document.has("config")) return mediaTypes.ociManifest;
  throw document.fail(undefined, "neither a manifest nor an index");
}

function readManifest(document: JsonObject, announced: string | undefined): Manifest {
  const mediaType = checkedType(document, announced, isManifestType, "an image manifest");
  if (document.has("manifests")) throw document.fail("manifests", "an image manifest has none, an index has no layers");
  const config = document.required("config", document.object("config", descriptorFields));
  return {
    ...document.fields,
    schemaVersion: 2,
    config: readDescriptor(config),
    layers: (document.objects("layers", descriptorFields) ?? []).map(readDescriptor),
    ...commonFields(document, mediaType),
  };
}

function readIndex(document: JsonObject, announced: string | undefined): Index {
  const mediaType = checkedType(document, announced, isIndexType, "an index");
  for (const name of ["layers", "config"]) {
    if (document.has(name)) throw document.fail(name, "an index has none, an image manifest has no manifests");
  }
  return {
    ...document.fields,
    schemaVersion: 2,
    manifests: document.required("manifests", document.objects("manifests", descriptorFields)).map(readDescriptor),
    ...commonFields(document, mediaType),
  };
}

function commonFields(
  document: JsonObject,
  mediaType: string | undefined,
): Pick<Manifest, "mediaType" | "artifactType" | "subject" | "annotations"> {
  const subject = document.object("subject", descriptorFields);
  return defined({
    mediaType,
    artifactType: document.text("artifactType"),
    subject: subject && readDescriptor(subject),
    annotations: document.textMap("annotations"),
  });
}

/** The document's own type, if it has one: it must be what was announced, and of the right kind. */
function checkedType(
  document: JsonObject,
  announced: string | undefined,
  isRight: (mediaType: string) => boolean,
  wanted: string,
): string | undefined {
  const own = document.text("mediaType") || undefined;
  for (const mediaType of [announced, own]) {
    if (mediaType !== undefined && !isRight(mediaType)) {
      throw document.fail("mediaType", `${quote(mediaType)} is not the type of ${wanted}`);
    }
  }
  if (announced !== undefined && own !== undefined && own !== announced) {
    throw document.fail("mediaType", `${quote(own)}, but it was announced as ${quote(announced)}`);
  }
  return own;
}

function schema1(subject: string): CodedError {
  return new CodedError(
    "ERR_NOT_IMPLEMENTED",
    `${subject}: docker schema 1 manifests are not supported, push the image again with a current client`,
  );
}

function subjectOf(what: string, digest: Digest | undefined): string {
  return digest === undefined ? what : `${what} ${digest}`;
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 128));
}
