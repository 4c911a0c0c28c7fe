import { CodedError } from "@varve/errors";
import { describeUrl } from "../http/printable.ts";
import type { Reply } from "../http/reply.ts";
import { isPassing } from "../http/retry.ts";
import type { Settings } from "../options.ts";
import type { BlobSource, Part, Span } from "./blob-source.ts";
import { giveBack } from "./give-back.ts";
import { Patience } from "./patience.ts";

export interface StretchOptions {
  readonly settings: Settings;
  readonly signal: AbortSignal | undefined;
  /** Nobody looks at a chunk any more once the next one is asked for. */
  readonly reuse?: boolean | undefined;
  /** The first answer, if there is one already. */
  readonly opened?: Part | undefined;
}

/** Yields the bytes of `span`, over as many requests as it takes. */
export async function* readStretch(
  source: BlobSource,
  span: Span,
  { settings, signal, opened, reuse = false }: StretchOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const patience = new Patience(settings, span.to - span.from);
  let position = span.from;
  let part = opened;
  for (let broken: Reply | undefined; ;) {
    part ??= await source.open({ from: position, to: span.to }, { signal, after: broken });
    const before = position;
    let failure: unknown;
    try {
      let at = part.start;
      for await (const chunk of part.reply.body()) {
        const skipped = Math.min(Math.max(0, position - at), chunk.byteLength);
        at += chunk.byteLength;
        if (at > part.end) throw tooLong(source, part);
        // An answer with all of the blob has more than the stretch.
        const wanted = chunk.subarray(skipped, Math.max(0, chunk.byteLength - Math.max(0, at - span.to)));
        position += wanted.byteLength;
        if (wanted.byteLength > 0) yield wanted;
        if (reuse && part.reply.encodings.length === 0) giveBack(chunk);
        if (at >= span.to && part.end > span.to) return;
      }
      failure = endedEarly(source, part.reply, position);
    } catch (error) {
      signal?.throwIfAborted();
      if (!isPassing(error)) throw error;
      failure = error;
    }
    // What breaks after the last byte does no harm.
    if (position >= span.to) return;
    broken = part.reply;
    part = undefined;
    await patience.afterFailure(position - before, failure, signal);
  }
}

function endedEarly({ descriptor }: BlobSource, reply: Reply, position: number): CodedError {
  const text = `GET ${describeUrl(reply.url)}: ended after ${position} of ${descriptor.size} bytes`;
  return new CodedError("ERR_NETWORK", text);
}

function tooLong({ descriptor }: BlobSource, { reply, end }: Part): CodedError {
  if (end === descriptor.size) {
    const text = `content ${descriptor.digest}: the registry has more than ${descriptor.size} bytes`;
    return new CodedError("ERR_DIGEST_MISMATCH", text);
  }
  return new CodedError("ERR_INVALID_DATA", `GET ${describeUrl(reply.url)}: more bytes than its Content-Range says`);
}
