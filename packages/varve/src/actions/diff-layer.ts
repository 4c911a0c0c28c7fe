import { resolve } from "node:path";
import { writeLayer } from "@varve/client";
import type { ComparedLayer, Compression, Trees, WriteLayerOptions } from "@varve/client";
import { UsageError } from "../exit-code.ts";
import { formatBytes, formatTable } from "../format.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { byteOutput, unlessUnread } from "./byte-output.ts";
import type { ByteOutput } from "./byte-output.ts";

/** The options of commands that write a layer. */
export interface WriteOptions {
  readonly output?: string;
  readonly compression?: Compression;
  readonly level?: number;
  readonly sourceDateEpoch?: number;
}

interface DiffOptions extends WriteOptions {
  readonly all?: boolean;
  readonly overlay?: boolean;
  readonly userxattr?: boolean;
  readonly ownership?: "keep" | "record";
}

export async function diffDirectories(
  words: readonly string[],
  { options, signal }: CommandRun<DiffOptions>,
): Promise<void> {
  const trees = treesOf(words, options);
  const output = byteOutput("layer diff", options.output, { json: options.json, signal });
  const writing = { ...writeOptions("layer diff", options), signal };
  const written = await unlessUnread(output, () => writeLayer(trees, (layer) => output.write(layer), writing));
  await printWritten(written, output, options);
}

/** What the library is to be told. */
export function writeOptions(command: string, options: WriteOptions): Omit<WriteLayerOptions, "signal"> {
  const { compression = "none", level, sourceDateEpoch } = options;
  if (level !== undefined && compression === "none") throw new UsageError(`${command}: --level needs --compression`);
  return { compression, level, sourceDateEpoch };
}

/** Tells about a layer that has gone to a file. */
export async function printWritten(
  written: ComparedLayer | undefined,
  { isFile }: ByteOutput,
  { json, output }: WriteOptions & { readonly json?: boolean },
): Promise<void> {
  if (written === undefined || !isFile) return;
  const { descriptor, diffId, entries, size } = written;
  const { digest, mediaType, size: blobSize } = descriptor;
  // As the layers of `pull` have them: digest and size are those of the blob.
  await printResult(json, { diffId, digest, mediaType, size: blobSize, tarSize: size, entries, output }, () =>
    formatTable([
      ["diff ID", diffId],
      ["digest", digest],
      ["entries", String(entries)],
      ["size", blobSize === size ? formatBytes(size) : `${formatBytes(blobSize)} of ${formatBytes(size)}`],
    ]),
  );
}

function treesOf(words: readonly string[], { all = false, overlay: named, userxattr, ownership }: DiffOptions): Trees {
  const overlay = named === true || userxattr === true;
  if (all && overlay) throw new UsageError("layer diff: --all and --overlay: only one of them can be had");
  if (words.length !== (all ? 1 : 2)) {
    const needs = all ? "one directory" : "the lower and the upper directory, or --all and one";
    throw new UsageError(`layer diff: needs ${needs}`);
  }
  const [lower, upper = ""] = all ? [undefined, words[0]] : words;
  return {
    upper: resolve(upper),
    lower: lower === undefined ? undefined : resolve(lower),
    form: overlay ? "overlay" : "directory",
    userxattr,
    ownership,
  };
}
