import { verifyStream } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { sleep } from "@varve/locks";
import { isIndexType, isManifestType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { Pusher, PushOptions } from "@varve/remotes";
import type { Settings } from "./options.ts";
import { describeUrl, printable } from "./printable.ts";
import type { RegistryHost, RegistryRequest } from "./registry-host.ts";
import type { Reply } from "./reply.ts";
import { backoff, isPassing } from "./retry.ts";
import { repositoryScope } from "./scopes.ts";

// ECR and others answer uploads with any of these (P7).
const stored: ReadonlySet<number> = new Set([200, 201, 202, 204]);
const worthRepeating: ReadonlySet<number> = new Set([404, 408, 416, 500, 502, 503, 504]);

/** Pushes into one repository. */
export class RepositoryPusher implements Pusher {
  readonly #host: RegistryHost;
  readonly #repository: string;
  readonly #settings: Settings;
  readonly #access: RegistryRequest["access"];

  constructor(host: RegistryHost, repository: string, settings: Settings) {
    this.#host = host;
    this.#repository = repository;
    this.#settings = settings;
    this.#access = { repository, scopes: [repositoryScope(repository, "pull,push")] };
  }

  async push(descriptor: Descriptor, options: PushOptions): Promise<boolean> {
    const { body, reference, signal } = options;
    const bytes = (): AsyncIterable<Uint8Array> => verifyStream(body(), descriptor.digest, descriptor.size);
    if (isManifestType(descriptor.mediaType) || isIndexType(descriptor.mediaType)) {
      return this.#pushManifest(descriptor, reference ?? descriptor.digest, bytes, signal);
    }
    if (await this.#has(`blobs/${descriptor.digest}`, descriptor, signal)) return false;
    const release = await this.#host.transfers.acquire({ signal });
    try {
      await this.#pushBlob(descriptor, bytes, signal);
    } finally {
      release();
    }
    return true;
  }

  async #pushManifest(
    descriptor: Descriptor,
    reference: string,
    bytes: () => AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    if (await this.#has(`manifests/${reference}`, descriptor, signal)) return false;
    if (descriptor.size > this.#settings.maxManifestSize) {
      const text = `manifest ${descriptor.digest}: ${descriptor.size} bytes are over the limit of ${this.#settings.maxManifestSize}`;
      throw new CodedError("ERR_RESOURCE_EXHAUSTED", text);
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of bytes()) chunks.push(chunk);
    const request: RegistryRequest = {
      method: "PUT",
      target: this.#path(`manifests/${reference}`),
      access: this.#access,
      headers: { "content-type": descriptor.mediaType },
      body: Buffer.concat(chunks),
      signal,
    };
    await this.#mustStore(await this.#host.send(request), request, descriptor);
    return true;
  }

  /** Whether the registry has exactly this. A tag that names something else does not count. */
  async #has(path: string, descriptor: Descriptor, signal: AbortSignal | undefined): Promise<boolean> {
    const request: RegistryRequest = {
      method: "HEAD",
      target: this.#path(path),
      access: this.#access,
      headers: { accept: `${descriptor.mediaType}, */*` },
      signal,
    };
    const reply = await this.#host.send(request);
    if (reply.status === 200) {
      await reply.discard();
      const told = reply.header("docker-content-digest");
      return told === undefined ? path.endsWith(descriptor.digest) : told === descriptor.digest;
    }
    if (reply.status === 401 || reply.status === 429) throw await this.#host.failure(reply, request);
    // Whatever else is wrong: the upload will tell, and has a body to say it in.
    await reply.discard();
    return false;
  }

  /** In one piece: a session, then all bytes. What fails is begun again with a new session (U-PSH.3). */
  async #pushBlob(
    descriptor: Descriptor,
    bytes: () => AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      const session = await this.#openSession(signal);
      const request: RegistryRequest = {
        method: "PUT",
        target: withDigest(session, descriptor.digest),
        access: this.#access,
        headers: { "content-type": "application/octet-stream", "content-length": String(descriptor.size) },
        body: bytes,
        signal,
        repeatable: false,
      };
      try {
        const reply = await this.#host.send(request);
        if (!worthRepeating.has(reply.status) || attempt >= this.#settings.retries) {
          await this.#mustStore(reply, request, descriptor);
          return;
        }
        await reply.discard();
      } catch (error) {
        if (signal?.aborted === true) await this.#cancel(session);
        if (signal?.aborted === true || attempt >= this.#settings.retries || !isPassing(error)) throw error;
      }
      await sleep(backoff(this.#settings, attempt), { signal });
    }
  }

  async #openSession(signal: AbortSignal | undefined): Promise<URL> {
    const request: RegistryRequest = {
      method: "POST",
      target: this.#path("blobs/uploads/"),
      access: this.#access,
      headers: { "content-length": "0" },
      signal,
    };
    const reply = await this.#host.send(request);
    if (reply.status !== 202) throw await this.#host.failure(reply, request);
    await reply.discard();
    const location = URL.parse(reply.header("location") ?? "", reply.url.href);
    if (location === null || !reply.header("location") || !/^https?:$/.test(location.protocol)) {
      throw new CodedError("ERR_INVALID_DATA", `POST ${describeUrl(reply.url)}: the answer names no upload`);
    }
    return location;
  }

  /** The caller has given up; the registry need not keep the bytes. Its answer is of no interest (P8). */
  async #cancel(session: URL): Promise<void> {
    const request = { method: "DELETE", target: session, access: this.#access, repeatable: false } as const;
    await this.#host.send({ ...request, signal: AbortSignal.timeout(500) }).then(
      (reply) => reply.discard(),
      () => undefined,
    );
  }

  async #mustStore(reply: Reply, request: RegistryRequest, descriptor: Descriptor): Promise<void> {
    if (!stored.has(reply.status)) throw await this.#host.failure(reply, request);
    await reply.discard();
    const told = reply.header("docker-content-digest");
    if (told === undefined || told === descriptor.digest) return;
    const text = `content ${descriptor.digest}: the registry stored ${printable(told).slice(0, 140)}`;
    throw new CodedError("ERR_DIGEST_MISMATCH", text);
  }

  #path(rest: string): string {
    return `/v2/${this.#repository}/${rest}`;
  }
}

/** The upload's address is the registry's own; its query stays, byte for byte (P3). */
function withDigest(session: URL, digest: string): URL {
  const url = new URL(session);
  url.search = `${url.search}${url.search === "" ? "?" : "&"}digest=${encodeURIComponent(digest)}`;
  return url;
}
