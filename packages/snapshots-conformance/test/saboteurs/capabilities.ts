import { cpSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { CodedError } from "@varve/errors";
import { original } from "../sabotage.ts";
import type { Saboteurs } from "../sabotage.ts";
import { empty, isThere, mountsOf } from "../toy-files.ts";

/** Of cases about cleaners, checkers, rebasers and preparers of layers. */
export const capabilitySaboteurs: Saboteurs = {
  "a cleanup takes nothing that a snapshot owns": (toy) => ({
    cleanup: async () => void toy.place.entries.delete("view"),
  }),
  "a cleanup may run while snapshots are made and removed": (toy) => ({
    cleanup: async () => {
      for (const [name, entry] of toy.place.entries) if (entry.kind === "active") toy.place.entries.delete(name);
    },
  }),
  "an aborted signal rejects a cleanup with its own reason": () => ({ cleanup: async () => undefined }),
  "a cleanup takes active snapshots and views whose files are gone, and no committed one": (toy) => ({
    cleanup: async () => {
      for (const [name, entry] of toy.place.entries) if (!isThere(entry.directory)) toy.place.entries.delete(name);
    },
  }),

  "a check finds nothing wrong with what nobody has touched": (toy) => ({
    check: async function* suspicious() {
      for (const { name, directory } of toy.place.entries.values()) {
        if (readdirSync(directory).length === 0) yield { name, kind: "missing" as const, message: "is empty" };
      }
    },
  }),
  "a check tells whose files are gone, and changes nothing": (toy) => {
    const real = original(toy);
    return {
      check: async function* removing() {
        for await (const problem of real.check()) {
          toy.place.entries.delete(problem.name);
          yield problem;
        }
      },
    };
  },
  "a check tells what stands in place of the files": () => ({
    problem: ({ directory }) => (existsSync(directory) ? undefined : "missing"),
  }),
  "a check finds nothing wrong with what is made and removed meanwhile": (toy) => {
    let checks = 0;
    return {
      check: async function* slow() {
        checks += 1;
        // Now at one moment of the others' work, now at another.
        if (checks % 2 === 0) await turn();
        for (const name of Array.from(toy.place.entries.keys())) {
          await turn();
          if (!toy.place.entries.has(name)) yield { name, kind: "missing" as const, message: "is gone" };
        }
      },
    };
  },
  "an aborted signal rejects a check with its own reason": (toy) => {
    const real = original(toy);
    return { check: () => real.check() };
  },

  "a snapshot whose files are gone cannot be committed, and can be removed": (toy) => ({
    problem: () => undefined,
    commit: async (name, key) => {
      toy.mustBeFree(name);
      toy.place.entries.set(name, { ...toy.active(key), name, kind: "committed" });
      toy.place.entries.delete(key);
    },
  }),
  "a snapshot whose files are replaced by a link cannot be committed": () => ({
    problem: ({ directory }) => (existsSync(directory) ? undefined : "missing"),
  }),
  "a removal does not follow a link in place of the files": (toy) => {
    const real = original(toy);
    return {
      remove: async (name) => {
        const { directory } = toy.entry(name);
        await real.remove(name);
        for (const file of readdirSync(directory)) rmSync(join(directory, file), { recursive: true });
      },
    };
  },

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
  "a parent is not removed while a snapshot is given it": (toy) => ({
    rebase: async (key, parent) => {
      toy.committed(parent);
      await turn();
      toy.active(key).parent = parent;
      return mountsOf(toy.entry(key));
    },
  }),
  "without a parent a snapshot is one bind mount of a directory": (toy) => {
    const real = original(toy);
    return { prepare: async (key, parent) => [...(await real.prepare(key, parent)), ...mountsOf(toy.entry(key))] };
  },
  "what was filled before it had a parent shows the parent below": (toy) => ({
    rebase: async (key, parent) => {
      toy.entry(key).parent = parent;
      return mountsOf(toy.entry(key));
    },
  }),

  "a layer that nobody has is prepared as any snapshot is": (toy) => {
    const real = original(toy);
    return { prepareLayer: (request) => real.prepareLayer(request) };
  },
  "a layer is refused for the same reasons as a snapshot": (toy) => {
    const real = original(toy);
    return {
      prepareLayer: async (request, options) => {
        if (request.parent !== undefined) toy.entry(request.parent);
        return real.prepareLayer({ ...request, parent: undefined }, options);
      },
    };
  },
  "an aborted signal rejects a layer with its own reason": (toy) => {
    const real = original(toy);
    return { prepareLayer: (request) => real.prepareLayer(request) };
  },
  "a layer that is there comes committed, and no active snapshot is made": (toy) => {
    const real = original(toy);
    return {
      prepareLayer: async (request, options) => {
        const prepared = await real.prepareLayer(request, options);
        await real.prepare(request.key, undefined);
        return prepared;
      },
    };
  },
  "a layer that comes committed stands on the parent of its request": (toy) => {
    const real = original(toy);
    // By its target alone.
    return { prepareLayer: (request, options) => real.prepareLayer({ ...request, parent: undefined }, options) };
  },
  "a layer that is there can come staged, and is committed as any other": (toy) => {
    const real = original(toy);
    return {
      prepareLayer: async (request, options) => {
        const prepared = await real.prepareLayer(request, options);
        toy.entry(request.key).isStaged = false;
        return prepared.state === "staged" ? { ...prepared, mounts: await real.mounts(request.key) } : prepared;
      },
    };
  },
  "a layer that comes committed has its files": (toy) => {
    const real = original(toy);
    return {
      prepareLayer: async (request, options) => {
        const prepared = await real.prepareLayer(request, options);
        if (prepared.state === "committed") empty(toy.entry(prepared.name).directory);
        return prepared;
      },
    };
  },
  "a layer that comes staged has its files": (toy) => {
    const real = original(toy);
    return {
      commit: async (name, key) => {
        // A committed layer is made anew, from nothing.
        cpSync("/dev/null", join(toy.entry(key).directory, "made"));
        rmSync(join(toy.entry(key).directory, "brought"));
        await real.commit(name, key);
      },
    };
  },
};
