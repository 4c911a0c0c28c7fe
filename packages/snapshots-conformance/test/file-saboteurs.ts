import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, cpSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterCommit, afterPrepare, original } from "./sabotage.ts";
import type { Sabotage } from "./sabotage.ts";
import { measure, mountsOf } from "./toy.ts";
import type { Entry, Toy } from "./toy.ts";

/** For each case that looks at files, a way to break the contract that only a run of that case needs to notice. */
export const fileSaboteurs: Readonly<Record<string, Sabotage>> = {
  "a child shows what its parent has and what was changed": afterPrepare((entry) => empty(entry.directory)),
  "what an active snapshot has is there when it is mounted again": (toy) => {
    const real = original(toy);
    return {
      mounts: async (key) => {
        empty(toy.entry(key).directory);
        return real.mounts(key);
      },
    };
  },
  "a failed commit and a second prepare lose no file of the active snapshot": (toy) => {
    const real = original(toy);
    return {
      prepare: (key, parent) => {
        const first = toy.place.entries.get(key);
        if (first !== undefined) empty(first.directory);
        return real.prepare(key, parent);
      },
    };
  },
  "every generation sees all generations below": afterPrepare((entry) => {
    rmSync(join(entry.directory, "one"), { force: true });
  }, "two"),
  "a change in a child does not change its parent": afterPrepare(linkToParent),
  "two children of one parent do not see each other": afterPrepare((entry, toy) => {
    for (const other of toy.place.entries.values()) {
      if (other !== entry && other.kind === "active") entry.directory = other.directory;
    }
  }),
  "a directory removed and made again does not show its old contents": afterCommit(bringBack),
  "a file deleted in a child is gone in its children too": afterCommit(bringBack),
  "a renamed file has its new name only": afterCommit(bringBack),
  "nothing can be written to a view": (toy) => {
    const real = original(toy);
    return {
      view: async (key, parent) =>
        (await real.view(key, parent)).map((mount) => ({ ...mount, options: ["rw", "rbind"] })),
    };
  },
  "what stands on a committed snapshot is whole after siblings are removed": (toy) => {
    const real = original(toy);
    return {
      remove: async (name) => {
        const { parent } = toy.entry(name);
        await real.remove(name);
        for (const entry of toy.place.entries.values()) if (entry.parent === parent) empty(entry.directory);
      },
    };
  },
  "what was filled before it had a parent shows the parent below": (toy) => ({
    rebase: async (key, parent) => {
      toy.entry(key).parent = parent;
      return mountsOf(toy.entry(key));
    },
  }),
  "a chain of 128 snapshots shows all of their changes": afterPrepare((entry) => {
    // As with mount options that are cut off at a page.
    if (readdirSync(entry.directory).length > 100) rmSync(join(entry.directory, "file-0"), { force: true });
  }),

  "the root of an empty snapshot has mode 0755 whatever the umask is": (toy) => {
    const real = original(toy);
    return {
      prepare: async (key, parent) => {
        const mounts = await real.prepare(key, parent);
        chmodSync(toy.entry(key).directory, 0o777 & ~process.umask());
        return mounts;
      },
    };
  },
  "mode and owner of the root go with a commit to the next generations": afterPrepare((entry) => {
    chownSync(entry.directory, 0, 0);
    chmodSync(entry.directory, 0o755);
  }),
  "a change of owner alone shows in the child, for files and directories": afterCommit((toy, name) => {
    execFileSync("chown", ["-R", "0:0", toy.entry(name).directory]);
  }),
  "modes, owners, times and links go unchanged to the next generations": afterPrepare((entry) => {
    execFileSync("chmod", ["-R", "u-s", entry.directory]);
  }),
  "hard links stay one file in the next generations": afterPrepare(({ directory }) => {
    if (lstatSync(join(directory, "second"), { throwIfNoEntry: false }) === undefined) return;
    cpSync(join(directory, "second"), join(directory, "copy"));
    renameSync(join(directory, "copy"), join(directory, "second"));
  }),
  "a name need not be text": afterPrepare(({ directory }) => {
    for (const name of readdirSync(directory)) {
      if (!lstatSync(join(directory, name), { throwIfNoEntry: false })) empty(directory);
    }
  }),

  "a view takes up nothing": (toy) => ({ usage: async (name) => measure(toy.entry(name).directory) }),
  "the usage of an active snapshot is measured now": (toy) => {
    const real = original(toy);
    return { usage: async (name) => (toy.entry(name).usage ??= await real.usage(name)) };
  },
  "a commit keeps the usage that was measured": afterCommit((toy, name) => {
    toy.entry(name).usage = { bytes: 0, inodes: 0 };
  }),
  "a hard-link group takes up the space of one file": (toy) => ({
    usage: async (name) => {
      const { directory } = toy.entry(name);
      const stats = readdirSync(directory).map((file) => lstatSync(join(directory, file)));
      return { bytes: stats.reduce((sum, stat) => sum + stat.blocks * 512, 0), inodes: stats.length };
    },
  }),
};

/** What a child deleted shows through again. */
function bringBack(toy: Toy, name: string): void {
  const { parent, directory } = toy.entry(name);
  if (parent !== undefined) execFileSync("cp", ["-an", `${toy.entry(parent).directory}/.`, directory]);
}

/** The files of a child are those of its parent. */
function linkToParent(entry: Entry, toy: Toy): void {
  empty(entry.directory);
  execFileSync("cp", ["-al", `${toy.entry(entry.parent ?? "").directory}/.`, entry.directory]);
}

function empty(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
}
