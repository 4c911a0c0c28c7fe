import type { ContentStore } from "@varve/content";
import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";
import { blobUnknown, sendBlob, sendStoredBlob } from "./blobs.ts";
import type { Part } from "./byte-range.ts";
import type { Call } from "./call.ts";
import { Download } from "./download.ts";
import { ProtocolError } from "./protocol-error.ts";
import type { Repositories } from "./repositories.ts";
import { asked, isGone, upstreamFailure } from "./upstream-failure.ts";
import type { Upstream } from "./upstream.ts";

/** A repository here, and the one that it mirrors. */
export interface MirroredRepository {
  readonly upstream: Upstream;
  /** As the upstream calls it. */
  readonly remote: string;
  /** As tags and blobs are kept here. */
  readonly local: string;
}

export interface MirroredBlobsOptions {
  readonly content: ContentStore;
  readonly repositories: Repositories;
  readonly maxBlobSize: number;
}

/** Serves blobs of other registries while they are fetched, and keeps them. */
export class MirroredBlobs {
  readonly #options: MirroredBlobsOptions;
  readonly #downloads = new Map<Digest, Download>();

  constructor(options: MirroredBlobsOptions) {
    this.#options = options;
  }

  async send(call: Call, repository: MirroredRepository, digest: Digest): Promise<void> {
    const { content, repositories, maxBlobSize } = this.#options;
    const { upstream, remote, local } = repository;
    const { signal } = call;
    if ((await repositories.find([local], digest, signal)) === undefined) {
      // Asked even if another repository here has it: a manifest may name what its own repository does not have.
      const descriptor = await asked(() => upstream.blob(remote, digest, { signal }), signal);
      if (descriptor === undefined) throw blobUnknown();
      if (!(await repositories.addIfStored(local, digest, signal))) {
        const { size } = descriptor;
        if (size > maxBlobSize) throw new ProtocolError("DENIED", "the blob is larger than is kept here");
        await sendBlob(call, { digest, size, read: (part) => this.#fetch(repository, descriptor, part, signal) });
        return;
      }
    }
    await sendStoredBlob(call, content, digest);
  }

  /** Waits until nothing is fetched any more. Whoever asked must have gone. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#downloads.values()].map(({ done }) => done));
  }

  /** Reads a blob while it is fetched; all who ask for it share one fetch. */
  async *#fetch(
    repository: MirroredRepository,
    descriptor: Descriptor,
    part: Part,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { digest } = descriptor;
    const running = this.#downloads.get(digest);
    const download = running?.isStopped === false ? running : this.#start(repository, descriptor);
    try {
      yield* download.read(part, signal);
    } catch (error) {
      if (isGone(error)) throw blobUnknown();
      throw signal.aborted || error instanceof ProtocolError ? error : upstreamFailure(error);
    }
    await this.#options.repositories.addIfStored(repository.local, digest, signal);
  }

  #start({ upstream, remote, local }: MirroredRepository, descriptor: Descriptor): Download {
    const { content, repositories } = this.#options;
    const { digest } = descriptor;
    const download = new Download({
      content,
      descriptor,
      labels: repositories.labelsFor(local),
      fetch: (offset, options) => upstream.fetch(remote, descriptor, { ...options, offset }),
    });
    this.#downloads.set(digest, download);
    const forget = (): void => {
      if (this.#downloads.get(digest) === download) this.#downloads.delete(digest);
    };
    download.done.then(forget, forget);
    return download;
  }
}
