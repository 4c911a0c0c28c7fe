import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterCommit, afterPrepare, original } from "../sabotage.ts";
import type { Saboteurs } from "../sabotage.ts";
import { copyInto, empty, isThere, measure } from "../toy-files.ts";
import type { Entry } from "../toy-place.ts";
import type { Toy } from "../toy.ts";

/** Of cases about what is in a snapshot. */
export const fileSaboteurs: Saboteurs = {
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
  "a name that is used again shows nothing of what had it before": (toy) => {
    const real = original(toy);
    const removed = new Map<string, string>();
    return {
      remove: async (name) => {
        removed.set(name, toy.entry(name).directory);
        await real.remove(name);
      },
      create: async (kind, key, options) => {
        const mounts = await real.create(kind, key, options);
        const before = removed.get(key);
        if (before !== undefined) copyInto(before, toy.entry(key).directory);
        return mounts;
      },
    };
  },

  "a directory removed and made again does not show its old contents": afterCommit(bringBack),
  "a file deleted in a child is gone in its children too": afterCommit(bringBack),
  "a directory deleted in a child is gone in its children too": (toy) => {
    const real = original(toy);
    return {
      create: async (kind, key, options) => {
        const mounts = await real.create(kind, key, options);
        // Only from the generation after, as with a marker that is taken for a file.
        if (options.parent === "child") mkdirSync(join(toy.entry(key).directory, "directory"));
        return mounts;
      },
    };
  },
  "a renamed file has its new name only": afterCommit(bringBack),
  "a renamed file takes the place of another": (toy) => {
    const real = original(toy);
    return {
      commit: async (name, key) => {
        const below = toy.place.entries.get("base");
        if (below !== undefined) cpSync(join(below.directory, "three"), join(toy.entry(key).directory, "three"));
        await real.commit(name, key);
      },
    };
  },
  "a renamed directory has its new name only, and all that was in it": afterCommit((toy, name) => {
    if (name !== "base") rmSync(join(toy.entry(name).directory, "new/below"), { recursive: true, force: true });
  }),

  "nothing can be written to a view": writableViews,
  "nothing in a view can be changed, made or removed": writableViews,
  "a view can be mounted again, and shows the same": (toy) => {
    const real = original(toy);
    return {
      mounts: async (key) => {
        writeFileSync(join(toy.entry(key).directory, "file"), "another");
        return real.mounts(key);
      },
    };
  },

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
  "the root of an empty snapshot was changed in 1970": (toy) => {
    const real = original(toy);
    return {
      view: async (key, parent) => {
        const mounts = await real.view(key, parent);
        utimesSync(toy.entry(key).directory, 0, 0.001);
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
  "a change of mode alone shows at once and in the child, for files and directories": afterPrepare((entry) => {
    // A mode without any permission counts as none.
    const file = join(entry.directory, "directory/file");
    if (lstatSync(file).mode % 0o1000 === 0) chmodSync(file, 0o644);
  }),
  "modes, owners, times and links go unchanged to the next generations": afterPrepare((entry) => {
    execFileSync("chmod", ["-R", "u-s", entry.directory]);
  }),

  "hard links stay one file in the next generations": afterPrepare(({ directory }) => {
    if (!isThere(join(directory, "second"))) return;
    cpSync(join(directory, "second"), join(directory, "copy"));
    renameSync(join(directory, "copy"), join(directory, "second"));
  }),
  "a name need not be text": afterPrepare(({ directory }) => {
    for (const name of readdirSync(directory)) if (!isThere(join(directory, name))) empty(directory);
  }),
  "a unix socket goes to the next generations": afterPrepare(({ directory }) => {
    for (const name of readdirSync(directory)) {
      if (lstatSync(join(directory, name)).isSocket()) rmSync(join(directory, name));
    }
  }),

  "a fifo goes to the next generations": afterPrepare(({ directory }) => {
    for (const name of readdirSync(directory)) {
      if (lstatSync(join(directory, name)).isFIFO()) writeFileSync(join(directory, `${name}-copy`), "");
      if (isThere(join(directory, `${name}-copy`))) renameSync(join(directory, `${name}-copy`), join(directory, name));
    }
  }),
  "device nodes go to the next generations": afterPrepare(({ directory }) => {
    // As with a number that has a byte for each half.
    const block = join(directory, "block");
    rmSync(block, { force: true });
    execFileSync("mknod", ["-m", "640", block, "b", "7", "44"]);
    chownSync(block, 45, 46);
  }),
  "extended attributes of files and directories go to the next generations": afterPrepare(({ directory }) => {
    execFileSync("setfattr", ["-x", "user.varve.root", directory]);
  }),

  "a chain of 128 snapshots shows all of their changes": afterPrepare((entry) => {
    // As with mount options that are cut off at a page.
    if (readdirSync(entry.directory).length > 25) rmSync(join(entry.directory, "link-2"), { force: true });
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

function writableViews(toy: Toy): Partial<Toy> {
  const real = original(toy);
  return {
    view: async (key, parent) =>
      (await real.view(key, parent)).map((mount) => ({ ...mount, options: ["rw", "rbind"] })),
  };
}

/** What a child deleted shows through again. */
function bringBack(toy: Toy, name: string): void {
  const { parent, directory } = toy.entry(name);
  if (parent !== undefined) copyInto(toy.entry(parent).directory, directory, true);
}

/** The files of a child are those of its parent. */
function linkToParent(entry: Entry, toy: Toy): void {
  empty(entry.directory);
  execFileSync("cp", ["-al", `${toy.entry(entry.parent ?? "").directory}/.`, entry.directory]);
}
