import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openMetadata } from "@varve/metadata";
import type { Metadata, MetadataOptions, Namespace } from "@varve/metadata";
import { FakeContent } from "./fake-content.ts";

/** A directory that is removed when it goes out of scope. */
export interface TempDir extends AsyncDisposable {
  readonly path: string;
}

export async function tempDir(): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), "varve-metadata-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** The metadata in a directory, without a database that survives power cuts: tests are many. */
export function openIn(
  temp: TempDir,
  content: FakeContent = new FakeContent(),
  options: Partial<MetadataOptions> = {},
): Promise<Metadata<FakeContent>> {
  return openMetadata({ durability: "none", ...options, path: join(temp.path, "metadata.db"), content });
}

/** New metadata with one namespace, and the store below. */
export interface World extends AsyncDisposable {
  readonly metadata: Metadata<FakeContent>;
  readonly one: Namespace<FakeContent>;
  readonly content: FakeContent;
  readonly path: string;
}

export async function newWorld(options: Partial<MetadataOptions> = {}): Promise<World> {
  const temp = await tempDir();
  const content = new FakeContent();
  const metadata = await openIn(temp, content, options);
  return {
    metadata,
    one: metadata.namespace("one"),
    content,
    path: temp.path,
    [Symbol.asyncDispose]: async () => {
      await metadata.close();
      await temp[Symbol.asyncDispose]();
    },
  };
}

export async function list<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
