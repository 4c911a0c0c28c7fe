import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { createRegistryServer } from "@varve/registry-server";
import type { RegistryServer, RegistryServerOptions, RequestRecord } from "@varve/registry-server";
import { fakeContent } from "./fake-content.ts";
import type { FakeContent } from "./fake-content.ts";

export interface Harness extends AsyncDisposable {
  readonly server: RegistryServer;
  readonly content: FakeContent;
  readonly records: RequestRecord[];
  readonly url: string;
  /** `path` below `/v2/`. */
  ask(
    method: string,
    path: string,
    init?: { body?: string | Buffer; headers?: Record<string, string> },
  ): Promise<Response>;
  /** Uploads a blob in one piece. */
  pushBlob(repository: string, bytes: Uint8Array): Promise<Digest>;
  /** Puts a manifest, under its digest if there is no tag. */
  pushManifest(repository: string, body: Buffer, tag?: string): Promise<Digest>;
}

export interface HarnessOptions extends Partial<RegistryServerOptions> {
  readonly content?: FakeContent;
}

export async function startServer(options: HarnessOptions = {}): Promise<Harness> {
  const { content = fakeContent() } = options;
  const records: RequestRecord[] = [];
  const server = createRegistryServer({ onRequest: (record) => records.push(record), ...options, content });
  const { host, port } = await server.listen();
  const url = `http://${host}:${port}/v2/`;
  const ask: Harness["ask"] = (method, path, { body, headers } = {}) => {
    const bytes = body === undefined ? {} : { body: new Uint8Array(Buffer.from(body)) };
    return fetch(`${url}${path}`, { method, ...bytes, headers: headers ?? {} });
  };
  return {
    server,
    content,
    records,
    url,
    ask,
    async pushBlob(repository, bytes) {
      const digest = digestOf(bytes);
      const response = await ask("POST", `${repository}/blobs/uploads/?digest=${digest}`, { body: Buffer.from(bytes) });
      if (response.status !== 201) throw new Error(`push: ${response.status} ${await response.text()}`);
      return digest;
    },
    async pushManifest(repository, body, tag) {
      const digest = digestOf(body);
      const headers = { "content-type": mediaTypeOf(body) };
      const response = await ask("PUT", `${repository}/manifests/${tag ?? digest}`, { body, headers });
      if (response.status !== 201) throw new Error(`push: ${response.status} ${await response.text()}`);
      return digest;
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

export const manifestType = "application/vnd.oci.image.manifest.v1+json";
export const indexType = "application/vnd.oci.image.index.v1+json";

export const emptyConfig: Buffer = Buffer.from("{}");

/** The bytes of an artifact, with whatever else it has. */
export function artifactOf(fields: object): Buffer {
  const config = { mediaType: "application/vnd.oci.empty.v1+json", digest: digestOf(emptyConfig), size: 2 };
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers: [], ...fields }));
}

/** The bytes of an OCI index. */
export function indexOf(manifests: readonly Digest[], fields: object = {}): Buffer {
  const listed = manifests.map((digest) => descriptor(manifestType, digest));
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: listed, ...fields }));
}

function mediaTypeOf(body: Buffer): string {
  return body.includes(`"mediaType":"${indexType}"`) ? indexType : manifestType;
}

function descriptor(mediaType: string, digest: Digest): object {
  return { mediaType, digest, size: 1 };
}

/** The bytes of an OCI manifest that names these blobs. */
export function manifestOf(config: Digest, layers: readonly Digest[]): Buffer {
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: descriptor("application/vnd.oci.image.config.v1+json", config),
      layers: layers.map((layer) => descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer)),
    }),
  );
}

/** The code in an error body. */
export async function codeOf(response: Response): Promise<string> {
  const text = await response.text();
  return /^\{"errors":\[\{"code":"(\w+)","message":"[^"]+"\}\]\}$/.exec(text)?.[1] ?? text;
}
