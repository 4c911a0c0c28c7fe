import { lstat, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Mount } from "@varve/mount";
import type { Checker, CreateOptions, SnapshotProblem } from "@varve/snapshots";
import { FakeSnapshotter } from "./fake-snapshotter.ts";

/** Where the one file of a layer is. */
export function fileIn(directory: string): string {
  return join(directory, "layer");
}

/** The `Fill` of an image that is pulled into a `DiskSnapshotter`. */
export async function fillDirectory([mount]: readonly Mount[], layer: Uint8Array): Promise<void> {
  await writeFile(fileIn(mount?.source ?? ""), layer);
}

/** With a directory for each snapshot, which it can look at. */
export class DiskSnapshotter extends FakeSnapshotter implements Checker {
  readonly #root: string;
  /** What was committed, by name. */
  readonly #files: Map<string, string> = new Map();
  checks = 0;

  constructor(root: string) {
    super();
    this.#root = root;
  }

  path(name: string): string {
    return join(this.#root, encodeURIComponent(name));
  }

  override async prepare(key: string, parent?: string, options?: CreateOptions): Promise<readonly Mount[]> {
    await super.prepare(key, parent, options);
    await mkdir(this.path(key), { recursive: true });
    return [{ type: "bind", source: this.path(key), options: ["rw", "rbind"] }];
  }

  override async view(key: string, parent?: string, options?: CreateOptions): Promise<readonly Mount[]> {
    await super.view(key, parent, options);
    await mkdir(this.path(key), { recursive: true });
    return [{ type: "bind", source: this.path(key), options: ["ro", "rbind"] }];
  }

  override async commit(name: string, key: string, options?: CreateOptions): Promise<void> {
    await super.commit(name, key, options);
    this.#files.set(name, await readFile(fileIn(this.path(key)), "utf8"));
    await rename(this.path(key), this.path(name));
  }

  override async remove(name: string): Promise<void> {
    await super.remove(name);
    await rm(this.path(name), { recursive: true, force: true });
  }

  async *check(): AsyncGenerator<SnapshotProblem, void, undefined> {
    this.checks += 1;
    for (const name of this.entries.keys()) {
      const path = this.path(name);
      const info = await lstat(path).catch(() => undefined);
      const isChanged = async (): Promise<boolean> => (await readFile(fileIn(path), "utf8")) !== this.#files.get(name);
      if (info === undefined) yield { name, kind: "missing", message: `snapshot ${name}: its files are gone` };
      else if (!info.isDirectory()) yield { name, kind: "replaced", message: `snapshot ${name}: is a link` };
      else if (this.#files.has(name) && (await isChanged())) {
        yield { name, kind: "changed", message: `snapshot ${name}: /layer differs` };
      }
    }
  }
}
