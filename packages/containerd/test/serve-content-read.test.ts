import { Code } from "@connectrpc/connect";
import type { CallFailure } from "@varve/containerd";
import { createMemoryContentStore } from "@varve/content-memory";
import { digestOf } from "@varve/digest";
import { describe, expect, test, vi } from "vitest";
// What a client of the protocol sends.
import { Content } from "../src/gen/containerd/services/content/v1/content_pb.js";
import { failureOf } from "./failure-of.ts";
import { startContentPeer } from "./serve-content-peer.ts";
import type { ContentPeer } from "./serve-content-peer.ts";
import { served } from "./served.ts";
import { bytesOf, storeBlob } from "./stored-blob.ts";
import { watch } from "./watched-store.ts";

const missing = digestOf("missing");

interface ReadRequest {
  readonly digest: string;
  readonly offset?: bigint;
  readonly size?: bigint;
}

async function read(
  { client }: Pick<ContentPeer, "client">,
  request: ReadRequest,
): Promise<{ readonly bytes: Buffer; readonly offsets: readonly bigint[]; readonly largest: number }> {
  const messages = await Array.fromAsync(client.read(request));
  return {
    bytes: Buffer.concat(messages.map(({ data }) => data)),
    offsets: messages.map(({ offset }) => offset),
    largest: Math.max(0, ...messages.map(({ data }) => data.byteLength)),
  };
}

describe("6.3: a Read", () => {
  test("gives at most 1 MiB in a message, and offsets from where the read began", async () => {
    const content = createMemoryContentStore();
    const blob = bytesOf(2_621_440);
    const digest = await storeBlob(content, blob);
    await using peer = await startContentPeer(content);
    const all = await read(peer, { digest });
    expect(digestOf(all.bytes)).toBe(digest);
    expect(all.offsets).toEqual([0n, 1_048_576n, 2_097_152n]);
    expect(all.largest).toBe(1_048_576);
    const part = await read(peer, { digest, offset: 1000n, size: 1_500_000n });
    expect(digestOf(part.bytes)).toBe(digestOf(blob.subarray(1000, 1_501_000)));
    expect(part.offsets).toEqual([0n, 1_048_576n]);
  });

  test.each([
    [{ offset: 2n }, "cdef"],
    [{ size: 2n }, "ab"],
    [{ offset: 2n, size: 2n }, "cd"],
    [{ offset: 4n, size: 9n }, "ef"],
    [{ offset: 2n, size: -1n }, "cdef"],
    [{ offset: -3n, size: 2n }, "ab"],
    [{ offset: 1n, size: 2n ** 63n - 1n }, "bcdef"],
    [{ offset: 6n }, ""],
    [{ offset: 6n, size: 1n }, ""],
  ])("of %o is cut to what there is", async (range, expected) => {
    const content = createMemoryContentStore();
    const digest = await storeBlob(content, Buffer.from("abcdef"));
    await using peer = await startContentPeer(content);
    expect((await read(peer, { digest, ...range })).bytes.toString()).toBe(expected);
  });

  test("from after the end is OutOfRange, and of a missing blob NotFound", async () => {
    const content = createMemoryContentStore();
    const digest = await storeBlob(content, Buffer.from("abcdef"));
    await using peer = await startContentPeer(content);
    for (const offset of [7n, 2n ** 63n - 1n]) {
      await expect(read(peer, { digest, offset })).rejects.toMatchObject({
        code: Code.OutOfRange,
        rawMessage: `content ${digest}: a read from byte ${offset}, of 6 bytes`,
      });
    }
    const rawMessage = `content ${missing}: not found`;
    await expect(read(peer, { digest: missing })).rejects.toMatchObject({ code: Code.NotFound, rawMessage });
    expect(peer.faults).toEqual([]);
  });

  test("of a blob that was deleted since the last one is NotFound, and nothing of it stays open", async () => {
    const memory = createMemoryContentStore();
    const [one, other] = [await storeBlob(memory, Buffer.from("one")), await storeBlob(memory, Buffer.from("other"))];
    const store = watch(memory);
    await using peer = await startContentPeer(store.content);
    await read(peer, { digest: one });
    await read(peer, { digest: other });
    expect(store.open).toBe(2);
    await peer.client.delete({ digest: one });
    // As another process would do it.
    await memory.delete(other);
    for (const digest of [one, other]) {
      await expect(read(peer, { digest })).rejects.toMatchObject({ code: Code.NotFound });
    }
    await store.closed();
  });

  test("opens a blob for the first of many pieces only, and leaves it open for the next", async () => {
    const memory = createMemoryContentStore();
    const blob = bytesOf(1_000_000);
    const digest = await storeBlob(memory, blob);
    const store = watch(memory);
    await using peer = await startContentPeer(store.content);
    const pieces: Buffer[] = [];
    for (let offset = 0; offset < blob.byteLength; offset += 32_768) {
      pieces.push((await read(peer, { digest, offset: BigInt(offset), size: 32_768n })).bytes);
    }
    expect(digestOf(Buffer.concat(pieces))).toBe(digest);
    expect([store.opened, store.open]).toEqual([1, 1]);
    await peer.readers.close();
    expect(store.open).toBe(0);
  });

  test("that fails in the middle has given what came before, and its status", async () => {
    const memory = createMemoryContentStore();
    const digest = await storeBlob(memory, bytesOf(3 << 20));
    const broken = Object.assign(new Error("read: input/output error"), { code: "EIO" });
    const store = watch(memory, {
      beforeRead: async (position) => {
        if (position >= 2 << 20) throw broken;
      },
    });
    await using peer = await startContentPeer(store.content);
    const messages = peer.client.read({ digest })[Symbol.asyncIterator]();
    expect((await messages.next()).value?.data).toHaveLength(1 << 20);
    expect((await messages.next()).value?.data).toHaveLength(1 << 20);
    await expect(messages.next()).rejects.toMatchObject({ code: Code.Unknown, rawMessage: broken.message });
    expect(peer.faults).toEqual([`${Content.typeName}/Read`, broken]);
  });
});

test("6.3: a deleted blob is closed at once, not when it is asked for again", async () => {
  // Or it would be closed after a while.
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  try {
    const memory = createMemoryContentStore();
    const digest = await storeBlob(memory, Buffer.from("one"));
    const store = watch(memory);
    await using peer = await startContentPeer(store.content);
    await read(peer, { digest });
    await peer.client.delete({ digest });
    await store.closed();
    expect(store.opened).toBe(1);
  } finally {
    vi.useRealTimers();
  }
});

test("6.3: many Reads at once each get their own bytes", async () => {
  const content = createMemoryContentStore();
  const blob = bytesOf(3_000_000);
  const digest = await storeBlob(content, blob);
  await using peer = await startContentPeer(content);
  const pieces = Array.from({ length: 300 }, (_, index) => {
    const [offset, size] = [(index * 1_299_709) % blob.byteLength, (index * 7919) % 150_000];
    return { offset, size: size + 1 };
  });
  await Promise.all(
    pieces.map(async ({ offset, size }) => {
      const { bytes } = await read(peer, { digest, offset: BigInt(offset), size: BigInt(size) });
      expect(bytes.equals(blob.subarray(offset, offset + size))).toBe(true);
    }),
  );
});

test("6.3: a client that stops or goes in the middle of a Read leaves nothing open behind", async () => {
  const memory = createMemoryContentStore();
  const digest = await storeBlob(memory, new Uint8Array(64 << 20));
  const store = watch(memory);
  await using peer = await startContentPeer(store.content);
  const { client } = peer;
  const abort = new AbortController();
  for await (const { offset } of client.read({ digest })) if (offset > 0n) break;
  const cancelled = client.read({ digest }, { signal: abort.signal })[Symbol.asyncIterator]();
  await cancelled.next();
  abort.abort();
  await expect(cancelled.next()).rejects.toMatchObject({ code: Code.Canceled });
  const cut = client.read({ digest })[Symbol.asyncIterator]();
  await cut.next();
  peer.cut();
  await peer.idle();
  expect(store.opened).toBe(1);
  await peer.readers.close();
  expect(store.open).toBe(0);
  expect(peer.faults).toEqual([]);
});

test("6.3: a client that goes away while its Read waits for the store has the store told", async () => {
  for (const how of ["cut", "cancel"] as const) {
    const memory = createMemoryContentStore();
    const digest = await storeBlob(memory, Buffer.from("one"));
    const [entered, left] = [Promise.withResolvers<void>(), Promise.withResolvers<unknown>()];
    const store = watch(memory, {
      beforeRead: async (_, signal) => {
        entered.resolve();
        await new Promise((resolve) => signal?.addEventListener("abort", resolve));
        left.resolve(signal?.reason);
      },
    });
    await using peer = await startContentPeer(store.content);
    const abort = new AbortController();
    const failure = failureOf(Array.fromAsync(peer.client.read({ digest }, { signal: abort.signal })));
    await entered.promise;
    if (how === "cut") peer.cut();
    else abort.abort();
    expect(await left.promise).toMatchObject({ code: Code.Canceled });
    expect(await failure).toMatchObject({ name: "ConnectError" });
    await peer.idle();
    expect(peer.faults).toEqual([]);
  }
});

test("6.3: bytes that come when the connection has just broken are no fault", async () => {
  const memory = createMemoryContentStore();
  const digest = await storeBlob(memory, Buffer.from("one"));
  const [entered, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const store = watch(memory, {
    beforeRead: () => {
      entered.resolve();
      return go.promise;
    },
  });
  // A read that looks at no signal.
  const open: typeof store.content.open = async (descriptor) => {
    const reader = await store.content.open(descriptor);
    return { ...reader, read: (target, position) => reader.read(target, position) };
  };
  await using peer = await startContentPeer({ ...store.content, open });
  const failure = failureOf(read(peer, { digest }));
  await entered.promise;
  go.resolve();
  peer.drop();
  expect(await failure).toMatchObject({ name: "ConnectError" });
  await peer.idle();
  expect(peer.faults).toEqual([]);
});

test("6.3: closing the server closes what was kept open, and ends a Read that takes long so that it may be tried again", async () => {
  const memory = createMemoryContentStore();
  const digest = await storeBlob(memory, bytesOf(1_000_000));
  const entered = Promise.withResolvers<void>();
  const store = watch(memory, {
    beforeRead: async (position, signal) => {
      if (position === 0) return;
      entered.resolve();
      await new Promise((resolve) => signal?.addEventListener("abort", resolve));
    },
  });
  await using it = await served({ content: store.content });
  const client = it.caller.client(Content);
  await read({ client }, { digest, size: 10n });
  const failure = failureOf(Array.fromAsync(client.read({ digest, offset: 500_000n })));
  await entered.promise;
  await it.server.close();
  expect(await failure).toMatchObject({ code: Code.Unavailable });
  expect([store.opened, store.open]).toEqual([1, 0]);
  expect(it.failures).toEqual([]);
});

test("6.3: closing the server ends a Read whose client does not read", async () => {
  const memory = createMemoryContentStore();
  const digest = await storeBlob(memory, new Uint8Array(64 << 20));
  const store = watch(memory);
  await using it = await served({ content: store.content });
  const messages = it.caller.client(Content).read({ digest })[Symbol.asyncIterator]();
  await messages.next();
  await it.server.close();
  expect(store.open).toBe(0);
  await messages.return?.();
});

test("6.3: a failure of a Read that its caller has not caused is told; who is told may fail, too", async () => {
  const memory = createMemoryContentStore();
  const digest = await storeBlob(memory, Buffer.from("one"));
  const broken = new Error("broken");
  const store = watch(memory, { beforeRead: () => Promise.reject(broken) });
  const told: CallFailure[] = [];
  await using it = await served({
    content: store.content,
    onError: (failure) => {
      told.push(failure);
      throw new Error("does not want to know");
    },
  });
  const client = it.caller.client(Content);
  await expect(read({ client }, { digest })).rejects.toMatchObject({ code: Code.Internal });
  expect(told).toEqual([{ method: `${Content.typeName}/Read`, error: broken }]);
  await expect(client.info({ digest })).resolves.toMatchObject({ info: { digest } });
});
