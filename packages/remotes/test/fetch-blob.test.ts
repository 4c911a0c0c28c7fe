import { digestOf } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { ProgressEvent } from "@varve/images";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { fetchBlob, fetchHandler, refKey } from "@varve/remotes";
import { describe, expect, test } from "vitest";
import { FakeContent } from "./fake-content.ts";
import { fakeFetcher } from "./fake-fetcher.ts";

const bytes = Buffer.from("a layer of some bytes");
const descriptor: Descriptor = { mediaType: mediaTypes.ociLayerGzip, digest: digestOf(bytes), size: bytes.byteLength };
const ref = refKey(descriptor);
const wrong = Buffer.from("A LAYER OF SOME BYTES");

function collect(): { events: ProgressEvent[]; types: () => string[]; onProgress: (event: ProgressEvent) => void } {
  const events: ProgressEvent[] = [];
  return { events, types: () => events.map((event) => event.type), onProgress: (event) => events.push(event) };
}

describe("a blob that is fetched", () => {
  // S3.8
  test("is stored, its writer closed, and progress tells of it", async () => {
    const content = new FakeContent();
    const { events, onProgress } = collect();
    expect(await fetchBlob(descriptor, { content, fetcher: fakeFetcher({ bytes }), onProgress })).toBe("fetched");
    expect(content.blobs.get(descriptor.digest)).toEqual(bytes);
    expect([content.openWriters, content.ingests.size]).toEqual([0, 0]);
    expect(events[0]).toEqual({ type: "fetching", descriptor, bytes: 0 });
    expect(events.slice(-2)).toEqual([
      { type: "fetching", descriptor, bytes: bytes.byteLength },
      { type: "fetched", descriptor },
    ]);
  });

  // S3.3
  test("needs no download if it is stored", async () => {
    const content = new FakeContent();
    content.add(bytes);
    const fetcher = fakeFetcher({ bytes });
    const { events, onProgress } = collect();
    expect(await fetchBlob(descriptor, { content, fetcher, onProgress })).toBe("exists");
    expect(fetcher.offsets).toEqual([]);
    expect(events).toEqual([{ type: "exists", descriptor, what: "blob" }]);
  });

  // S3.3: the other one was faster
  test("is a success if somebody else commits it first", async () => {
    const content = new FakeContent();
    const fetcher = fakeFetcher({ bytes });
    content.onWriter = () => queueMicrotask(() => content.add(bytes));
    expect(await fetchBlob(descriptor, { content, fetcher })).toBe("fetched");
    expect([content.openWriters, content.ingests.size]).toEqual([0, 0]);
  });

  // U-REM.2
  test("that has all its bytes already is committed without a download", async () => {
    const content = new FakeContent();
    content.leave(ref, bytes);
    const fetcher = fakeFetcher({ bytes });
    const { events, onProgress } = collect();
    expect(await fetchBlob(descriptor, { content, fetcher, onProgress })).toBe("fetched");
    expect(fetcher.offsets).toEqual([]);
    expect(content.blobs.has(descriptor.digest)).toBe(true);
    // Nothing came over the network.
    expect(events).toEqual([
      { type: "resumed", descriptor, bytes: bytes.byteLength },
      { type: "fetching", descriptor, bytes: bytes.byteLength },
      { type: "fetched", descriptor },
    ]);
  });

  test("goes on where an earlier attempt broke off", async () => {
    const content = new FakeContent();
    content.leave(ref, bytes.subarray(0, 7));
    const fetcher = fakeFetcher({ bytes });
    const { events, onProgress } = collect();
    await fetchBlob(descriptor, { content, fetcher, onProgress });
    expect(fetcher.offsets).toEqual([7]);
    expect(events[0]).toEqual({ type: "resumed", descriptor, bytes: 7 });
    expect(content.blobs.get(descriptor.digest)).toEqual(bytes);
  });

  // U-REM.2, M13
  test("is taken from the descriptor if it carries it, and only if that is right", async () => {
    const content = new FakeContent();
    const fetcher = fakeFetcher({ bytes });
    await fetchBlob({ ...descriptor, data: bytes.toString("base64") }, { content, fetcher });
    expect(fetcher.offsets).toEqual([]);
    const second = new FakeContent();
    await fetchBlob({ ...descriptor, data: wrong.toString("base64") }, { content: second, fetcher });
    expect(fetcher.offsets).toEqual([0]);
    expect(second.blobs.get(descriptor.digest)).toEqual(bytes);
  });

  test("may be empty, if its digest says so", async () => {
    const content = new FakeContent();
    const empty = { mediaType: "application/octet-stream", digest: digestOf(""), size: 0 };
    expect(await fetchBlob(empty, { content, fetcher: fakeFetcher() })).toBe("fetched");
    expect(content.blobs.get(empty.digest)?.byteLength).toBe(0);
  });

  test("is verified by the algorithm of its digest", async () => {
    const content = new FakeContent();
    const long = { ...descriptor, digest: digestOf(bytes, "sha512") };
    await fetchBlob(long, { content, fetcher: fakeFetcher({ bytes }) });
    expect(content.blobs.has(long.digest)).toBe(true);
  });
});

describe("a ref that somebody holds", () => {
  // S3.4
  test("is waited for, and taken over when its holder gives up", async () => {
    const content = new FakeContent();
    content.locked.add(ref);
    let attempts = 0;
    content.onWriter = () => {
      attempts += 1;
      if (attempts === 3) content.locked.delete(ref);
    };
    const { events, types, onProgress } = collect();
    await fetchBlob(descriptor, { content, fetcher: fakeFetcher({ bytes }), onProgress });
    expect(attempts).toBe(3);
    expect(types().filter((type) => type === "waiting")).toHaveLength(1);
    expect(events[0]).toMatchObject({ type: "waiting", reason: `ingest ${ref}: locked` });
  });

  test("ends as existing when its holder commits", async () => {
    const content = new FakeContent();
    content.locked.add(ref);
    content.onWriter = () => void setImmediate(() => content.add(bytes));
    const fetcher = fakeFetcher({ bytes });
    expect(await fetchBlob(descriptor, { content, fetcher })).toBe("exists");
    expect(fetcher.offsets).toEqual([]);
  });

  // D9, G-3, S3.7
  test("and loses it to another is waited for in turn", async () => {
    const content = new FakeContent();
    let lost = 0;
    content.onWrite = () => {
      if (lost++ > 0) return;
      void content.abort(ref);
      content.onWriter = () => void content.add(bytes);
    };
    const { types, onProgress } = collect();
    expect(await fetchBlob(descriptor, { content, fetcher: fakeFetcher({ bytes }), onProgress })).toBe("exists");
    expect(types()).toContain("retry");
    expect(content.openWriters).toBe(0);
  });

  test("that is dropped again and again is given up after three attempts", async () => {
    const content = new FakeContent();
    let writers = 0;
    content.onWriter = () => void (writers += 1);
    content.onWrite = () => void content.abort(ref);
    const fetching = fetchBlob(descriptor, { content, fetcher: fakeFetcher({ bytes }) });
    await expect(fetching).rejects.toMatchObject({ code: "ERR_ABORTED" });
    expect([writers, content.openWriters]).toEqual([3, 0]);
  });

  // D2
  test("is named as soon as its ingest can be followed, while waiting too", async () => {
    const content = new FakeContent();
    content.locked.add(ref);
    content.onWriter = () => void setImmediate(() => content.locked.delete(ref));
    const told: [string, boolean][] = [];
    const onIngest = (name: string): void => void told.push([name, content.ingests.has(name)]);
    await fetchBlob(descriptor, { content, fetcher: fakeFetcher({ bytes }), onIngest });
    expect(told[0]?.[0]).toBe(ref);
    expect(told.at(-1)).toEqual([ref, true]);
    const stored = told.length;
    await fetchBlob(descriptor, { content, fetcher: fakeFetcher({ bytes }), onIngest });
    expect(told).toHaveLength(stored);
  });

  // S3.5 gives the lock error back; ours is the contract of every call here: the signal's own reason.
  test("stops being waited for with the signal's reason", async () => {
    const content = new FakeContent();
    content.locked.add(ref);
    const stop = new AbortController();
    const reason = new Error("enough");
    let attempts = 0;
    content.onWriter = () => {
      attempts += 1;
      if (attempts === 2) stop.abort(reason);
    };
    const fetching = fetchBlob(descriptor, { content, fetcher: fakeFetcher({ bytes }), signal: stop.signal });
    await expect(fetching).rejects.toBe(reason);
  });

  // S3.6
  test("is not confused with other failures of the store", async () => {
    const content = new FakeContent();
    const failure = Object.assign(new Error("no space"), { code: "ENOSPC" });
    content.onWriter = () => {
      throw failure;
    };
    await expect(fetchBlob(descriptor, { content, fetcher: fakeFetcher({ bytes }) })).rejects.toBe(failure);
  });
});

describe("wrong bytes", () => {
  // N08
  test("are fetched again once, from the first one on", async () => {
    const content = new FakeContent();
    const fetcher = fakeFetcher({ bytes: wrong }, { bytes });
    const { types, onProgress } = collect();
    await fetchBlob(descriptor, { content, fetcher, onProgress });
    expect(fetcher.offsets).toEqual([0, 0]);
    expect(types()).toContain("retry");
    expect(content.blobs.get(descriptor.digest)).toEqual(bytes);
  });

  // N08
  test("twice fail with both digests named, and nothing of them stays", async () => {
    const content = new FakeContent();
    const fetching = fetchBlob(descriptor, { content, fetcher: fakeFetcher({ bytes: wrong }) });
    await expect(fetching).rejects.toMatchObject({
      code: "ERR_DIGEST_MISMATCH",
      message: expect.stringMatching(new RegExp(`${descriptor.digest}.*${digestOf(wrong)}`)),
    });
    expect([content.blobs.size, content.ingests.size, content.openWriters, content.locked.size]).toEqual([0, 0, 0, 0]);
  });

  // K03
  test("left by an earlier attempt are found out and replaced", async () => {
    for (const left of [wrong, wrong.subarray(0, 5), Buffer.concat([bytes, bytes])]) {
      const content = new FakeContent();
      content.leave(ref, left);
      await fetchBlob(descriptor, { content, fetcher: fakeFetcher({ bytes }) });
      expect(content.blobs.get(descriptor.digest)).toEqual(bytes);
    }
  });

  // B1
  test("beyond the size end the transfer at once", async () => {
    const content = new FakeContent();
    const endless = Buffer.alloc(100_000);
    const fetcher = fakeFetcher({ bytes: endless });
    await expect(fetchBlob(descriptor, { content, fetcher })).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
    expect(fetcher.yielded).toBeLessThan(30);
    expect([content.blobs.size, content.ingests.size]).toEqual([0, 0]);
  });
});

describe("a transfer that fails", () => {
  test("keeps its bytes for the next attempt and closes its writer", async () => {
    const content = new FakeContent();
    const broken = new CodedError("ERR_NETWORK", "registry x: connection reset");
    const fetcher = fakeFetcher({ bytes: bytes.subarray(0, 9), error: broken }, { bytes });
    await expect(fetchBlob(descriptor, { content, fetcher })).rejects.toBe(broken);
    expect([content.openWriters, content.ingests.get(ref)?.bytes.byteLength]).toEqual([0, 9]);
    await fetchBlob(descriptor, { content, fetcher });
    expect(fetcher.offsets).toEqual([0, 9]);
  });

  test("by an abort keeps its bytes and rejects with the reason", async () => {
    const content = new FakeContent();
    const stop = new AbortController();
    const reason = new Error("enough");
    const onProgress = (event: ProgressEvent): void => {
      if (event.type === "fetching" && event.bytes === 0) setImmediate(() => stop.abort(reason));
    };
    const slow = {
      async *fetch() {
        yield bytes.subarray(0, 4);
        await new Promise((resolve) => stop.signal.addEventListener("abort", resolve, { once: true }));
        yield bytes.subarray(4);
      },
    };
    const fetching = fetchBlob(descriptor, { content, fetcher: slow, signal: stop.signal, onProgress });
    await expect(fetching).rejects.toBe(reason);
    expect([content.openWriters, content.ingests.get(ref)?.bytes.byteLength]).toEqual([0, 4]);
  });
});

describe("descriptors that cannot be fetched", () => {
  // S3.2
  test.each([mediaTypes.dockerSchema1, mediaTypes.dockerSchema1Signed])("%s is not supported", async (mediaType) => {
    const fetching = fetchBlob(
      { ...descriptor, mediaType },
      { content: new FakeContent(), fetcher: fakeFetcher({ bytes }) },
    );
    await expect(fetching).rejects.toMatchObject({
      code: "ERR_NOT_IMPLEMENTED",
      message: expect.stringContaining("schema 1 manifests are not supported"),
    });
  });

  // U-REM.2
  test("a size of 0 for something that is not empty is no size", async () => {
    const fetching = fetchBlob(
      { ...descriptor, size: 0 },
      { content: new FakeContent(), fetcher: fakeFetcher({ bytes }) },
    );
    await expect(fetching).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  });
});

test("the fetch handler fetches and names no children", async () => {
  const content = new FakeContent();
  const handler = fetchHandler({ content, fetcher: fakeFetcher({ bytes }) });
  expect(await handler(descriptor, { signal: new AbortController().signal })).toEqual([]);
  expect(content.blobs.has(descriptor.digest)).toBe(true);
});
