import { openBlob, readBlob, streamBlob } from "@varve/content";
import type { Provider } from "@varve/content";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";
import { describe, expect, it, test } from "vitest";
import { bytes, descriptor, digest, FakeProvider, size } from "./fakes.ts";

const data = Buffer.from(bytes).toString("base64");
const wrong = Buffer.from(bytes.toReversed()).toString("base64");
const empty = digestOf("");

async function opened(provider: Provider, wanted: Descriptor): Promise<Uint8Array> {
  const reader = await openBlob(provider, wanted);
  try {
    const target = new Uint8Array(size + 10);
    return target.subarray(0, await reader.read(target, 0));
  } finally {
    await reader.close();
  }
}

async function streamed(provider: Provider, wanted: Descriptor): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamBlob(provider, wanted)) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

// U-CS.7, C-CH.8 to C-CH.28
describe.each([
  ["readBlob", readBlob],
  ["openBlob", opened],
  ["streamBlob", streamed],
])("%s and the data within a descriptor:", (_, read) => {
  it.each<[string, Descriptor]>([
    ["sha256", { ...descriptor, data }],
    ["sha512", { ...descriptor, digest: digestOf(bytes, "sha512"), data }],
  ])("is used instead of the store if size and digest are right: %s", async (__, wanted) => {
    const provider = new FakeProvider();
    expect(await read(provider, wanted)).toEqual(bytes);
    expect(provider.opened).toBe(0);
  });

  it("no bytes are data too", async () => {
    const provider = new FakeProvider();
    expect(await read(provider, { ...descriptor, digest: empty, size: 0, data: "" })).toEqual(new Uint8Array());
    expect(provider.opened).toBe(0);
  });

  it.each<[string, Partial<Descriptor>]>([
    ["there is none", {}],
    ["it is longer than the size", { data: Buffer.from([...bytes, 0]).toString("base64") }],
    ["it is shorter than the size", { data: Buffer.from(bytes.subarray(1)).toString("base64") }],
    ["it is empty", { data: "" }],
    ["its digest is another", { data: wrong }],
  ])("is passed over when %s", async (__, change) => {
    const provider = new FakeProvider();
    expect(await read(provider, { ...descriptor, ...change })).toEqual(bytes);
    expect(provider.opened).toBe(1);
    expect(provider.closed).toBe(1);
  });

  it("without data nothing is taken for granted, not even that nothing is stored", async () => {
    const provider = new FakeProvider(new Uint8Array());
    expect(await read(provider, { ...descriptor, digest: empty, size: 0 })).toEqual(new Uint8Array());
    expect(provider.opened).toBe(1);
  });

  it.each(["", "sha256:../x", "sha256:00", digest.toUpperCase()])("the digest %j is malformed", async (malformed) => {
    const provider = new FakeProvider();
    const wanted = { ...descriptor, digest: malformed as Digest, data };
    await expect(read(provider, wanted)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    expect(provider.opened).toBe(0);
  });

  it("an unknown algorithm is an error", async () => {
    const provider = new FakeProvider();
    const wanted = { ...descriptor, digest: `md5:${"0".repeat(32)}` as Digest, data };
    await expect(read(provider, wanted)).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
    expect(provider.opened).toBe(0);
  });
});

test("a reader of data within a descriptor reads ranges, and nothing once it is closed", async () => {
  const reader = await openBlob(new FakeProvider(), { ...descriptor, data });
  expect(reader.size).toBe(size);
  const target = new Uint8Array(4);
  expect(await reader.read(target, size - 2)).toBe(2);
  expect(target.subarray(0, 2)).toEqual(bytes.subarray(-2));
  expect(await reader.read(target, size)).toBe(0);
  await expect(reader.read(target, -1)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  const chunks: Uint8Array[] = [];
  for await (const chunk of reader.stream({ start: 5, end: 10 })) chunks.push(chunk);
  expect(chunks).toEqual([bytes.slice(5, 10)]);
  chunks[0]?.fill(0);
  await reader.read(target, 5);
  expect(target).toEqual(bytes.slice(5, 9));
  for await (const chunk of reader.stream({ start: 7, end: 3 })) chunks.push(chunk);
  expect(chunks).toHaveLength(1);
  await reader.close();
  await expect(reader.read(target, 0)).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
});
