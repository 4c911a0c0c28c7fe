import { readBlob, streamBlob } from "@varve/content";
import type { BlobReader, Provider, QuarantinedBlob, Quarantiner } from "@varve/content";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import { describe, expect, it, test } from "vitest";
import { bytes, descriptor, digest, FakeProvider, size } from "./fakes.ts";

const damaged = bytes.toReversed();

/** Holds one blob until it is quarantined. `refusal` is what happens instead of that. */
class QuarantiningProvider implements Provider, Quarantiner {
  readonly taken: Digest[] = [];
  readonly #stored: FakeProvider;
  readonly #refusal: Error | undefined;

  constructor(content: Uint8Array, refusal?: Error) {
    this.#stored = new FakeProvider(content);
    this.#refusal = refusal;
  }

  get leftOpen(): number {
    return this.#stored.opened - this.#stored.closed;
  }

  async open(): Promise<BlobReader> {
    if (this.taken.length > 0) throw new CodedError("ERR_NOT_FOUND", "gone");
    return this.#stored.open();
  }

  async quarantine(wanted: Digest): Promise<QuarantinedBlob> {
    if (this.#refusal !== undefined) throw this.#refusal;
    this.taken.push(wanted);
    return { id: "q1", digest: wanted, size, quarantinedAt: new Date(0) };
  }

  async *quarantined(): AsyncGenerator<QuarantinedBlob> {}

  async discard(): Promise<void> {}
}

async function drain(provider: Provider, wanted: Descriptor): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamBlob(provider, wanted)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test("a sound blob is streamed whole, and its reader closed", async () => {
  const provider = new FakeProvider();
  expect(new Uint8Array(await drain(provider, descriptor))).toEqual(bytes);
  expect(provider.closed).toBe(1);
});

test("a consumer that leaves early closes the reader", async () => {
  const provider = new FakeProvider();
  for await (const chunk of streamBlob(provider, descriptor)) {
    expect(chunk.byteLength).toBeLessThan(size);
    break;
  }
  expect(provider.closed).toBe(1);
});

test("streaming is rejected with the reason of the signal", async () => {
  const provider = new FakeProvider();
  const reason = new Error("enough");
  const chunks = streamBlob(provider, descriptor, { signal: AbortSignal.abort(reason) });
  await expect(chunks.next()).rejects.toBe(reason);
  expect(provider.opened).toBe(0);
});

test("a blob of another size is refused before the first byte", async () => {
  const chunks = streamBlob(new FakeProvider(bytes.subarray(1)), descriptor);
  await expect(chunks.next()).rejects.toMatchObject({
    code: "ERR_DIGEST_MISMATCH",
    message: `content ${digest}: stored ${size - 1} bytes, expected ${size}`,
  });
});

// F11
describe.each([
  ["readBlob", readBlob],
  ["streamBlob", drain],
])("%s of a blob that was changed on disk", (_, read) => {
  it("fails with both digests", async () => {
    const failure = { code: "ERR_DIGEST_MISMATCH", message: expect.stringContaining(digestOf(damaged)) as string };
    await expect(read(new FakeProvider(damaged), descriptor)).rejects.toMatchObject(failure);
    await expect(read(new FakeProvider(damaged), descriptor)).rejects.toThrow(digest);
  });

  it.each([
    ["other bytes", damaged],
    ["fewer bytes", bytes.subarray(0, 7)],
    ["more bytes", Uint8Array.of(...bytes, 0)],
    ["no bytes", new Uint8Array()],
  ])("quarantines it where that is possible: %s", async (__, content) => {
    const provider = new QuarantiningProvider(content);
    await expect(read(provider, descriptor)).rejects.toMatchObject({
      code: "ERR_DIGEST_MISMATCH",
      message: `content ${digest}: the ${content.byteLength} bytes stored have digest ${digestOf(content)}: quarantined as q1`,
    });
    expect(provider.taken).toEqual([digest]);
    expect(provider.leftOpen).toBe(0);
  });

  it("leaves a sound blob alone of which the descriptor says another size", async () => {
    const provider = new QuarantiningProvider(bytes);
    for (const claimed of [size - 1, size + 1]) {
      await expect(read(provider, { ...descriptor, size: claimed })).rejects.toMatchObject({
        code: "ERR_DIGEST_MISMATCH",
      });
    }
    expect(provider.taken).toEqual([]);
    expect(provider.leftOpen).toBe(0);
  });

  it("says that the bytes are wrong even if it cannot be quarantined", async () => {
    const readOnly = Object.assign(new Error("read-only file system"), { code: "EROFS" });
    await expect(read(new QuarantiningProvider(damaged, readOnly), descriptor)).rejects.toMatchObject({
      code: "ERR_DIGEST_MISMATCH",
      message: expect.stringMatching(/could not be quarantined$/) as string,
      cause: readOnly,
    });
  });

  it("says the same if somebody else was faster", async () => {
    const gone = new CodedError("ERR_NOT_FOUND", "gone");
    const failure = read(new QuarantiningProvider(damaged, gone), descriptor);
    await expect(failure).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  });

  it("quarantines what cannot be read to its end", async () => {
    const provider = new QuarantiningProvider(bytes);
    const open = provider.open.bind(provider);
    const lost = new CodedError("ERR_DATA_LOSS", `content ${digest}: ends at byte 3`);
    provider.open = async () =>
      Object.assign(await open(), {
        read: () => Promise.reject(lost),
        // oxlint-disable-next-line require-yield
        async *stream(): AsyncGenerator<Uint8Array> {
          throw await Promise.resolve(lost);
        },
      });
    await expect(read(provider, descriptor)).rejects.toMatchObject({
      code: "ERR_DATA_LOSS",
      message: `${lost.message}: quarantined as q1`,
    });
    expect(provider.taken).toEqual([digest]);
  });
});

test("other failures of a read say nothing about the blob", async () => {
  const provider = new QuarantiningProvider(bytes);
  const broken = Object.assign(new Error("i/o error"), { code: "EIO" });
  const open = provider.open.bind(provider);
  provider.open = async () => Object.assign(await open(), { read: () => Promise.reject(broken) });
  await expect(readBlob(provider, descriptor)).rejects.toBe(broken);
  expect(provider.taken).toEqual([]);
});

test("a stored blob over the limit is not hashed to find out who is right about its size", async () => {
  const provider = new QuarantiningProvider(new Uint8Array(100));
  await expect(readBlob(provider, descriptor, { limit: 50 })).rejects.toMatchObject({
    message: `content ${digest}: stored 100 bytes, expected ${size}`,
  });
  expect(provider.taken).toEqual([]);
});
