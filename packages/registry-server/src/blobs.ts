import type { BlobReader, Provider } from "@varve/content";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { requestedPart } from "./byte-range.ts";
import type { Part } from "./byte-range.ts";
import type { Call } from "./call.ts";
import { etagOf } from "./conditions.ts";
import { ProtocolError } from "./protocol-error.ts";

/** A blob, wherever its bytes come from. */
export interface BlobSource {
  readonly digest: Digest;
  readonly size: number;
  readonly read: (part: Part, signal: AbortSignal) => AsyncIterable<Uint8Array>;
}

/** Answers GET and HEAD of a blob that is stored, whole or a part of it. */
export async function sendStoredBlob(call: Call, content: Provider, digest: Digest): Promise<void> {
  const reader = await openBlob(content, digest, call.signal);
  try {
    await sendBlob(call, {
      digest,
      size: reader.size,
      read: ({ start, end }, signal) => reader.stream({ start, end, signal }),
    });
  } finally {
    await reader.close();
  }
}

export async function sendBlob(call: Call, { digest, size, read }: BlobSource): Promise<void> {
  const etag = etagOf(digest);
  const common = { "accept-ranges": "bytes", "docker-content-digest": digest, etag };
  if (call.isUnchanged(etag, common)) return;
  const part = requestedPart(rangeOf(call, etag), size);
  if (part === "unsatisfiable") {
    throw new ProtocolError("RANGE_INVALID", "the range is outside the blob", { "content-range": `bytes */${size}` });
  }
  const { start, end } = part ?? { start: 0, end: size };
  const headers: Record<string, string> = {
    ...common,
    "content-type": "application/octet-stream",
    "content-length": String(end - start),
  };
  if (part !== undefined) headers["content-range"] = `bytes ${start}-${end - 1}/${size}`;
  const status = part === undefined ? 200 : 206;
  if (call.method === "HEAD") call.empty(status, headers);
  else await call.stream(status, read({ start, end }, call.signal), headers);
}

/** Only GET knows parts (RFC 9110, section 14.2), and one of something else than the client has (`If-Range`) is no use. */
function rangeOf(call: Call, etag: string): string | undefined {
  if (call.method !== "GET") return undefined;
  const condition = call.header("if-range");
  return condition === undefined || condition === etag ? call.header("range") : undefined;
}

async function openBlob(content: Provider, digest: Digest, signal: AbortSignal): Promise<BlobReader> {
  try {
    return await content.open({ mediaType: "application/octet-stream", digest, size: 0 }, { signal });
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) throw blobUnknown();
    throw error;
  }
}

export function blobUnknown(): ProtocolError {
  return new ProtocolError("BLOB_UNKNOWN", "blob unknown to this registry");
}
