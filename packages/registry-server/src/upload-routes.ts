import type { Digest } from "@varve/digest";
import { isDigest } from "@varve/digest";
import type { Access } from "./access.ts";
import type { Call } from "./call.ts";
import { ProtocolError } from "./protocol-error.ts";
import type { Repositories } from "./repositories.ts";
import { digestIn, isRepositoryName } from "./route.ts";
import { rangeHeader } from "./uploads.ts";
import type { Chunk, Uploads } from "./uploads.ts";

export interface UploadOptions {
  readonly access: Access;
  /** The one name of a repository that several lead to. */
  readonly nameOf: (repository: string) => string;
  readonly repositories: Repositories;
  readonly uploads: Uploads;
}

/** POST: a mount of a blob that is here, a blob in one piece, or a new upload. */
export async function startUpload(call: Call, options: UploadOptions, repository: string): Promise<void> {
  const { searchParams } = call.url;
  const { uploads } = options;
  const mount = searchParams.get("mount");
  if (isDigest(mount) && (await mounts(call, options, repository, mount))) {
    created(call, repository, mount);
    return;
  }
  const algorithm = searchParams.get("digest-algorithm");
  if (algorithm !== null && algorithm !== "sha256" && algorithm !== "sha512") {
    throw new ProtocolError("DIGEST_INVALID", "not an algorithm that is supported: sha256, sha512");
  }
  const digest = searchParams.has("digest") ? queryDigest(call) : undefined;
  const id = await uploads.open(repository);
  if (digest === undefined) {
    call.empty(202, uploadHeaders(repository, id, 0));
    return;
  }
  try {
    await uploads.finish(id, repository, chunkOf(call), digest);
  } catch (error) {
    // Nobody has been told of this upload, so nobody can continue it.
    await uploads.discard(id);
    throw error;
  }
  created(call, repository, digest);
}

/** PATCH appends, PUT ends, GET tells how far it is, DELETE drops. */
export async function continueUpload(call: Call, uploads: Uploads, repository: string, id: string): Promise<void> {
  switch (call.method) {
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
      call.empty(204, uploadHeaders(repository, id, await uploads.offset(id, repository, call.signal)));
  }
}

/**
 * Gives a repository a blob that another one has, if the client may read it there. Without `from` it may be any repository,
 * as long as everybody may read them all. One store holds everything, so that no byte moves.
 */
async function mounts(
  call: Call,
  { access, nameOf, repositories }: UploadOptions,
  repository: string,
  digest: Digest,
): Promise<boolean> {
  const asked = call.url.searchParams.get("from");
  if (asked === null) return access.isOpen && repositories.addIfStored(repository, digest, call.signal);
  if (!isRepositoryName(asked)) return false;
  const from = nameOf(asked);
  if (!(await access.allows(call, from, "pull"))) return false;
  if ((await repositories.find([from], digest, call.signal)) === undefined) return false;
  await repositories.add(repository, digest, call.signal);
  return true;
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
  const length = call.contentLength;
  if (header === undefined) return { body: call.body(), signal: call.signal, start: undefined, length };
  const match = /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(header);
  if (match === null) throw new ProtocolError("BLOB_UPLOAD_INVALID", "malformed Content-Range");
  const start = Number(match[1]);
  const size = Number(match[2]) - start + 1;
  // Some clients write 0-0 for nothing.
  if (length === 0 && size === 1) return { body: call.body(), signal: call.signal, start, length };
  if (size < 1 || (length !== undefined && length !== size)) {
    throw new ProtocolError("SIZE_INVALID", "Content-Range and Content-Length say different things");
  }
  return { body: call.body(), signal: call.signal, start, length: size };
}
