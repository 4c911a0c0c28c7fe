import type { Layer } from "./build/layer.ts";
import type { ExpectedNode } from "./tree/expected.ts";

/** One or several layers that somebody may send us, and what must come of them. */
export interface HostileLayers {
  /** Theme and what is tried, `symlinks/loop`; unique. */
  readonly name: string;
  /** Why it is here: what goes wrong elsewhere, with the number of the advisory if there is one. */
  readonly about: string;
  /** The lowest first. */
  readonly layers: readonly Layer[];
  /** Limits that the layers are applied with, by the names that they have in `@varve/archive`. */
  readonly limits?: Readonly<Record<string, number>> | undefined;
  readonly expect: Refusal | ExpectedTree;
}

/** The layer must not be applied. */
export interface Refusal {
  readonly refused: "ERR_INVALID_DATA" | "ERR_NOT_IMPLEMENTED" | "ERR_RESOURCE_EXHAUSTED";
  /** The rule or the limit that the message must name. */
  readonly rule: string;
  /** Index of the layer that is refused; those below it are fine. Default: the last. */
  readonly layer?: number | undefined;
  /** The entry's name as messages print it; absent if there is no entry to name. */
  readonly entry?: string | undefined;
}

/** What all layers together give. */
export interface ExpectedTree {
  /** By path, without a slash at the start, one character a byte. These and no others exist; the root (`""`) may be left out. */
  readonly tree: Readonly<Record<string, ExpectedNode>>;
  /** Overlayfs parts hard links when one of them is copied up, so that trees differ in this alone. */
  readonly partsLinks?: boolean | undefined;
}
