import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { ServerResponse } from "node:http";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { file, layerOf } from "../layers/layer-of.ts";
import type { Shelf, ShelfImage, ShelfLayer } from "./shelf.ts";
import { beginBlob } from "./shelf-server.ts";
import type { Answer } from "./shelf-server.ts";

export const layerCount = 5;
export const layerIndexes: readonly number[] = Array.from({ length: layerCount }, (_, index) => index);

/** An image of which one layer fails, and what to pull when it has been mended. */
export interface FailingImage {
  readonly layers: readonly ShelfLayer[];
  readonly bad: ShelfImage;
  readonly good: ShelfImage;
}

/** How a layer is broken: where it is described, or where its bytes are handed out. */
export interface Trouble {
  readonly name: string;
  readonly code: string;
  readonly describe?: ((shelf: Shelf, good: ShelfLayer) => ShelfLayer) | undefined;
  readonly answer?: (() => Answer) | undefined;
}

const port = await deafPort();

export const troubles: readonly Trouble[] = [
  { name: "is not in the registry", code: "ERR_NOT_FOUND", answer: () => (response) => respond(response, 404) },
  { name: "breaks off in the middle", code: "ERR_NETWORK", answer: breakOff },
  {
    name: "is at an address where nobody listens",
    code: "ERR_NETWORK",
    answer: () => (response) => respond(response, 307, { location: `http://127.0.0.1:${port}/gone` }),
  },
  {
    name: "arrives with a wrong byte",
    code: "ERR_DIGEST_MISMATCH",
    answer: () => (response, bytes, from) => {
      beginBlob(response, bytes, from);
      response.end(flipped(bytes).subarray(from));
    },
  },
  {
    name: "has another diff ID",
    code: "ERR_DIGEST_MISMATCH",
    describe: (_, { blob }) => ({ blob, diffId: digestOf("another") }),
  },
  {
    name: "cannot be decompressed",
    code: "ERR_INVALID_DATA",
    describe: (shelf, { blob, diffId }) => ({
      blob: shelf.put(blob.mediaType, flipped(shelf.bytes.get(blob.digest) ?? new Uint8Array())),
      diffId,
    }),
  },
];

/** @param fill of the layer that fails, beside what makes it this one */
export function failingImage(
  shelf: Shelf,
  at: number,
  trouble: Trouble,
  fill: Uint8Array = randomBytes(300_000),
): FailingImage {
  const layers = Array.from({ length: layerCount }, (_, index) =>
    shelf.layer(
      layerOf([file(randomName(), index === at ? fill : randomBytes(20_000)), file("same", randomName())]),
      "gzip",
    ),
  );
  const good = shelf.image(layers);
  const spoilt = layers.map((layer, index) => (index === at ? (trouble.describe?.(shelf, layer) ?? layer) : layer));
  return { layers: spoilt, good, bad: trouble.describe === undefined ? good : shelf.image(spoilt) };
}

/** The digest of the layer at an index. */
export function blobAt(image: FailingImage, at: number): Digest {
  const layer = image.layers[at];
  if (layer === undefined) throw new Error(`there is no layer ${at}`);
  return layer.blob.digest;
}

function respond(response: ServerResponse, status: number, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, headers).end();
}

/** Half of it, and nothing more however often one asks. */
function breakOff(): Answer {
  return async (response, bytes, from) => {
    beginBlob(response, bytes, from);
    if (from === 0)
      await new Promise<void>((resolve) => response.write(bytes.subarray(0, bytes.length / 2), () => resolve()));
    response.destroy();
  };
}

function flipped(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes, (byte, index) => (index === bytes.length >> 1 ? byte ^ 0x55 : byte));
}

/** One that nobody can listen at, for it is an end of a connection that stays open as long as this process. */
async function deafPort(): Promise<number> {
  const server = createServer((socket) => void socket.unref()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no port");
  const socket = connect(address.port, address.address);
  await Promise.all([once(socket, "connect"), accepted]);
  socket.unref();
  server.unref();
  if (socket.localPort === undefined) throw new Error("no port");
  return socket.localPort;
}

function randomName(): string {
  return randomBytes(8).toString("hex");
}
