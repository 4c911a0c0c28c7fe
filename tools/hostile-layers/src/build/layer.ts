/** One layer of a vector: an uncompressed tar, or what pretends to be one. */
export interface Layer {
  readonly bytes: Buffer;
  /** Offsets between which an error must point, if the layer is the one that is refused: that of the part, and its end. */
  readonly suspect: readonly [from: number, to: number] | undefined;
}

/** A part of a layer that the layer is refused for. */
export interface Suspect {
  readonly suspect: Buffer;
}

export type Part = Buffer | Suspect;

/** Marks the part that errors must point to. */
export function bad(...parts: readonly Buffer[]): Suspect {
  return { suspect: Buffer.concat(parts) };
}

/** The end of an archive: two blocks of zeros. */
export const end: Buffer = Buffer.alloc(1024);

/** An archive with its end. */
export function layer(...parts: readonly Part[]): Layer {
  return cut(...parts, end);
}

/** An archive that ends where its parts end. */
export function cut(...parts: readonly Part[]): Layer {
  let at = 0;
  let suspect: Layer["suspect"];
  const all: Buffer[] = [];
  for (const part of parts) {
    const bytes = Buffer.isBuffer(part) ? part : part.suspect;
    if (!Buffer.isBuffer(part)) suspect = [suspect?.[0] ?? at, at + bytes.length];
    all.push(bytes);
    at += bytes.length;
  }
  return { bytes: Buffer.concat(all), suspect };
}
