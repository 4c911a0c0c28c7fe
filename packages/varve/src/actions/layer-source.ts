import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import type { Client } from "@varve/client";
import { streamBlob } from "@varve/content";
import { parseDigest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { UsageError } from "../exit-code.ts";
import { withClient } from "../globals.ts";
import type { CommandRun } from "../command-run.ts";

/** A layer that can be read. */
export interface LayerSource {
  /** What messages call it. */
  readonly name: string;
  /** Its bytes from the first one on: of a file as often as one likes. */
  readonly open: () => AsyncIterable<Uint8Array>;
}

/** Runs `body` with layers by their names on the command line. The store is opened only for a digest. */
export async function withLayers<T>(
  names: readonly string[],
  { options, signal }: CommandRun,
  body: (layers: readonly LayerSource[]) => Promise<T>,
): Promise<T> {
  if (names.filter((name) => name === "-").length > 1) throw new UsageError("layer: standard input is one layer");
  const toLayers = (client?: Client): LayerSource[] =>
    names.map((name) => ({
      name: name === "-" ? "of standard input" : name,
      open: () => bytesOf(name, { client, signal }),
    }));
  if (!names.some(isDigest)) return body(toLayers());
  return withClient(options, (client) => body(toLayers(client)));
}

/**
 * The bytes of a file, or of standard input. It is opened at its first byte: a stream that nobody reads yet has nobody to tell
 * that its file is missing.
 */
export async function* readFileBytes(
  what: string,
  name: string,
  read: (name: string) => AsyncIterable<Uint8Array> = (path) => createReadStream(path, { highWaterMark: blockBytes }),
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* name === "-" ? process.stdin : read(name);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT") throw new CodedError("ERR_NOT_FOUND", `${what} ${name}: no such file`, { cause: error });
    if (code !== "EISDIR") throw error;
    throw new CodedError("ERR_INVALID_ARGUMENT", `${what} ${name}: is a directory`, { cause: error });
  }
}

const blockBytes = 256 * 1024;

/** Into the same memory again and again: a chunk is valid until the next one is asked for. It takes 60 MB off the peak of a large layer. */
async function* readInPlace(name: string): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await open(name);
  try {
    const block = new Uint8Array(blockBytes);
    for (;;) {
      const { bytesRead } = await file.read(block, 0, block.length);
      if (bytesRead === 0) return;
      yield block.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

interface BytesContext {
  readonly client: Client | undefined;
  readonly signal: AbortSignal;
}

async function* bytesOf(name: string, { client, signal }: BytesContext): AsyncGenerator<Uint8Array, void, undefined> {
  if (client === undefined || !isDigest(name)) yield* readFileBytes("layer", name, readInPlace);
  else {
    const { digest, size } = await client.content.info(parseDigest(name), { signal });
    yield* streamBlob(client.content, { mediaType: "application/octet-stream", digest, size }, { signal });
  }
}

/** A file that is called like that has to be named with a path. */
function isDigest(name: string): boolean {
  return /^sha\d+:/.test(name);
}
