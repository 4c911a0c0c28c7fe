import { createHash } from "node:crypto";
import { createDigester, createVerifier, digestOf, digestStream, parseDigest, verifyStream } from "@varve/digest";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

// FIPS 180-4 examples: the hash functions are known by other means than our own.
const abc = {
  sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  sha384: "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
  sha512:
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
} as const;
const empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

async function* streamOf(...chunks: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function readAll(source: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe("computing", () => {
  test.each(["sha256", "sha384", "sha512"] as const)("%s of known bytes is the published value", async (algorithm) => {
    const expected = `${algorithm}:${abc[algorithm]}`;
    expect(digestOf("abc", algorithm)).toBe(expected);
    expect(digestOf(Buffer.from("abc"), algorithm)).toBe(expected);
    expect(createDigester(algorithm).update(Buffer.from("ab")).update(Buffer.from("c")).digest()).toBe(expected);
    expect(await digestStream(streamOf("a", "", "bc"), algorithm)).toBe(expected);
  });

  test("without an algorithm it is sha256, also of no bytes", async () => {
    expect(digestOf("")).toBe(empty);
    expect(createDigester().digest()).toBe(empty);
    expect(await digestStream(streamOf())).toBe(empty);
  });

  test("a digester can be asked again and again, and go on", () => {
    const digester = createDigester();
    expect(digester.digest()).toBe(empty);
    digester.update(Buffer.from("ab"));
    expect(digester.size).toBe(2);
    expect(digester.digest()).toBe(digester.digest());
    digester.update(Buffer.from("c"));
    expect(digester.digest()).toBe(`sha256:${abc.sha256}`);
    expect(digester.size).toBe(3);
  });

  test("bytes may be reused once they were taken", () => {
    const chunk = Buffer.from("abc");
    const digester = createDigester().update(chunk);
    chunk.fill(0);
    expect(digester.digest()).toBe(`sha256:${abc.sha256}`);
  });

  test("however bytes are cut, the digest is the same", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (chunks) => {
        const digester = createDigester();
        for (const chunk of chunks) digester.update(chunk);
        const whole = Buffer.concat(chunks);
        expect(digester.digest()).toBe(`sha256:${createHash("sha256").update(whole).digest("hex")}`);
        expect(digester.size).toBe(whole.byteLength);
      }),
    );
  });

  test("an error of the source passes as it is", async () => {
    const broken = new Error("connection lost");
    async function* source(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("a");
      throw broken;
    }
    await expect(digestStream(source())).rejects.toBe(broken);
    await expect(readAll(verifyStream(source(), digestOf("a")))).rejects.toBe(broken);
  });
});

describe("verifying", () => {
  const expected = digestOf("abc");

  test("the right bytes pass, with and without a size", () => {
    createVerifier(expected).update(Buffer.from("abc")).verify();
    const verifier = createVerifier(expected, 3).update(Buffer.from("a")).update(Buffer.from("bc"));
    verifier.verify();
    verifier.verify();
    expect(verifier.size).toBe(3);
    createVerifier(parseDigest(`sha512:${abc.sha512}`), 3)
      .update(Buffer.from("abc"))
      .verify();
  });

  test("other bytes fail with both digests in the message", () => {
    const verifier = createVerifier(expected, 3).update(Buffer.from("abd"));
    expect(() => verifier.verify()).toThrow(
      expect.objectContaining({
        code: "ERR_DIGEST_MISMATCH",
        message: `content ${expected}: the 3 bytes have digest ${digestOf("abd")}`,
      }),
    );
  });

  test("too few bytes fail with both sizes in the message", () => {
    const verifier = createVerifier(expected, 4).update(Buffer.from("abc"));
    expect(() => verifier.verify()).toThrow(
      expect.objectContaining({ code: "ERR_DIGEST_MISMATCH", message: `content ${expected}: 3 bytes, expected 4` }),
    );
  });

  test("too many bytes fail at once, and are not counted", () => {
    const verifier = createVerifier(expected, 3).update(Buffer.from("abc"));
    expect(() => verifier.update(Buffer.from("d"))).toThrow(
      expect.objectContaining({ code: "ERR_DIGEST_MISMATCH", message: expect.stringContaining("at least 4 bytes") }),
    );
    expect(verifier.size).toBe(3);
  });

  test("a size of zero is a size", () => {
    expect(() => createVerifier(parseDigest(empty), 0).update(Buffer.from("a"))).toThrow(/expected 0/);
    createVerifier(parseDigest(empty), 0).verify();
  });

  test("a stream passes unchanged", async () => {
    expect(await readAll(verifyStream(streamOf("a", "b", "c"), expected, 3))).toBe("abc");
    expect(await readAll(verifyStream(streamOf("abc"), expected))).toBe("abc");
  });

  test.each([
    ["other bytes", streamOf("abd"), 3],
    ["too few bytes", streamOf("ab"), 3],
    ["other bytes and no size", streamOf("abcd"), undefined],
  ])("a stream of %s throws instead of ending", async (_name, source, size) => {
    await expect(readAll(verifyStream(source, expected, size))).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  });

  test("an endless stream is left as soon as it is too long", async () => {
    let given = 0;
    let closed = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          given += 1;
          yield Buffer.from("ab");
        }
      } finally {
        closed = true;
      }
    }
    const passed: Uint8Array[] = [];
    const reading = async (): Promise<void> => {
      for await (const chunk of verifyStream(endless(), expected, 3)) passed.push(chunk);
    };
    await expect(reading()).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
    expect({ given, passed: passed.length, closed }).toEqual({ given: 2, passed: 1, closed: true });
  });

  test("a reader that leaves early closes the source and is told nothing", async () => {
    let closed = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield Buffer.from("a");
        yield Buffer.from("b");
      } finally {
        closed = true;
      }
    }
    for await (const chunk of verifyStream(source(), expected)) {
      expect(chunk).toEqual(Buffer.from("a"));
      break;
    }
    expect(closed).toBe(true);
  });
});
