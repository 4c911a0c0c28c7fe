import { digestOf } from "@varve/digest";
import { file, layerOf, symlink, whiteout } from "../layers/layer-of.ts";
import { forms } from "./shelf.ts";
import type { Form, Shelf, ShelfLayer } from "./shelf.ts";

/** One thing that may be wrong with one layer of an image. */
export interface Breakage {
  readonly name: string;
  readonly code: string;
  /** Those in which the layer can be broken in this way. */
  readonly forms: readonly Form[];
  /** @returns the broken layer, made of the archive of a good one */
  layer(shelf: Shelf, tar: Buffer, form: Form): ShelfLayer;
}

/** Bytes that are what their digest says and can be fetched, but are no layer of this diff ID. */
function badBytes(name: string, spoil: (packed: Buffer) => Buffer): Breakage {
  return {
    name,
    code: "ERR_INVALID_DATA",
    // Of an archive that is not compressed these would be another one.
    forms: ["gzip", "zstd"],
    layer(shelf, tar, form) {
      const good = shelf.layer(tar, form);
      const packed = Buffer.from(shelf.bytes.get(good.blob.digest) ?? tar);
      return { blob: shelf.put(good.blob.mediaType, spoil(packed)), diffId: good.diffId };
    },
  };
}

/** Bytes that the other side gives for the digest of others. */
function otherBytes(name: string, code: string, lie: (packed: Buffer) => Buffer | undefined): Breakage {
  return {
    name,
    code,
    forms,
    layer(shelf, tar, form) {
      const layer = shelf.layer(tar, form);
      const { digest } = layer.blob;
      const bytes = lie(Buffer.from(shelf.bytes.get(digest) ?? tar));
      if (bytes === undefined) shelf.bytes.delete(digest);
      else shelf.bytes.set(digest, bytes);
      return layer;
    },
  };
}

function hostile(name: string, layer: Buffer): Breakage {
  return { name, code: "ERR_INVALID_DATA", forms, layer: (shelf, _, form) => shelf.layer(layer, form) };
}

function flipped(bytes: Buffer): Buffer {
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 0x55;
  return bytes;
}

export const breakages: readonly Breakage[] = [
  {
    name: "a diff ID that is another's",
    code: "ERR_DIGEST_MISMATCH",
    forms,
    layer: (shelf, tar, form) => ({ ...shelf.layer(tar, form), diffId: digestOf("another") }),
  },
  badBytes("a compressed stream that ends too early", (packed) => packed.subarray(0, -9)),
  badBytes("something else behind the end", (packed) => Buffer.concat([packed, Buffer.from("x")])),
  badBytes("no archive at all", (packed) => packed.fill("x")),
  otherBytes("one wrong byte on the way", "ERR_DIGEST_MISMATCH", flipped),
  otherBytes("a blob that the registry does not have", "ERR_NOT_FOUND", () => undefined),
  hostile("an entry outside of the root", layerOf([file("a", "a"), file("../../b", "b")])),
  hostile("a whiteout of the directory itself", layerOf([file("a", "a"), whiteout("..")])),
  hostile("a file below a link to itself", layerOf([symlink("loop", "loop"), file("loop/a", "a")])),
];
