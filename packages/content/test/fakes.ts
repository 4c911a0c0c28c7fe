import type { BlobReader, Expected, Ingester, IngestStatus, Provider, Writer } from "@varve/content";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";

export const bytes: Uint8Array = new TextEncoder().encode("some bytes of a blob");
export const digest: Digest = digestOf(bytes);
export const size: number = bytes.byteLength;
export const descriptor: Descriptor = { mediaType: "text/plain", digest, size };

/** Serves one blob, and counts how often it is opened. */
export class FakeProvider implements Provider {
  opened = 0;
  closed = 0;
  readonly #bytes: Uint8Array;

  constructor(content: Uint8Array = bytes) {
    this.#bytes = content;
  }

  async open(): Promise<BlobReader> {
    this.opened += 1;
    const content = this.#bytes;
    const close = async (): Promise<void> => {
      this.closed += 1;
    };
    return {
      size: content.byteLength,
      read: async (target, position) => {
        const part = content.subarray(position, position + target.byteLength);
        target.set(part);
        return part.byteLength;
      },
      async *stream({ start = 0, end = content.byteLength } = {}) {
        for (let position = start; position < end; position += 7) {
          yield await Promise.resolve(content.slice(position, Math.min(position + 7, end)));
        }
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  }
}

/** Keeps what is written; a commit fails with `refusal` if there is one. */
export class FakeWriter implements Writer {
  written: number[];
  truncated = 0;
  closed = 0;
  committed: Expected | undefined;
  labels: Readonly<Record<string, string>> | undefined;
  readonly #refusal: Error | undefined;

  constructor(start: Uint8Array = new Uint8Array(), refusal?: Error) {
    this.written = [...start];
    this.#refusal = refusal;
  }

  status(): IngestStatus {
    return { ref: "fake", offset: this.written.length, startedAt: new Date(0), updatedAt: new Date(0) };
  }

  async digest(): Promise<Digest> {
    return digestOf(Uint8Array.from(this.written));
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.written.push(...chunk);
  }

  async truncate(): Promise<void> {
    this.truncated += 1;
    this.written = [];
  }

  async commit(
    expected?: Expected,
    options?: { labels?: Readonly<Record<string, string>> | undefined },
  ): Promise<Digest> {
    this.committed = expected;
    this.labels = options?.labels;
    if (this.#refusal !== undefined) throw this.#refusal;
    return this.digest();
  }

  async close(): Promise<void> {
    this.closed += 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

export function ingester(...outcomes: readonly (Writer | Error)[]): Ingester & { calls: number } {
  return {
    calls: 0,
    async writer(): Promise<Writer> {
      const outcome = outcomes[Math.min(this.calls, outcomes.length - 1)];
      this.calls += 1;
      if (outcome instanceof Error || outcome === undefined) throw outcome ?? new Error("no outcome");
      return outcome;
    },
  };
}
