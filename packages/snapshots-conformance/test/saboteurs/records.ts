import { CodedError } from "@varve/errors";
import { afterCommit, original } from "../sabotage.ts";
import type { Saboteurs } from "../sabotage.ts";
import { mountsOf } from "../toy-files.ts";

/** Of cases about prepare, commit and remove. */
export const recordSaboteurs: Saboteurs = {
  "what does not exist is not found": (toy) => {
    const real = original(toy);
    return { mounts: async (key) => (toy.place.entries.has(key) ? real.mounts(key) : []) };
  },
  "closing twice is no error": () => {
    let closed = 0;
    return {
      close: async () => {
        closed += 1;
        // The runner closes too, so only the second call inside the case may fail.
        if (closed === 2) throw new CodedError("ERR_FAILED_PRECONDITION", "closed");
      },
    };
  },

  "an active snapshot is found by its key": (toy) => {
    const real = original(toy);
    return { stat: async (name) => ({ ...(await real.stat(name)), kind: "view" }) };
  },
  "a view is found by its key": (toy) => ({ view: toy.prepare.bind(toy) }),
  "parents are those given, whatever the tree of snapshots looks like": (toy) => {
    const real = original(toy);
    // The root of the chain in place of the nearest.
    return { view: (key, parent, options) => real.view(key, parent?.slice(0, 4), options) };
  },
  "a parent must exist": (toy) => {
    const real = original(toy);
    return {
      prepare: (key, parent, options) =>
        real.prepare(key, toy.place.entries.has(parent ?? "") ? parent : undefined, options),
    };
  },
  "a parent must be committed": (toy) => ({ committed: toy.entry.bind(toy) }),
  "a key is taken by a snapshot of any kind": (toy) => {
    const real = original(toy);
    return {
      view: (key, parent, options) => {
        if (toy.place.entries.get(key)?.kind === "committed") toy.place.entries.delete(key);
        return real.view(key, parent, options);
      },
    };
  },
  "a second prepare of a key leaves the first snapshot as it was": (toy) => {
    const real = original(toy);
    return {
      prepare: (key, parent, options) => {
        const first = toy.place.entries.get(key);
        if (first !== undefined) first.labels = { ...options?.labels };
        return real.prepare(key, parent, options);
      },
    };
  },
  "a label that cannot be kept makes no snapshot": (toy) => {
    const real = original(toy);
    return {
      view: async (key, parent, options) => {
        await real.view(key, parent);
        await real.update(key, options?.labels ?? {});
        return mountsOf(toy.entry(key));
      },
    };
  },

  "a committed snapshot is found by its name and no longer by its key": afterCommit((toy, name, key) => {
    toy.place.entries.set(key, { ...toy.entry(name), name: key });
  }),
  "a commit to a taken name fails and leaves the active snapshot usable": (toy) => {
    const real = original(toy);
    return {
      commit: async (name, key, options) => {
        const taken = toy.place.entries.has(name) && name !== key;
        await real.commit(name, key, options).finally(() => taken && toy.place.entries.delete(key));
      },
    };
  },
  "a commit looks at the name before the key": (toy) => {
    const real = original(toy);
    return {
      commit: async (name, key, options) => {
        toy.active(key);
        await real.commit(name, key, options);
      },
    };
  },
  "only an active snapshot can be committed": (toy) => ({ active: toy.entry.bind(toy) }),
  "a key is free after its commit and says nothing of the committed snapshot": (toy) => {
    const real = original(toy);
    const madeOf = new Map<string, string>();
    return {
      commit: async (name, key) => {
        await real.commit(name, key);
        madeOf.set(key, name);
      },
      remove: async (name) => {
        await real.remove(name);
        toy.place.entries.delete(madeOf.get(name) ?? "");
      },
    };
  },
  "a commit that fails leaves the active snapshot as it was": (toy) => {
    const real = original(toy);
    return {
      commit: async (name, key, options) => {
        toy.entry(key).labels = {};
        await real.commit(name, key, options);
      },
    };
  },
  "a snapshot was created no later than it was last updated": (toy) => {
    const real = original(toy);
    return { stat: async (name) => ({ ...(await real.stat(name)), createdAt: new Date(Date.now() + 60_000) }) };
  },
  "a commit counts as a change": (toy) => {
    const real = original(toy);
    return {
      commit: async (name, key) => {
        const { updatedAt } = toy.entry(key);
        await real.commit(name, key);
        toy.entry(name).updatedAt = updatedAt;
      },
    };
  },

  "a snapshot that others stand on cannot be removed": (toy) => ({
    remove: async (name) => void toy.place.entries.delete(name),
  }),
  "a removal that is refused leaves the snapshot as it was": (toy) => {
    const real = original(toy);
    return {
      remove: async (name) => {
        toy.entry(name).updatedAt = new Date();
        toy.entry(name).labels = { removing: "yes" };
        await real.remove(name);
      },
    };
  },
  "a removed name can be used again": (toy) => {
    const real = original(toy);
    const removed = new Set<string>();
    return {
      remove: async (name) => {
        await real.remove(name);
        removed.add(name);
      },
      prepare: async (key, parent) => {
        if (removed.has(key)) throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${key}: still there`);
        return real.prepare(key, parent);
      },
    };
  },
  "a snapshot can be removed as soon as it is committed": (toy) => {
    const real = original(toy);
    // By its former key too.
    return { remove: (name) => real.remove(name === "key" ? "name" : name) };
  },
};
