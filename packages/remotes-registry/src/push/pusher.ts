import { CodedError } from "@varve/errors";
import { isIndexType, isManifestType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { Pusher, PushOptions, PushOutcome } from "@varve/remotes";
import type { Registry } from "../hosts/registry.ts";
import type { Settings } from "../options.ts";
import { isTag } from "../repository/tag.ts";
import { mountBlob } from "./blob-mount.ts";
import { BlobUpload } from "./blob-upload.ts";
import { ManifestPush } from "./manifest-push.ts";
import { isPresent } from "./presence.ts";
import { stateOf } from "./repository-state.ts";

/** Pushes into one repository. */
export class RepositoryPusher implements Pusher {
  readonly #registry: Registry;
  readonly #repository: string;
  readonly #settings: Settings;

  constructor(registry: Registry, repository: string, settings: Settings) {
    this.#registry = registry;
    this.#repository = repository;
    this.#settings = settings;
  }

  async push(descriptor: Descriptor, options: PushOptions): Promise<PushOutcome> {
    const { tags = [], signal } = options;
    signal?.throwIfAborted();
    const wrong = tags.find((tag) => !isTag(tag));
    if (wrong !== undefined) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `tag ${JSON.stringify(wrong.slice(0, 140))}: not a tag`);
    }
    const isManifest = isManifestType(descriptor.mediaType) || isIndexType(descriptor.mediaType);
    // Who pushes the same at the same time waits, finds it there, or takes over (U-PSH.2).
    const release = await stateOf(this.#registry).locks.acquire(descriptor.digest, { signal });
    try {
      if (!isManifest) return await this.#pushBlob(descriptor, options);
      const order = { repository: this.#repository, descriptor, body: options.body, tags: [...new Set(tags)], signal };
      return await new ManifestPush(this.#registry, this.#settings, order).run();
    } finally {
      release();
    }
  }

  async #pushBlob(descriptor: Descriptor, { body, mountFrom = [], signal }: PushOptions): Promise<PushOutcome> {
    const order = { repository: this.#repository, descriptor, body, signal };
    if (await isPresent(this.#registry, `blobs/${descriptor.digest}`, order)) return "exists";
    const release = await this.#registry.uploads.acquire({ signal });
    try {
      const session = await mountBlob(this.#registry, order, mountFrom);
      if (session === "mounted") return "mounted";
      await new BlobUpload(this.#registry, this.#settings, order).run(session);
    } finally {
      release();
    }
    return "sent";
  }
}
