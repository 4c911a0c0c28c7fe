import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { LayerInfo } from "@varve/layers";
import { tinyArchives } from "./tiny-archives.ts";

/** One call on one of the stores that are open in a root. Can be written as JSON. */
export type Operation =
  | {
      readonly kind: "register";
      /** Also the number of the reference that comes of it. */
      readonly id: number;
      readonly store: number;
      readonly archive: number;
      readonly parent?: Digest | undefined;
    }
  | { readonly kind: "get"; readonly id: number; readonly store: number; readonly chain: Digest }
  | { readonly kind: "stat"; readonly store: number; readonly chain: Digest }
  | { readonly kind: "release" | "tar"; readonly reference: number }
  | { readonly kind: "open"; readonly store: number }
  | { readonly kind: "close"; readonly store: number };

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

/** What there is to choose from. */
export interface Choices {
  readonly stores: readonly number[];
  readonly isOpen: (store: number) => boolean;
  readonly chains: readonly Digest[];
  /** Numbers of references, of some that are gone, too. */
  readonly references: readonly number[];
}

const nobody = digestOf("no layer");

/** A call that is likely to do something, and now and then one that must fail. */
export function randomOperation(random: () => number, id: number, choices: Choices): Operation {
  const one = <T>(all: readonly T[]): T | undefined => all[Math.floor(random() * all.length)];
  const store = one(choices.stores) ?? 0;
  const chain = random() < 0.05 ? nobody : (one(choices.chains) ?? nobody);
  const reference = one(choices.references);
  const kind = random();
  if (!choices.isOpen(store) && random() < 0.8) return { kind: "open", store };
  if (kind < 0.3 || choices.chains.length === 0) {
    const archive = Math.floor(random() * tinyArchives.length);
    const parent = random() < 0.4 || choices.chains.length === 0 ? undefined : chain;
    return { kind: "register", id, store, archive, parent };
  }
  if (kind < 0.47) return { kind: "get", id, store, chain };
  if (kind < 0.52) return { kind: "stat", store, chain };
  if (kind < 0.6) return { kind: "close", store };
  if (reference === undefined) return { kind: "stat", store, chain };
  return { kind: kind < 0.65 ? "tar" : "release", reference };
}
