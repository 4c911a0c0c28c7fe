import type { Digest } from "@varve/digest";
import type { LayerInfo } from "@varve/layers";

/** One call on one of the stores that are open in a root. Can be written as JSON. `id` is the number of the reference that comes of it. */
export type Operation =
  | StoreOperation
  | Registration
  | { readonly kind: "get"; readonly id: number; readonly store: number; readonly chain: Digest }
  | { readonly kind: "stat"; readonly store: number; readonly chain: Digest }
  | Creation
  | { readonly kind: "getRW"; readonly id: number; readonly store: number; readonly name: string }
  | ReferenceOperation
  | Write
  | Commit;

export interface StoreOperation {
  readonly kind: "open" | "close" | "cleanup" | "list";
  readonly store: number;
}

export interface Registration {
  readonly kind: "register";
  readonly id: number;
  readonly store: number;
  readonly archive: number;
  readonly parent?: Digest | undefined;
}

export interface Creation {
  readonly kind: "create";
  readonly id: number;
  readonly store: number;
  readonly name: string;
  readonly parent?: Digest | undefined;
  readonly hasInit: boolean;
}

/** `tar` is of a read-only layer; the three last ones are of a read-write layer. */
export interface ReferenceOperation {
  readonly kind: "release" | "tar" | "changes" | "mount" | "unmount";
  readonly reference: number;
}

/** Mounts the read-write layer, writes a file, and takes its mount back. */
export interface Write {
  readonly kind: "write";
  readonly reference: number;
  readonly file: string;
  readonly bytes: number;
}

export interface Commit {
  readonly kind: "commit";
  readonly id: number;
  readonly reference: number;
  /** Of what is in the read-write layer now. */
  readonly diffId: Digest;
}

/** What a call came to, in words that can be compared: the code of its error, or what it gave. */
export type Answer = string;

export const nothing: Answer = "nothing";

export function layerAnswer({ chainId, diffId, parent, depth, diffSize, size }: LayerInfo): Answer {
  return `layer ${chainId} of ${diffId} on ${parent ?? "nothing"}, number ${depth}, ${diffSize} of ${size} bytes`;
}

export function removedAnswer(layers: readonly LayerInfo[]): Answer {
  return `removed: ${layers.map(layerAnswer).join("; ") || "none"}`;
}

export function tarAnswer(diffId: Digest): Answer {
  return `tar ${diffId}`;
}

export function rwAnswer(name: string, parent: Digest | undefined): Answer {
  return `read-write layer ${name} on ${parent ?? "nothing"}`;
}

export function changesAnswer(files: readonly string[], bytes: number): Answer {
  return `changes: ${files.join(", ") || "none"}, ${bytes} bytes`;
}

export function listAnswer(layers: readonly Answer[], rwLayers: readonly Answer[]): Answer {
  return [...layers, ...rwLayers].join("; ") || "none";
}
