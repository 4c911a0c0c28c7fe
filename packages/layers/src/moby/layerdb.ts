import { opendir } from "node:fs/promises";
import { chainIds, digestHex, isDigest, parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import { JsonObject, parseJson } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { openDirectory, readSmallFile } from "./files.ts";
import type { OpenDirectory } from "./files.ts";

/** A layer as moby has recorded it. */
export interface MobyLayer {
  readonly chainId: Digest;
  readonly diffId: Digest;
  readonly parent: Digest | undefined;
  /** What the driver calls its files; of the built-in empty layer there are none. */
  readonly cacheId: string | undefined;
  readonly descriptor: Descriptor | undefined;
}

/** A layer that cannot be had. */
export interface BrokenMobyLayer {
  readonly chainId: Digest;
  /** What is wrong. Where it is a layer further down, that one's error is the `cause`. */
  readonly error: Error;
}

/** Two blocks of zeros; moby has it without files (S1.74). */
export const emptyLayer: MobyLayer = {
  chainId: parseDigest("sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"),
  diffId: parseDigest("sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"),
  parent: undefined,
  cacheId: undefined,
  descriptor: undefined,
};

/** Of a file with one number, digest or id. */
const textBytes = 1024;
const descriptorBytes = 1024 * 1024;
const layerName = /^[0-9a-f]{64}$/;
const cacheName = /^[0-9a-f]{64}(?:-init)?$/;
const descriptorFields = ["mediaType", "digest", "size", "urls", "annotations"];

/**
 * What a layerdb says of its layers, in no order. Names that are no digests are passed over, and so is what moby was removing
 * (S1.71, S1.72).
 *
 * @throws ERR_NOT_FOUND there is no layerdb
 */
export async function* readLayerdb(
  path: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<BrokenMobyLayer | MobyLayer, void, undefined> {
  const directory = await openLayerdb(path);
  try {
    for await (const { name } of await opendir(directory.path)) {
      signal?.throwIfAborted();
      if (!layerName.test(name)) continue;
      const chainId = parseDigest(`sha256:${name}`);
      yield await readLayer(path, chainId).catch((error: unknown) => brokenLayer(chainId, error));
    }
  } finally {
    await directory.close();
  }
}

/** Names that lead from a layerdb to the directory of a layer. */
export function layerPath(chainId: Digest): readonly string[] {
  return ["sha256", digestHex(chainId)];
}

async function openLayerdb(path: string): Promise<OpenDirectory> {
  try {
    return await openDirectory(path, ["sha256"], `moby layerdb ${path}: sha256`);
  } catch (error) {
    if (!hasCode(error, "ERR_DATA_LOSS")) throw error;
    throw new CodedError("ERR_NOT_FOUND", `moby layerdb ${path}: not found`, { cause: error });
  }
}

export function brokenLayer(chainId: Digest, error: unknown): BrokenMobyLayer {
  return { chainId, error: error instanceof Error ? error : new Error(String(error)) };
}

/** All pieces but `parent` and `descriptor.json` have to be there (S1.5, S1.70). */
async function readLayer(layerdb: string, chainId: Digest): Promise<MobyLayer> {
  const subject = `layer ${chainId}`;
  const directory = await openDirectory(layerdb, layerPath(chainId), subject);
  try {
    // The size is not used, but whoever has none has not been written to the end.
    await readText(directory, subject, { name: "size", form: isSize });
    const diffId = await readText(directory, subject, { name: "diff", form: isDigest });
    const cacheId = await readText(directory, subject, { name: "cache-id", form: isCacheId });
    const parent = await orNothing(readText(directory, subject, { name: "parent", form: isDigest }));
    const descriptor = await orNothing(readDescriptor(directory, subject));
    const meant = parent === undefined ? diffId : chainIds([parent, diffId])[1];
    if (meant === chainId) return { chainId, diffId, parent, cacheId, descriptor };
    throw new CodedError("ERR_INVALID_DATA", `${subject}: its diff and parent are those of ${meant}`);
  } finally {
    await directory.close();
  }
}

/** A file of one line. */
export async function readText<T extends string>(
  directory: OpenDirectory,
  subject: string,
  { name, form }: { readonly name: string; readonly form: (text: unknown) => text is T },
): Promise<T> {
  const bytes = await readSmallFile(directory, name, { most: textBytes, subject: `${subject}: its ${name}` });
  const text = bytes.toString("latin1").trim();
  if (form(text)) return text;
  throw new CodedError("ERR_INVALID_DATA", `${subject}: its ${name} is ${JSON.stringify(text.slice(0, 80))}`);
}

async function readDescriptor(directory: OpenDirectory, subject: string): Promise<Descriptor> {
  const name = "descriptor.json";
  const about = `${subject}: its ${name}`;
  const bytes = await readSmallFile(directory, name, { most: descriptorBytes, subject: about });
  const source = new JsonObject(parseJson(bytes, about, descriptorBytes), about, "", descriptorFields);
  return {
    mediaType: source.required("mediaType", source.text("mediaType")),
    digest: source.required("digest", source.digest("digest")),
    size: source.required("size", source.size("size")),
    urls: source.texts("urls"),
    annotations: source.textMap("annotations"),
  };
}

/** Nothing for a file that is missing. */
export async function orNothing<T>(file: Promise<T>): Promise<T | undefined> {
  try {
    return await file;
  } catch (error) {
    if (hasCode(error, "ERR_DATA_LOSS")) return undefined;
    throw error;
  }
}

function isSize(text: unknown): text is string {
  return typeof text === "string" && /^[0-9]{1,19}$/.test(text);
}

/** Whether the driver may call something so (S1.70). */
export function isCacheId(text: unknown): text is string {
  return typeof text === "string" && cacheName.test(text);
}
