import { digestOf } from "@varve/digest";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { portOf, send } from "./fake-registry.ts";

/** What goes wrong with one PATCH or PUT of an upload; they are used up in the order of the requests. */
export type Fault =
  | "none"
  /** The connection ends after so many bytes of the body; what came is kept, or not, or the whole upload is gone. */
  | { readonly cutAfter: number; readonly keeps: "all" | "nothing" | "no upload" }
  /** Everything is taken in, and the answer does not come. */
  | "no answer"
  /** Nothing is taken in. */
  | { readonly status: number; readonly headers?: Record<string, string>; readonly text?: string }
  /** No more than so many bytes are taken in, and that is said. */
  | { readonly takesOnly: number };

export interface UploadRegistryOptions {
  readonly faults?: readonly Fault[] | undefined;
  /** Answers to the POST besides 202 and `Location`. */
  readonly postHeaders?: Record<string, string> | undefined;
  readonly patchStatus?: number | undefined;
  /** What the registry says of an upload's bytes, if not the truth. */
  readonly saysItHas?: ((bytes: number) => string) | undefined;
  /** Takes the blob in when all bytes are there, and refuses the request that ends the upload (P7). */
  readonly early?: boolean | undefined;
  readonly putStatus?: number | undefined;
  /** Answers instead of a mount; default 202, an upload. */
  readonly mount?: ((from: string) => number) | undefined;
}

export interface UploadRegistry extends AsyncDisposable {
  readonly host: string;
  readonly blobs: Map<string, Buffer>;
  /** `METHOD path` with ids and digests shortened, in order. */
  readonly log: string[];
  /** `Content-Range` of the parts, or their length where there is none. */
  readonly parts: string[];
  /** Bytes of bodies that arrived. */
  received: number;
  readonly sessions: Map<string, Buffer>;
}

/** A registry that takes uploads as the distribution specification says, strictly in order, and fails as it is told. */
export async function uploadRegistry(options: UploadRegistryOptions = {}): Promise<UploadRegistry> {
  const faults = [...(options.faults ?? [])];
  const server = createServer((request, response) => {
    response.on("error", () => undefined);
    void answer(request, response, { state, options, faults }).catch(() => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const state: UploadRegistry = {
    host: `127.0.0.1:${portOf(server)}`,
    blobs: new Map(),
    log: [],
    parts: [],
    received: 0,
    sessions: new Map(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return state;
}

interface Context {
  readonly state: UploadRegistry;
  readonly options: UploadRegistryOptions;
  readonly faults: Fault[];
}

async function answer(request: IncomingMessage, response: ServerResponse, context: Context): Promise<void> {
  const { state, options } = context;
  const method = request.method ?? "";
  const url = new URL(request.url ?? "", `http://${state.host}`);
  state.log.push(`${method} ${shortened(url)}`);
  const id = /\/uploads\/(\w+)$/.exec(url.pathname)?.[1];
  if (method === "HEAD") return send(response, state.blobs.has(url.pathname.split("/").at(-1) ?? "") ? 200 : 404);
  if (method === "POST") return begin(url, response, context);
  const held = id === undefined ? undefined : state.sessions.get(id);
  if (id === undefined || held === undefined) return send(response, 404);
  if (method === "GET") return send(response, 204, where(id, held.byteLength, options));
  if (method === "DELETE") {
    state.sessions.delete(id);
    return send(response, 204);
  }
  return receive(request, response, { ...context, id, digest: url.searchParams.get("digest") });
}

function begin(url: URL, response: ServerResponse, { state, options }: Context): void {
  const from = url.searchParams.get("from");
  const status = from === null ? 202 : (options.mount?.(from) ?? 202);
  const id = `s${state.log.length}`;
  if (status === 202) state.sessions.set(id, Buffer.alloc(0));
  send(response, status, status === 202 ? { ...where(id, 0, options), ...options.postHeaders } : {});
}

async function receive(
  request: IncomingMessage,
  response: ServerResponse,
  context: Context & { readonly id: string; readonly digest: string | null },
): Promise<void> {
  const { state, options, id, digest } = context;
  const fault = context.faults.shift() ?? "none";
  // A request that is not read to its end has none any more.
  const { socket } = request;
  const range = request.headers["content-range"];
  const length = Number(request.headers["content-length"]);
  if (length > 0) state.parts.push(range ?? String(length));
  if (fault !== "none" && fault !== "no answer" && "status" in fault) {
    request.resume();
    await new Promise((resolve) => request.once("end", resolve));
    return send(response, fault.status, fault.headers, fault.text);
  }
  const before = state.sessions.get(id) ?? Buffer.alloc(0);
  if (range !== undefined && Number(range.split("-")[0]) !== before.byteLength) {
    request.resume();
    return send(response, 416, where(id, before.byteLength, options));
  }
  const cut = fault !== "none" && fault !== "no answer" && "cutAfter" in fault ? fault : undefined;
  const body = await read(request, state, cut?.cutAfter);
  const took =
    fault !== "none" && fault !== "no answer" && "takesOnly" in fault ? body.subarray(0, fault.takesOnly) : body;
  if (cut?.keeps === "no upload") state.sessions.delete(id);
  else if (cut?.keeps !== "nothing") state.sessions.set(id, Buffer.concat([before, took]));
  if (cut !== undefined) return void socket.destroy();
  const all = state.sessions.get(id) ?? Buffer.alloc(0);
  if (digest === null) return patched(response, all, context, fault);
  return finished(response, all, context, fault);
}

function patched(response: ServerResponse, all: Buffer, context: Context & { id: string }, fault: Fault): void {
  const { state, options, id } = context;
  if (options.early === true) state.blobs.set(digestOf(all), all);
  if (fault === "no answer") return void response.socket?.destroy();
  send(response, options.patchStatus ?? 202, where(id, all.byteLength, options));
}

function finished(
  response: ServerResponse,
  all: Buffer,
  context: Context & { id: string; digest: string | null },
  fault: Fault,
): void {
  const { state, options, id, digest } = context;
  if (options.early === true) return send(response, 400);
  state.sessions.delete(id);
  const algorithm = digest?.startsWith("sha512") === true ? "sha512" : "sha256";
  if (digestOf(all, algorithm) !== digest) return send(response, 400, {}, '{"errors":[{"code":"DIGEST_INVALID"}]}');
  state.blobs.set(digest, all);
  if (fault === "no answer") return void response.socket?.destroy();
  send(response, options.putStatus ?? 201, { "docker-content-digest": digest });
}

async function read(
  request: IncomingMessage,
  state: UploadRegistry,
  limit = Number.POSITIVE_INFINITY,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes: Buffer = chunk;
    const wanted = bytes.subarray(0, limit - size);
    state.received += bytes.byteLength;
    size += wanted.byteLength;
    chunks.push(wanted);
    if (size >= limit) break;
  }
  return Buffer.concat(chunks);
}

function where(id: string, bytes: number, { saysItHas }: UploadRegistryOptions): Record<string, string> {
  const range = saysItHas === undefined ? `0-${Math.max(0, bytes - 1)}` : saysItHas(bytes);
  return { location: `/v2/lib/app/blobs/uploads/${id}?at=${bytes}`, range };
}

function shortened(url: URL): string {
  const path = url.pathname
    .replace("/v2/lib/app/", "")
    .replaceAll(/:[0-9a-f]{8,}/g, "")
    .replace(/\/s\d+$/, "/s");
  const names = [...url.searchParams.keys()].filter((name) => name !== "at");
  return names.length === 0 ? path : `${path}?${names.join("&")}`;
}
