import { CodedError } from "@varve/errors";
import type { SnapshotInfo } from "@varve/snapshots";
import { original } from "../sabotage.ts";
import type { Saboteurs } from "../sabotage.ts";
import { infoOf } from "../toy-place.ts";
import type { Toy } from "../toy.ts";

/** Of cases about walks and filters. */
export const walkSaboteurs: Saboteurs = {
  "a new snapshotter has nothing to walk": (toy) => ({
    walk: async function* walk() {
      yield ghost(toy);
    },
  }),
  "a walk gives every snapshot once, as stat gives it": (toy) => {
    const real = original(toy);
    return {
      walk: async function* twice() {
        yield* real.walk();
        yield* real.walk();
      },
    };
  },
  "a walk over many snapshots gives every one once": (toy) => {
    const real = original(toy);
    return {
      walk: async function* firstBatch() {
        let count = 0;
        for await (const info of real.walk()) {
          count += 1;
          // The last of a batch is the first of the next.
          if (count % 256 === 0) yield info;
          yield info;
        }
      },
    };
  },
  "any call may be made during a walk": (toy) => {
    const real = original(toy);
    let walking = false;
    return {
      walk: async function* locked() {
        walking = true;
        try {
          yield* real.walk();
        } finally {
          walking = false;
        }
      },
      remove: async (name) => {
        if (walking) throw new CodedError("ERR_UNAVAILABLE", "locked by a walk");
        await real.remove(name);
      },
    };
  },
  "what a walk has not come to may be removed meanwhile": (toy) => ({
    walk: async function* strict() {
      for (const name of Array.from(toy.place.entries.keys())) yield await toy.stat(name);
    },
  }),
  "a walk can be left early": (toy) => {
    const real = original(toy);
    let walking = false;
    return {
      walk: async function* forgetful() {
        walking = true;
        yield* real.walk();
        walking = false;
      },
      prepare: async (key, parent) => {
        if (walking) throw new CodedError("ERR_UNAVAILABLE", "locked by a walk");
        return real.prepare(key, parent);
      },
    };
  },

  "a walk with filters gives what one of them lets through": (toy) => {
    const real = original(toy);
    // Only the first of several.
    return { walk: (options) => real.walk({ ...options, filters: options?.filters?.slice(0, 1) }) };
  },
  "a walk with filters sees labels as they are now": (toy) => {
    const real = original(toy);
    const first = new Map<string, SnapshotInfo>();
    return {
      update: async (name, labels, options) => {
        if (!first.has(name)) first.set(name, infoOf(toy.entry(name)));
        return real.update(name, labels, options);
      },
      walk: async function* remembered(options) {
        for await (const info of real.walk(options)) yield first.get(info.name) ?? info;
      },
    };
  },
  "a filter that cannot be read is refused before the first snapshot": (toy) => {
    const real = original(toy);
    return {
      walk: async function* late(options) {
        const [known, ...rest] = options?.filters ?? [];
        yield* real.walk({ filters: known === undefined ? [] : [known] });
        if (rest.length > 0) yield* real.walk({ filters: rest });
      },
    };
  },
};

function ghost(toy: Toy): SnapshotInfo {
  const now = new Date();
  return { kind: "active", name: `ghost-${toy.place.next}`, labels: {}, createdAt: now, updatedAt: now };
}
