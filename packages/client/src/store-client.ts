import type { ContentStore, Labeler } from "@varve/content";
import type { ImageStore } from "@varve/images";
import type { LeaseManager } from "@varve/leases";
import type { Snapshotter } from "@varve/snapshots";
import type { Client, MountOptions, PullOptions, PullResult, UnmountOptions } from "./client.ts";
import { mountImage, unmountImage } from "./mounts.ts";
import { pullImage } from "./pull.ts";
import type { Stack } from "./stack.ts";

/** Everything a client does, over the parts it was given. */
export class StoreClient implements Client {
  readonly #stack: Stack;
  #closing: Promise<void> | undefined;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  get root(): string {
    return this.#stack.root;
  }

  get images(): ImageStore {
    return this.#stack.metadata.images;
  }

  get content(): ContentStore & Labeler {
    return this.#stack.metadata.content;
  }

  get leases(): LeaseManager {
    return this.#stack.metadata.leases;
  }

  get defaultSnapshotter(): string {
    return this.#stack.defaultSnapshotter;
  }

  pull(reference: string, options?: PullOptions): Promise<PullResult> {
    return pullImage(this.#stack, reference, options);
  }

  mount(reference: string, directory: string, options?: MountOptions): Promise<void> {
    return mountImage(this.#stack, reference, directory, options);
  }

  unmount(directory: string, options?: UnmountOptions): Promise<void> {
    return unmountImage(this.#stack, directory, options);
  }

  snapshotter(name: string = this.#stack.defaultSnapshotter): Promise<Snapshotter> {
    return this.#stack.snapshotters.get(name);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { blobs, differ, metadata, resolver, snapshotters } = this.#stack;
    const results = await Promise.allSettled([resolver.close(), differ.close(), snapshotters.close()]);
    results.push(...(await Promise.allSettled([metadata.close()])), ...(await Promise.allSettled([blobs.close()])));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}
