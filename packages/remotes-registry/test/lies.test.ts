import { inspect } from "node:util";
import { array, assert, asyncProperty, nat, readConfigureGlobal, record } from "fast-check";
import { lie, startRawServer } from "@varve-tools/lying-registry";
import type { RawAnswer, RawRequest, RawServer } from "@varve-tools/lying-registry";
import { digestOf } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Digest } from "@varve/digest";
import { emptyConfig, mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { readRemote } from "@varve/remotes";
import type { Repositories, Resolver } from "@varve/remotes";
import { createRegistryResolver, verifyLogin } from "@varve/remotes-registry";
import type { RegistryResolverOptions } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";

const runs = process.env["VARVE_THOROUGH"] === "1" ? 1000 : 240;
const lanes = 8;
const body = Buffer.from(
  JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: emptyConfig, layers: [] }),
);
const target: Descriptor = { mediaType: mediaTypes.ociManifest, digest: digestOf(body), size: body.length };
const layer: Descriptor = { ...target, mediaType: mediaTypes.ociLayerGzip };
const secret = "planted-secret-of-lies";
const encoded = Buffer.from(`me:${secret}`).toString("base64");

/** Everything that a resolver may be asked for, with what must be true of a success. */
const calls: readonly ((resolver: Resolver & Repositories, name: string, signal: AbortSignal) => Promise<unknown>)[] = [
  async (resolver, name, signal) => {
    const { descriptor } = await resolver.resolve(name, { signal });
    expect(descriptor.size).toBeGreaterThanOrEqual(0);
  },
  async (resolver, name, signal) => {
    const { descriptor } = await resolver.resolve(`${name}@${target.digest}`, { signal });
    expect(descriptor.digest).toBe(target.digest);
  },
  async (resolver, name, signal) => {
    const bytes = await readRemote(resolver.fetcher(name), target, { signal });
    expect(digestOf(bytes)).toBe(target.digest);
  },
  async (resolver, name, signal) => {
    let length = 0;
    for await (const chunk of resolver.fetcher(name).fetch(layer, { signal })) length += chunk.length;
    expect(length).toBe(layer.size);
  },
  (resolver, name, signal) => resolver.pusher(name).push(target, { body: bytesFrom, tags: ["v1"], signal }),
  (resolver, name, signal) => resolver.pusher(name).push(layer, { body: bytesFrom, mountFrom: ["lib/other"], signal }),
  async (resolver, name, signal) => {
    for await (const tag of resolver.repository(name).tags({ signal })) expect(tag).toMatch(/^\w[\w.-]{0,127}$/);
  },
  async (resolver, name, signal) => {
    const found = new Set<Digest>();
    for await (const { digest } of resolver.repository(name).referrers(target.digest, { signal })) {
      expect(found.has(digest)).toBe(false);
      found.add(digest);
    }
  },
  async (resolver, name, signal) => {
    const { size } = await resolver.repository(name).blob(target.digest, { signal });
    expect(size).toBeGreaterThanOrEqual(0);
  },
  (resolver, name, signal) => resolver.repository(name).deleteManifest("v1", { signal }),
  (resolver, name, signal) => resolver.repository(name).deleteBlob(target.digest, { signal }),
];

const options: RegistryResolverOptions = {
  plainHttp: true,
  credentials: async () => ({ username: "me", password: secret }),
  headers: { "x-api-key": secret },
  connectTimeout: 1000,
  idleTimeout: 100,
  retries: 1,
  retryDelay: 1,
  maxRetryAfter: 20,
};

async function* bytesFrom(offset: number): AsyncGenerator<Uint8Array, void, undefined> {
  yield body.subarray(offset);
}

describe("a registry that lies", () => {
  // N01, N02, N08, N10, A14, T7, promise 7 and 9
  test(`is told by a typed error ${runs} times, gets nothing for others, and leaves no connection`, async () => {
    await using elsewhere = await startRawServer(() => ok);
    const facts = { body, mediaType: target.mediaType, digest: target.digest, elsewhere: elsewhere.url };
    const script = record({
      answers: array(lie(facts), { minLength: 1, maxLength: 4 }),
      call: nat(calls.length),
    });
    // Most of the time one waits for what never comes: so several wait at once.
    const some = (lane: number): Promise<void> =>
      assert(
        asyncProperty(script, async ({ answers, call }) => {
          let next = 0;
          await using server = await startRawServer((): RawAnswer => answers[next++ % answers.length] ?? ok);
          const { error, told } = await ask(server, call);
          if (error !== undefined) mustBeTyped(error);
          const shown = inspect([error, told], { depth: 20, maxStringLength: null, maxArrayLength: null });
          expect(shown.includes(secret) || shown.includes(encoded), "a secret is shown").toBe(false);
          expect(elsewhere.seen.filter(holdsSecret), "a secret went elsewhere").toEqual([]);
          for (const socket of server.sockets) await new Promise((resolve) => socket.once("close", resolve));
        }),
        { numRuns: runs / lanes, endOnFailure: true, ...seedOf(lane) },
      );
    await Promise.all(Array.from({ length: lanes }, (_, lane) => some(lane)));
  }, 300_000);
});

const ok: RawAnswer = {
  pieces: [Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`), body],
  end: "keep",
};

interface Answered {
  readonly error: unknown;
  /** Notices and traces. */
  readonly told: readonly unknown[];
}

/** Looks so many times, a second apart at least, before a call counts as one that hangs: waits of its own are shorter. */
const patience = 30;

/** No call takes nearly as many requests and notices. */
const enough = 5000;

/** A call hangs if it asks for nothing and tells nothing any more, or does not stop asking. */
async function ask(server: RawServer, call: number): Promise<Answered> {
  const told: unknown[] = [];
  const stop = new AbortController();
  const { signal } = stop;
  let [steps, still] = [0, 0];
  const watch = setInterval(() => {
    const now = server.seen.length + told.length;
    still = now === steps ? still + 1 : 0;
    steps = now;
    if (still === patience || steps > enough) stop.abort(new Error("it hangs"));
  }, 1000);
  const own = { ...options, onNotice: (one: unknown) => told.push(one), onExchange: (one: unknown) => told.push(one) };
  const resolver = createRegistryResolver(own);
  try {
    const work = calls[call];
    if (work === undefined) await verifyLogin(server.host, { username: "me", password: secret }, { ...own, signal });
    else await work(resolver, `${server.host}/lib/app:v1`, signal);
    return { error: undefined, told };
  } catch (error) {
    return { error, told };
  } finally {
    clearInterval(watch);
    await resolver.close();
  }
}

/** Also what an expectation above threw is none. */
function mustBeTyped(error: unknown): void {
  expect(error).toBeInstanceOf(CodedError);
  expect(error).not.toMatchObject({ code: "ERR_INTERNAL" });
}

function holdsSecret({ headers, path }: RawRequest): boolean {
  return [path, ...headers.values()].some((text) => text.includes(secret) || text.includes(encoded));
}

/** The one of the run, but lanes that go side by side try different things. */
function seedOf(lane: number): { readonly seed?: number } {
  const { seed } = readConfigureGlobal();
  return seed === undefined ? {} : { seed: seed + lane };
}
