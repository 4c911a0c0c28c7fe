import type { SnapshotKind } from "@varve/snapshots";
import { mountsOf } from "./toy-files.ts";
import type { Entry } from "./toy-place.ts";
import { Toy } from "./toy.ts";

/** Members that take the place of the toy's own. */
export type Sabotage = (toy: Toy) => Partial<Toy>;

/** By the name of the case that catches it. */
export type Saboteurs = Readonly<Record<string, Sabotage>>;

/** The toy's own methods, before they are replaced. */
export function original(toy: Toy): Toy {
  return new Proxy(toy, {
    get(target, name) {
      const value: unknown = Reflect.get(Toy.prototype, name);
      return typeof value === "function" ? value.bind(target) : Reflect.get(target, name);
    },
  });
}

export function afterPrepare(change: (entry: Entry, toy: Toy) => void, onlyOn?: string): Sabotage {
  return (toy) => {
    const real = original(toy);
    return {
      create: async (kind: SnapshotKind, key, options) => {
        const mounts = await real.create(kind, key, options);
        const entry = toy.entry(key);
        if (options.parent === undefined || (onlyOn !== undefined && options.parent !== onlyOn)) return mounts;
        change(entry, toy);
        return mountsOf(entry);
      },
    };
  };
}

export function afterCommit(change: (toy: Toy, name: string, key: string) => void): Sabotage {
  return (toy) => {
    const real = original(toy);
    return {
      commit: async (name, key, options) => {
        await real.commit(name, key, options);
        change(toy, name, key);
      },
    };
  };
}

/** Instances of one place that know nothing of each other's later work, as with a record that is read once. */
export const apart: Sabotage = ({ place }) => ({
  place: { ...place, entries: new Map(place.entries), next: place.opened * 1000 },
});
