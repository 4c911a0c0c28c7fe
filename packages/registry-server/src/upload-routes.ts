import { blobExists } from "@varve/content";
import type { Manager } from "@varve/content";
import { isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { Call } from "./call.ts";
import { ProtocolError } from "./protocol-error.ts";
import { digestIn } from "./route.ts";
import { rangeHeader } from "./uploads.ts";
import type { Chunk, Uploads } from "./uploads.ts";

/** POST: a mount of a blob that is here, a blob in one piece, or a new upload. */
export async function startUpload(call: Call, content: Manager, uploads: Uploads, repository: string): Promise<void> {
  const { searchParams } = call.url;
  const mount = searchParams.get("mount");
  // One store holds the blobs of all repositories, so a mount moves nothing.
  if (isDigest(mount) && (await blobExists(content, mount, { signal: call.signal }))) {
    created(call, repository, mount);
    return;
  }
  const digest = searchParams.has("digest") ? queryDigest(call) : undefined;
  const id = await uploads.open(repository);
  if (digest === undefined) {
    call.empty(202, uploadHeaders(repository, id, 0));
    return;
  }
  await uploads.finish(id, repository, { body: call.body(), start: undefined }, digest);
  created(call, repository, digest);
}

/** PATCH appends, PUT ends, GET tells how far it is, DELETE drops. */
export async function continueUpload(call: Call, uploads: Uploads, repository: string, id: string): Promise<void> {
  switch (call.request.method) {
    case "PATCH": {
      const offset = await uploads.append(id, repository, chunkOf(call));
      call.empty(202, uploadHeaders(repository, id, offset));
      return;
    }
    case "PUT": {
      const digest = queryDigest(call);
      await uploads.finish(id, repository, chunkOf(call), digest);
      created(call, repository, digest);
      return;
    }
    case "DELETE":
      await uploads.cancel(id, repository);
      call.empty(204);
      return;
    default:
      call.empty(204, uploadHeaders(repository, id, uploads.offset(id, repository)));
  }
}

function created(call: Call, repository: string, digest: Digest): void {
  call.empty(201, { location: `/v2/${repository}/blobs/${digest}`, "docker-content-digest": digest });
}

function uploadHeaders(repository: string, id: string, offset: number): Record<string, string> {
  return {
    location: `/v2/${repository}/blobs/uploads/${id}`,
    "docker-upload-uuid": id,
    range: rangeHeader(offset),
  };
}

function queryDigest(call: Call): Digest {
  return digestIn(call.url.searchParams.get("digest") ?? "");
}

/** `Content-Range` of a chunk is `<start>-<end>`, inclusive and without a unit (distribution specification). */
function chunkOf(call: Call): Chunk {
  const header = call.header("content-range");
  if (header === undefined) return { body: call.body(), start: undefined };
  const match = /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(header);
  if (match === null) throw new ProtocolError("BLOB_UPLOAD_INVALID", "malformed Content-Range");
  return { body: call.body(), start: Number(match[1]) };
}
