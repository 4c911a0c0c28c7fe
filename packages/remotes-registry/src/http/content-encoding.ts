import { pipeline } from "node:stream";
import type { Duplex, Readable } from "node:stream";
import { constants, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { CodedError } from "@varve/errors";

// 8 MiB: what a decoder of HTTP need have memory for (RFC 9659).
const zstdWindow = { params: { [constants.ZSTD_d_windowLogMax]: 23 } };

const decoders: Readonly<Record<string, () => Duplex>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  zstd: () => createZstdDecompress(zstdWindow),
};

// Real answers have one or two. What one decoder gives is input of the next: each may make a thousand times as much work.
const maxEncodings = 2;

/** The encodings that a server put on a body, in the order it applied them; none for `identity`. */
export function contentEncodings(header: string | undefined): string[] {
  return (header ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "" && name !== "identity");
}

/**
 * Undoes content encodings, the last one first. Some caches add one although we ask for none, and digests are of the
 * bytes below it.
 *
 * @throws ERR_NOT_IMPLEMENTED an encoding that we do not know
 */
export function undoEncodings(body: Readable, encodings: readonly string[]): Readable {
  if (encodings.length === 0) return body;
  const chain = encodings.toReversed().map((name) => decoders[name]);
  const known = chain.filter((make) => make !== undefined);
  if (known.length < chain.length || known.length > maxEncodings) {
    throw new CodedError(
      "ERR_NOT_IMPLEMENTED",
      `content encoding ${JSON.stringify(encodings.join(", "))}: not supported`,
    );
  }
  let last: Readable = body;
  for (const make of known) {
    const decoder = make();
    // A failure on either side destroys the other; whoever iterates the last one sees it.
    pipeline(last, decoder, () => undefined);
    last = decoder;
  }
  return last;
}
