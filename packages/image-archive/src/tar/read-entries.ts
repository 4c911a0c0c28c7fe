import { decompress } from "@varve/compression";
import { CodedError } from "@varve/errors";
import { extract } from "tar-stream";
import type { Extract, Header } from "tar-stream";
import { drained } from "./drained.ts";
import { guardTar } from "./guard.ts";
import type { GuardLimits } from "./guard.ts";

export interface ReadEntriesOptions extends GuardLimits {
  readonly signal?: AbortSignal | undefined;
}

/** One entry of a tar. */
export interface TarEntry {
  readonly name: string;
  readonly type: Header["type"];
  readonly size: number;
  /** Of links. */
  readonly target: string;
  /** Can be read once, before the next entry is asked for. What is not read is skipped. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** What went wrong with the source, as it was thrown: the parser wraps and replaces errors. */
interface Failure {
  readonly error: unknown;
}

/**
 * Yields the entries of a tar, plain or compressed by gzip or zstd. The source is read to its end, and closed whatever happens.
 *
 * @throws ERR_INVALID_DATA no tar, cut short, or one that can be read in two ways
 * @throws ERR_RESOURCE_EXHAUSTED a limit
 */
export async function* readEntries(
  source: AsyncIterable<Uint8Array>,
  options: ReadEntriesOptions,
): AsyncGenerator<TarEntry, void, undefined> {
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const bytes = decompress(source, { signal, subject: "archive" });
  const parser = extract();
  let failure: Failure | undefined;
  const feeding = feed(guardTar(bytes, options), parser, (error) => {
    failure ??= { error };
  });
  const cause = (error: unknown): unknown => (failure === undefined ? malformed(error) : failure.error);
  try {
    for await (const entry of naming(parser, cause)) {
      yield asEntry(entry, cause);
      // As far as it was not read.
      entry.resume();
    }
  } finally {
    // The source may be silent for ever: the signal ends the wait for it.
    stop.abort();
    parser.destroy();
    await feeding;
  }
}

/** Never rejects: what the source throws is told, and ends the parser. */
async function feed(
  source: AsyncIterable<Uint8Array>,
  parser: Extract,
  onFailure: (error: unknown) => void,
): Promise<void> {
  try {
    for await (const chunk of source) {
      if (parser.destroyed) return;
      if (!parser.write(chunk)) await drained(parser);
    }
    parser.end(undefined);
  } catch (error) {
    onFailure(error);
    parser.destroy(new Error("the source failed", { cause: error }));
  }
}

async function* naming<T>(
  source: AsyncIterable<T>,
  cause: (error: unknown) => unknown,
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  for (;;) {
    let step: IteratorResult<T>;
    try {
      step = await iterator.next();
    } catch (error) {
      throw cause(error);
    }
    if (step.done === true) return;
    yield step.value;
  }
}

function asEntry(
  entry: AsyncIterable<unknown> & { readonly header: Header },
  cause: (error: unknown) => unknown,
): TarEntry {
  const { name, type, size } = entry.header;
  // The library's types do not say that it can be null.
  const target: string | null = entry.header.linkname;
  return { name, type, size, target: target ?? "", content: bytesOf(naming(entry, cause)) };
}

async function* bytesOf(source: AsyncIterable<unknown>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of source) if (chunk instanceof Uint8Array) yield chunk;
}

function malformed(error: unknown): unknown {
  const why = error instanceof Error ? error.message : "not a tar";
  return new CodedError("ERR_INVALID_DATA", `archive: ${why}`, { cause: error });
}
