import type { BlobInfo, BlobReader, ContentStore, IngestStatus, Writer, WriterOptions } from "@varve/content";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";

/** Just enough of a content store to have blobs that come and go. */
export class FakeContent implements ContentStore {
  readonly blobs: Map<string, BlobInfo> = new Map();
  closed = 0;

  async writer(ref: string, options: WriterOptions = {}): Promise<Writer> {
    const chunks: Uint8Array[] = [];
    const digest = (): Digest => digestOf(Buffer.concat(chunks));
    const status = (): IngestStatus => {
      const offset = Buffer.concat(chunks).byteLength;
      return { ref, offset, expected: options.expected?.digest, startedAt: new Date(0), updatedAt: new Date(0) };
    };
    return {
      status,
      digest,
      write: async (chunk) => void chunks.push(new Uint8Array(chunk)),
      truncate: async () => void chunks.splice(0),
      commit: async () => {
        if (this.blobs.has(digest())) throw new CodedError("ERR_ALREADY_EXISTS", `content ${digest()}: already exists`);
        const time = new Date(1000);
        const info = { digest: digest(), size: status().offset, createdAt: time, updatedAt: time, labels: {} };
        this.blobs.set(info.digest, info);
        return info.digest;
      },
      close: async () => {},
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async info(digest: Digest): Promise<BlobInfo> {
    const info = this.blobs.get(digest);
    if (info === undefined) throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
    return info;
  }

  async *walk(): AsyncGenerator<BlobInfo> {
    for (const info of this.blobs.values()) yield await Promise.resolve(info);
  }

  async delete(digest: Digest): Promise<void> {
    await this.info(digest);
    this.blobs.delete(digest);
  }

  open(): Promise<BlobReader> {
    return Promise.reject(new Error("not used"));
  }

  status(ref: string): Promise<IngestStatus> {
    return Promise.reject(new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`));
  }

  async *statuses(): AsyncGenerator<IngestStatus> {}

  abort(ref: string): Promise<void> {
    return Promise.reject(new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`));
  }

  async close(): Promise<void> {
    this.closed += 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
