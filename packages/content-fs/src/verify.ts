import type { Expected } from "@varve/content";
import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";

/** @throws ERR_DIGEST_MISMATCH size or digest of the ingest `ref` is not as expected */
export function mustBeExpected(
  ref: string,
  actual: { readonly digest: Digest; readonly size: number },
  expected: Expected,
): void {
  const { digest, size } = actual;
  if (expected.size !== undefined && size !== expected.size) {
    throw new CodedError("ERR_DIGEST_MISMATCH", `ingest ${ref}: ${size} bytes, expected ${expected.size}`);
  }
  if (expected.digest !== undefined && digest !== expected.digest) {
    throw new CodedError("ERR_DIGEST_MISMATCH", `ingest ${ref}: digest ${digest}, expected ${expected.digest}`);
  }
}

/**
 * What callers say of a blob beforehand.
 *
 * @throws ERR_INVALID_ARGUMENT no digest or size at all
 * @throws ERR_NOT_IMPLEMENTED the algorithm is unknown
 */
export function mustBePossible(subject: string, { digest, size }: Expected): void {
  if (digest !== undefined) parseDigest(digest);
  if (size === undefined || (Number.isSafeInteger(size) && size >= 0)) return;
  throw new CodedError("ERR_INVALID_ARGUMENT", `${subject}: a size of ${size} is not possible`);
}

/**
 * A ref is any text. Half of a surrogate pair is none: in UTF-8, different ones would be the same.
 *
 * @throws ERR_INVALID_ARGUMENT
 */
export function mustBeRef(ref: string): void {
  if (ref === "") throw new CodedError("ERR_INVALID_ARGUMENT", "ingest: the ref is empty");
  if (!ref.isWellFormed()) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `ingest ${JSON.stringify(ref)}: the ref is not well-formed Unicode`);
  }
}
