import { expect, describe, test, vi } from "vitest";
import { CodedError } from "@varve/errors";
import { array, assert, asyncProperty, constantFrom, integer, nat, record } from "fast-check";
import { importArchive } from "@varve/image-archive";
import { FakeStore } from "./fake-store.ts";
import { blobEntries, classicEntries, indexEntry, layoutEntry, makeImage } from "./images.ts";
import { entry, file, pieces, tar } from "./tar-builder.ts";

const image = makeImage(["bottom", "top"]);
const entries = [layoutEntry, indexEntry([image.target]), ...blobEntries(image)];

test("an import goes on after an archive that was refused", async () => {
  const content = new FakeStore();
  const bytes = tar(...entries);
  await expect(importArchive(pieces(bytes.subarray(0, bytes.length - 2000)), { content })).rejects.toThrow("cut short");
  expect(await importArchive(pieces(bytes), { content })).toHaveLength(1);
});

describe("when the store fails in the middle of a blob", () => {
  test("its error is what comes out, and the source is closed", async () => {
    const content = new FakeStore();
    const failure = new Error("disk full");
    content.onWrite = () => {
      throw failure;
    };
    const closed = vi.fn<() => void>();
    const source = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
      try {
        yield* pieces(tar(...entries), 600);
      } finally {
        closed();
      }
    };
    await expect(importArchive(source(), { content })).rejects.toBe(failure);
    expect(closed).toHaveBeenCalledOnce();
    expect(content.leftOpen()).toEqual([]);
  });

  test("a source that is silent for ever is not waited for", async () => {
    const content = new FakeStore();
    content.onWrite = () => {
      throw new Error("disk full");
    };
    await expect(importArchive(silentAfter(4000), { content })).rejects.toThrow("disk full");
  });
});

test("what the source throws is what comes out, wherever it throws", async () => {
  const bytes = tar(...entries);
  for (const at of [0, 300, 512, 700, 2500, bytes.length - 1100]) {
    const failure = new Error(`broken at ${at}`);
    const content = new FakeStore();
    const source = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
      yield* pieces(bytes.subarray(0, at));
      throw failure;
    };
    await expect(importArchive(source(), { content })).rejects.toBe(failure);
    expect(content.leftOpen()).toEqual([]);
  }
});

test("an abort rejects with its reason, also while the source is silent, and leaves no ingest", async () => {
  for (const at of [0, 300, 2100, 3000]) {
    const content = new FakeStore();
    const abort = new AbortController();
    const source = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
      yield* pieces(tar(...entries).subarray(0, at), 100);
      setImmediate(() => abort.abort("enough"));
      await new Promise(() => undefined);
    };
    await expect(importArchive(source(), { content, signal: abort.signal })).rejects.toBe("enough");
    expect(content.leftOpen()).toEqual([]);
  }
  const early = importArchive(pieces(tar(...entries)), { content: new FakeStore(), signal: AbortSignal.abort("no") });
  await expect(early).rejects.toBe("no");
});

test("an ingest that somebody else has taken over is left to him", async () => {
  const content = new FakeStore();
  content.onWrite = async (ref) => {
    await content.abort(ref);
    content.ingests.set(ref, { chunks: [], aborted: false });
  };
  await expect(importArchive(pieces(tar(...entries)), { content })).rejects.toMatchObject({ code: "ERR_ABORTED" });
  expect(content.ingests.size).toBe(1);
});

test("what another import left under the name of a blob is written again", async () => {
  const content = new FakeStore();
  for (const [digest] of image.blobs)
    content.ingests.set(`import-${digest}`, { chunks: [Buffer.from("x")], aborted: false });
  expect(await importArchive(pieces(tar(...entries)), { content })).toHaveLength(1);
});

test("two imports of one archive at the same time both succeed", async () => {
  const content = new FakeStore();
  const bytes = tar(...entries, ...[1, 2, 3].map((at) => file(`${at}.tar`, `${at}`)));
  const both = [1, 2].map(() => importArchive(pieces(bytes, 100), { content }));
  const [one, two] = await Promise.all(both);
  expect(one).toEqual(two);
});

test("memory does not grow with a blob", async () => {
  const content = new FakeStore();
  const size = 16 * 1024 * 1024;
  let ahead = 0;
  let most = 0;
  content.onWrite = async () => {
    ahead = 0;
    // A store that is slower than the source.
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  const source = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    const whole = entry(file("a", "", { sizeField: `${size.toString(8).padStart(11, "0")}\0` }));
    yield whole;
    const chunk = Buffer.alloc(64 * 1024);
    for (let at = 0; at < size / chunk.length; at += 1) {
      ahead += chunk.length;
      most = Math.max(most, ahead);
      yield chunk;
    }
    yield Buffer.alloc(1024);
  };
  await expect(importArchive(source(), { content })).rejects.toThrow("neither an OCI image layout");
  expect(most).toBeLessThan(1024 * 1024);
});

const edit = record({
  at: nat(20_000),
  count: integer({ min: 1, max: 700 }),
  kind: constantFrom("cut", "drop", "flip", "repeat", "zero"),
  value: nat(255),
});
type Edit = typeof edit extends { generate: (...args: never[]) => { readonly value: infer T } } ? T : never;

// Whatever happens to an archive on its way, the answer is an image that is whole or an error that says what is wrong.
test.each([
  ["layout", tar(...entries)],
  ["archive of docker save", tar(...classicEntries(image, ["app:1"]))],
])("a damaged %s is refused in our words, or imported whole", async (_what, bytes) => {
  const property = asyncProperty(
    array(edit, { minLength: 1, maxLength: 4 }),
    integer({ min: 1, max: 3000 }),
    async (edits, size) => {
      const content = new FakeStore();
      const damaged = edits.reduce(apply, bytes);
      const [result] = await Promise.allSettled([importArchive(pieces(damaged, size), { content })]);
      expect(content.leftOpen()).toEqual([]);
      const reason: unknown = result.status === "rejected" ? result.reason : new CodedError("ERR_INVALID_DATA", "");
      expect(reason).toBeInstanceOf(CodedError);
      expect((reason as CodedError).code).not.toBe("ERR_INTERNAL");
      const stored = result.status === "fulfilled" ? result.value : [];
      for (const { target } of stored) expect(content.blobs.has(target.digest)).toBe(true);
    },
  );
  await assert(property, { numRuns: 300 });
});

async function* silentAfter(length: number): AsyncGenerator<Uint8Array, void, undefined> {
  yield* pieces(tar(...entries).subarray(0, length), 600);
  await new Promise(() => undefined);
}

function apply(bytes: Buffer, { at, count, kind, value }: Edit): Buffer {
  const start = at % Math.max(1, bytes.length);
  const [before, hit, after] = [
    bytes.subarray(0, start),
    bytes.subarray(start, start + count),
    bytes.subarray(start + count),
  ];
  if (kind === "cut") return before;
  if (kind === "drop") return Buffer.concat([before, after]);
  if (kind === "repeat") return Buffer.concat([before, hit, hit, after]);
  const first = kind === "zero" ? Buffer.alloc(1) : Buffer.from([value]);
  return Buffer.concat([before, first, bytes.subarray(start + 1)]);
}
