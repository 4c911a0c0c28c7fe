import { once, EventEmitter } from "node:events";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import type { Upstream } from "@varve/registry-server";
import { manifestType } from "./harness.ts";

export interface FakeUpstream extends Upstream {
  readonly blobs: Map<Digest, Buffer>;
  readonly tagged: Map<string, Digest>;
  /** What a repository does not have, such as `a@sha256:…`. */
  readonly hidden: Set<string>;
  readonly referring: Descriptor[];
  /** Every call, such as `resolve a:v1`. */
  readonly asked: string[];
  /** What every call fails with. */
  failure: ErrorCode | undefined;
  /** Bytes that a fetch gives before it waits for `release`, be it with its end. */
  pauseAfter: number;
  release(): void;
  /** Fetches that nobody has ended. */
  readonly running: number;
  put(bytes: Buffer): Digest;
}

/** A registry that does what a test says. */
export function fakeUpstream(): FakeUpstream {
  const gate = new EventEmitter();
  let running = 0;
  const ask = (what: string): void => {
    upstream.asked.push(what);
    if (upstream.failure !== undefined) throw new CodedError(upstream.failure, "upstream: secret words");
  };
  const describe = (digest: Digest | undefined): Descriptor | undefined => {
    const bytes = digest === undefined ? undefined : upstream.blobs.get(digest);
    return digest === undefined || bytes === undefined
      ? undefined
      : { mediaType: manifestType, digest, size: bytes.byteLength };
  };
  const upstream: FakeUpstream = {
    blobs: new Map(),
    tagged: new Map(),
    hidden: new Set(),
    referring: [],
    asked: [],
    failure: undefined,
    pauseAfter: Infinity,
    release() {
      upstream.pauseAfter = Infinity;
      gate.emit("release");
    },
    get running() {
      return running;
    },
    put(bytes) {
      const digest = digestOf(bytes);
      upstream.blobs.set(digest, bytes);
      return digest;
    },
    async resolve(repository, tag) {
      ask(`resolve ${repository}:${tag}`);
      return describe(upstream.tagged.get(`${repository}:${tag}`));
    },
    async manifest(repository, digest) {
      ask(`manifest ${repository}@${digest}`);
      return describe(digest);
    },
    async blob(repository, digest) {
      ask(`blob ${repository}@${digest}`);
      return upstream.hidden.has(`${repository}@${digest}`) ? undefined : describe(digest);
    },
    async *fetch(repository, { digest }, { offset = 0, signal } = {}) {
      ask(`fetch ${repository}@${digest} from ${offset}`);
      const bytes = upstream.blobs.get(digest);
      if (bytes === undefined || upstream.hidden.has(`${repository}@${digest}`))
        throw new CodedError("ERR_NOT_FOUND", "upstream: no such blob");
      running += 1;
      try {
        for (let at = offset; at < bytes.byteLength; at += 100) {
          if (at >= upstream.pauseAfter) await once(gate, "release", signal === undefined ? {} : { signal });
          if (upstream.failure !== undefined) throw new CodedError(upstream.failure, "upstream: gone");
          yield bytes.subarray(at, at + 100);
        }
        if (bytes.byteLength >= upstream.pauseAfter)
          await once(gate, "release", signal === undefined ? {} : { signal });
      } finally {
        running -= 1;
      }
    },
    async *tags(repository) {
      ask(`tags ${repository}`);
      for (const name of upstream.tagged.keys()) yield name.slice(name.lastIndexOf(":") + 1);
    },
    async *referrers(repository, subject) {
      ask(`referrers ${repository}@${subject}`);
      yield* upstream.referring;
    },
  };
  return upstream;
}
