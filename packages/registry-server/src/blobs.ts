import type { BlobReader, Manager, Provider } from "@varve/content";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { requestedPart } from "./byte-range.ts";
import type { Call } from "./call.ts";
import { ProtocolError } from "./protocol-error.ts";

/** Answers GET and HEAD of a blob, whole or a part of it. */
export async function sendBlob(call: Call, content: Provider & Manager, digest: Digest): Promise<void> {
  const reader = await openBlob(content, digest, call.signal);
  try {
    const { size } = reader;
    const common = {
      "accept-ranges": "bytes",
      "content-type": "application/octet-stream",
      "docker-content-digest": digest,
      etag: `"${digest}"`,
    };
    const part = requestedPart(call.header("range"), size);
    if (part === "unsatisfiable") {
      throw new ProtocolError("RANGE_INVALID", "the range is outside the blob", { "content-range": `bytes */${size}` });
    }
    const { start, end } = part ?? { start: 0, end: size };
    const headers: Record<string, string> = { ...common, "content-length": String(end - start) };
    if (part !== undefined) headers["content-range"] = `bytes ${start}-${end - 1}/${size}`;
    const status = part === undefined ? 200 : 206;
    if (call.request.method === "HEAD") call.empty(status, headers);
    else await call.stream(status, reader.stream({ start, end, signal: call.signal }), headers);
  } finally {
    await reader.close();
  }
}

async function openBlob(content: Provider, digest: Digest, signal: AbortSignal): Promise<BlobReader> {
  try {
    return await content.open({ mediaType: "application/octet-stream", digest, size: 0 }, { signal });
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) throw new ProtocolError("BLOB_UNKNOWN", "blob unknown to this registry");
    throw error;
  }
}
