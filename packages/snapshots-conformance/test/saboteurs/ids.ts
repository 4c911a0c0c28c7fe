import { lchownSync } from "node:fs";
import { labelGidMapping, labelUidMapping } from "@varve/snapshots";
import { original } from "../sabotage.ts";
import type { Saboteurs } from "../sabotage.ts";
import { mapOwners, mappingsOf } from "../toy-ids.ts";

/** Of cases about id mappings. */
export const idSaboteurs: Saboteurs = {
  "an id mapping is one of the labels, and its mounts are the same each time": (toy) => {
    const real = original(toy);
    // Knows what to do only while it makes them.
    return {
      prepare: async (key, parent, options) =>
        (await real.prepare(key, parent, options)).map((mount) => ({
          ...mount,
          options: [...mount.options, `uidmap=${options?.labels?.[labelUidMapping]}`],
        })),
    };
  },
  "an id mapping that there cannot be is refused, and nothing is left": (toy) => {
    const real = original(toy);
    return {
      create: async (kind, key, options) => {
        const mounts = await real.create(kind, key, { ...options, labels: {} });
        // Looked at when everything else is done.
        mappingsOf(options.labels ?? {});
        return mounts;
      },
    };
  },
  "an id mapping for users alone, or for groups alone, is refused": () => ({
    mappings: ({ [labelUidMapping]: uids = "0:0:1", [labelGidMapping]: gids = "0:0:1" }) =>
      mappingsOf({ [labelUidMapping]: uids, [labelGidMapping]: gids }),
  }),
  "mapped ids show to a program, in what is there and in what is changed": (toy) => {
    const real = original(toy);
    // The ids of the host stay in the files.
    return {
      commit: async (name, key) => {
        const mappings = mappingsOf(toy.entry(key).labels);
        await real.commit(name, key);
        if (mappings !== undefined) mapOwners(toy.entry(name).directory, mappings);
      },
    };
  },
  "an id mapping does not show in other snapshots of the same parent": (toy) => {
    const real = original(toy);
    return {
      create: async (kind, key, options) => {
        const mounts = await real.create(kind, key, options);
        const mappings = mappingsOf(options.labels ?? {});
        // In the files that all share.
        if (mappings !== undefined) mapOwners(toy.committed(options.parent ?? "").directory, mappings);
        return mounts;
      },
    };
  },
  "a new and empty snapshot with an id mapping belongs to the mapped root": (toy) => {
    const real = original(toy);
    return {
      view: async (key, parent, options) => {
        const mounts = await real.view(key, parent, options);
        lchownSync(toy.entry(key).directory, 0, 0);
        return mounts;
      },
    };
  },
};
