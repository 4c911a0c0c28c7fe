import { lstatSync } from "node:fs";
import { CodedError } from "@varve/errors";
import type { SnapshotProblem } from "@varve/snapshots";
import { fingerprint } from "./toy-files.ts";
import { mappingsOf } from "./toy-ids.ts";
import type { ToyMappings } from "./toy-ids.ts";
import type { Entry, Place } from "./toy-place.ts";

/** What a toy asks its records; saboteurs replace these too. */
export class ToyRecords {
  place: Place;

  constructor(place: Place) {
    this.place = place;
    place.opened += 1;
  }

  entry(name: string): Entry {
    const entry = this.place.entries.get(name);
    if (entry === undefined) throw new CodedError("ERR_NOT_FOUND", `snapshot ${name}: not found`);
    return entry;
  }

  mustBeFree(name: string): void {
    if (name === "") throw new CodedError("ERR_INVALID_ARGUMENT", "snapshot: the name is empty");
    if (this.place.entries.has(name)) throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${name}: already exists`);
  }

  active(key: string): Entry {
    const entry = this.entry(key);
    if (entry.kind === "active") return entry;
    throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${key}: is not active`);
  }

  committed(name: string): Entry {
    const entry = this.entry(name);
    if (entry.kind === "committed") return entry;
    throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: is not committed`);
  }

  problem(entry: Entry): SnapshotProblem["kind"] | undefined {
    const stat = lstatSync(entry.directory, { throwIfNoEntry: false });
    if (stat === undefined) return "missing";
    if (!stat.isDirectory()) return "replaced";
    return entry.fingerprint === undefined || this.fingerprint(entry) === entry.fingerprint ? undefined : "changed";
  }

  fingerprint({ directory }: Entry): string {
    return fingerprint(directory);
  }

  mappings(labels: Entry["labels"]): ToyMappings | undefined {
    return mappingsOf(labels);
  }
}
