import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { OpenSnapshotter } from "@varve/snapshots-conformance";
import type { Sabotage } from "./sabotage.ts";
import type { Place } from "./toy-place.ts";
import { Toy } from "./toy.ts";

/** Opens toys below `root`; a place that was opened before is opened again. */
export function toyOpener(root: string, sabotage?: Sabotage): OpenSnapshotter {
  const places = new Map<string, Place>();
  return (name) => {
    let place = places.get(name);
    if (place === undefined) {
      place = { root: join(root, name), entries: new Map(), next: 0, opened: 0 };
      mkdirSync(place.root, { recursive: true });
      places.set(name, place);
    }
    const toy = new Toy(place);
    return Object.assign(toy, sabotage?.(toy));
  };
}
