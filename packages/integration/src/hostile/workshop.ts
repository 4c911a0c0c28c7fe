import { mkdirSync, mkdtempSync, realpathSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeBlob } from "@varve/content";
import { createMemoryContentStore } from "@varve/content-memory";
import { createDiffer } from "@varve/differ";
import type { Differ } from "@varve/differ";
import { digestOf } from "@varve/digest";
import { createLinuxMounter } from "@varve/mount-linux";
import type { Mounter } from "@varve/mount";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { Snapshotter } from "@varve/snapshots";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";
import { makeCanary } from "@varve-tools/hostile-layers";
import type { Canary, HostileLayers, Layer } from "@varve-tools/hostile-layers";

/** Snapshotters, differs and a content store in a directory with a canary beside it. */
export class Workshop implements AsyncDisposable {
  readonly mounter: Mounter = createLinuxMounter();
  readonly canary: Canary;
  readonly overlay: Snapshotter;
  readonly native: Snapshotter;
  readonly #directory: string;
  readonly #content = createMemoryContentStore();
  readonly #differs = new Map<string, Differ>();

  constructor(
    directory: string,
    canary: Canary,
    snapshotters: { readonly overlay: Snapshotter; readonly native: Snapshotter },
  ) {
    this.#directory = directory;
    this.canary = canary;
    this.overlay = snapshotters.overlay;
    this.native = snapshotters.native;
  }

  /** One that heeds the limits. All of them share their threads. */
  differ(limits: HostileLayers["limits"] = {}): Differ {
    const key = JSON.stringify(limits);
    const known = this.#differs.get(key);
    if (known !== undefined) return known;
    const mountDirectory = join(this.#directory, "stores/mounts");
    const differ = createDiffer({ content: this.#content, mounter: this.mounter, mountDirectory, limits });
    this.#differs.set(key, differ);
    return differ;
  }

  /** Puts a layer into the content store, where it is looked for when it must be read again. */
  async store({ bytes }: Layer): Promise<Descriptor> {
    const digest = digestOf(bytes);
    await writeBlob(this.#content, digest, bytes);
    return { mediaType: mediaTypes.ociLayer, digest, size: bytes.length };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const differ of this.#differs.values()) await differ.close();
    await this.overlay.close();
    await this.native.close();
    await this.#content.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

export async function openWorkshop(): Promise<Workshop> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "varve-hostile-")));
  const stores = join(directory, "stores");
  mkdirSync(stores);
  const canary = makeCanary(directory, stores);
  const overlay = await openOverlaySnapshotter({ root: join(stores, "overlay"), durability: "none" });
  const native = await openNativeSnapshotter({ root: join(stores, "native"), durability: "none" });
  return new Workshop(directory, canary, { overlay, native });
}
