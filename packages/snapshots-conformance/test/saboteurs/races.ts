import { setImmediate as turn } from "node:timers/promises";
import { CodedError } from "@varve/errors";
import { apart, original } from "../sabotage.ts";
import type { Saboteurs } from "../sabotage.ts";
import { mountsOf } from "../toy-files.ts";
import { infoOf } from "../toy-place.ts";

/** Of cases about calls at the same time, in one instance or two. */
export const raceSaboteurs: Saboteurs = {
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
  "of two removals of one snapshot one succeeds": (toy) => {
    const real = original(toy);
    return { remove: (name) => real.remove(name).catch(() => undefined) };
  },
  "of a commit and a removal of one snapshot one succeeds": (toy) => {
    const real = original(toy);
    return {
      commit: async (name, key) => {
        const entry = toy.entry(key);
        await turn();
        toy.place.entries.set(key, entry);
        await real.commit(name, key);
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
  "changes of different labels at the same time are all kept": (toy) => ({
    update: async (name, changes) => {
      const { labels } = await toy.stat(name);
      await turn();
      toy.entry(name).labels = { ...labels, ...(changes as Record<string, string>) };
      return toy.stat(name);
    },
  }),
  "a walk goes on while snapshots come and go, and shows those that stay": (toy) => ({
    walk: async function* byPosition() {
      // What follows a removed one moves up, and is passed over.
      for (let index = 0; index < toy.place.entries.size; index += 1) {
        const entry = Array.from(toy.place.entries.values())[index];
        if (entry !== undefined) yield infoOf(entry);
      }
    },
  }),

  "what was there is there after reopening": (toy) => {
    if (toy.place.opened > 1) toy.place.entries.clear();
    return {};
  },
  "what was written is there after reopening": (toy) => {
    if (toy.place.opened > 1) toy.entry("key").directory = toy.place.root;
    return {};
  },
  "two instances of one place see the same snapshots": apart,
  "closing one instance leaves the other usable": (toy) => {
    const real = original(toy);
    const { place } = toy;
    return {
      close: async () => {
        place.next = -1;
      },
      commit: async (name, key) => {
        if (place.next < 0) throw new CodedError("ERR_UNAVAILABLE", "closed");
        await real.commit(name, key);
      },
    };
  },
  "of two instances that want one key one gets it": apart,
  "of two instances that commit to one name one succeeds and the other's snapshot stays active": (toy) => {
    const real = original(toy);
    return {
      commit: async (name, key) => {
        await real.commit(name, key).catch((error: unknown) => {
          toy.place.entries.delete(key);
          throw error;
        });
      },
    };
  },
  "a parent is not removed by one instance while another prepares on it": (toy) => {
    const real = original(toy);
    return {
      create: async (kind, key, options) => {
        const parent = options.parent === undefined ? undefined : toy.committed(options.parent);
        const mounts = await real.create(kind, key, { ...options, parent: undefined });
        toy.entry(key).parent = parent?.name;
        return mounts;
      },
    };
  },
};
