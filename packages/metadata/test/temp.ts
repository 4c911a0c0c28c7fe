import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openMetadata } from "@varve/metadata";
import type { Metadata } from "@varve/metadata";
import { FakeContent } from "./fake-content.ts";

/** A directory that is removed when it goes out of scope. */
export interface TempDir extends AsyncDisposable {
  readonly path: string;
}

export async function tempDir(): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), "varve-metadata-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export function openIn(temp: TempDir, content: FakeContent = new FakeContent()): Promise<Metadata<FakeContent>> {
  return openMetadata({ path: join(temp.path, "metadata.db"), content });
}

export async function list<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
