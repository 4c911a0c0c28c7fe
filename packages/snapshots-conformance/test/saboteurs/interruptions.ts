import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterPrepare, original } from "../sabotage.ts";
import type { Saboteurs } from "../sabotage.ts";

/** Of cases about signals. */
export const interruptionSaboteurs: Saboteurs = {
  "an aborted signal rejects every call with its own reason and changes nothing": (toy) => {
    const real = original(toy);
    return { usage: (name) => real.usage(name) };
  },
  "an abort during a call leaves all or nothing of it": (toy) => {
    const real = original(toy);
    return {
      prepare: async (key, parent, options) => {
        const mounts = await real.prepare(key, parent, { ...options, signal: undefined });
        await turns(5);
        options?.signal?.throwIfAborted();
        return mounts;
      },
    };
  },
  "an abort during a view, an update or a removal leaves all or nothing of it": (toy) => {
    const real = original(toy);
    return {
      update: async (name, labels, options) => {
        for (const [label, value] of Object.entries(labels)) {
          options?.signal?.throwIfAborted();
          await real.update(name, { [label]: value });
          await turn();
        }
        return toy.stat(name);
      },
    };
  },
  "an abort leaves no trace in the files": (toy) => {
    const real = original(toy);
    let left: string | undefined;
    return {
      ...afterPrepare(({ directory }) => {
        if (left !== undefined) writeFileSync(join(directory, left), "");
        left = undefined;
      })(toy),
      commit: async (name, key, options) => {
        await real.commit(name, key, options).catch((error: unknown) => {
          left = "litter";
          throw error;
        });
      },
    };
  },
  "an abort during a cleanup takes no snapshot": (toy) => ({
    cleanup: async (options) => {
      const { entries } = toy.place;
      const all = Array.from(entries);
      entries.clear();
      await turn();
      options?.signal?.throwIfAborted();
      for (const [name, entry] of all) entries.set(name, entry);
    },
  }),
  "an abort during a change of parent leaves all or nothing of it": (toy) => {
    const real = original(toy);
    return {
      rebase: async (key, parent, options) => {
        toy.entry(key).parent = parent;
        await turns(3);
        options?.signal?.throwIfAborted();
        return real.rebase(key, parent);
      },
    };
  },
};

async function turns(count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) await turn();
}
