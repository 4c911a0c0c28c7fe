import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { Commit, Operation } from "./layer-operation.ts";
import { tinyArchives } from "./tiny-archives.ts";

/** What there is to choose from. */
export interface Choices {
  readonly stores: readonly number[];
  readonly isOpen: (store: number) => boolean;
  readonly chains: readonly Digest[];
  /** Numbers of references to read-only layers, of some that are gone, too. */
  readonly references: readonly number[];
  /** The same to read-write layers. */
  readonly rwReferences: readonly number[];
}

/** What is committed is not known before it is looked at. */
export type Chosen = Exclude<Operation, Commit> | Omit<Commit, "diffId">;

const nobody = digestOf("no layer");
const names = ["web", "db", "cache"];
const files = ["f", "g"];

/** A call that is likely to do something, and now and then one that must fail. */
export function randomOperation(random: () => number, id: number, choices: Choices): Chosen {
  const one = <T>(all: readonly T[]): T | undefined => all[Math.floor(random() * all.length)];
  const store = one(choices.stores) ?? 0;
  const chain = random() < 0.05 ? nobody : (one(choices.chains) ?? nobody);
  const parent = random() < 0.4 || choices.chains.length === 0 ? undefined : chain;
  if (!choices.isOpen(store) && random() < 0.8) return { kind: "open", store };
  const rw = one(choices.rwReferences);
  if (rw !== undefined && random() < 0.45) return rwOperation(random, id, rw);
  const kind = random();
  if (kind < 0.25 || choices.chains.length === 0) {
    return { kind: "register", id, store, archive: Math.floor(random() * tinyArchives.length), parent };
  }
  const name = one(names) ?? "";
  if (kind < 0.45) return { kind: "create", id, store, name, parent, hasInit: random() < 0.3 };
  if (kind < 0.5) return { kind: "getRW", id, store, name };
  if (kind < 0.65) return { kind: "get", id, store, chain };
  if (kind < 0.68) return { kind: "stat", store, chain };
  if (kind < 0.72) return { kind: "close", store };
  const reference = one(choices.references);
  if (reference === undefined) return { kind: "list", store };
  return { kind: random() < 0.1 ? "tar" : "release", reference };
}

function rwOperation(random: () => number, id: number, reference: number): Chosen {
  const kind = random();
  const file = files[Math.floor(random() * files.length)] ?? "";
  if (kind < 0.25) return { kind: "write", reference, file, bytes: 1 + (id % 9) };
  if (kind < 0.5) return { kind: "commit", id, reference };
  if (kind < 0.75) return { kind: "release", reference };
  if (kind < 0.85) return { kind: "mount", reference };
  return { kind: kind < 0.93 ? "unmount" : "changes", reference };
}
