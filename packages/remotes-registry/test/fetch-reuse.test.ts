import { gzipSync } from "node:zlib";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { fakeRegistry } from "./fake-registry.ts";
import { testResolver } from "./fixtures.ts";

// More than one read of a socket.
const bytes = Buffer.alloc(1_000_000, "varve");
const large: Descriptor = { mediaType: mediaTypes.ociLayer, digest: digestOf(bytes), size: bytes.length };

describe("the chunks of a blob", () => {
  test("stay as they are for a consumer that keeps them", async () => {
    await using registry = await fakeRegistry((_seen, response) => void response.end(bytes));
    await using resolver = testResolver();
    const chunks = await Array.fromAsync(resolver.fetcher(`${registry.host}/lib/app`).fetch(large));
    expect(digestOf(Buffer.concat(chunks))).toBe(large.digest);
  });

  test("give their memory back when the next one is asked for, if the consumer says that it copies", async () => {
    await using registry = await fakeRegistry((_seen, response) => void response.end(bytes));
    await using resolver = testResolver();
    const copies: Buffer[] = [];
    const chunks: Uint8Array[] = [];
    for await (const chunk of resolver.fetcher(`${registry.host}/lib/app`).fetch(large, { reuse: true })) {
      copies.push(Buffer.from(chunk));
      chunks.push(chunk);
    }
    expect(digestOf(Buffer.concat(copies))).toBe(large.digest);
    expect(chunks.some(({ byteLength }) => byteLength === 0)).toBe(true);
  });

  test("of a body that was encoded are nobody's to give back", async () => {
    const packed = gzipSync(bytes);
    await using registry = await fakeRegistry((_seen, response) => {
      response.writeHead(200, { "content-encoding": "gzip" }).end(packed);
    });
    await using resolver = testResolver();
    const copies: Buffer[] = [];
    for await (const chunk of resolver.fetcher(`${registry.host}/lib/app`).fetch(large, { reuse: true })) {
      copies.push(Buffer.from(chunk));
    }
    expect(digestOf(Buffer.concat(copies))).toBe(large.digest);
  });
});
