import { readBlob } from "@varve/content";
import type { BlobInfo, BlobReader } from "@varve/content";
import type { Client } from "@varve/client";
import { parseDigest, verifyStream } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";
import { resolveRange } from "../arguments/range.ts";
import type { Range } from "../arguments/range.ts";
import { UsageError } from "../exit-code.ts";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { byteOutput } from "./byte-output.ts";

interface GetOptions {
  readonly output?: string;
  readonly range?: Range;
}

/** Larger documents are not shown on a terminal. */
const maxShown = 1024 * 1024;

/**
 * The bytes as they are. Whole blobs are held against their digest: a file appears only if they are right, and after what
 * was written to standard output the command ends with 5 if they were not.
 */
export async function getContent(text: string, { options, signal }: CommandRun<GetOptions>): Promise<void> {
  const { output, range } = options;
  const digest = parseDigest(text);
  await withClient(options, async ({ content }) => {
    const info = await content.info(digest, { signal });
    if (output === undefined && process.stdout.isTTY) {
      await show(content, info, signal);
      return;
    }
    const reader = await content.open(asDescriptor(info), { signal });
    try {
      const bytes = bytesOf(reader, digest, range, signal);
      const target = byteOutput("content get", output, { signal });
      await target.write(bytes);
      if (target.isFile) await printResult(options.json, { digest, output }, () => []);
    } finally {
      await reader.close();
    }
  });
}

function bytesOf(
  reader: BlobReader,
  digest: Digest,
  range: Range | undefined,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  if (range !== undefined) return reader.stream({ ...resolveRange(range, reader.size), signal });
  return verifyStream(reader.stream({ signal }), digest);
}

/** For people: what is JSON is indented, and what would steer the terminal is not written to it. */
async function show(content: Client["content"], info: BlobInfo, signal: AbortSignal): Promise<void> {
  const value = info.size > maxShown ? undefined : parse(await readBlob(content, asDescriptor(info), { signal }));
  if (value === undefined) {
    throw new UsageError(
      `content get ${info.digest}: no text for a terminal, use --output FILE, or - to get it anyway`,
    );
  }
  await printResult(false, value, () => JSON.stringify(value, undefined, 2).split("\n"));
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
  } catch {
    return undefined;
  }
}

function asDescriptor({ digest, size }: BlobInfo): Descriptor {
  return { mediaType: "application/octet-stream", digest, size };
}
