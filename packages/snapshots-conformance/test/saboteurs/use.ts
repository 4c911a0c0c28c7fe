import { cpSync, existsSync, readFileSync, renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterPrepare, original } from "../sabotage.ts";
import type { Sabotage, Saboteurs } from "../sabotage.ts";
import { empty, mountsOf } from "../toy-files.ts";

/** Of cases about snapshots that somebody works in. */
export const useSaboteurs: Saboteurs = {
  "a directory stays the same one while it is changed": whileMounted((root) => {
    const directory = join(root, "directory");
    if (!existsSync(join(directory, "new"))) return false;
    replaceByCopy(directory);
    return true;
  }),
  "an open file stays the same one while others change, replace or delete it": whileMounted((root) => {
    const file = join(root, "directory/file");
    if (!existsSync(file) || readFileSync(file, "utf8") !== "CONTENTS") return false;
    replaceByCopy(file);
    return true;
  }),
  "a process in a mounted directory knows where it is, also after a change": afterPrepare(({ directory }) => {
    renameSync(join(directory, "directory"), join(directory, "elsewhere"));
    symlinkSync("elsewhere", join(directory, "directory"));
  }),
  "what is removed while it is mounted stays readable there, or the removal is refused": (toy) => {
    const real = original(toy);
    return {
      remove: async (name) => {
        const { directory } = toy.entry(name);
        await real.remove(name);
        empty(directory);
      },
    };
  },
  "what a removed view shows stays readable although its parent is removed too, or that removal is refused": (toy) => {
    const real = original(toy);
    return {
      view: async (key, parent) => {
        await real.view(key, parent);
        const entry = toy.entry(key);
        entry.directory = toy.committed(parent ?? "").directory;
        return mountsOf(entry);
      },
      remove: async (name) => {
        const { directory, kind } = toy.entry(name);
        await real.remove(name);
        if (kind === "committed") empty(directory);
      },
    };
  },
  "a cleanup leaves what is mounted readable": (toy) => {
    const real = original(toy);
    const removed: string[] = [];
    return {
      remove: async (name) => {
        const { directory } = toy.entry(name);
        await real.remove(name);
        removed.push(directory);
      },
      cleanup: async () => {
        for (const directory of removed.splice(0)) empty(directory);
      },
    };
  },
};

/** Looks at the files between any two steps of the case, until it has done something to them. */
function whileMounted(interfere: (root: string) => boolean): Sabotage {
  return (toy) => {
    const real = original(toy);
    let closed = false;
    return {
      ...afterPrepare(({ directory }) => {
        const look = (): void => {
          if (!closed && !interfere(directory)) setImmediate(look);
        };
        look();
      })(toy),
      close: async () => {
        closed = true;
        await real.close();
      },
    };
  };
}

/** The same contents and the same name, but another file. */
function replaceByCopy(path: string): void {
  cpSync(path, `${path}-copy`, { recursive: true });
  renameSync(path, `${path}-before`);
  renameSync(`${path}-copy`, path);
}
