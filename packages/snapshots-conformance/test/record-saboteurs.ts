import { setImmediate as turn } from "node:timers/promises";
import { CodedError } from "@varve/errors";
import type { SnapshotInfo } from "@varve/snapshots";
import { afterCommit, original } from "./sabotage.ts";
import type { Sabotage } from "./sabotage.ts";
import { mountsOf } from "./toy.ts";
import type { Toy } from "./toy.ts";

/** For each case that looks at no file, a way to break the contract that only a run of that case needs to notice. */
export const recordSaboteurs: Readonly<Record<string, Sabotage>> = {
  "an active snapshot is found by its key": (toy) => {
    const real = original(toy);
    return { stat: async (name) => ({ ...(await real.stat(name)), kind: "view" }) };
  },
  "a committed snapshot is found by its name and no longer by its key": afterCommit((toy, name, key) => {
    toy.place.entries.set(key, { ...toy.entry(name), name: key });
  }),
  "a view is found by its key": (toy) => ({ view: toy.prepare.bind(toy) }),
  "what does not exist is not found": (toy) => {
    const real = original(toy);
    return { mounts: async (key) => (toy.place.entries.has(key) ? real.mounts(key) : []) };
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
  "mounts are the same each time": (toy) => ({
    mounts: async (key) => mountsOf(toy.entry(key)).map((mount) => ({ ...mount, options: ["rbind", "rw"] })),
  }),
  "a committed snapshot has no mounts": (toy) => ({ mounts: async (key) => mountsOf(toy.entry(key)) }),
  "a snapshot that others stand on cannot be removed": (toy) => ({
    remove: async (name) => void toy.place.entries.delete(name),
  }),
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
  "a snapshot was created no later than it was last updated": (toy) => {
    const real = original(toy);
    return { stat: async (name) => ({ ...(await real.stat(name)), createdAt: new Date(Date.now() + 60_000) }) };
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

  "labels are those given at the creation": (toy) => {
    const real = original(toy);
    return { view: (key, parent) => real.view(key, parent) };
  },
  "a commit starts with its own labels": (toy) => {
    const real = original(toy);
    return {
      commit: async (name, key, options) => {
        const labels = { ...toy.entry(key).labels, ...options?.labels };
        await real.commit(name, key, { ...options, labels });
      },
    };
  },
  "an update changes the labels it names and nothing else": (toy) => {
    const real = original(toy);
    return {
      update: (name, labels) => {
        toy.entry(name).labels = {};
        return real.update(name, labels);
      },
    };
  },
  "a label of 4096 bytes is accepted and a longer one refused": (toy) => ({
    update: async (name, labels) => {
      const entry = toy.entry(name);
      for (const [label, value = ""] of Object.entries(labels)) {
        if (label.length + value.length > 4096) throw new CodedError("ERR_INVALID_ARGUMENT", "too long");
        entry.labels[label] = value;
      }
      return toy.stat(name);
    },
  }),
  "a label may have any name": (toy) => ({
    update: async (name, labels) => {
      const entry = toy.entry(name);
      for (const [label, value = ""] of Object.entries(labels)) entry.labels[label] = value;
      return toy.stat(name);
    },
  }),

  "a new snapshotter has nothing to walk": (toy) => ({
    walk: async function* walk() {
      yield { ...ghost(toy) };
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

  "of eight prepares of one key one succeeds": (toy) => {
    const real = original(toy);
    return { prepare: (key, parent) => real.prepare(key, parent).catch(() => mountsOf(toy.entry(key))) };
  },
  "of two commits to one name one succeeds and the other stays active": (toy) => {
    const real = original(toy);
    return {
      commit: (name, key) =>
        real.commit(name, key).catch(() => {
          toy.place.entries.delete(name);
          return real.commit(name, key);
        }),
    };
  },
  "of two commits of one key one succeeds": (toy) => {
    const real = original(toy);
    return {
      commit: async (name, key) => {
        const entry = { ...toy.entry(key) };
        await real.commit(name, key).catch(async () => {
          toy.place.entries.set(name, { ...entry, name, kind: "committed" });
        });
      },
    };
  },
  "a parent is not removed while a snapshot is prepared on it": (toy) => {
    const real = original(toy);
    return {
      remove: async (name) => {
        const { entries } = toy.place;
        if ([...entries.values()].some((entry) => entry.parent === name)) return real.remove(name);
        for (let turns = 0; turns < 5; turns += 1) await turn();
        entries.delete(name);
      },
    };
  },
  "snapshots with different keys can be made at the same time": (toy) => {
    const real = original(toy);
    let busy = false;
    return {
      prepare: async (key, parent) => {
        if (busy) throw new CodedError("ERR_UNAVAILABLE", "one at a time");
        busy = true;
        return real.prepare(key, parent).finally(() => (busy = false));
      },
    };
  },

  "an aborted signal rejects every call with its own reason and changes nothing": (toy) => {
    const real = original(toy);
    return { usage: (name) => real.usage(name) };
  },
  "an abort during a call leaves all or nothing of it": (toy) => {
    const real = original(toy);
    return {
      prepare: async (key, parent, options) => {
        const mounts = await real.prepare(key, parent, { ...options, signal: undefined });
        for (let turns = 0; turns < 5; turns += 1) await turn();
        options?.signal?.throwIfAborted();
        return mounts;
      },
    };
  },

  "a cleanup takes nothing that a snapshot owns": (toy) => ({
    cleanup: async () => void toy.place.entries.delete("view"),
  }),
  "a cleanup may run while snapshots are made and removed": (toy) => ({
    cleanup: async () => {
      for (const [name, entry] of toy.place.entries) if (entry.kind === "active") toy.place.entries.delete(name);
    },
  }),
  "an aborted signal rejects a cleanup with its own reason": () => ({ cleanup: async () => undefined }),
  "a snapshot without a parent can be given one, also twice": (toy) => {
    const real = original(toy);
    return {
      rebase: async (key, parent) => {
        if (toy.entry(key).parent !== undefined) throw new CodedError("ERR_INVALID_ARGUMENT", "has a parent");
        return real.rebase(key, parent);
      },
    };
  },
  "a snapshot that has a parent keeps it": (toy) => {
    const real = original(toy);
    return {
      rebase: (key, parent) => {
        toy.entry(key).parent = undefined;
        return real.rebase(key, parent);
      },
    };
  },
  "a new parent must exist and be committed": (toy) => ({ committed: toy.entry.bind(toy) }),
  "only an active snapshot can be given a parent": (toy) => ({ active: toy.entry.bind(toy) }),
  "an aborted signal rejects a change of parent with its own reason": (toy) => {
    const real = original(toy);
    return { rebase: (key, parent) => real.rebase(key, parent) };
  },
  "without a parent a snapshot is one bind mount of a directory": (toy) => {
    const real = original(toy);
    return { prepare: async (key, parent) => [...(await real.prepare(key, parent)), ...mountsOf(toy.entry(key))] };
  },
  "what was there is there after reopening": (toy) => {
    if (toy.place.opened > 1) toy.place.entries.clear();
    return {};
  },
  "two instances of one place see the same snapshots": (toy) => ({
    place: { ...toy.place, entries: new Map(toy.place.entries) },
  }),
};

function ghost(toy: Toy): SnapshotInfo {
  const now = new Date();
  return { kind: "active", name: `ghost-${toy.place.next}`, labels: {}, createdAt: now, updatedAt: now };
}
