import type { Client, PullOptions } from "@varve/client";
import { blobAt, layerCount, layerIndexes } from "./failing-image.ts";
import type { FailingImage } from "./failing-image.ts";
import { sendBlob } from "./shelf-server.ts";
import type { Answer, ShelfServer } from "./shelf-server.ts";

export interface FailingPullOptions {
  readonly image: FailingImage;
  /** The layer that fails. */
  readonly at: number;
  /** How it is answered when its turn has come. Default: as it should be. */
  readonly answer?: Answer | undefined;
}

/** Pulls an image until its layer at `at` fails, which it does when all below it are committed and none above has arrived. */
export class FailingPull implements AsyncDisposable {
  readonly client: Client;
  readonly image: FailingImage;
  readonly at: number;
  readonly #committed = Array.from({ length: layerCount }, () => Promise.withResolvers<void>());

  readonly server: ShelfServer;

  constructor(server: ShelfServer, client: Client, { answer = sendBlob, at, image }: FailingPullOptions) {
    this.server = server;
    this.client = client;
    this.image = image;
    this.at = at;
    for (const index of layerIndexes.slice(at)) {
      // Those above never come; a connection that is given up ends their requests.
      server.answers.set(blobAt(image, index), async (response, bytes, from) => {
        if (index > at) return;
        await Promise.all(this.#committed.slice(0, at).map(({ promise }) => promise));
        await answer(response, bytes, from);
      });
    }
  }

  /** @returns the error */
  async fail(options: PullOptions = {}): Promise<unknown> {
    return this.client
      .pull(`${this.server.host}/image:${this.image.bad.tag}`, {
        ...options,
        onProgress: (event) => {
          if (event.type === "committed") this.#at(event.descriptor.digest)?.resolve();
          options.onProgress?.(event);
        },
      })
      .then(
        () => new Error("the pull succeeded"),
        (error: unknown) => error,
      );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const index of layerIndexes) this.server.answers.delete(blobAt(this.image, index));
  }

  #at(digest: string): PromiseWithResolvers<void> | undefined {
    return this.#committed[this.image.layers.findIndex(({ blob }) => blob.digest === digest)];
  }
}
