import { digestOf } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { readRemote } from "@varve/remotes";
import type { Fetcher } from "@varve/remotes";
import { describe, expect, test } from "vitest";
import { fakeFetcher } from "./fake-fetcher.ts";

const bytes = Buffer.from('{"config": "of something"}');
const wrong = Buffer.from('{"CONFIG": "of something"}');
const descriptor: Descriptor = { mediaType: mediaTypes.ociConfig, digest: digestOf(bytes), size: bytes.byteLength };

describe("something small that is read into memory", () => {
  test("comes whole and is verified by the algorithm of its digest", async () => {
    expect(await readRemote(fakeFetcher({ bytes }), descriptor)).toEqual(bytes);
    const long = { ...descriptor, digest: digestOf(bytes, "sha512") };
    expect(await readRemote(fakeFetcher({ bytes }), long)).toEqual(bytes);
  });

  test("is copied as it comes, so that no piece of it is kept", async () => {
    const piece = Uint8Array.of(0);
    const fetcher: Fetcher = {
      async *fetch() {
        for (const byte of bytes) {
          piece[0] = byte;
          yield piece;
        }
      },
    };
    expect(await readRemote(fetcher, descriptor)).toEqual(bytes);
  });

  // M13
  test("is taken from its descriptor, if what that carries is right", async () => {
    const fetcher = fakeFetcher({ bytes });
    const carried = { ...descriptor, data: bytes.toString("base64") };
    expect(Buffer.from(await readRemote(fetcher, carried))).toEqual(bytes);
    expect(fetcher.offsets).toEqual([]);
    expect(await readRemote(fetcher, { ...descriptor, data: wrong.toString("base64") })).toEqual(bytes);
    expect(fetcher.offsets).toEqual([0]);
  });

  // N08
  test("is asked for once more when its digest is wrong, and then refused with both digests", async () => {
    const once = fakeFetcher({ bytes: wrong }, { bytes });
    expect(await readRemote(once, descriptor)).toEqual(bytes);
    const always = fakeFetcher({ bytes: wrong });
    await expect(readRemote(always, descriptor)).rejects.toMatchObject({
      code: "ERR_DIGEST_MISMATCH",
      message: expect.stringMatching(new RegExp(`${descriptor.digest}.*${digestOf(wrong)}`)),
    });
    expect(always.offsets).toEqual([0, 0]);
  });

  // B1
  test("is refused as soon as there are too many bytes, and when there are too few", async () => {
    const endless = fakeFetcher({ bytes: Buffer.alloc(100_000) });
    await expect(readRemote(endless, descriptor)).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
    expect(endless.yielded).toBeLessThan(20);
    const short = fakeFetcher({ bytes: bytes.subarray(1) });
    await expect(readRemote(short, descriptor)).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  });

  // M6
  test("is not asked for when it is over the limit", async () => {
    const fetcher = fakeFetcher({ bytes });
    const limited = readRemote(fetcher, descriptor, { limit: bytes.byteLength - 1 });
    await expect(limited).rejects.toMatchObject({ code: "ERR_RESOURCE_EXHAUSTED" });
    const large = readRemote(fetcher, { ...descriptor, size: 2 ** 40 });
    await expect(large).rejects.toMatchObject({ code: "ERR_RESOURCE_EXHAUSTED" });
    expect(fetcher.offsets).toEqual([]);
    expect(await readRemote(fetcher, descriptor, { limit: bytes.byteLength })).toEqual(bytes);
  });

  // M7
  test("is not a schema 1 manifest", async () => {
    const old = readRemote(fakeFetcher({ bytes }), { ...descriptor, mediaType: mediaTypes.dockerSchema1Signed });
    await expect(old).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
  });

  test("fails as the fetcher does, and with the reason of an abort", async () => {
    const error = new CodedError("ERR_NETWORK", "registry x: connection reset");
    const broken = fakeFetcher({ bytes: bytes.subarray(0, 4), error });
    await expect(readRemote(broken, descriptor)).rejects.toBe(error);
    const reason = new Error("enough");
    const fetcher = fakeFetcher({ bytes });
    const aborted = readRemote(fetcher, descriptor, { signal: AbortSignal.abort(reason) });
    await expect(aborted).rejects.toBe(reason);
    expect(fetcher.offsets).toEqual([]);
  });
});
