import type { MessageInitShape } from "@bufbuild/protobuf";
import type { BlobInfo, IngestStatus } from "@varve/content";
import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { InfoSchema, StatusSchema } from "../gen/containerd/services/content/v1/content_pb.js";
import { fromDate } from "../wire/values.ts";

/** @throws ERR_INVALID_ARGUMENT it is none, or of an algorithm that is unknown: upstream makes no difference */
export function toDigest(text: string): Digest {
  try {
    return parseDigest(text);
  } catch (error) {
    if (!hasCode(error, "ERR_NOT_IMPLEMENTED")) throw error;
    throw new CodedError("ERR_INVALID_ARGUMENT", error.message, { cause: error });
  }
}

export function fromInfo({
  digest,
  size,
  createdAt,
  updatedAt,
  labels,
}: BlobInfo): MessageInitShape<typeof InfoSchema> {
  return {
    digest,
    size: BigInt(size),
    createdAt: fromDate(createdAt),
    updatedAt: fromDate(updatedAt),
    labels: { ...labels },
  };
}

export function fromIngestStatus(status: IngestStatus): MessageInitShape<typeof StatusSchema> {
  const { ref, offset, total = 0, expected = "", startedAt, updatedAt } = status;
  return {
    ref,
    offset: BigInt(offset),
    total: BigInt(total),
    expected,
    startedAt: fromDate(startedAt),
    updatedAt: fromDate(updatedAt),
  };
}
