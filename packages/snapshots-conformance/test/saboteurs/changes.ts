import { lstatSync, readdirSync } from "node:fs";
import { original } from "../sabotage.ts";
import type { Saboteurs } from "../sabotage.ts";
import { everythingIn } from "../toy-files.ts";

/** Of cases about checks that see changes. */
export const changeSaboteurs: Saboteurs = {
  "a check tells which committed snapshots were changed": () => ({
    // Not what is in directories below.
    fingerprint: ({ directory }) =>
      readdirSync(directory)
        .map((name) => `${name} ${lstatSync(`${directory}/${name}`).mtimeMs}`)
        .join(),
  }),
  "a check finds nothing wrong with what is written to an active snapshot, nor with what stands on a changed one": (
    toy,
  ) => {
    const real = original(toy);
    return {
      fingerprint: (entry) => {
        const below = entry.parent === undefined ? undefined : toy.place.entries.get(entry.parent);
        return real.fingerprint(entry) + (below === undefined ? "" : real.fingerprint(below));
      },
    };
  },
  "a check finds nothing wrong with what was read, mounted and stood on": () => ({
    // Who reads a link or lists a directory changes this.
    fingerprint: ({ directory }) =>
      everythingIn(directory)
        .map((path) => lstatSync(path).atimeMs)
        .join(),
  }),
};
