import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { decompress } from "@varve/compression";
import { currentOwner, isOwnerAlive, ownerFromFileName, ownerToFileName } from "@varve/locks";

/** The tar-split records of layers, and what is on its way to them. */
export class RecordFiles {
  readonly #directory: string;
  readonly #scratch: string;
  readonly #isDurable: boolean;

  constructor(root: string, isDurable: boolean) {
    this.#directory = join(root, "records");
    this.#scratch = join(root, "scratch");
    this.#isDurable = isDurable;
  }

  async make(): Promise<void> {
    for (const path of [this.#directory, this.#scratch]) await mkdir(path, { recursive: true, mode: 0o700 });
  }

  /** A directory for this process alone, gone at the end. */
  async withScratch<T>(body: (directory: string) => Promise<T>): Promise<T> {
    const directory = await mkdtemp(join(this.#scratch, `${ownerToFileName(currentOwner())}.`));
    try {
      return await body(directory);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  /** Takes over the file `from` as the records of a layer. On disk when it resolves. */
  async put(id: number, from: string): Promise<void> {
    if (this.#isDurable) await sync(from);
    await rename(from, this.#pathOf(id));
    if (this.#isDurable) await sync(this.#directory);
  }

  /** The records of a layer, lines of JSON. */
  read(id: number, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
    return decompress(createReadStream(this.#pathOf(id)), { signal, subject: "tar-split records" });
  }

  async remove(id: number): Promise<void> {
    await rm(this.#pathOf(id), { force: true });
  }

  /** Removes what killed processes have left. */
  async cleanup(): Promise<void> {
    for (const name of await readdir(this.#scratch)) {
      const owner = ownerFromFileName(name.slice(0, name.lastIndexOf(".")));
      if (owner !== undefined && isOwnerAlive(owner)) continue;
      await rm(join(this.#scratch, name), { recursive: true, force: true });
    }
  }

  #pathOf(id: number): string {
    return join(this.#directory, `${id}.json.gz`);
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
