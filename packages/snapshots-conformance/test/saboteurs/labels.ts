import { labelTarget } from "@varve/snapshots";
import { CodedError } from "@varve/errors";
import { original } from "../sabotage.ts";
import type { Saboteurs } from "../sabotage.ts";

/** Of cases about labels and their changes. */
export const labelSaboteurs: Saboteurs = {
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
  "a label may have any name": (toy) => ({
    update: async (name, labels) => {
      const entry = toy.entry(name);
      for (const [label, value = ""] of Object.entries(labels)) entry.labels[label] = value;
      return toy.stat(name);
    },
  }),
  "labels with a meaning are kept as any other": (toy) => {
    const real = original(toy);
    return {
      prepare: async (key, parent, options) => {
        const target = options?.labels?.[labelTarget];
        if (target !== undefined) throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${target}: already exists`);
        return real.prepare(key, parent, options);
      },
    };
  },
  "what a caller does to an info or to labels given changes no snapshot": (toy) => ({
    stat: async (name) => toy.entry(name),
  }),

  "an update changes the labels it names and nothing else": (toy) => {
    const real = original(toy);
    return {
      update: (name, labels) => {
        toy.entry(name).labels = {};
        return real.update(name, labels);
      },
    };
  },
  "labels of six snapshots can be changed, replaced and removed, and a walk shows it": (toy) => {
    const real = original(toy);
    // Replaces nothing when there is nothing to put in place.
    return {
      update: (name, labels, options) =>
        real.update(name, labels, { ...options, replace: options?.replace === true && Object.keys(labels).length > 0 }),
    };
  },
  "each change of labels makes a snapshot newer": (toy) => {
    const real = original(toy);
    return {
      update: async (name, labels) => {
        await real.update(name, labels);
        toy.entry(name).updatedAt = new Date(Math.floor(Date.now() / 1000) * 1000);
        return toy.stat(name);
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
  "an update that is refused changes nothing": (toy) => {
    const real = original(toy);
    return {
      update: async (name, labels, options) => {
        if (options?.replace === true) toy.entry(name).labels = {};
        return real.update(name, labels, options);
      },
    };
  },
};
