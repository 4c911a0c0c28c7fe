import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { PushOptions } from "@varve/remotes";
import type { RegistryNotice, RegistryResolverOptions } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";
import { testResolver } from "./fixtures.ts";
import { until } from "./http-raw-server.ts";
import { uploadRegistry } from "./upload-registry.ts";
import type { Fault, UploadRegistry, UploadRegistryOptions } from "./upload-registry.ts";

const size = 3 * 1024 * 1024 + 17;
const half = Math.floor(size / 2);
const large: Buffer = Buffer.from(Array.from({ length: size }, (_, index) => (index * 31 + (index >> 9)) % 253));
const layer: Descriptor = { mediaType: mediaTypes.ociLayerGzip, digest: digestOf(large), size };

/** Gives the bytes from an offset on, and notes the offsets. */
function bodyOf(bytes: Buffer): PushOptions & { readonly offsets: number[] } {
  const offsets: number[] = [];
  return {
    offsets,
    async *body(offset) {
      offsets.push(offset);
      for (let at = offset; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
    },
  };
}

interface Pushed {
  readonly outcome: unknown;
  readonly registry: UploadRegistry;
  readonly offsets: readonly number[];
}

async function pushTo(options: UploadRegistryOptions, settings: RegistryResolverOptions = {}): Promise<Pushed> {
  await using registry = await uploadRegistry(options);
  await using resolver = testResolver(settings);
  const body = bodyOf(large);
  const outcome = await resolver.pusher(`${registry.host}/lib/app`).push(layer, body);
  expect(registry.blobs.get(layer.digest)?.equals(large)).toBe(true);
  return { outcome, registry, offsets: body.offsets };
}

/** Also tells what the failure was. */
async function failingPush(
  options: UploadRegistryOptions,
  settings: RegistryResolverOptions = {},
): Promise<{ readonly error: unknown; readonly registry: UploadRegistry }> {
  await using registry = await uploadRegistry(options);
  await using resolver = testResolver(settings);
  const pushing = resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(large));
  const error = await pushing.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { error, registry };
}

const cut: Fault = { cutAfter: half, keeps: "all" };

describe("a large blob", () => {
  // P4, P5
  test("is sent by one request, and another one ends the upload", async () => {
    const { outcome, registry, offsets } = await pushTo({});
    expect(outcome).toBe("sent");
    expect(registry.log).toEqual([
      "HEAD blobs/sha256",
      "POST blobs/uploads/",
      "PATCH blobs/uploads/s",
      "PUT blobs/uploads/s?digest",
    ]);
    expect(registry.parts).toEqual([String(size)]);
    expect(offsets).toEqual([0]);
  });

  // P5, G-22
  test("is sent in parts no larger than the option says, read from one body", async () => {
    const { registry, offsets } = await pushTo({}, { uploadChunkSize: 1024 * 1024 });
    const mib = 1024 * 1024;
    expect(registry.parts).toEqual([
      `0-${mib - 1}`,
      `${mib}-${2 * mib - 1}`,
      `${2 * mib}-${3 * mib - 1}`,
      `${3 * mib}-${size - 1}`,
    ]);
    expect(offsets).toEqual([0]);
  });

  // P5
  test("is sent in parts no smaller than the registry takes", async () => {
    const postHeaders = { "oci-chunk-min-length": "2000000" };
    const { registry } = await pushTo({ postHeaders }, { uploadChunkSize: 1000 });
    expect(registry.parts).toEqual(["0-1999999", `2000000-${size - 1}`]);
  });

  // P6, G-22
  test("goes on after a cut with the byte after the last one that arrived", async () => {
    const { registry, offsets } = await pushTo({ faults: [cut] });
    expect(registry.parts).toEqual([String(size), `${half}-${size - 1}`]);
    expect(offsets).toEqual([0, half]);
    expect(registry.log.filter((line) => line.startsWith("POST"))).toHaveLength(1);
  });

  // P6: each cut gains something, so there may be many.
  test("goes on after more cuts than failures are allowed, as long as bytes arrive", async () => {
    const faults = Array.from({ length: 12 }, (): Fault => ({ cutAfter: 200_000, keeps: "all" }));
    const { registry } = await pushTo({ faults }, { retries: 2 });
    expect(registry.parts).toHaveLength(13);
    expect(registry.log.filter((line) => line.startsWith("POST"))).toHaveLength(1);
  });

  // P6
  test("is begun again when the upload is gone, as docker-registry drops one that was cut", async () => {
    const { registry, offsets } = await pushTo({ faults: [{ cutAfter: half, keeps: "no upload" }] });
    expect(registry.parts).toEqual([String(size), String(size)]);
    expect(offsets).toEqual([0, 0]);
  });

  // P6, G-22
  test("finds out where to go on after a 416", async () => {
    const { registry } = await pushTo({ faults: [cut, { status: 416 }] });
    expect(registry.parts).toEqual([String(size), `${half}-${size - 1}`, `${half}-${size - 1}`]);
  });

  // P6
  test("leaves an upload that is stuck, and begins another", async () => {
    const { registry } = await pushTo({ faults: [cut, { status: 416 }, { status: 416 }] });
    expect(registry.parts.at(-1)).toBe(String(size));
    expect(registry.log.filter((line) => line.startsWith("POST"))).toHaveLength(2);
    expect(registry.log).toContain("DELETE blobs/uploads/s");
    expect(registry.sessions.size).toBe(0);
  });

  test("goes on where the registry says when it took in less than it was sent", async () => {
    const { registry } = await pushTo({ faults: [{ takesOnly: half }] });
    expect(registry.parts).toEqual([String(size), `${half}-${size - 1}`]);
  });

  // P6: a lie about bytes that were never sent is not believed.
  test("is begun again when the registry says that it has more than it was sent", async () => {
    const saysItHas = (bytes: number): string => (bytes === half ? `0-${size - 1}` : `0-${bytes - 1}`);
    let first = true;
    const body = async function* (offset: number): AsyncGenerator<Uint8Array> {
      // What is taken from the body may be on its way; so no more is given than arrives.
      if (first) yield large.subarray(0, half);
      if (first) await new Promise((resolve) => setTimeout(resolve, 10_000).unref());
      yield large.subarray(offset);
    };
    await using registry = await uploadRegistry({ faults: [{ cutAfter: half, keeps: "all" }], saysItHas });
    await using resolver = testResolver({ onNotice: () => (first = false) });
    await resolver.pusher(`${registry.host}/lib/app`).push(layer, { body });
    expect(registry.parts).toEqual([String(size), String(size)]);
    expect(registry.log.filter((line) => line.startsWith("PUT"))).toHaveLength(1);
    expect(registry.blobs.has(layer.digest)).toBe(true);
  });

  // K17
  test("is not sent again when only the answer to the last request was lost", async () => {
    const { registry } = await pushTo({ faults: ["none", "no answer"] });
    expect(registry.parts).toEqual([String(size)]);
    expect(registry.received).toBe(size);
  });

  test("is not sent again when only the answer to its last part was lost", async () => {
    const { registry } = await pushTo({ faults: ["no answer"] });
    expect(registry.parts).toEqual([String(size)]);
    expect(registry.log.at(-1)).toBe("PUT blobs/uploads/s?digest");
  });

  // P7
  test("is stored for a registry that takes it with the last part, and refuses the end", async () => {
    const { registry } = await pushTo({ early: true, patchStatus: 201 });
    expect(registry.log.at(-1)).toBe("HEAD blobs/sha256");
  });

  // P7
  test("is ended all the same when a 201 to its last part means nothing", async () => {
    const { registry } = await pushTo({ patchStatus: 201 });
    expect(registry.log.at(-1)).toBe("PUT blobs/uploads/s?digest");
  });

  // P11, G-22
  test("that is refused for its size fails with a hint, without another attempt", async () => {
    const { error, registry } = await failingPush({ faults: [{ status: 413, text: "too large" }] });
    expect(error).toMatchObject({
      code: "ERR_RESOURCE_EXHAUSTED",
      message: expect.stringMatching(/413 Payload Too Large.*uploadChunkSize/),
    });
    expect(registry.parts).toHaveLength(1);
    expect(registry.sessions.size).toBe(0);
  });

  // P11, T1
  test("waits as long as the registry asks for, and no longer than allowed", async () => {
    const notices: RegistryNotice[] = [];
    const onNotice = (notice: RegistryNotice): void => void notices.push(notice);
    await pushTo({ faults: [{ status: 429, headers: { "retry-after": "1" } }] }, { onNotice });
    expect(notices).toMatchObject([{ type: "retry", attempt: 1, reason: expect.stringContaining("429") }]);
    expect(notices[0]).toHaveProperty("delayMs", 1000);
    const { error } = await failingPush({ faults: [{ status: 429, headers: { "retry-after": "100" } }] });
    expect(error).toMatchObject({ code: "ERR_RATE_LIMITED" });
  });

  test("is given up when nothing arrives again and again, and its uploads are dropped", async () => {
    const faults = Array.from({ length: 20 }, (): Fault => ({ cutAfter: 1000, keeps: "nothing" }));
    const { error, registry } = await failingPush({ faults }, { retries: 3 });
    expect(error).toMatchObject({ code: "ERR_NETWORK" });
    expect(registry.parts).toHaveLength(4);
    expect(registry.sessions.size).toBe(0);
  });

  test("is given up when a registry takes a byte a request", async () => {
    const faults = Array.from({ length: 2000 }, (): Fault => ({ cutAfter: 2, keeps: "all" }));
    const { error, registry } = await failingPush({ faults });
    expect(error).toMatchObject({ code: "ERR_NETWORK" });
    expect(registry.parts.length).toBeLessThan(600);
  });

  test("is given up when a registry takes in a few bytes of each part, and says so", async () => {
    const faults = Array.from({ length: 2000 }, (): Fault => ({ takesOnly: 5 }));
    const { error, registry } = await failingPush({ faults });
    expect(error).toMatchObject({ code: "ERR_NETWORK" });
    expect(registry.parts.length).toBeLessThan(20);
  });

  test("of wrong bytes is never ended", async () => {
    await using registry = await uploadRegistry();
    await using resolver = testResolver();
    const pushing = resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(Buffer.alloc(size)));
    await expect(pushing).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
    expect(registry.log.some((line) => line.startsWith("PUT"))).toBe(false);
  });

  test("of too few bytes is a mismatch", async () => {
    await using registry = await uploadRegistry();
    await using resolver = testResolver();
    const pushing = resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(large.subarray(1)));
    await expect(pushing).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  });

  // P6: wrong bytes that the registry got before a cut are not the end.
  test("is begun again when a continued upload turns out to be spoilt", async () => {
    const { registry } = await pushTo({ faults: [cut, "none", { status: 400 }] });
    expect(registry.parts).toEqual([String(size), `${half}-${size - 1}`, String(size)]);
  });

  // P13
  test("named by sha512 says so when the upload begins", async () => {
    await using registry = await uploadRegistry();
    await using resolver = testResolver();
    const sha512 = { ...layer, digest: digestOf(large, "sha512") };
    await resolver.pusher(`${registry.host}/lib/app`).push(sha512, bodyOf(large));
    expect(registry.log).toContain("POST blobs/uploads/?digest-algorithm");
    expect(registry.blobs.has(sha512.digest)).toBe(true);
  });

  // P8, N15
  test("that is aborted in the middle drops its upload and rejects with the reason, within a second", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    await using registry = await uploadRegistry();
    await using resolver = testResolver();
    let ended = false;
    const body = async function* (): AsyncGenerator<Uint8Array> {
      try {
        yield large.subarray(0, half);
        stop.abort(reason);
        yield large.subarray(half);
      } finally {
        ended = true;
      }
    };
    const began = performance.now();
    const pushing = resolver.pusher(`${registry.host}/lib/app`).push(layer, { body, signal: stop.signal });
    await expect(pushing).rejects.toBe(reason);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(registry.log.at(-1)).toBe("DELETE blobs/uploads/s");
    await until(() => ended);
  });
});

// U-PSH.2
test("a blob that is pushed twice at a time is sent once", async () => {
  await using registry = await uploadRegistry();
  await using resolver = testResolver();
  const push = (): Promise<string> => resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(large));
  const outcomes = await Promise.all([push(), push(), push()]);
  expect(outcomes.toSorted((a, b) => a.localeCompare(b))).toEqual(["exists", "exists", "sent"]);
  expect(registry.received).toBe(size);
});

test("blobs are sent several at a time, and no more than a host may have", async () => {
  await using registry = await uploadRegistry();
  await using resolver = testResolver({ maxConcurrentPerHost: 2 });
  let open = 0;
  let most = 0;
  const pushes = Array.from({ length: 6 }, async (_, index) => {
    const bytes = Buffer.concat([large, Buffer.from([index])]);
    const body = async function* (): AsyncGenerator<Uint8Array> {
      open += 1;
      most = Math.max(most, open);
      try {
        await until(() => most >= 2);
        // Long enough for a third one to come, if it may.
        await new Promise((resolve) => setTimeout(resolve, 20));
        yield bytes;
      } finally {
        open -= 1;
      }
    };
    const descriptor = { ...layer, digest: digestOf(bytes), size: bytes.byteLength };
    return resolver.pusher(`${registry.host}/lib/app`).push(descriptor, { body });
  });
  await Promise.all(pushes);
  expect(most).toBe(2);
  expect(registry.blobs.size).toBe(6);
});

test("an empty blob is an upload that is ended at once", async () => {
  await using registry = await uploadRegistry();
  await using resolver = testResolver();
  const empty = { ...layer, digest: digestOf(""), size: 0 };
  const pusher = resolver.pusher(`${registry.host}/lib/app`);
  expect(await pusher.push(empty, bodyOf(Buffer.alloc(0)))).toBe("sent");
  expect(registry.blobs.get(empty.digest)).toEqual(Buffer.alloc(0));
  await expect(pusher.push({ ...layer, size: 0 }, bodyOf(large))).rejects.toMatchObject({
    code: "ERR_DIGEST_MISMATCH",
  });
});
