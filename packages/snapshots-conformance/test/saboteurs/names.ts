import { isAbsolute, normalize } from "node:path";
import { CodedError } from "@varve/errors";
import { original } from "../sabotage.ts";
import type { Saboteurs } from "../sabotage.ts";
import { mountsOf } from "../toy-files.ts";

/** Of cases about mounts as data and about keys. */
export const nameSaboteurs: Saboteurs = {
  "mounts are the same each time": (toy) => ({
    mounts: async (key) => mountsOf(toy.entry(key)).map((mount) => ({ ...mount, options: ["rbind", "rw"] })),
  }),
  "a committed snapshot has no mounts": (toy) => ({ mounts: async (key) => mountsOf(toy.entry(key)) }),
  "the mounts of a view are all read-only": (toy) => {
    const real = original(toy);
    return {
      view: async (key, parent) => {
        const mounts = await real.view(key, parent);
        return parent === "two" ? [...mounts, ...mounts.map((mount) => ({ ...mount, options: ["rbind"] }))] : mounts;
      },
    };
  },
  "no two active snapshots have the same mounts": (toy) => {
    const real = original(toy);
    const directories = new Map<string, string>();
    return {
      prepare: async (key, parent) => {
        await real.prepare(key, parent);
        const entry = toy.entry(key);
        entry.directory = directories.get(key) ?? entry.directory;
        directories.set(key, entry.directory);
        return mountsOf(entry);
      },
    };
  },

  "a key may be any text": (toy) => {
    const real = original(toy);
    return {
      mustBeFree: (key) => {
        if (key.includes("..")) throw new CodedError("ERR_INVALID_ARGUMENT", `snapshot ${key}: leads out`);
        real.mustBeFree(key);
      },
    };
  },
  "a name may be any text, also that of a parent": (toy) => {
    const real = original(toy);
    // As a C string.
    return { stat: async (name) => ({ ...(await real.stat(name)), parent: toy.entry(name).parent?.split("\0")[0] }) };
  },
  "texts that look alike are different keys": (toy) => {
    const real = original(toy);
    return { entry: (name) => real.entry(isAbsolute(name) ? name : normalize(name)) };
  },
  "the empty text is no key and no name": (toy) => {
    const real = original(toy);
    return { prepare: (key, parent, options) => real.prepare(key, parent === "" ? undefined : parent, options) };
  },
};
